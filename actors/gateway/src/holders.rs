//! Which member each object was last seen in, as far as somebody read it here.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;

/// Objects share this many entries, so that nothing grows; the one that was seen last has it.
const ENTRIES: usize = 32 * 1024;
/// The bits of an entry: who has it, then the second in which that was seen, then the slot plus one.
const SLOT_BITS: u32 = 7;
const TIME_BITS: u32 = 32;

/// Where objects are. Shared by all workers, without locks.
///
/// Two objects are taken for one in one of 2^40 cases. Then a member is asked in vain, or a 503 stands
/// where a 404 should.
pub(crate) struct Holders {
    entries: Vec<AtomicU64>,
    hasher: RandomState,
}

/// When an object was seen, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen<'f> {
    pub(crate) member: &'f ClusterName,
    pub(crate) at: Duration,
}

// === impl Holders ===

impl Holders {
    /// Remembers that the object at `path` was seen in a member of a fleet.
    pub(crate) fn put(
        &self,
        path: &str,
        space: &VersionSpace,
        member: &ClusterName,
        now: Duration,
    ) {
        let Some(slot) = space.slot_of(member) else { return };
        let slot = u64::try_from(slot).unwrap_or_default() + 1;
        let (entry, tag) = self.entry(path);
        let seconds = now.as_secs() & mask(TIME_BITS);
        if let Some(entry) = entry {
            entry.store((tag | seconds) << SLOT_BITS | slot, Ordering::Relaxed);
        }
    }

    /// Where the object at `path` was seen last.
    pub(crate) fn get<'f>(&self, path: &str, space: &'f VersionSpace) -> Option<Seen<'f>> {
        let (entry, tag) = self.entry(path);
        let kept = entry?.load(Ordering::Relaxed);
        let (seen, slot) = (kept >> SLOT_BITS, kept & mask(SLOT_BITS));
        let seconds = seen & mask(TIME_BITS);
        let slot = usize::try_from(slot.checked_sub(1)?).ok()?;
        let member = space.slots().get(slot).filter(|_| seen - seconds == tag)?;
        Some(Seen { member, at: Duration::from_secs(seconds) })
    }

    /// Forgets the object at `path`.
    pub(crate) fn forget(&self, path: &str, space: &VersionSpace) {
        if self.get(path, space).is_some()
            && let (Some(entry), _) = self.entry(path)
        {
            entry.store(0, Ordering::Relaxed);
        }
    }

    /// The entry of an object, and what tells it from others that share the entry.
    fn entry(&self, path: &str) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(path);
        let index = usize::try_from(hash).unwrap_or_default() % ENTRIES;
        let tag = hash >> (SLOT_BITS + TIME_BITS) << TIME_BITS;
        (self.entries.get(index), tag)
    }
}

impl Default for Holders {
    fn default() -> Self {
        let entries = std::iter::repeat_with(AtomicU64::default).take(ENTRIES).collect();
        Self { entries, hasher: RandomState::new() }
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn name(text: &str) -> ClusterName {
        ClusterName::new(text).unwrap()
    }

    fn space() -> VersionSpace {
        let names = ["tokyo", "osaka", "nagoya"].map(name).to_vec();
        VersionSpace::new(NonZeroU64::MIN, names).unwrap()
    }

    #[test]
    fn the_last_that_was_seen_counts_until_it_is_forgotten() {
        let (holders, space) = (Holders::default(), space());
        assert_eq!(holders.get("/a", &space), None);
        for (member, at) in [("tokyo", 0), ("nagoya", 5), ("osaka", 4_000_000_000)] {
            let (member, at) = (name(member), Duration::from_secs(at));
            holders.put("/a", &space, &member, at);
            assert_eq!(holders.get("/a", &space), Some(Seen { member: &member, at }));
        }
        assert_eq!(holders.get("/b", &space), None);
        holders.forget("/b", &space);
        assert!(holders.get("/a", &space).is_some());
        holders.forget("/a", &space);
        assert_eq!(holders.get("/a", &space), None);
    }

    #[test]
    fn of_many_objects_none_is_taken_for_another() {
        let (holders, space) = (Holders::default(), space());
        let member = |n: usize| &space.slots()[n % 3];
        for n in 0..3 * ENTRIES {
            holders.put(&format!("/{n}"), &space, member(n), Duration::ZERO);
        }
        let kept = |n: &usize| holders.get(&format!("/{n}"), &space).is_some();
        assert!((0..3 * ENTRIES).filter(kept).count() > ENTRIES / 2);
        for n in (0..3 * ENTRIES).filter(kept) {
            assert_eq!(holders.get(&format!("/{n}"), &space).unwrap().member, member(n));
        }
    }

    #[test]
    fn who_has_no_slot_is_not_remembered() {
        let (holders, space) = (Holders::default(), space());
        holders.put("/a", &space, &name("kyoto"), Duration::ZERO);
        assert_eq!(holders.get("/a", &space), None);
    }
}
