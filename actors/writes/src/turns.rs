//! One write at a time of one object through this daemon.
//!
//! Writes commit on home first and on the others after; two at once could reach home in one order
//! and another member in the other. Between daemons home's copy decides (`commit`).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tenbin_model::status::{Reason, Status};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Objects share this many turns, so that nothing grows; two that share one wait for each other.
const TURNS: usize = 1024;
/// So many writes may be under way or wait for one turn; more are refused.
const LIMIT: usize = 64;

/// Whose turn it is to write. Shared by all workers.
#[derive(Debug)]
pub struct Turns {
    turns: Vec<Arc<Mutex<()>>>,
    hasher: RandomState,
}

/// The right to write an object, given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedMutexGuard<()>,
}

// === impl Turns ===

impl Turns {
    /// Waits for the turn to write the object of `path`; first come, first served.
    ///
    /// Each write before it has its own limits, so the wait ends. Dropping the future gives the
    /// place in the queue up.
    ///
    /// # Errors
    /// 429 where too many wait already.
    pub async fn take(&self, path: &str) -> Result<Turn, Status> {
        let full = || {
            let message = "too many writes of this object are under way";
            Status::new(Reason::TooManyRequests, message).retry_after(1)
        };
        let place = self.hasher.hash_one(path) % TURNS as u64;
        let turn = usize::try_from(place).ok().and_then(|place| self.turns.get(place));
        let turn = turn.filter(|turn| Arc::strong_count(turn) <= LIMIT).ok_or_else(full)?;
        Ok(Turn { _guard: Arc::clone(turn).lock_owned().await })
    }
}

impl Default for Turns {
    fn default() -> Self {
        let turns = std::iter::repeat_with(Arc::default).take(TURNS).collect();
        Self { turns, hasher: RandomState::new() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::{join_all, poll_immediate};

    use super::*;

    #[test]
    fn the_second_write_of_an_object_waits_for_the_first() {
        let turns = Turns::default();
        let first = turns.take("a").now_or_never().unwrap().unwrap();
        let mut second = Box::pin(turns.take("a"));
        assert!(poll_immediate(&mut second).now_or_never().unwrap().is_none());
        drop(first);
        assert!(second.now_or_never().unwrap().is_ok());
    }

    #[test]
    fn a_queue_has_an_end() {
        let turns = Turns::default();
        let first = turns.take("a").now_or_never().unwrap().unwrap();
        let mut waiting: Vec<_> = (1..LIMIT).map(|_| Box::pin(turns.take("a"))).collect();
        let polled = join_all(waiting.iter_mut().map(poll_immediate)).now_or_never().unwrap();
        assert!(polled.iter().all(Option::is_none));
        assert_eq!(turns.take("a").now_or_never().unwrap().unwrap_err().code, 429);
        drop((first, waiting));
        assert!(turns.take("a").now_or_never().unwrap().is_ok());
    }
}
