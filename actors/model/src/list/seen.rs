//! Which namespaces and names were shown.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use sha2::{Digest, Sha256};

/// The keys of the items so far, as hashes: 17 bytes for each, whatever its length.
///
/// 128 bits of SHA-256, so that nobody finds a name that hides another (`2^64` attempts).
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<[u8; 16], Holder>);

/// Who holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Managed copies, which are shown as one.
    Managed,
    /// One item of one member.
    Item,
}

// === impl Seen ===

impl Seen {
    /// Takes a key for `holder`; false where the key is taken.
    ///
    /// Managed copies of one key all get it: they become one item.
    pub(super) fn take(&mut self, namespace: &str, name: &str, holder: Holder) -> bool {
        match self.0.entry(hash(namespace, name)) {
            Entry::Vacant(vacant) => {
                vacant.insert(holder);
                true
            }
            Entry::Occupied(taken) => holder == Holder::Managed && *taken.get() == Holder::Managed,
        }
    }
}

fn hash(namespace: &str, name: &str) -> [u8; 16] {
    let mut hasher = Sha256::new();
    // The length keeps two keys apart that have the same text when joined.
    hasher.update(namespace.len().to_le_bytes());
    hasher.update(namespace);
    hasher.update(name);
    let digest: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_holder_keeps_a_key_and_managed_copies_share_it() {
        let mut seen = Seen::default();
        assert!(seen.take("a", "bc", Holder::Item));
        assert!(seen.take("ab", "c", Holder::Managed));
        assert!(!seen.take("a", "bc", Holder::Managed));
        assert!(!seen.take("ab", "c", Holder::Item));
        assert!(seen.take("ab", "c", Holder::Managed));
    }
}
