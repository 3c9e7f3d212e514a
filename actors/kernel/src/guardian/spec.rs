//! What a Guardian is told of a child, and what it tells of it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler, Message};
use serde::Serialize;
use serde_json::Value;

use super::Spawn;
use super::life::Seat;
use crate::lifeline::Lifeline;
use crate::slot::{AskError, Slot};

/// Asks an actor for its state, as `/actors` shows it.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Value")]
pub struct Observe;

/// Asks an actor to finish what it has begun; it is ended when it has answered, or at the deadline.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// How long the Guardian waits for the answer.
    pub deadline: Duration,
}

/// What an actor must be to have a Guardian.
pub trait Supervised: Actor<Context = Context<Self>> + Handler<Observe> + Handler<Drain> {}

impl<A: Actor<Context = Context<A>> + Handler<Observe> + Handler<Drain>> Supervised for A {}

/// How the Guardian makes an actor, and makes it anew.
pub struct ChildSpec<A: Supervised> {
    /// Unique among the children of a Guardian.
    pub name: String,
    /// Children are drained in ascending order; those of one order together.
    pub order: u8,
    /// The thread on which the actor lives.
    pub arbiter: ArbiterHandle,
    /// Filled with the actor's address as long as it runs.
    pub slot: Slot<A>,
    /// The mailbox's capacity, at least 1.
    pub mailbox: usize,
    /// Makes the actor, on its arbiter. The actor must keep the lifeline in a field.
    pub factory: Box<dyn Fn(Lifeline) -> A + Send + Sync>,
}

/// What is known of one child.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChildReport {
    /// The child's name.
    pub name: String,
    /// False between a death and the restart.
    pub running: bool,
    /// Restarts since it was first started.
    pub restarts: u32,
    /// The mailbox's capacity.
    pub mailbox: usize,
    /// What the actor says of itself; `"busy"` when it does not say it within a second.
    pub state: Value,
}

/// A child died more often than its restart intensity allows: the process had better start anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The name of the child.
    pub child: String,
    /// Its deaths within the intensity's window.
    pub deaths: usize,
}

/// Why an actor was not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// A child of this name runs, or is being stopped.
    #[error("an actor named {0:?} is there already")]
    NameTaken(String),
    /// The thread that it should live on has ended.
    #[error("the arbiter of {0:?} has ended")]
    ArbiterGone(String),
    /// The daemon is shutting down.
    #[error("the actors are being drained")]
    Draining,
    /// The Guardian itself does not answer.
    #[error("the guardian: {0}")]
    Guardian(#[source] AskError),
}

// === impl ChildSpec ===

impl<A: Supervised> From<ChildSpec<A>> for Spawn {
    fn from(spec: ChildSpec<A>) -> Self {
        let ChildSpec { name, order, arbiter, slot, mailbox, factory } = spec;
        // actix reads a capacity of 0 as none at all.
        let mailbox = mailbox.max(1);
        let life = Arc::new(Seat { arbiter, slot, mailbox, factory: factory.into() });
        Self { name, order, mailbox, life }
    }
}
