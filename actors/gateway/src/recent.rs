//! What was learnt lately, for as long as it counts.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Entries that are remembered; when there are more, all are learnt anew.
const REMEMBERED: usize = 4096;

/// Values with the moment in which they were learnt. Not `Send`: each worker has its own.
pub(crate) struct Recent<K, V> {
    entries: RefCell<HashMap<K, (Duration, V)>>,
}

// === impl Recent ===

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// Remembers a value that was learnt at `now`.
    pub(crate) fn put(&self, key: K, now: Duration, value: V) {
        let mut entries = self.entries.borrow_mut();
        if entries.len() >= REMEMBERED {
            entries.clear();
        }
        entries.insert(key, (now, value));
    }

    /// What was learnt less than `age` ago.
    pub(crate) fn get<Q>(&self, key: &Q, now: Duration, age: Duration) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.entries.borrow();
        let (at, value) = entries.get(key)?;
        (now.saturating_sub(*at) < age).then(|| value.clone())
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { entries: RefCell::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_old_is_forgotten() {
        let recent = Recent::default();
        recent.put("a", 5 * SECOND, 1);
        assert_eq!(recent.get("a", 6 * SECOND, 2 * SECOND), Some(1));
        assert_eq!(recent.get("a", 7 * SECOND, 2 * SECOND), None);
        assert_eq!(recent.get("b", 5 * SECOND, SECOND), None);
    }

    #[test]
    fn it_does_not_grow_beyond_its_limit() {
        let recent = Recent::default();
        for key in 0..3 * REMEMBERED {
            recent.put(key, SECOND, ());
            assert!(recent.entries.borrow().len() <= REMEMBERED);
            assert_eq!(recent.get(&key, SECOND, SECOND), Some(()));
        }
    }
}
