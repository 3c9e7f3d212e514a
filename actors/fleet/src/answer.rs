//! A member's answer, whose body ends or fails, and never hangs.

use std::pin::Pin;
use std::time::Duration;

use actix_http::error::PayloadError;
use awc::http::StatusCode;
use awc::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tenbin_kernel::Slot;
use tenbin_model::ids::ClusterName;

use crate::fault::Fault;
use crate::forwarder::Forwarder;
use crate::patience::Patience;
use crate::places::Ticket;
use crate::unzip::unzipped;

/// How long an answer that is read as a whole may take.
const WHOLE_LIMIT: Duration = Duration::from_mins(1);

pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// The head of a member's answer and its body to come.
pub struct Answer {
    /// The member that answers.
    pub member: ClusterName,
    /// The status code.
    pub status: StatusCode,
    /// The headers as the member sent them.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
}

/// The body of an answer as it arrives.
///
/// Dropping it gives the member's place back and closes or pools the connection.
pub struct AnswerBody {
    pub(crate) member: ClusterName,
    pub(crate) chunks: Chunks,
    pub(crate) patience: Patience,
    pub(crate) forwarder: Slot<Forwarder>,
    pub(crate) _ticket: Ticket,
}

// === impl Answer ===

impl Answer {
    /// The same, its body decompressed where the member sends gzip.
    #[must_use]
    pub fn unzipped(mut self) -> Self {
        if self.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip") {
            self.headers.remove(CONTENT_ENCODING);
            self.headers.remove(CONTENT_LENGTH);
            self.body.chunks = unzipped(self.body.chunks).boxed_local();
        }
        self
    }

    /// Reads the whole body, at most `limit` bytes.
    pub async fn whole(self, limit: usize) -> Result<Bytes, Fault> {
        let member = self.member.clone();
        // A member that sends drop by drop has failed as well.
        tokio::time::timeout(WHOLE_LIMIT, self.collect(limit)).await.unwrap_or_else(|_| {
            let reason = format!("its answer took over {} s", WHOLE_LIMIT.as_secs());
            Err(Fault::Lost { member, reason })
        })
    }

    async fn collect(mut self, limit: usize) -> Result<Bytes, Fault> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.body.next().await? {
            if whole.len() + chunk.len() > limit {
                return Err(Fault::TooLarge { member: self.member, limit });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// The member that answers.
    pub fn member(&self) -> &ClusterName {
        &self.member
    }

    /// The next bytes, or `None` at the true end of the body.
    ///
    /// Fails when the request's patience ends.
    /// Cancellation safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let reason = tokio::select! {
            biased;
            chunk = self.chunks.next() => match chunk.transpose() {
                Ok(chunk) => return Ok(chunk),
                Err(error) => error.to_string(),
            },
            reason = self.patience.ends(&self.forwarder) => reason,
        };
        Err(Fault::Lost { member: self.member.clone(), reason })
    }

    /// The body as a stream, for answers that pass through untouched.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Fault>> {
        stream::try_unfold(self, |mut body| async move {
            Ok(body.next().await?.map(|chunk| (chunk, body)))
        })
    }
}
