//! The connections of one worker, and the one way to send a request to a member.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tenbin_kernel::AskError;
use tenbin_model::ids::ClusterName;

use crate::answer::{Answer, AnswerBody};
use crate::connect;
use crate::fault::Fault;
use crate::forwarder::{Admit, Cause, Doubt, Outcome};
use crate::member::{Fleet, Member, Reach};
use crate::patience::{Patience, is_alive};
use crate::places::Ticket;

/// How long a list's first byte may take (`reads.md`).
pub const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long a write's first byte may take (`reads.md`).
pub const WRITE_LIMIT: Duration = Duration::from_mins(1);
/// After this silence a member must show that it lives (`reads.md`).
const SILENCE: Duration = Duration::from_secs(1);
/// The patience with a body that is to come at once.
pub const PROMPT: Patience = Patience { silence: SILENCE, limit: Some(READ_LIMIT) };
/// The patience with streams that are silent by nature: watches and logs that follow.
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
    /// How long the head of the answer may take.
    pub first_byte: Duration,
    /// How long the body may be silent.
    pub patience: Patience,
}

/// The connections of one worker to all members. Not `Send`: each worker has its own.
#[derive(Default)]
pub struct Lanes {
    clients: RefCell<HashMap<ClusterName, (u64, awc::Client)>>,
}

// === impl Lanes ===

impl Lanes {
    /// Sends `call` to `member` and waits for the head of its answer.
    ///
    /// Any status code is an answer. A read is tried once more when a kept connection turns out
    /// to be closed. Dropping the future closes the connection; what was sent stays sent.
    pub async fn send(&self, member: &Arc<Member>, call: Call) -> Result<Answer, Fault> {
        let ticket = admit(member).await?;
        let authorization = authorization(member).await?;
        let client = self.client(member);
        let repeatable = call.method == Method::GET || call.method == Method::HEAD;
        let mut result = attempt(&client, member, &call, authorization.as_ref()).await;
        if repeatable && matches!(&result, Err(failure) if failure.closed_early) {
            result = attempt(&client, member, &call, authorization.as_ref()).await;
        }
        let response = result.map_err(|failure| failure.fault)?;
        if let Some(fault) = doubted(member, response.status()).await {
            return Err(fault);
        }
        tell(member, Outcome::Answered);
        Ok(answer(member, response, call.patience, ticket))
    }

    /// Forgets the connections to members that are no longer in `fleet`.
    pub fn retain(&self, fleet: &Fleet) {
        self.clients.borrow_mut().retain(|name, (generation, _)| {
            fleet.get(name.as_str()).is_some_and(|member| member.generation == *generation)
        });
    }

    fn client(&self, member: &Member) -> awc::Client {
        let mut clients = self.clients.borrow_mut();
        match clients.get(&member.name) {
            Some((generation, client)) if *generation == member.generation => client.clone(),
            Some(_) | None => {
                let client = connect::client(&member.access);
                clients.insert(member.name.clone(), (member.generation, client.clone()));
                client
            }
        }
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
pub(crate) async fn admit(member: &Member) -> Result<Ticket, Fault> {
    if member.is_up() {
        let overloaded = || Fault::Overloaded { member: member.name.clone() };
        return member.places.take().ok_or_else(overloaded);
    }
    match member.forwarder.ask(Admit, ADMIT_LIMIT).await {
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

type Response = awc::ClientResponse;

/// Sends once; after each second of silence the member must show that it lives, and an answer that
/// comes meanwhile counts.
async fn attempt(
    client: &awc::Client,
    member: &Member,
    call: &Call,
    authorization: Option<&HeaderValue>,
) -> Result<Response, Failure> {
    let mut request = client
        .request(call.method.clone(), format!("{}{}", member.access.base, call.path_and_query));
    *request.headers_mut() = call.headers.clone();
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
    }
    let patience = Patience { silence: SILENCE, limit: Some(call.first_byte) };
    tokio::select! {
        biased;
        sent = request.send_body(call.body.clone()) => sent.map_err(|error| failure(member, &error)),
        reason = patience.ends(&member.forwarder) => Err(lost(member, reason, false)),
    }
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
    if member.reach == Reach::Direct
        || is_alive(&member.forwarder, Doubt { age: Duration::ZERO }).await
    {
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

fn failure(member: &Member, error: &SendRequestError) -> Failure {
    let untrusted = connect::is_untrusted(error);
    match error {
        // awc says `Disconnected` when the answer did not come: the request may have been read.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            lost(member, "connection closed before the answer".to_owned(), true)
        }
        SendRequestError::Connect(error) => unsent(member, error.to_string(), untrusted),
        error if untrusted => unsent(member, error.to_string(), true),
        SendRequestError::Send(error) => lost(member, error.to_string(), true),
        error => lost(member, error.to_string(), false),
    }
}

pub(crate) fn unsent(member: &Member, reason: String, untrusted: bool) -> Failure {
    tell(member, Outcome::Unreachable(Cause { reason: reason.clone(), untrusted }));
    let fault = Fault::Down { member: member.name.clone(), since: Duration::ZERO, reason };
    Failure { fault, closed_early: false }
}

pub(crate) fn lost(member: &Member, reason: String, closed_early: bool) -> Failure {
    Failure { fault: Fault::Lost { member: member.name.clone(), reason }, closed_early }
}

pub(crate) fn tell(member: &Member, outcome: Outcome) {
    if matches!(outcome, Outcome::Answered) && member.is_up() {
        return;
    }
    // Full or gone: the next outcome will tell.
    member.forwarder.tell(outcome).ok();
}

fn answer(member: &Member, response: Response, patience: Patience, ticket: Ticket) -> Answer {
    Answer {
        member: member.name.clone(),
        status: response.status(),
        headers: response.headers().clone(),
        body: AnswerBody {
            member: member.name.clone(),
            chunks: response.boxed_local(),
            patience,
            forwarder: member.forwarder.clone(),
            _ticket: ticket,
        },
    }
}
