//! Ending actors: first asked, then killed, in order, under one deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::life::Life;
use crate::clock::Clock;
use crate::slot::AskError;

/// What an actor that hangs leaves to each order after it, so that the ledger gets its flush.
const RESERVE: Duration = Duration::from_secs(1);

/// How the actors were ended, in the order in which it was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// One step for each actor.
    pub steps: Vec<DrainStep>,
    /// How long all took.
    pub elapsed: Duration,
}

/// How one actor was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DrainStep {
    /// The actor's name.
    pub name: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it finished what it had begun.
    pub outcome: Outcome,
}

/// Whether an actor finished what it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Drained,
    /// It had not at its deadline, and was killed.
    TimedOut,
    /// It had no place for the question, or panicked at it.
    Refused,
    /// It was dead already.
    NotRunning,
}

/// A child on its way out.
pub(super) struct Parting {
    pub(super) name: String,
    pub(super) order: u8,
    pub(super) life: Arc<dyn Life>,
    pub(super) kill: Option<oneshot::Sender<()>>,
    pub(super) ended: Option<oneshot::Receiver<()>>,
}

/// Ends all of `partings` by ascending order, those of one order together.
pub(super) async fn all(partings: Vec<Parting>, clock: &Clock, deadline: Duration) -> DrainReport {
    let began = clock.elapsed();
    let mut orders = BTreeMap::<u8, Vec<Parting>>::new();
    for parting in partings {
        orders.entry(parting.order).or_default().push(parting);
    }
    let mut orders_left = u32::try_from(orders.len()).unwrap_or(u32::MAX);
    let mut steps = Vec::new();
    for together in orders.into_values() {
        let left = deadline.saturating_sub(clock.elapsed().saturating_sub(began));
        let budget = budget(left, orders_left);
        orders_left = orders_left.saturating_sub(1);
        let ends = together.into_iter().map(|parting| parting.end(clock, budget));
        steps.extend(future::join_all(ends).await);
    }
    DrainReport { steps, elapsed: clock.elapsed().saturating_sub(began) }
}

/// How much of the time left the next of `orders_left` orders may take.
fn budget(left: Duration, orders_left: u32) -> Duration {
    let reserve = RESERVE.min(left / orders_left.max(1));
    left.saturating_sub(reserve.saturating_mul(orders_left.saturating_sub(1)))
}

// === impl Parting ===

impl Parting {
    /// Asks the actor to finish, kills it, and waits until nothing is left of it: all of it within
    /// `budget`.
    pub(super) async fn end(self, clock: &Clock, budget: Duration) -> DrainStep {
        let began = clock.elapsed();
        let limit = {
            let clock = clock.clone();
            Box::pin(async move { clock.sleep(budget).await })
        };
        let mut outcome = match self.life.drain(budget, limit).await {
            Ok(()) => Outcome::Drained,
            Err(AskError::TimedOut) => Outcome::TimedOut,
            Err(AskError::Full | AskError::Stopped) => Outcome::Refused,
            Err(AskError::NotRunning) => Outcome::NotRunning,
        };
        drop(self.kill);
        self.life.clear();
        if let Some(ended) = self.ended {
            let left = budget.saturating_sub(clock.elapsed().saturating_sub(began));
            tokio::select! {
                biased;
                _ = ended => {}
                () = clock.sleep(left) => outcome = Outcome::TimedOut,
            }
        }
        let elapsed = clock.elapsed().saturating_sub(began);
        let step = DrainStep { name: self.name, elapsed, outcome };
        step.log();
        step
    }
}

// === impl DrainStep ===

impl DrainStep {
    fn log(&self) {
        let elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        let actor = self.name.as_str();
        match self.outcome {
            Outcome::Drained => info!(actor, elapsed_ms, "actor drained"),
            Outcome::TimedOut | Outcome::Refused | Outcome::NotRunning => {
                warn!(actor, elapsed_ms, outcome = ?self.outcome, "actor not drained");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_may_take_all_but_a_second_of_each_order_after_it() {
        assert_eq!(budget(Duration::from_secs(25), 4), Duration::from_secs(22));
        assert_eq!(budget(Duration::from_secs(25), 1), Duration::from_secs(25));
        assert_eq!(budget(Duration::from_secs(2), 4), Duration::from_millis(500));
        assert_eq!(budget(Duration::ZERO, 4), Duration::ZERO);
    }
}
