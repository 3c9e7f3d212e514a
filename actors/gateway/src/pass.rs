//! One member's answer, passed through.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Method;
use actix_http::body::BoxBody;
use actix_http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;
use futures_util::{Stream, stream};
use tenbin_fleet::answer::{Answer, AnswerBody};
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::body::strip_state;
use tenbin_model::ids::ClusterName;
use tenbin_model::list;
use tenbin_model::request::headers::{self, Connection};
use tenbin_model::request::lasting::Lasting;
use tenbin_model::status::{Reason, Status};
use tokio_util::sync::CancellationToken;

use crate::asked::{Asked, target};
use crate::respond::{self, Answered};

/// The largest answer to a change; what is stored is at most 3 MiB.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;
/// How long a stream may take to the end of an event when the daemon drains.
const EVENT_LIMIT: Duration = Duration::from_secs(1);

/// Passes the request to own as it came.
pub(crate) async fn to_own(asked: &Asked) -> Answered {
    let own = own(asked)?;
    to(asked, &own, &asked.path, &asked.query).await
}

/// Passes the request to the member of a name, whose own API `rest` belongs to.
pub(crate) async fn to_named(asked: &Asked, name: &ClusterName, rest: &str) -> Answered {
    let member = named(asked, name)?;
    // Tenbin's annotations stay in the body: what was read here shows them, and a PUT without them
    // would take the copy away from its home.
    send(asked, member, rest, &asked.query, asked.body.clone()).await
}

/// The member of a name.
pub(crate) fn named<'a>(asked: &'a Asked, name: &ClusterName) -> Result<&'a Arc<Member>, Status> {
    asked.table.fleet.get(name.as_str()).ok_or_else(|| {
        Status::new(Reason::NotFound, format!("the fleet has no member {:?}", name.as_str()))
    })
}

/// Passes the request of a caller whom a peer sent to own, as it came: tenbin's own annotations
/// are the peer's to write.
pub(crate) async fn received(asked: &Asked) -> Answered {
    as_it_came(asked, &own(asked)?).await
}

/// Passes the request to `member`, its body untouched.
pub(crate) async fn as_it_came(asked: &Asked, member: &Arc<Member>) -> Answered {
    send(asked, member, &asked.path, &asked.query, asked.body.clone()).await
}

/// Passes the request to `member`, without what only tenbin may write, and streams its answer.
pub(crate) async fn to(asked: &Asked, member: &Arc<Member>, path: &str, query: &str) -> Answered {
    let stripped = strip_state(asked.header(&CONTENT_TYPE), &asked.body);
    send(asked, member, path, query, stripped.unwrap_or_else(|| asked.body.clone())).await
}

/// Passes a change of one object to the `member` that has it.
///
/// A JSON answer names the member as a read of the object does: `kubectl diff` compares the two.
pub(crate) async fn change(asked: &Asked, member: &Arc<Member>) -> Answered {
    let body = strip_state(asked.header(&CONTENT_TYPE), &asked.body);
    let body = body.unwrap_or_else(|| asked.body.clone());
    let call = asked.call(member, target(&asked.path, &asked.query), body)?;
    let answer = asked.worker.lanes.send(member, call).await.map_err(|fault| fault.to_status())?;
    let (code, mut headers) = (answer.status.as_u16(), passed_headers(&answer));
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    if code >= 300 || !headers.get(CONTENT_TYPE).is_some_and(is_json) {
        return Ok(respond::stream(code, headers, drained(answer.body, None)));
    }
    let whole = answer.whole(ANSWER_LIMIT).await.map_err(|fault| fault.to_status())?;
    headers.remove(CONTENT_LENGTH);
    let body = list::annotate(&whole, &member.name).unwrap_or(whole);
    let response = respond::head(code, headers);
    Ok(response.set_body(BoxBody::new(body)))
}

async fn send(
    asked: &Asked,
    member: &Arc<Member>,
    path: &str,
    query: &str,
    body: Bytes,
) -> Answered {
    let mut call = asked.call(member, target(path, query), body)?;
    // What the client can decode, the member may send: the bytes pass untouched.
    if let Some(value) = asked.headers.get(ACCEPT_ENCODING) {
        call.headers.insert(ACCEPT_ENCODING, value.clone());
    }
    let answer = asked.worker.lanes.send(member, call).await.map_err(|fault| fault.to_status())?;
    let headers = passed_headers(&answer);
    let Answer { status, body, .. } = answer;
    if asked.method == Method::HEAD {
        return Ok(respond::head(status.as_u16(), headers));
    }
    let in_lines = asked.lasting() == Some(Lasting::Lines);
    let draining = in_lines.then(|| asked.worker.shared.draining.clone());
    Ok(respond::stream(status.as_u16(), headers, drained(body, draining)))
}

/// The headers of a member's answer that the client gets.
pub(crate) fn passed_headers(answer: &Answer) -> HeaderMap {
    to_client(&answer.headers)
}

/// Those of a member's headers that the client gets.
pub(crate) fn to_client(of_member: &HeaderMap) -> HeaderMap {
    let connection = Connection::named(of_member.get_all("connection").map(HeaderValue::as_bytes));
    let mut passed = HeaderMap::new();
    for (name, value) in of_member {
        if headers::to_client(name.as_str(), &connection) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

/// Own, or 503 before the registry has spoken.
pub(crate) fn own(asked: &Asked) -> Result<Arc<Member>, Status> {
    asked.table.fleet.own().cloned().ok_or_else(|| {
        Status::new(Reason::ServiceUnavailable, "the fleet is not known yet").retry_after(1)
    })
}

/// The chunks of a body; when the daemon drains, a stream ends behind its last whole event.
///
/// One that does not come to the end of an event in time is cut.
fn drained(
    body: AnswerBody,
    draining: Option<CancellationToken>,
) -> impl Stream<Item = Result<Bytes, Fault>> {
    stream::try_unfold((body, draining, true), |(mut body, draining, at_event_end)| async move {
        let next = match &draining {
            Some(token) => tokio::select! {
                biased;
                () = token.cancelled() => {
                    if at_event_end {
                        return Ok(None);
                    }
                    tokio::time::timeout(EVENT_LIMIT, body.next()).await.map_err(|_| cut(&body))?
                }
                next = body.next() => next,
            },
            None => body.next().await,
        };
        let Some(chunk) = next? else { return Ok(None) };
        let at_event_end = chunk.last() == Some(&b'\n');
        Ok(Some((chunk, (body, draining, at_event_end))))
    })
}

fn cut(body: &AnswerBody) -> Fault {
    Fault::Lost { member: body.member().clone(), reason: "the daemon ends".to_owned() }
}
