//! The actor that divides workloads by what it knows of the members now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use serde_json::json;
use tenbin_fleet::member::Fleet;
use tenbin_kernel::{Clock, Drain, Lifeline, Observe, Slot};
use tenbin_model::config::Strategy;
use tenbin_model::ids::ClusterName;
use tenbin_model::managed::Shares;
use tenbin_model::placement::{
    Candidate, Infeasible, InvalidWish, Obstacle, Problem, Rule, Wishes, ideal,
};
use tenbin_model::power::{Curve, MAX_PODS, PodShape};
use tenbin_model::score::ScoreBoard;
use tenbin_score::Estimator;
use tenbin_score::estimator::Estimate;
use tokio::sync::watch;
use tracing::debug;

#[cfg(test)]
mod tests;

/// Capacity of the placer's mailbox; when it is full the caller gets 503.
pub const MAILBOX: usize = 256;
/// How long the estimator may take; it keeps a limit of its own, of a second.
const ESTIMATE_LIMIT: Duration = Duration::from_millis(1500);

/// Asks for the shares of a workload. When the mailbox is full, the caller answers 503.
#[derive(Message, Debug)]
#[rtype(result = "Result<Placed, PlaceError>")]
pub struct Place {
    /// The replicas to divide.
    pub total: u32,
    /// The workload's annotations, of which the user's wishes count.
    pub annotations: BTreeMap<String, String>,
    /// What each pod asks for.
    pub shape: PodShape,
    /// The members that take part; nobody else gets any, and nobody else is named.
    pub among: Vec<ClusterName>,
}

/// How a workload is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The shares of those who take part.
    pub shares: Shares,
    /// Why it was not divided as was asked for, for the user.
    pub note: Option<String>,
}

/// New settings, after a reload. When the mailbox is full the sender waits.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Configure {
    /// At least so many members get a replica, where the total allows.
    pub min_clusters: u32,
    /// The age from which on a score is unknown.
    pub max_age: Duration,
    /// The rule of division, where a workload does not wish another.
    pub strategy: Strategy,
}

/// Why a workload cannot be divided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// An annotation cannot be read.
    #[error(transparent)]
    Wish(#[from] InvalidWish),
    /// The wishes and the members that can take work do not fit.
    #[error(transparent)]
    Infeasible(#[from] Infeasible),
    /// The division ended without a result.
    #[error("the replicas were not divided to the end")]
    Aborted,
}

/// Divides workloads.
pub struct Placer {
    fleet: watch::Receiver<Arc<Fleet>>,
    board: Arc<ArcSwap<ScoreBoard>>,
    estimator: Slot<Estimator>,
    clock: Clock,
    settings: Configure,
    placed: u64,
    _lifeline: Lifeline,
}

/// Why members have no curve.
type Missing = BTreeMap<ClusterName, String>;

// === impl Placer ===

impl Placer {
    /// Makes a placer that reads the published fleet and scores.
    pub fn new(
        fleet: watch::Receiver<Arc<Fleet>>,
        board: Arc<ArcSwap<ScoreBoard>>,
        estimator: Slot<Estimator>,
        clock: Clock,
        settings: Configure,
        lifeline: Lifeline,
    ) -> Self {
        Self { fleet, board, estimator, clock, settings, placed: 0, _lifeline: lifeline }
    }

    /// What is to be divided, as far as the snapshots tell it: without curves.
    fn problem(&self, place: &Place) -> Result<Problem, PlaceError> {
        let (now, board) = (self.clock.now(), self.board.load());
        let fleet = Arc::clone(&self.fleet.borrow());
        // Wishes may name any member, also one that takes no part now.
        let others = fleet.members().iter().map(|member| &member.name);
        let others = others.filter(|name| !place.among.contains(name));
        let candidates = place.among.iter().chain(others).map(|name| Candidate {
            member: name.clone(),
            watts: board.watts(name, now, self.settings.max_age),
            min: 0,
            max: None,
            capacity: None,
            curve: None,
        });
        let mut problem = Problem {
            total: place.total,
            candidates: candidates.collect(),
            min_clusters: self.settings.min_clusters,
            strategy: self.settings.strategy,
        };
        let wish = |key: &'static str| place.annotations.get(key).map(String::as_str);
        Wishes::parse(wish)?.apply(&mut problem)?;
        // After the wishes: a wish for a dead member must not make the workload impossible.
        for candidate in &mut problem.candidates {
            if !place.among.contains(&candidate.member) {
                candidate.min = 0;
                candidate.capacity = Some(0);
            }
        }
        Ok(problem)
    }
}

/// Asks at once for the curves of all who may take work, where the strategy needs them.
async fn fill_curves(
    estimator: &Slot<Estimator>,
    problem: &mut Problem,
    shape: PodShape,
) -> Missing {
    let (total, strategy) = (problem.total, problem.strategy);
    if strategy == Strategy::Inverse || total > MAX_PODS {
        return Missing::new();
    }
    let asked = problem.candidates.iter_mut().filter(|it| it.limit().min(total) > 0);
    let asking = asked.map(|candidate| async move {
        let (cluster, pods) = (candidate.member.clone(), candidate.limit().min(total));
        match curve(estimator, Estimate { cluster, shape, pods }).await {
            Ok(curve) => {
                candidate.curve = Some(curve);
                None
            }
            Err(reason) => Some((candidate.member.clone(), reason)),
        }
    });
    join_all(asking).await.into_iter().flatten().collect()
}

async fn curve(estimator: &Slot<Estimator>, estimate: Estimate) -> Result<Curve, String> {
    match estimator.ask(estimate, ESTIMATE_LIMIT).await {
        Ok(estimated) => estimated.map_err(|error| error.to_string()),
        Err(error) => Err(format!("the estimator: {error}")),
    }
}

/// Divides away from the actors' thread: by curves it may take its time.
async fn divide(problem: Problem, missing: &Missing) -> Result<Placed, PlaceError> {
    let strategy = problem.strategy;
    let dividing = tokio::task::spawn_blocking(move || ideal(&problem));
    let division = dividing.await.map_err(|_| PlaceError::Aborted)??;
    debug!(?strategy, rule = ?division.rule, shares = %division.shares, ?missing, "divided");
    let note = match division.rule {
        Rule::Fallback(obstacle) if strategy == Strategy::Marginal => {
            Some(explain(&obstacle, missing))
        }
        Rule::Fallback(_) | Rule::Inverse | Rule::Marginal => None,
    };
    Ok(Placed { shares: division.shares, note })
}

/// Why a division that was to be `marginal` is not.
fn explain(obstacle: &Obstacle, missing: &Missing) -> String {
    let reason = match obstacle {
        Obstacle::NoCurve { member } => missing.get(member),
        Obstacle::TooMany { .. } | Obstacle::MinimumOverRoom { .. } | Obstacle::NoRoom { .. } => {
            None
        }
    };
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("divided by the members' scores, not by least added watts: {obstacle}{reason}")
}

impl Actor for Placer {
    type Context = Context<Self>;
}

impl Handler<Place> for Placer {
    type Result = ResponseFuture<Result<Placed, PlaceError>>;

    fn handle(&mut self, place: Place, _: &mut Self::Context) -> Self::Result {
        self.placed += 1;
        let (problem, estimator) = (self.problem(&place), self.estimator.clone());
        Box::pin(async move {
            let mut problem = problem?;
            let missing = fill_curves(&estimator, &mut problem, place.shape).await;
            let placed = divide(problem, &missing).await?;
            let shares = placed.shares.iter().filter(|(name, _)| place.among.contains(name));
            Ok(Placed { shares: Shares::new(shares.cloned().collect()), ..placed })
        })
    }
}

impl Handler<Configure> for Placer {
    type Result = ();

    fn handle(&mut self, settings: Configure, _: &mut Self::Context) {
        self.settings = settings;
    }
}

impl Handler<Observe> for Placer {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        MessageResult(json!({
            "placed": self.placed,
            "strategy": format!("{:?}", self.settings.strategy).to_lowercase(),
            "min_clusters": self.settings.min_clusters,
            "max_age_seconds": self.settings.max_age.as_secs(),
        }))
    }
}

impl Handler<Drain> for Placer {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}
