//! The connections of one worker, and the one way to send a request to a member.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::take;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tenbin_kernel::AskError;
use tenbin_model::ids::ClusterName;

use crate::answer::{Answer, AnswerBody, Chunks};
use crate::connect;
use crate::fault::Fault;
use crate::forwarder::{Admit, Answered, Doubt};
use crate::member::{Fleet, Member, Reach};
use crate::patience::{Patience, is_alive};
use crate::places::{Kind, Ticket};
use crate::streams::{Refusal, Streams};

/// How long a list's first byte may take (`reads.md`).
pub const READ_LIMIT: Option<Duration> = Some(Duration::from_secs(30));
/// How long a write's first byte may take (`reads.md`).
pub const WRITE_LIMIT: Option<Duration> = Some(Duration::from_mins(1));
/// After this silence a member must show that it lives (`reads.md`).
const SILENCE: Duration = Duration::from_secs(1);
/// The patience with a body that is to come at once.
pub const PROMPT: Patience = Patience { silence: SILENCE, limit: READ_LIMIT };
/// The patience with what is silent by nature: watches, logs, applications behind a proxy.
pub const STREAM: Patience = Patience { silence: Duration::from_secs(15), limit: None };
/// How long a credential plugin may take.
const CREDENTIAL_LIMIT: Duration = Duration::from_secs(5);

const ADMIT_LIMIT: Duration = Duration::from_secs(1);

/// A request as it goes to one member; the daemon's credentials are added on the way.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path with its query, still encoded, beginning with `/`.
    pub path_and_query: String,
    /// The headers, impersonation among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the head of the answer may take; `None` is as long as the member lives.
    pub first_byte: Option<Duration>,
    /// How long the body may be silent.
    pub patience: Patience,
}

/// The connections of one worker to all members. Not `Send`: each worker has its own.
#[derive(Default)]
pub struct Lanes {
    lanes: RefCell<HashMap<ClusterName, Rc<Lane>>>,
}

/// The connections of one worker to one member.
struct Lane {
    generation: u64,
    /// HTTP/1.1, a connection for each request at a time.
    client: awc::Client,
    /// HTTP/2, for what lasts.
    streams: Streams,
}

/// The head of an answer, and its body as it comes.
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) chunks: Chunks,
}

// === impl Lanes ===

impl Lanes {
    /// Sends `call` to `member` and waits for the head of its answer.
    ///
    /// Any status code is an answer. What was not sent is tried once more if the member shows that it
    /// lives, and a read when a kept connection turns out to be closed. Dropping the future closes the
    /// connection; what was sent stays sent.
    pub async fn send(
        &self,
        member: &Arc<Member>,
        call: impl Borrow<Call>,
    ) -> Result<Answer, Fault> {
        let call = call.borrow();
        let ticket = admit(member, call.kind()).await?;
        let authorization = authorization(member).await?;
        let lane = self.lane(member);
        let (mut repeat, mut redial) =
            (call.method == Method::GET || call.method == Method::HEAD, true);
        let heard = loop {
            match attempt(&lane, member, call, authorization.as_ref()).await {
                Ok(heard) => break heard,
                Err(Failure { closed_early: true, .. }) if take(&mut repeat) => {}
                Err(Failure { fault: Fault::Down { .. }, .. })
                    if take(&mut redial) && lives(member).await => {}
                Err(Failure { fault, .. }) => return Err(fault),
            }
        };
        if let Some(fault) = doubted(member, heard.status).await {
            return Err(fault);
        }
        answered(member);
        Ok(answer(member, heard, call.patience, ticket))
    }

    /// Forgets the connections to members that are no longer in `fleet`.
    pub fn retain(&self, fleet: &Fleet) {
        self.lanes.borrow_mut().retain(|name, lane| {
            fleet.get(name.as_str()).is_some_and(|member| member.generation == lane.generation)
        });
    }

    fn lane(&self, member: &Member) -> Rc<Lane> {
        let mut lanes = self.lanes.borrow_mut();
        match lanes.get(&member.name) {
            Some(lane) if lane.generation == member.generation => Rc::clone(lane),
            Some(_) | None => {
                let lane = Rc::new(Lane {
                    generation: member.generation,
                    client: connect::client(&member.access),
                    streams: Streams::default(),
                });
                lanes.insert(member.name.clone(), Rc::clone(&lane));
                lane
            }
        }
    }
}

// === impl Call ===

impl Call {
    /// Whose patience has no limit may last for as long as it likes.
    fn kind(&self) -> Kind {
        if self.patience.limit.is_none() { Kind::Stream } else { Kind::Request }
    }

    /// Whether it goes on HTTP/2, with many to a connection.
    fn shares(&self) -> bool {
        self.kind() == Kind::Stream && self.method == Method::GET && self.body.is_empty()
    }
}

pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// A kept connection was closed by the member before it answered.
    closed_early: bool,
}

/// Takes a place of a member that answers; of any other, its forwarder tells whether it may be asked.
///
/// A question to the forwarder costs two switches of threads, more than all else that is done here.
pub(crate) async fn admit(member: &Member, kind: Kind) -> Result<Ticket, Fault> {
    if member.is_up() {
        let overloaded = || Fault::Overloaded { member: member.name.clone() };
        return member.places.take(kind).ok_or_else(overloaded);
    }
    match member.forwarder.ask(Admit(kind), ADMIT_LIMIT).await {
        Ok(result) => result,
        Err(AskError::Full) => Err(Fault::Overloaded { member: member.name.clone() }),
        Err(error) => {
            Err(Fault::NoCredentials { member: member.name.clone(), reason: error.to_string() })
        }
    }
}

pub(crate) async fn authorization(member: &Member) -> Result<Option<HeaderValue>, Fault> {
    let refused = |reason: String| Fault::NoCredentials { member: member.name.clone(), reason };
    let asking = member.access.credentials.authorization();
    let value = tokio::time::timeout(CREDENTIAL_LIMIT, asking)
        .await
        .map_err(|_| refused("the daemon's token was not to be had in time".to_owned()))?;
    let Some(value) = value.map_err(|error| refused(error.to_string()))? else { return Ok(None) };
    HeaderValue::from_bytes(value.as_bytes()).map(Some).map_err(|error| refused(error.to_string()))
}

/// Asks once; after each second of silence the member must show that it lives, and an answer that
/// comes meanwhile counts.
async fn attempt(
    lane: &Lane,
    member: &Member,
    call: &Call,
    authorization: Option<&HeaderValue>,
) -> Result<Heard, Failure> {
    let patience = Patience { silence: SILENCE, limit: call.first_byte };
    tokio::select! {
        biased;
        heard = ask(lane, member, call, authorization) => heard,
        reason = patience.ends(&member.forwarder) => Err(lost(member, reason, false)),
    }
}

/// Asks on HTTP/2 for what has no end of its own, else on HTTP/1.1.
async fn ask(
    lane: &Lane,
    member: &Member,
    call: &Call,
    authorization: Option<&HeaderValue>,
) -> Result<Heard, Failure> {
    // A tenbin's peers port speaks HTTP/1.1 alone.
    if call.shares() && member.reach == Reach::Direct {
        match lane.streams.send(&member.access, call, authorization).await {
            Ok(heard) => return Ok(heard),
            Err(Refusal::NotSpoken) => {}
            Err(Refusal::NoConnection(error)) => return Err(unsent(member, error.to_string())),
            Err(Refusal::Failed(error)) => {
                return Err(lost(member, error.to_string(), Refusal::closed_early(&error)));
            }
        }
    }
    let target = format!("{}{}", member.access.base, call.path_and_query);
    let mut request = lane.client.request(call.method.clone(), target);
    *request.headers_mut() = call.headers.clone();
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
    }
    let response = request.send_body(call.body.clone()).await;
    let response = response.map_err(|error| failure(member, &error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Heard { status, headers, chunks: response.boxed_local() })
}

/// What is wrong with a peer whose port, and not the API server behind it, may have answered.
///
/// A 401 or 503 can also come from an application behind an API server that is well; `/livez` tells.
pub(crate) async fn doubted(member: &Member, status: StatusCode) -> Option<Fault> {
    let reason = match status {
        StatusCode::UNAUTHORIZED => "it does not accept this tenbin",
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            "the API server behind it does not answer"
        }
        _ => return None,
    };
    if member.reach == Reach::Direct || lives(member).await {
        return None;
    }
    let (member, reason) = (member.name.clone(), reason.to_owned());
    Some(match status {
        // Refused at the door, or by a breaker that was open: nothing was carried out.
        StatusCode::UNAUTHORIZED | StatusCode::SERVICE_UNAVAILABLE => {
            Fault::Down { member, since: Duration::ZERO, reason }
        }
        _ => Fault::Lost { member, reason },
    })
}

/// Whether the member gives a sign of life now. Where it gives none, it is dead from now on.
pub(crate) async fn lives(member: &Member) -> bool {
    // Who has just found it dead has asked for all.
    !member.is_down() && is_alive(&member.forwarder, Doubt::default()).await
}

fn failure(member: &Member, error: &SendRequestError) -> Failure {
    match error {
        // awc says `Disconnected` when the answer did not come: the request may have been read.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            lost(member, "connection closed before the answer".to_owned(), true)
        }
        SendRequestError::Connect(error) => unsent(member, error.to_string()),
        error if connect::is_untrusted(error) => unsent(member, error.to_string()),
        SendRequestError::Send(error) => lost(member, error.to_string(), true),
        error => lost(member, error.to_string(), false),
    }
}

pub(crate) fn unsent(member: &Member, reason: String) -> Failure {
    let fault = Fault::Down { member: member.name.clone(), since: Duration::ZERO, reason };
    Failure { fault, closed_early: false }
}

pub(crate) fn lost(member: &Member, reason: String, closed_early: bool) -> Failure {
    Failure { fault: Fault::Lost { member: member.name.clone(), reason }, closed_early }
}

/// Tells the forwarder that the member sent the head of an answer.
pub(crate) fn answered(member: &Member) {
    if !member.is_up() {
        // Full or gone: the next answer will tell.
        member.forwarder.tell(Answered).ok();
    }
}

fn answer(member: &Member, heard: Heard, patience: Patience, ticket: Ticket) -> Answer {
    Answer {
        member: member.name.clone(),
        status: heard.status,
        headers: heard.headers,
        body: AnswerBody {
            member: member.name.clone(),
            chunks: heard.chunks,
            patience,
            forwarder: member.forwarder.clone(),
            _ticket: ticket,
        },
    }
}
