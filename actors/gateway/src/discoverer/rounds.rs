//! Looks that follow each other, and who waits for which.

use std::future::Future;

use tokio::sync::watch;

/// The looks at one thing: one at a time, the next one shared by all who ask meanwhile.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    begun: u64,
    running: bool,
    /// Whether somebody waits for the next one.
    wanted: bool,
    ended: watch::Sender<u64>,
}

// === impl Rounds ===

impl Rounds {
    /// Wants a look that begins now or later; tells whether to begin it, and when it has ended.
    ///
    /// A look that runs already does not count: it may have seen the world of before.
    pub(super) fn want(&mut self) -> (bool, impl Future<Output = ()> + Send + use<>) {
        let begins = !self.running;
        if begins {
            self.begin();
        } else {
            self.wanted = true;
        }
        let awaited = if begins { self.begun } else { self.begun + 1 };
        let mut ended = self.ended.subscribe();
        // Nobody looks any more at a member that has left: that is an end too.
        (begins, async move { drop(ended.wait_for(|ended| *ended >= awaited).await) })
    }

    /// Notes the end of a look; tells whether to begin the next one.
    pub(super) fn end(&mut self) -> bool {
        self.running = false;
        self.ended.send_replace(self.begun);
        let again = std::mem::take(&mut self.wanted);
        if again {
            self.begin();
        }
        again
    }

    /// How many looks there were.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    fn begin(&mut self) {
        self.begun += 1;
        self.running = true;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn who_asks_during_a_look_waits_for_the_next_one_which_all_share() {
        let mut rounds = Rounds::default();
        let (begins, first) = rounds.want();
        assert!(begins);
        let mut first = Box::pin(first);
        let late: Vec<_> = (0..3).map(|_| rounds.want()).collect();
        assert!(late.iter().all(|(begins, _)| !begins));
        assert_eq!(first.as_mut().now_or_never(), None);

        assert!(rounds.end(), "somebody waits");
        assert_eq!(first.now_or_never(), Some(()));
        let mut late: Vec<_> = late.into_iter().map(|(_, ended)| Box::pin(ended)).collect();
        assert!(late.iter_mut().all(|ended| ended.as_mut().now_or_never().is_none()));

        assert!(!rounds.end(), "nobody waits");
        assert!(late.into_iter().all(|ended| ended.now_or_never().is_some()));
        assert_eq!(rounds.begun(), 2);
        assert!(rounds.want().0);
    }

    #[test]
    fn nobody_waits_for_a_member_that_has_left() {
        let mut rounds = Rounds::default();
        let (_, ended) = rounds.want();
        drop(rounds);
        assert_eq!(ended.now_or_never(), Some(()));
    }
}
