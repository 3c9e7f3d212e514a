//! The actor that divides workloads by what it knows of the members now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use serde_json::json;
use tenbin_fleet::member::Fleet;
use tenbin_kernel::{Clock, Drain, Lifeline, Observe};
use tenbin_model::config::Strategy;
use tenbin_model::ids::ClusterName;
use tenbin_model::managed::Shares;
use tenbin_model::placement::{Candidate, Infeasible, InvalidWish, Problem, Wishes, ideal};
use tenbin_model::score::ScoreBoard;
use tokio::sync::watch;
use tracing::debug;

/// Capacity of the placer's mailbox; when it is full the caller gets 503.
pub const MAILBOX: usize = 256;

/// Asks for the shares of a workload. When the mailbox is full, the caller answers 503.
#[derive(Message, Debug)]
#[rtype(result = "Result<Shares, PlaceError>")]
pub struct Place {
    /// The replicas to divide.
    pub total: u32,
    /// The workload's annotations, of which the user's wishes count.
    pub annotations: BTreeMap<String, String>,
    /// The members that take part; nobody else gets any, and nobody else is named.
    pub among: Vec<ClusterName>,
}

/// New settings, after a reload. When the mailbox is full the sender waits.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "()")]
pub struct Configure {
    /// At least so many members get a replica, where the total allows.
    pub min_clusters: u32,
    /// The age from which on a score is unknown.
    pub max_age: Duration,
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
}

/// Divides workloads.
pub struct Placer {
    fleet: watch::Receiver<Arc<Fleet>>,
    board: Arc<ArcSwap<ScoreBoard>>,
    clock: Clock,
    settings: Configure,
    placed: u64,
    _lifeline: Lifeline,
}

// === impl Placer ===

impl Placer {
    /// Makes a placer that reads the published fleet and scores.
    pub fn new(
        fleet: watch::Receiver<Arc<Fleet>>,
        board: Arc<ArcSwap<ScoreBoard>>,
        clock: Clock,
        settings: Configure,
        lifeline: Lifeline,
    ) -> Self {
        Self { fleet, board, clock, settings, placed: 0, _lifeline: lifeline }
    }

    fn place(&self, place: &Place) -> Result<Shares, PlaceError> {
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
            strategy: Strategy::Inverse,
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
        let shares = ideal(&problem)?.shares;
        let shares = shares.iter().filter(|(name, _)| place.among.contains(name));
        Ok(Shares::new(shares.cloned().collect()))
    }
}

impl Actor for Placer {
    type Context = Context<Self>;
}

impl Handler<Place> for Placer {
    type Result = Result<Shares, PlaceError>;

    fn handle(&mut self, place: Place, _: &mut Self::Context) -> Self::Result {
        self.placed += 1;
        let shares = self.place(&place);
        debug!(total = place.total, among = ?place.among, ?shares, "divided");
        shares
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
            "min_clusters": self.settings.min_clusters,
            "max_age_seconds": self.settings.max_age.as_secs(),
        }))
    }
}

impl Handler<Drain> for Placer {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}
