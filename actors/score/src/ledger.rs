//! The last known world on disk: scores, and the fleet's version slots.
//!
//! It is a cache. Whatever becomes of its files, the daemon starts, and what it says is either what
//! was once written or nothing at all.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult};
use serde::{Deserialize, Serialize};
use tenbin_kernel::{Clock, Drain, Lifeline, Observe};
use tenbin_model::ids::ClusterName;
use tenbin_model::score::ScoreBoard;

mod book;
mod history;
mod keeper;
mod record;
mod recover;
mod sled_store;
mod state_lock;
mod store;

pub use recover::{InspectError, InspectedRecord, Inspection, inspect};
pub use state_lock::{LockError, StateLock};
pub use store::StoreError;

use keeper::Keeper;

/// Asks for what was known when the ledger was opened. A full mailbox: wait, this is asked at boot.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Recovered")]
pub struct LoadScores;

/// Asks to keep the scores; what is not on the board is forgotten. Answered when they are on disk.
/// A full mailbox: latest wins, the Scorer comes again with a newer board.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct Persist(pub Arc<ScoreBoard>);

/// Asks to keep what is known of the fleet. Answered when it is on disk.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), LedgerError>")]
pub struct SaveFleet(pub KnownFleet);

/// What the ledger knew when it was opened.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recovered {
    /// The last known scores, of provenance `ledger`.
    pub scores: ScoreBoard,
    /// What was known of the fleet.
    pub fleet: Option<KnownFleet>,
    /// Where a damaged ledger was moved, if there was one.
    pub quarantined: Option<PathBuf>,
}

/// What stays true of a fleet while the daemon is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFleet {
    /// The epoch of merged versions.
    pub epoch: u64,
    /// The members by their place in merged versions.
    pub slots: Vec<ClusterName>,
    /// The regions that their nodes told, known again before a dead member could tell them.
    #[serde(default)]
    pub regions: BTreeMap<ClusterName, String>,
    /// The name of own, known again while own cannot be asked for it.
    #[serde(default)]
    pub own: Option<ClusterName>,
    /// The members that were learnt of in own, known again while own is down.
    #[serde(default)]
    pub peers: Vec<KnownPeer>,
}

/// A member that is reached through its own tenbin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPeer {
    /// The member.
    pub name: ClusterName,
    /// The address of its peers port, as it was written.
    pub endpoint: String,
    /// The region that it told.
    pub region: Option<String>,
}

/// Why something was not kept.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no ledger to write to; the next write tries to open it again.
    #[error("the ledger is not open")]
    NotOpen,
    /// Writing it.
    #[error("the ledger cannot be written: {0}")]
    Write(#[source] StoreError),
    /// Putting it into words.
    #[error("the record {key:?} cannot be encoded: {source}")]
    Encode {
        /// The record's key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Owns the files under the state folder. Its handlers block: it lives alone on its arbiter.
pub struct Ledger {
    keeper: Keeper,
    _lifeline: Lifeline,
}

// === impl Ledger ===

impl Ledger {
    /// Opens the ledger of the locked folder; blocks for it.
    pub fn new(lock: Arc<StateLock>, clock: Clock, lifeline: Lifeline) -> Self {
        Self { keeper: Keeper::open(lock, clock), _lifeline: lifeline }
    }
}

impl Actor for Ledger {
    type Context = Context<Self>;
}

impl Handler<LoadScores> for Ledger {
    type Result = MessageResult<LoadScores>;

    fn handle(&mut self, _: LoadScores, _context: &mut Context<Self>) -> Self::Result {
        MessageResult(self.keeper.recovered().clone())
    }
}

impl Handler<Persist> for Ledger {
    type Result = Result<(), LedgerError>;

    fn handle(&mut self, persist: Persist, _context: &mut Context<Self>) -> Self::Result {
        self.keeper.persist(persist.0)
    }
}

impl Handler<SaveFleet> for Ledger {
    type Result = Result<(), LedgerError>;

    fn handle(&mut self, save: SaveFleet, _context: &mut Context<Self>) -> Self::Result {
        self.keeper.save_slots(save.0)
    }
}

impl Handler<Observe> for Ledger {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _context: &mut Context<Self>) -> Self::Result {
        MessageResult(self.keeper.state())
    }
}

impl Handler<Drain> for Ledger {
    type Result = ();

    fn handle(&mut self, _: Drain, _context: &mut Context<Self>) {
        self.keeper.close();
    }
}

#[cfg(test)]
mod tests;
