//! Samples in, snapshots of the board out; the ledger gets the latest.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture,
    WrapFuture,
};
use arc_swap::ArcSwap;
use serde_json::json;
use tenbin_kernel::{AskError, Clock, Drain, Lifeline, Observe, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::power::PowerBoard;
use tenbin_model::score::ScoreBoard;
use tracing::{info, warn};

use crate::ledger::{Ledger, LedgerError, Persist};
use crate::poller::Measured;

/// How long changes are gathered before they are written.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// How long the ledger may take to write.
const PERSIST_PATIENCE: Duration = Duration::from_secs(5);

/// A source has delivered. A full mailbox: dropped and counted by the Poller, since the next sample
/// is worth more than this one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Sampled {
    /// The member.
    pub cluster: ClusterName,
    /// What it costs.
    pub measured: Measured,
}

/// A poll has failed. A full mailbox: dropped, the next one tells again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Failed {
    /// The member.
    pub cluster: ClusterName,
    /// Why, for a person.
    pub reason: String,
}

/// A member has left; its Poller must be stopped before. A full mailbox: ask again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Forget {
    /// The member.
    pub cluster: ClusterName,
}

/// Owns the board. It lives as a snapshot, so that a Scorer that is made anew goes on with it.
pub struct Scorer {
    board: Arc<ArcSwap<ScoreBoard>>,
    power: Arc<ArcSwap<PowerBoard>>,
    ledger: Slot<Ledger>,
    clock: Clock,
    writing: Writing,
    refused: u64,
    failures: u64,
    /// Whether the last write failed, to log a failure once.
    failing: bool,
    _lifeline: Lifeline,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    Idle,
    /// Waiting for more changes, or for the ledger's answer.
    Busy {
        /// Whether the board has changed since it was given to the ledger.
        changed: bool,
    },
}

#[derive(Debug, thiserror::Error)]
enum PersistError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

// === impl Scorer ===

impl Scorer {
    /// Goes on with what `board` and `power` hold, and publishes there.
    pub fn new(
        board: Arc<ArcSwap<ScoreBoard>>,
        power: Arc<ArcSwap<PowerBoard>>,
        ledger: Slot<Ledger>,
        clock: Clock,
        lifeline: Lifeline,
    ) -> Self {
        let (refused, failures) = (0, 0);
        let writing = Writing::Idle;
        Self {
            board,
            power,
            ledger,
            clock,
            writing,
            refused,
            failures,
            failing: false,
            _lifeline: lifeline,
        }
    }

    fn publish(&mut self, board: ScoreBoard, context: &mut Context<Self>) {
        self.board.store(Arc::new(board));
        match self.writing {
            Writing::Idle => self.write_soon(context),
            Writing::Busy { .. } => self.writing = Writing::Busy { changed: true },
        }
    }

    fn write_soon(&mut self, context: &mut Context<Self>) {
        self.writing = Writing::Busy { changed: false };
        let (clock, ledger, board) =
            (self.clock.clone(), self.ledger.clone(), Arc::clone(&self.board));
        let write = async move {
            clock.sleep(DEBOUNCE).await;
            // Read after the wait: the latest wins.
            persist(&ledger, board.load_full(), PERSIST_PATIENCE).await
        };
        context.spawn(write.into_actor(self).map(|written, this, context| {
            this.written(written);
            match this.writing {
                Writing::Busy { changed: true } => this.write_soon(context),
                Writing::Busy { changed: false } | Writing::Idle => this.writing = Writing::Idle,
            }
        }));
    }

    fn written(&mut self, written: Result<(), PersistError>) {
        match written {
            Ok(()) if self.failing => {
                self.failing = false;
                info!("scores are kept again");
            }
            Ok(()) => {}
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if !self.failing {
                    self.failing = true;
                    warn!(%error, "scores are not kept");
                }
            }
        }
    }
}

impl Actor for Scorer {
    type Context = Context<Self>;
}

impl Handler<Sampled> for Scorer {
    type Result = ();

    fn handle(&mut self, sampled: Sampled, context: &mut Context<Self>) {
        let Sampled { cluster, measured: Measured { sample, power } } = sampled;
        match self.board.load().with_sample(cluster.clone(), sample) {
            Ok(board) => {
                if let Some(power) = power {
                    let mut all = PowerBoard::clone(&self.power.load());
                    all.insert(cluster, power);
                    self.power.store(Arc::new(all));
                }
                self.publish(board, context);
            }
            Err(error) => {
                self.refused = self.refused.saturating_add(1);
                warn!(%cluster, %error, "sample refused");
            }
        }
    }
}

impl Handler<Failed> for Scorer {
    type Result = ();

    fn handle(&mut self, failed: Failed, _context: &mut Context<Self>) {
        let board = self.board.load();
        if board.failure(&failed.cluster) != Some(failed.reason.as_str()) {
            self.board.store(Arc::new(board.with_failure(failed.cluster, &failed.reason)));
        }
    }
}

impl Handler<Forget> for Scorer {
    type Result = ();

    fn handle(&mut self, forget: Forget, context: &mut Context<Self>) {
        let mut power = PowerBoard::clone(&self.power.load());
        power.remove(&forget.cluster);
        self.power.store(Arc::new(power));
        let board = self.board.load().without(&forget.cluster);
        self.publish(board, context);
    }
}

impl Handler<Observe> for Scorer {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _context: &mut Context<Self>) -> Self::Result {
        MessageResult(json!({
            "scores": self.board.load().iter().count(),
            "samples_refused": self.refused,
            "persist_failures": self.failures,
        }))
    }
}

impl Handler<Drain> for Scorer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, drain: Drain, _context: &mut Context<Self>) -> ResponseFuture<()> {
        let (ledger, board) = (self.ledger.clone(), self.board.load_full());
        Box::pin(async move {
            if let Err(error) = persist(&ledger, board, drain.deadline).await {
                warn!(%error, "last scores are not kept");
            }
        })
    }
}

async fn persist(
    ledger: &Slot<Ledger>,
    board: Arc<ScoreBoard>,
    patience: Duration,
) -> Result<(), PersistError> {
    Ok(ledger.ask(Persist(board), patience).await??)
}
