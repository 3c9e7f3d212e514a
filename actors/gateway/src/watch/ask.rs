//! What is asked of one member, and what it says.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Response;
use actix_http::body::BoxBody;
use tenbin_fleet::answer::{Answer, AnswerBody};
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::{PROMPT, STREAM};
use tenbin_fleet::member::Member;
use tenbin_model::status::{Reason, Status};
use tenbin_model::watch::{Fetch, Fetched, Next};

use super::plan::Plan;
use crate::asked::Asked;
use crate::lists::refusal;
use crate::{pass, respond};

/// How long a member must have been dead for deletions to be told though it may have another copy of
/// the name: most API servers restart in less.
const AWAY: Duration = Duration::from_secs(15);
/// A list of one object with room for what is around it.
const ONE_LIMIT: usize = 32 << 20;

/// What a member says to a list or a watch.
pub(super) enum Reply {
    /// It begins.
    Body(AnswerBody),
    /// The member has no such resource, or does not show it to the caller.
    Lacking(Status),
    /// The member does not remember the version.
    Expired,
    /// The request itself is refused; all members would say so.
    Refused(Response<BoxBody>),
    /// It does not answer.
    Dead(String),
}

/// Asks a member for a list or a watch.
pub(super) async fn ask(asked: &Asked, plan: &Plan, member: &Arc<Member>, next: Next) -> Reply {
    let request = plan.request(asked, member, next).await;
    let call = request.and_then(|(target, accept)| asked.get(member, target, &accept));
    let mut call = match call {
        Ok(call) => call,
        Err(status) => return Reply::Lacking(status),
    };
    call.patience = if matches!(next, Next::Watch(_)) { STREAM } else { PROMPT };
    let answer = match asked.worker.lanes.send_sure(member, call).await {
        Ok(answer) => answer,
        Err(fault) => return Reply::Dead(fault.to_string()),
    };
    let code = answer.status.as_u16();
    match code {
        200..=299 => Reply::Body(answer.body),
        403 => Reply::Lacking(refusal(Reason::Forbidden, answer).await),
        404 => Reply::Lacking(refusal(Reason::NotFound, answer).await),
        410 => Reply::Expired,
        _ if respond::is_ill(code) => Reply::Dead(format!("{} answers {code}", member.name)),
        _ => {
            let headers = pass::passed_headers(&answer);
            let Answer { body, .. } = answer;
            Reply::Refused(respond::stream(code, headers, body.into_stream()))
        }
    }
}

/// Asks a member for the one object of a name.
pub(super) async fn fetch(
    asked: &Asked,
    plan: &Plan,
    member: &Arc<Member>,
    fetch: &Fetch,
) -> Fetched {
    let Ok((target, accept)) = plan.request_for(asked, member, fetch).await else {
        return Fetched::Nothing;
    };
    let Ok(call) = asked.get(member, target, &accept) else { return Fetched::Silent };
    let answer = match asked.worker.lanes.send(member, call).await {
        Ok(answer) => answer,
        Err(Fault::Down { since, .. }) if since >= AWAY => return Fetched::Away,
        Err(_) => return Fetched::Silent,
    };
    match (answer.status.as_u16(), answer.whole(ONE_LIMIT).await) {
        (200..=299, Ok(list)) => Fetched::List(list),
        (404, _) => Fetched::Nothing,
        (_, _) => Fetched::Silent,
    }
}
