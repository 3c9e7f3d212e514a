//! The present address of an actor, across its restarts.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::dev::channel::AddressSender;
use actix::prelude::SendError;
use actix::{Actor, Addr, Handler, Message};
use arc_swap::ArcSwapOption;
use tokio::sync::oneshot;

/// Where an actor can be reached now. Cheap to clone; clones show the same actor.
///
/// All messages of a slot go through one sender, so that the capacity of the mailbox holds; each
/// clone of an `Addr` would add a place of its own. A full mailbox answers at once, where
/// `Addr::send` would wait without ever being woken, its timeout included
/// (actix 0.13.5 `address/message.rs`).
pub struct Slot<A: Actor>(Arc<ArcSwapOption<AddressSender<A>>>);

/// Why a question to an actor has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor is not started, stopped, or between two lives. The message was not delivered.
    #[error("the actor is not running")]
    NotRunning,
    /// The mailbox has no place. The message was not delivered.
    #[error("the actor's mailbox is full")]
    Full,
    /// No answer came in time. The message may still be handled, if it had been begun.
    #[error("the actor did not answer in time")]
    TimedOut,
    /// The message was lost or its handling ended without an answer, as in a panic. This says
    /// nothing of the actor's life: a panic in an answering future leaves it running.
    #[error("the actor dropped the question")]
    Stopped,
}

// === impl Slot ===

impl<A: Actor> Slot<A> {
    /// A slot without an actor.
    pub fn empty() -> Self {
        Self(Arc::new(ArcSwapOption::empty()))
    }

    /// The actor's present address; `None` when it is not running.
    pub fn get(&self) -> Option<Addr<A>> {
        let sender = self.0.load();
        sender.as_ref().filter(|it| it.connected()).map(|it| Addr::new(it.as_ref().clone()))
    }

    /// Delivers `message` without waiting for an answer, which is [`AskError::Full`] or
    /// [`AskError::NotRunning`] when it could not be delivered.
    pub fn tell<M>(&self, message: M) -> Result<(), AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let sender = self.0.load();
        let sender = sender.as_ref().ok_or(AskError::NotRunning)?;
        sender.try_send(message, true).map_err(|error| refusal(&error))
    }

    /// Delivers `message` and waits for the answer, at most `timeout`.
    ///
    /// Cancellation: a message whose handling has not begun is not handled any more.
    pub async fn ask<M>(&self, message: M, timeout: Duration) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        self.ask_until(message, tokio::time::sleep(timeout)).await
    }

    pub(crate) async fn ask_until<M>(
        &self,
        message: M,
        limit: impl Future<Output = ()>,
    ) -> Result<M::Result, AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let answer = self.request(message)?;
        tokio::select! {
            biased;
            answer = answer => answer.map_err(|_| AskError::Stopped),
            () = limit => Err(AskError::TimedOut),
        }
    }

    pub(crate) fn request<M>(&self, message: M) -> Result<oneshot::Receiver<M::Result>, AskError>
    where
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        let sender = self.0.load();
        let sender = sender.as_ref().ok_or(AskError::NotRunning)?;
        sender.send(message).map_err(|error| refusal(&error))
    }

    pub(crate) fn fill(&self, sender: AddressSender<A>) {
        self.0.store(Some(Arc::new(sender)));
    }

    pub(crate) fn clear(&self) {
        self.0.store(None);
    }
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> fmt::Debug for Slot<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Slot").field(&self.get().is_some()).finish()
    }
}

fn refusal<M>(error: &SendError<M>) -> AskError {
    match error {
        SendError::Full(_) => AskError::Full,
        SendError::Closed(_) => AskError::NotRunning,
    }
}

#[cfg(test)]
mod tests {
    use actix::dev::channel::channel;
    use actix::{Context, ResponseFuture};

    use super::*;

    struct Echo;

    #[derive(Message)]
    #[rtype(u32)]
    struct Say(u32);

    #[derive(Message)]
    #[rtype(u32)]
    struct PanicLater;

    impl Actor for Echo {
        type Context = Context<Self>;
    }

    impl Handler<Say> for Echo {
        type Result = u32;

        fn handle(&mut self, say: Say, _context: &mut Context<Self>) -> u32 {
            say.0
        }
    }

    impl Handler<PanicLater> for Echo {
        type Result = ResponseFuture<u32>;

        fn handle(&mut self, _: PanicLater, _context: &mut Context<Self>) -> ResponseFuture<u32> {
            Box::pin(async { panic!("as the test wants") })
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[actix::test]
    async fn a_full_mailbox_answers_at_once_and_serves_again_when_it_has_place() {
        let slot = Slot::empty();
        assert_eq!(slot.ask(Say(1), PATIENCE).await, Err(AskError::NotRunning));

        let (sender, receiver) = channel(2);
        slot.fill(sender);
        let accepted = (0..100).filter(|it| slot.tell(Say(*it)).is_ok()).count();
        assert_eq!(accepted, 2);
        assert_eq!(slot.ask(Say(1), PATIENCE).await, Err(AskError::Full));

        Context::with_receiver(receiver).run(Echo);
        while slot.tell(Say(1)) == Err(AskError::Full) {
            tokio::task::yield_now().await;
        }
        assert_eq!(slot.ask(Say(7), PATIENCE).await, Ok(7));
    }

    #[actix::test]
    async fn an_answer_lost_to_a_panic_does_not_mean_that_the_actor_died() {
        let slot = Slot::empty();
        let (sender, receiver) = channel(8);
        slot.fill(sender);
        Context::with_receiver(receiver).run(Echo);

        assert_eq!(slot.ask(PanicLater, PATIENCE).await, Err(AskError::Stopped));
        assert!(slot.get().is_some());
        assert_eq!(slot.ask(Say(7), PATIENCE).await, Ok(7));
    }

    #[actix::test]
    async fn an_actor_that_does_not_answer_is_not_waited_for() {
        let slot = Slot::empty();
        let (sender, _receiver) = channel::<Echo>(8);
        slot.fill(sender);
        assert_eq!(slot.ask(Say(1), Duration::ZERO).await, Err(AskError::TimedOut));
    }
}
