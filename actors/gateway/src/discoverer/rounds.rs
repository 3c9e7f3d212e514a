//! Looks that follow each other, and who waits for which.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

/// The looks at one thing: one at a time, the next one shared by all who ask meanwhile.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    begun: u64,
    /// When the look that goes on began.
    running: Option<Duration>,
    /// Whether somebody waits for the next one.
    wanted: bool,
    ended: watch::Sender<u64>,
}

// === impl Rounds ===

impl Rounds {
    /// Wants a look that begins now or later; tells whether to begin it, and when it has ended.
    ///
    /// A look that runs already does not count: it may have seen the world of before.
    pub(super) fn want(
        &mut self,
        now: Duration,
    ) -> (bool, impl Future<Output = ()> + Send + use<>) {
        let begins = self.running.is_none();
        if begins {
            self.begin(now);
        } else {
            self.wanted = true;
        }
        let awaited = if begins { self.begun } else { self.begun + 1 };
        let mut ended = self.ended.subscribe();
        // Nobody looks any more at a member that has left: that is an end too.
        (begins, async move { drop(ended.wait_for(|ended| *ended >= awaited).await) })
    }

    /// Notes the end of a look; tells whether to begin the next one.
    pub(super) fn end(&mut self, now: Duration) -> bool {
        self.running = None;
        self.ended.send_replace(self.begun);
        let again = std::mem::take(&mut self.wanted);
        if again {
            self.begin(now);
        }
        again
    }

    /// Whether a look goes on for longer than this: who waits for the next one would wait long.
    pub(super) fn is_slow(&self, now: Duration, limit: Duration) -> bool {
        self.running.is_some_and(|began| now.saturating_sub(began) >= limit)
    }

    /// How many looks there were.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    fn begin(&mut self, now: Duration) {
        self.begun += 1;
        self.running = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const NOW: Duration = Duration::from_secs(7);

    #[test]
    fn who_asks_during_a_look_waits_for_the_next_one_which_all_share() {
        let mut rounds = Rounds::default();
        let (begins, first) = rounds.want(NOW);
        assert!(begins);
        let mut first = Box::pin(first);
        let late: Vec<_> = (0..3).map(|_| rounds.want(NOW)).collect();
        assert!(late.iter().all(|(begins, _)| !begins));
        assert_eq!(first.as_mut().now_or_never(), None);

        assert!(rounds.end(NOW), "somebody waits");
        assert_eq!(first.now_or_never(), Some(()));
        let mut late: Vec<_> = late.into_iter().map(|(_, ended)| Box::pin(ended)).collect();
        assert!(late.iter_mut().all(|ended| ended.as_mut().now_or_never().is_none()));

        assert!(!rounds.end(NOW), "nobody waits");
        assert!(late.into_iter().all(|ended| ended.now_or_never().is_some()));
        assert_eq!(rounds.begun(), 2);
        assert!(rounds.want(NOW).0);
    }

    #[test]
    fn nobody_waits_for_a_member_that_has_left() {
        let mut rounds = Rounds::default();
        let (_, ended) = rounds.want(NOW);
        drop(rounds);
        assert_eq!(ended.now_or_never(), Some(()));
    }

    #[test]
    fn a_look_is_slow_from_its_limit_until_its_end() {
        let (mut rounds, limit) = (Rounds::default(), Duration::from_secs(1));
        assert!(!rounds.is_slow(NOW, limit));
        drop(rounds.want(NOW));
        assert!(!rounds.is_slow(NOW, limit));
        assert!(rounds.is_slow(NOW + limit, limit));
        rounds.end(NOW + limit);
        assert!(!rounds.is_slow(NOW + limit, limit));
    }
}
