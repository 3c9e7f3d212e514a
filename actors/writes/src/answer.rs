//! What the user reads of a write.

use serde_json::Value;
use tenbin_fleet::fault::Fault;
use tenbin_model::status::{Reason, Status};

use crate::verdict::{Done, Refusal};

/// The answer to a write.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: Value,
    /// What the user should know beside it.
    pub warnings: Vec<String>,
    /// After how many seconds the client may come again.
    pub retry_after_seconds: Option<u32>,
}

// === impl Answer ===

impl Answer {
    /// See [`lost`].
    pub(crate) fn lost_target() -> Self {
        lost().into()
    }

    /// A refusal as the member wrote it, for what all of the fleet would say.
    pub(crate) fn in_its_words(refusal: Refusal) -> Self {
        let Refusal { member: _, body, code, warnings, retry_after_seconds } = refusal;
        Self { code, body, warnings, retry_after_seconds }
    }

    /// Adds warnings to the answer.
    #[must_use]
    pub(crate) fn warned(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// What cannot happen: an index that no target has. Answered all the same.
pub(crate) fn lost() -> Status {
    Status::new(Reason::InternalError, "the member left the fleet during the write")
}

impl From<Done> for Answer {
    fn from(done: Done) -> Self {
        let Done { code, object, warnings } = done;
        Self { code, body: object, warnings, retry_after_seconds: None }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.message();
        let mut answer = Self::in_its_words(refusal);
        if let Some(body) = answer.body.as_object_mut() {
            body.insert("message".to_owned(), message.into());
        }
        answer
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Self {
        Self::in_its_words(Refusal::from(status))
    }
}

impl From<&Fault> for Answer {
    fn from(fault: &Fault) -> Self {
        let mut status = fault.to_status();
        // A client that comes again by itself ten times keeps its user waiting for the reason.
        if status.reason == Reason::ServiceUnavailable {
            status.retry_after_seconds = None;
        }
        status.into()
    }
}
