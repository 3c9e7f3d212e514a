//! The only reader of the wall clock: time is an input of everything else.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

/// The time, real or held by a test. Cheap to clone; clones share their start.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

/// The hand of a test on a [`Clock::manual`].
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Hands>);

#[derive(Clone, Debug)]
enum Kind {
    System { started: Instant },
    Manual(Arc<Hands>),
}

#[derive(Debug)]
struct Hands {
    start: Timestamp,
    elapsed: watch::Sender<Duration>,
}

// === impl Clock ===

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System { started: Instant::now() })
    }

    /// A clock that stands at `start` until its [`ManualClock`] moves it.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hands = Arc::new(Hands { start, elapsed: watch::Sender::new(Duration::ZERO) });
        (Self(Kind::Manual(Arc::clone(&hands))), ManualClock(hands))
    }

    /// The time of day. It may jump when the machine's clock is set.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System { .. } => Timestamp::now(),
            Kind::Manual(hands) => {
                hands.start.saturating_add(self.elapsed()).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The time since the clock was made; it never jumps or runs backwards.
    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Kind::System { started } => started.elapsed(),
            Kind::Manual(hands) => *hands.elapsed.borrow(),
        }
    }

    /// Waits for `duration`, counted from the first poll. Cancellation safe.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System { .. } => tokio::time::sleep(duration).await,
            Kind::Manual(hands) => {
                let mut elapsed = hands.elapsed.subscribe();
                let wake = elapsed.borrow().saturating_add(duration);
                // The sender lives in `hands`, which this future holds: it cannot be gone.
                drop(elapsed.wait_for(|elapsed| *elapsed >= wake).await);
            }
        }
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// Moves the clock on, and wakes those whose time has come.
    pub fn advance(&self, duration: Duration) {
        self.0.elapsed.send_modify(|elapsed| *elapsed = elapsed.saturating_add(duration));
    }

    /// How many sleep on this clock now.
    pub fn sleepers(&self) -> usize {
        self.0.elapsed.receiver_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_manual_clock_stands_still_and_wakes_sleepers_when_moved() {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let sleepers: Vec<_> = [10, 20]
            .map(|seconds| {
                let clock = clock.clone();
                actix_rt::spawn(async move {
                    clock.sleep(Duration::from_secs(seconds)).await;
                    clock.elapsed().as_secs()
                })
            })
            .into();
        while hand.sleepers() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);

        hand.advance(Duration::from_secs(15));
        while hand.sleepers() > 1 {
            tokio::task::yield_now().await;
        }
        hand.advance(Duration::from_secs(5));

        let mut woke = Vec::new();
        for sleeper in sleepers {
            woke.push(sleeper.await.unwrap());
        }
        assert_eq!(woke, [15, 20]);
        assert_eq!(clock.now().as_second(), 20);
    }

    #[actix::test]
    async fn no_time_at_all_passes_at_once() {
        let (clock, _hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.sleep(Duration::ZERO).await;
    }
}
