//! One member's say to a list.

use std::sync::Arc;

use actix_http::Response;
use actix_http::body::BoxBody;
use actix_http::header::{ACCEPT_ENCODING, HeaderValue};
use serde_json::Value;
use tenbin_fleet::answer::Answer;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::list::{Page, Turn};
use tenbin_model::status::{Reason, Status};

use super::Plan;
use crate::asked::{Asked, target};
use crate::{pass, respond, serving};

/// The largest refusal of a member that is read.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// What one member says to a list.
pub(super) enum Reply {
    Listing(Answer),
    /// The member has no such resource: nothing is missing.
    Lacking(Status),
    /// The caller may not list there.
    Barred(Status),
    Dead(String),
    /// The request itself is refused; all members would say so.
    Refused(Response<BoxBody>),
}

/// Asks the member at `index` for its part of the answer.
///
/// A member that was lost in an earlier attempt is not asked again.
pub(super) async fn ask(
    asked: &Asked,
    plan: &Plan,
    index: usize,
    member: &Arc<Member>,
    path: &str,
    lost: Option<String>,
) -> Reply {
    if let Some(reason) = lost {
        return Reply::Dead(reason);
    }
    let whole = plan.accepted.form.shows_whole(plan.include_object);
    let path = match serving::path_in(asked, member, path, whole) {
        Ok(path) => path,
        Err(status) => return Reply::Barred(status),
    };
    let turn = plan.page.as_ref().and_then(|page| page.turns().get(index));
    let mut answer = match send(asked, plan, member, &path, turn).await {
        Ok(answer) => answer,
        Err(reply) => return reply,
    };
    // An aggregated API may read no exact versions; then later pages are of newer states.
    if matches!(answer.status.as_u16(), 400 | 422)
        && let Some(newest) = turn.and_then(Turn::unpinned)
    {
        answer = match send(asked, plan, member, &path, Some(&newest)).await {
            Ok(answer) => answer,
            Err(reply) => return reply,
        };
    }
    let code = answer.status.as_u16();
    match code {
        200..=299 => Reply::Listing(answer.unzipped()),
        403 => Reply::Barred(refusal(Reason::Forbidden, answer).await),
        404 => Reply::Lacking(refusal(Reason::NotFound, answer).await),
        410 if plan.is_continued() => expired(plan.page.as_ref(), index, answer).await,
        504 => timeout(answer).await,
        _ if respond::is_ill(code) => dead(member, code),
        _ => {
            let headers = pass::passed_headers(&answer);
            let body = answer.body.into_stream();
            Reply::Refused(respond::stream(code, headers, body))
        }
    }
}

async fn send(
    asked: &Asked,
    plan: &Plan,
    member: &Arc<Member>,
    path: &str,
    turn: Option<&Turn>,
) -> Result<Answer, Reply> {
    let query = plan.query_for(asked, member, turn);
    let query = query.map_err(|status| Reply::Refused(respond::status(&status)))?;
    let call = asked.get(member, target(path, &query), &plan.accepted.upstream);
    let mut call = call.map_err(Reply::Barred)?;
    if member.access.zips {
        call.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let sent = asked.worker.lanes.send_sure(member, call).await;
    sent.map_err(|fault| match fault {
        // It lives, and a shorter list would say nothing of that.
        Fault::Overloaded { .. } => Reply::Refused(respond::status(&fault.to_status())),
        fault => Reply::Dead(fault.to_string()),
    })
}

fn dead(member: &Member, code: u16) -> Reply {
    Reply::Dead(format!("{} answers {code}", member.name))
}

/// A member's refusal, named.
pub(crate) async fn refusal(reason: Reason, answer: Answer) -> Status {
    let member = answer.member.clone();
    let body = answer.whole(REFUSAL_LIMIT).await.unwrap_or_default();
    let message = respond::message(reason, &body);
    Status::new(reason, format!("{member}: {message}"))
}

/// The state that a page stands for is gone; the client may go on with what there is now.
async fn expired(page: Option<&Page>, index: usize, answer: Answer) -> Reply {
    let body = answer.whole(REFUSAL_LIMIT).await.unwrap_or_default();
    let said = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let token = said.pointer("/metadata/continue").and_then(Value::as_str);
    let mut status = Status::new(Reason::Expired, respond::message(Reason::Expired, &body));
    status.continue_token =
        page.and_then(|page| page.inconsistent(index, token.map(str::to_owned)));
    Reply::Refused(respond::status(&status))
}

/// A 504 is of a dead member, or says that the version that is asked for is still to come; clients
/// know that by its causes and ask again.
async fn timeout(answer: Answer) -> Reply {
    let (member, code) = (answer.member.clone(), answer.status.as_u16());
    let headers = pass::passed_headers(&answer);
    let body = answer.whole(REFUSAL_LIMIT).await.unwrap_or_default();
    let said = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let cause = said.pointer("/details/causes/0/reason").and_then(Value::as_str);
    if cause != Some("ResourceVersionTooLarge") {
        return Reply::Dead(format!("{member} answers {code}"));
    }
    let mut response = respond::json(code, body);
    for (name, value) in headers.iter().filter(|(name, _)| *name == "retry-after") {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    Reply::Refused(response)
}
