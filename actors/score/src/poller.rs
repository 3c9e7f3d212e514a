//! Asks one source for samples, one at a time.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, SpawnHandle, WrapFuture,
};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tenbin_kernel::{Clock, Drain, Lifeline, Observe, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::power::Power;
use tenbin_model::score::Sample;
use tracing::{debug, info, warn};

use crate::scorer::{Failed, Sampled, Scorer};

mod peer;
mod stated;

pub use peer::PeerSource;
pub use stated::{Probe, StatedSource};

/// The longest that one poll may take, where the interval is not shorter.
const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Where samples of one member come from. It lives on its Poller's arbiter.
pub trait Source: 'static {
    /// Takes one sample within a time that the Poller cuts off. The future may be dropped at any
    /// time.
    fn sample(&self, within: Duration) -> LocalBoxFuture<'static, Result<Measured, PollError>>;

    /// What the source tells of its work, as `/actors` shows it.
    fn observe(&self) -> Value {
        Value::Null
    }
}

/// What one poll brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// What the member costs.
    pub sample: Sample,
    /// What more pods would cost there, where its nodes were measured.
    pub power: Option<Arc<Power>>,
}

/// Why a poll brought no sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PollError {
    /// The member or its sensors do not answer.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// What answers has no score to tell.
    #[error("no score: {0}")]
    NoScore(String),
    /// The poll took longer than it may.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
}

/// Owns one source, and asks it as long as it lives: at once, then an interval after each answer.
pub struct Poller {
    cluster: ClusterName,
    source: Box<dyn Source>,
    interval: Duration,
    scorer: Slot<Scorer>,
    clock: Clock,
    phase: Phase,
    /// Whether the last poll succeeded; `None` before the first.
    healthy: Option<bool>,
    counts: Counts,
    _lifeline: Lifeline,
}

#[derive(Debug)]
enum Phase {
    /// One poll is outstanding, never more.
    Polling(SpawnHandle),
    Waiting(SpawnHandle),
    Drained,
}

#[derive(Debug, Default)]
struct Counts {
    samples: u64,
    failures: u64,
    dropped: u64,
}

// === impl Poller ===

impl Poller {
    /// Asks `source` for samples of `cluster` and sends them to `scorer`.
    pub fn new(
        cluster: ClusterName,
        source: Box<dyn Source>,
        interval: Duration,
        scorer: Slot<Scorer>,
        clock: Clock,
        lifeline: Lifeline,
    ) -> Self {
        Self {
            cluster,
            source,
            interval,
            scorer,
            clock,
            phase: Phase::Drained,
            healthy: None,
            counts: Counts::default(),
            _lifeline: lifeline,
        }
    }

    fn poll(&mut self, context: &mut Context<Self>) {
        let deadline = self.interval.min(LONGEST_POLL);
        let (sample, clock) = (self.source.sample(deadline), self.clock.clone());
        let bounded = async move {
            tokio::select! {
                biased;
                sample = sample => sample,
                () = clock.sleep(deadline) => Err(PollError::Deadline(deadline)),
            }
        };
        let poll = bounded.into_actor(self).map(|result, this, context| {
            this.polled(result);
            this.wait(context);
        });
        self.phase = Phase::Polling(context.spawn(poll));
    }

    /// An interval after the answer, not after the question: a stalled thread makes no burst.
    fn wait(&mut self, context: &mut Context<Self>) {
        let (clock, interval) = (self.clock.clone(), self.interval);
        let wait = async move { clock.sleep(interval).await }
            .into_actor(self)
            .map(|(), this, context| this.poll(context));
        self.phase = Phase::Waiting(context.spawn(wait));
    }

    fn polled(&mut self, result: Result<Measured, PollError>) {
        let healthy = result.is_ok();
        match result {
            Ok(measured) => self.deliver(measured),
            Err(error) => {
                self.counts.failures += 1;
                let failed = Failed { cluster: self.cluster.clone(), reason: error.to_string() };
                if let Err(error) = self.scorer.tell(failed) {
                    debug!(cluster = %self.cluster, %error, "failure dropped");
                }
                // Once for each change, not for each poll.
                if self.healthy != Some(false) {
                    warn!(cluster = %self.cluster, %error, "score cannot be sampled");
                }
            }
        }
        if healthy && self.healthy == Some(false) {
            info!(cluster = %self.cluster, "score is sampled again");
        }
        self.healthy = Some(healthy);
    }

    fn deliver(&mut self, measured: Measured) {
        self.counts.samples += 1;
        let sampled = Sampled { cluster: self.cluster.clone(), measured };
        if let Err(error) = self.scorer.tell(sampled) {
            self.counts.dropped += 1;
            debug!(cluster = %self.cluster, %error, "sample dropped");
        }
    }
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.poll(context);
    }
}

impl Handler<Observe> for Poller {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _context: &mut Context<Self>) -> Self::Result {
        MessageResult(json!({
            "cluster": self.cluster,
            "interval_seconds": self.interval.as_secs_f64(),
            "healthy": self.healthy,
            "samples": self.counts.samples,
            "failures": self.counts.failures,
            "samples_dropped": self.counts.dropped,
            "source": self.source.observe(),
        }))
    }
}

impl Handler<Drain> for Poller {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Context<Self>) {
        match std::mem::replace(&mut self.phase, Phase::Drained) {
            Phase::Polling(handle) | Phase::Waiting(handle) => {
                context.cancel_future(handle);
            }
            Phase::Drained => {}
        }
    }
}

#[cfg(test)]
mod tests;
