//! What more pods would add to a member: worked out here, or asked of the member's own tenbin.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Message, MessageResult, ResponseFuture};
use arc_swap::ArcSwap;
use serde_json::json;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::Lanes;
use tenbin_fleet::member::{Fleet, Member, Reach};
use tenbin_kernel::{Clock, Drain, Lifeline, Observe};
use tenbin_model::ids::ClusterName;
use tenbin_model::power::{Curve, MAX_PODS, PodShape, Power, PowerBoard};
use tokio::sync::{Semaphore, watch};

mod answer;
mod peer;
#[cfg(test)]
mod tests;

pub use answer::answer;

/// Capacity of the estimator's mailbox; when it is full, the asker goes without a curve.
pub const MAILBOX: usize = 256;
/// Estimates that may be under way at once.
const MAX_IN_FLIGHT: usize = 256;
/// Estimates that may be worked out here at once, each on a thread of its own.
const MAX_COMPUTING: usize = 2;
/// How long one estimate may take, waiting included.
const LIMIT: Duration = Duration::from_secs(1);
/// A load that was measured more rounds ago is no basis for a curve.
const ROUNDS: u32 = 3;

/// Asks for the curve of one member. When the mailbox is full, the asker goes without.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Curve, EstimateError>")]
pub struct Estimate {
    /// The member.
    pub cluster: ClusterName,
    /// What each pod asks for.
    pub shape: PodShape,
    /// The pods, [`MAX_PODS`] at the most.
    pub pods: u32,
}

/// New settings, after a reload. When the mailbox is full the sender waits.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Configure {
    /// The time between two rounds of measurement.
    pub interval: Duration,
}

/// Why there is no curve; completes a sentence that begins with the member's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    /// Nobody in the fleet has this name.
    #[error("it is no member")]
    NoMember,
    /// More pods than a curve is worked out for.
    #[error("curves end at {MAX_PODS} pods")]
    TooMany,
    /// Only its watts are known, or nothing.
    #[error("its power is not measured")]
    Unmeasured,
    /// Its load was measured too long ago.
    #[error("its power was measured {age_seconds} s ago")]
    Stale {
        /// The age.
        age_seconds: u64,
    },
    /// The original program knows no curves.
    #[error("the original program tells no curve")]
    Original,
    /// More estimates are under way than may be.
    #[error("too many estimates are under way")]
    Busy,
    /// It took too long.
    #[error("no curve came within {} s", LIMIT.as_secs())]
    TimedOut,
    /// The computation ended without a result.
    #[error("the curve was not worked out to the end")]
    Aborted,
    /// Its tenbin gave no answer.
    #[error(transparent)]
    Peer(#[from] Fault),
    /// Its tenbin answers, but with no curve.
    #[error("its tenbin answers {code}: {message}")]
    Refused {
        /// The status code.
        code: u16,
        /// What it says, cut where it is long.
        message: String,
    },
    /// Its tenbin answers with something else than a curve.
    #[error("its tenbin's answer cannot be read: {0}")]
    Unreadable(String),
}

/// Tells the curves of members, by what is published of their power.
pub struct Estimator {
    fleet: watch::Receiver<Arc<Fleet>>,
    power: Arc<ArcSwap<PowerBoard>>,
    clock: Clock,
    settings: Configure,
    /// The connections to peers, of this actor's thread.
    lanes: Rc<Lanes>,
    in_flight: Arc<Semaphore>,
    computing: Arc<Semaphore>,
    asked: u64,
    _lifeline: Lifeline,
}

/// Where a curve comes from.
enum Source {
    Here(Arc<Power>),
    Peer(Arc<Member>),
}

// === impl Estimator ===

impl Estimator {
    /// Makes an estimator that reads the published fleet and power.
    pub fn new(
        fleet: watch::Receiver<Arc<Fleet>>,
        power: Arc<ArcSwap<PowerBoard>>,
        clock: Clock,
        settings: Configure,
        lifeline: Lifeline,
    ) -> Self {
        Self {
            fleet,
            power,
            clock,
            settings,
            lanes: Rc::default(),
            in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            computing: Arc::new(Semaphore::new(MAX_COMPUTING)),
            asked: 0,
            _lifeline: lifeline,
        }
    }

    fn source(&self, estimate: &Estimate) -> Result<Source, EstimateError> {
        let fleet = Arc::clone(&self.fleet.borrow());
        self.lanes.retain(&fleet);
        let member = fleet.get(estimate.cluster.as_str()).ok_or(EstimateError::NoMember)?;
        if estimate.pods > MAX_PODS {
            return Err(EstimateError::TooMany);
        }
        match member.reach {
            Reach::Direct => self.fresh_power(&estimate.cluster).map(Source::Here),
            Reach::Peer => Ok(Source::Peer(Arc::clone(member))),
            Reach::Original => Err(EstimateError::Original),
        }
    }

    fn fresh_power(&self, cluster: &ClusterName) -> Result<Arc<Power>, EstimateError> {
        let board = self.power.load();
        let power = board.get(cluster).ok_or(EstimateError::Unmeasured)?;
        // One from the future would never grow old.
        let age = self.clock.now().duration_since(power.measured_at).unsigned_abs();
        if age > self.settings.interval.saturating_mul(ROUNDS) {
            return Err(EstimateError::Stale { age_seconds: age.as_secs() });
        }
        Ok(Arc::clone(power))
    }
}

/// Works the curve out, away from the actors' thread.
async fn compute(
    computing: Arc<Semaphore>,
    power: Arc<Power>,
    shape: PodShape,
    pods: u32,
) -> Result<Curve, EstimateError> {
    let permit = computing.acquire_owned().await.map_err(|_| EstimateError::Aborted)?;
    let work = tokio::task::spawn_blocking(move || {
        // Given back when the work has ended, also where nobody waits for it any more.
        let _permit = permit;
        power.curve(shape, pods)
    });
    work.await.map_err(|_| EstimateError::Aborted)
}

impl Actor for Estimator {
    type Context = Context<Self>;
}

impl Handler<Estimate> for Estimator {
    type Result = ResponseFuture<Result<Curve, EstimateError>>;

    fn handle(&mut self, estimate: Estimate, _: &mut Context<Self>) -> Self::Result {
        self.asked += 1;
        let place = Arc::clone(&self.in_flight).try_acquire_owned();
        let source = self.source(&estimate);
        let (lanes, computing) = (Rc::clone(&self.lanes), Arc::clone(&self.computing));
        let Estimate { cluster: _, shape, pods } = estimate;
        Box::pin(async move {
            let _place = place.map_err(|_| EstimateError::Busy)?;
            let source = source?;
            let estimating = async {
                match source {
                    Source::Here(power) => compute(computing, power, shape, pods).await,
                    Source::Peer(member) => peer::ask(&lanes, &member, shape, pods).await,
                }
            };
            let estimated = tokio::time::timeout(LIMIT, estimating).await;
            estimated.unwrap_or(Err(EstimateError::TimedOut))
        })
    }
}

impl Handler<Configure> for Estimator {
    type Result = ();

    fn handle(&mut self, settings: Configure, _: &mut Context<Self>) {
        self.settings = settings;
    }
}

impl Handler<Observe> for Estimator {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        MessageResult(json!({
            "asked": self.asked,
            "in_flight": MAX_IN_FLIGHT.saturating_sub(self.in_flight.available_permits()),
            "measured": self.power.load().len(),
        }))
    }
}

impl Handler<Drain> for Estimator {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) {}
}
