//! The copies of managed objects, held back until every member has spoken.

use std::collections::BTreeMap;

use crate::fold::{Groups, Marked, group};
use crate::ids::ClusterName;

/// How many bytes may be held back for one answer.
pub(super) const MAX_HELD_BYTES: usize = 256 << 20;

/// The bytes of one copy.
#[derive(Debug)]
pub(super) struct HeldCopy {
    /// The member's place.
    pub(super) member: usize,
    /// The item or row.
    pub(super) bytes: Box<[u8]>,
}

/// Copies by namespace and name.
#[derive(Debug, Default)]
pub(super) struct Held {
    copies: BTreeMap<(String, String), Vec<Marked<HeldCopy>>>,
    bytes: usize,
}

// === impl Held ===

impl Held {
    /// Holds a copy; false where there would be too much.
    ///
    /// A member has one object of a name: whatever else it shows under it is dropped.
    pub(super) fn hold(&mut self, key: (String, String), copy: Marked<HeldCopy>) -> bool {
        let copies = self.copies.entry(key).or_default();
        if copies.iter().all(|known| known.member != copy.member) {
            self.bytes = self.bytes.saturating_add(copy.copy.bytes.len());
            copies.push(copy);
        }
        self.bytes <= MAX_HELD_BYTES
    }

    /// Takes the copies of the next namespace and name, in the order of these.
    pub(super) fn take(
        &mut self,
        answered: impl Fn(&ClusterName) -> bool,
    ) -> Option<Groups<HeldCopy>> {
        self.copies.pop_first().map(|(_, copies)| group(copies, answered))
    }
}
