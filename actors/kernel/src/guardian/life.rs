//! One child with its actor's type forgotten.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::ContextFut;
use actix::dev::channel::channel;
use actix::{ArbiterHandle, Context};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Drain, Observe, Supervised};
use crate::lifeline::Lifeline;
use crate::slot::{AskError, Slot};

/// What the Guardian does with a child, whatever its actor is.
pub(super) trait Life: Send + Sync {
    /// Makes the actor and lets it live until it ends or `kill` resolves; `ended` is dropped when
    /// nothing is left of it. False when its arbiter has ended.
    fn start(
        &self,
        lifeline: Lifeline,
        kill: oneshot::Receiver<()>,
        ended: oneshot::Sender<()>,
    ) -> bool;

    /// Empties the slot.
    fn clear(&self);

    /// Asks for the actor's state until `limit` resolves.
    fn observe(&self, limit: BoxFuture<'static, ()>)
    -> BoxFuture<'static, Result<Value, AskError>>;

    /// Asks the actor to finish, until `limit` resolves.
    fn drain(
        &self,
        deadline: Duration,
        limit: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), AskError>>;
}

/// Where one actor after another lives.
pub(super) struct Seat<A: Supervised> {
    pub(super) arbiter: ArbiterHandle,
    pub(super) slot: Slot<A>,
    pub(super) mailbox: usize,
    pub(super) factory: Arc<dyn Fn(Lifeline) -> A + Send + Sync>,
}

// === impl Seat ===

impl<A: Supervised> Life for Seat<A> {
    fn start(
        &self,
        lifeline: Lifeline,
        kill: oneshot::Receiver<()>,
        ended: oneshot::Sender<()>,
    ) -> bool {
        let (sender, receiver) = channel(self.mailbox);
        self.slot.fill(sender);
        let factory = Arc::clone(&self.factory);
        self.arbiter.spawn_fn(move || {
            let context = Context::with_receiver(receiver);
            let actor = factory(lifeline);
            actix_rt::spawn(live(ended, kill, context.into_future(actor)));
        })
    }

    fn clear(&self) {
        self.slot.clear();
    }

    fn observe(
        &self,
        limit: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<Value, AskError>> {
        let slot = self.slot.clone();
        Box::pin(async move { slot.ask_until(Observe, limit).await })
    }

    fn drain(
        &self,
        deadline: Duration,
        limit: BoxFuture<'static, ()>,
    ) -> BoxFuture<'static, Result<(), AskError>> {
        let slot = self.slot.clone();
        Box::pin(async move { slot.ask_until(Drain { deadline }, limit).await })
    }
}

/// `ended` comes first, to be dropped after the actor, in a panic too.
async fn live<A: Supervised>(
    ended: oneshot::Sender<()>,
    kill: oneshot::Receiver<()>,
    life: ContextFut<A, Context<A>>,
) {
    tokio::select! {
        () = life => {}
        _ = kill => {}
    }
    drop(ended);
}
