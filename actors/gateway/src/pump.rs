//! Moves bytes from the members' answers through the merge to the client.

use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};
use tenbin_fleet::answer::AnswerBody;
use tenbin_fleet::fault::Fault;
use tenbin_model::list::{ListMerge, MergeError};

/// How long the end of a body may take behind the end of its list.
const END_LIMIT: Duration = Duration::from_millis(100);

/// How much of the members that wait for their turn is read ahead, over all lists that one worker
/// merges. Without it a member makes its list only after those before it were sent: with 3 × 5,000
/// pods, 1.3 times the time of three lists in parallel.
const READ_AHEAD: usize = 8 << 20;
/// How much of a member is read ahead where there are many lists.
const LEAST_AHEAD: usize = 1 << 20;
/// How much of a member is read until all have begun: those that are early leave the machine to the
/// last, for which the client waits.
const BEGINNING: usize = 64 << 10;

/// Why the merged answer ends before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PumpError {
    /// The answer of the member with this number failed.
    #[error("{1}")]
    Member(usize, Fault),
    /// What came cannot be merged.
    #[error(transparent)]
    Merge(#[from] MergeError),
}

type Read = (usize, AnswerBody, Result<Option<Bytes>, Fault>);

/// The beginning of the merged answer.
pub(crate) enum Begun {
    /// All of it.
    Whole(Bytes),
    /// The first bytes; more follow.
    Part(Bytes),
}

/// The members' answers on their way into one.
pub(crate) struct Pump {
    merge: ListMerge,
    /// Bodies that are not being read, because the merge wants nothing of them now.
    idle: Vec<(usize, AnswerBody)>,
    reading: FuturesUnordered<LocalBoxFuture<'static, Read>>,
    /// How many members wait for the first to be read.
    waiting: usize,
    /// Shared by all pumps of a worker, and by the worker: tells how many there are.
    pumps: Rc<()>,
}

// === impl Pump ===

impl Pump {
    /// Makes a pump of a merge and the bodies of its members, by their numbers.
    pub(crate) fn new(merge: ListMerge, bodies: Vec<(usize, AnswerBody)>, pumps: &Rc<()>) -> Self {
        let waiting = bodies.len().saturating_sub(1);
        let reading = FuturesUnordered::new();
        Self { merge, idle: bodies, reading, waiting, pumps: Rc::clone(pumps) }
    }

    /// Reads at least the first `enough` bytes of the merged answer, if it has so many.
    pub(crate) async fn begin(&mut self, enough: usize) -> Result<Begun, PumpError> {
        let mut first = BytesMut::new();
        while first.len() < enough {
            match self.next().await? {
                Some(chunk) => first.extend_from_slice(&chunk),
                None => return Ok(Begun::Whole(first.freeze())),
            }
        }
        Ok(Begun::Part(first.freeze()))
    }

    /// The next bytes of the merged answer; `None` at its true end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, PumpError> {
        loop {
            if let Some(chunk) = self.merge.next_chunk()? {
                return Ok(Some(chunk));
            }
            if self.merge.finished() {
                self.finish_bodies().await;
                return Ok(None);
            }
            self.read_what_is_wanted();
            match self.reading.next().await {
                Some((member, body, Ok(Some(chunk)))) => {
                    self.merge.push(member, &chunk)?;
                    self.idle.push((member, body));
                }
                Some((member, _, Ok(None))) => self.merge.end(member)?,
                Some((member, _, Err(fault))) => return Err(PumpError::Member(member, fault)),
                // Nobody is left to bring what the merge waits for.
                None => return Err(PumpError::Merge(MergeError::NobodyAnswers)),
            }
        }
    }

    /// Reads what follows the lists, a few bytes of framing, so that the connections are kept.
    async fn finish_bodies(&mut self) {
        for (member, body) in std::mem::take(&mut self.idle) {
            self.read(member, body);
        }
        let ending = async {
            while let Some((member, body, chunk)) = self.reading.next().await {
                // A member with more to say than its list loses the connection.
                if matches!(&chunk, Ok(Some(chunk)) if chunk.trim_ascii().is_empty()) {
                    self.read(member, body);
                }
            }
        };
        // Whoever does not end in time loses the connection too.
        tokio::time::timeout(END_LIMIT, ending).await.ok();
    }

    fn read(&self, member: usize, mut body: AnswerBody) {
        let read = async move {
            let chunk = body.next().await;
            (member, body, chunk)
        };
        self.reading.push(read.boxed_local());
    }

    /// The rest of the answer as a stream.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, PumpError>> {
        stream::try_unfold(self, |mut pump| async move {
            Ok(pump.next().await?.map(|chunk| (chunk, pump)))
        })
    }

    fn read_what_is_wanted(&mut self) {
        let begun = self.merge.shape().is_some();
        self.merge.read_ahead(if begun { self.share() } else { BEGINNING });
        let idle = std::mem::take(&mut self.idle);
        for (member, body) in idle {
            if self.merge.wants(member) {
                self.read(member, body);
            } else {
                self.idle.push((member, body));
            }
        }
    }

    /// How much each of the waiting members may be ahead now.
    fn share(&self) -> usize {
        let pumps = Rc::strong_count(&self.pumps).saturating_sub(1);
        (READ_AHEAD / (pumps * self.waiting).max(1)).max(LEAST_AHEAD)
    }
}
