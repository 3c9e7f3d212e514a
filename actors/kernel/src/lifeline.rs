//! How the end of an actor is noticed.

use actix::{Message, Recipient};

/// Held by a supervised actor in a field, for as long as it lives: dropping it tells the Guardian
/// that the actor has ended, and whether by a panic.
///
/// actix's own Supervisor does not notice a panic (actix#158).
#[derive(Debug)]
#[must_use = "an actor that drops its lifeline counts as dead"]
pub struct Lifeline {
    child: String,
    life: u64,
    guardian: Recipient<Died>,
}

/// An actor has ended. Sent past the mailbox's capacity, since a lost one would never be restarted.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Died {
    pub(crate) child: String,
    pub(crate) life: u64,
    pub(crate) panicked: bool,
}

// === impl Lifeline ===

impl Lifeline {
    pub(crate) fn new(child: String, life: u64, guardian: Recipient<Died>) -> Self {
        Self { child, life, guardian }
    }
}

impl Drop for Lifeline {
    #[expect(clippy::disallowed_methods, reason = "a death must not be lost to a full mailbox")]
    fn drop(&mut self) {
        self.guardian.do_send(Died {
            child: std::mem::take(&mut self.child),
            life: self.life,
            panicked: std::thread::panicking(),
        });
    }
}
