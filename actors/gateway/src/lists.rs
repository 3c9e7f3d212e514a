//! The members' lists, merged while they arrive (`reads.md`, Lists).

use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::header::{CONTENT_TYPE, HeaderMap};
use actix_http::{Response, StatusCode};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use tenbin_fleet::answer::Answer;
use tenbin_fleet::member::Member;
use tenbin_model::config::Partial;
use tenbin_model::fold::FoldClass;
use tenbin_model::list::{IncludeObject, ListMerge, MergeOptions};
use tenbin_model::request::accept::{Accepted, AnswerForm, negotiate};
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::request::query::Query;
use tenbin_model::request::selector::{member_filter, node_name, single_name};
use tenbin_model::request::versions::{BareMeans, in_words_of};
use tenbin_model::status::{Reason, Status};
use tracing::debug;

use crate::asked::{Asked, target};
use crate::find;
use crate::involved::Involved;
use crate::pump::{Pump, PumpError};
use crate::respond::{self, Answered};

/// The largest refusal of a member that is read.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// What a list request comes to, before any member is asked.
struct Plan {
    members: Vec<Arc<Member>>,
    query: Query,
    accepted: Accepted,
    include_object: IncludeObject,
    fold: Option<FoldClass>,
    unfolded: bool,
    /// Whether an answer may come without dead members.
    partial: bool,
    involved: Involved,
}

/// What one member says to a list.
enum Reply {
    Listing(Answer),
    /// The member has no such resource: nothing is missing.
    Lacking(Status),
    /// The caller may not list there.
    Barred(Status),
    Dead(String),
    /// The request itself is refused; all members would say so.
    Refused(Response<BoxBody>),
}

/// What the replies come to.
enum Judged {
    /// Lists to merge, and what is to be said beside them.
    Merge(Box<Pump>, Vec<String>),
    /// The answer.
    Whole(Response<BoxBody>),
}

/// Answers a list.
pub(crate) async fn list(asked: Asked, collection: &Collection, class: WriteClass) -> Answered {
    let mut plan = Plan::new(&asked, class)?;
    plan.narrow_to_node(&asked).await?;
    plan.involved = Involved::find(&asked, &plan.members, collection, &plan.query).await;
    let path = collection.path();
    let mut lost: Vec<(usize, String)> = Vec::new();
    loop {
        let asking = plan.members.iter().enumerate().map(|(index, member)| {
            let reason = lost.iter().find(|(lost, _)| *lost == index).map(|(_, why)| why.clone());
            ask(&asked, &plan, member, &path, reason)
        });
        let replies = join_all(asking).await;
        let (mut pump, warnings) = match plan.judge(&asked, replies)? {
            Judged::Merge(pump, warnings) => (*pump, warnings),
            Judged::Whole(response) => return Ok(response),
        };
        // As long as nothing was sent, a member that breaks off can still be left out.
        match pump.next().await {
            Ok(first) => return Ok(answer(first, pump, &warnings)),
            Err(PumpError::Member(index, fault)) if plan.partial && lost.is_empty() => {
                lost.push((index, fault.to_string()));
            }
            Err(PumpError::Member(_, fault)) => return Err(fault.to_status()),
            Err(PumpError::Merge(error)) => {
                return Err(Status::new(Reason::InternalError, error.to_string()));
            }
        }
    }
}

/// What a narrowed answer says: a write by name is not narrowed.
pub(crate) fn unfolded_warning() -> String {
    "the label tenbin/cluster narrows reads only: write to one member under /clusters/NAME"
        .to_owned()
}

// === impl Plan ===

impl Plan {
    fn new(asked: &Asked, class: WriteClass) -> Result<Self, Status> {
        let mut query = asked.parsed_query()?;
        let filter = member_filter(&mut query)?;
        let accepted = negotiate(asked.accept().as_deref())?;
        if query.continue_token().is_some_and(|token| !token.is_empty()) {
            let message = "The provided continue parameter is too old: start the list anew.";
            return Err(Status::new(Reason::Expired, message));
        }
        // The API lets a server ignore the limit; pages come later.
        drop(query.take("limit"));
        let is_table = matches!(accepted.form, AnswerForm::Table(_));
        let include_object = query.include_object()?;
        if is_table && include_object == IncludeObject::None {
            query.set("includeObject", "Metadata");
        }
        let fold = class.fold();
        let one_name = query.field_selector().and_then(single_name).is_some();
        let for_caches =
            query.resource_version().is_some() && !is_table && !(fold.is_some() && one_name);
        let partial = match asked.table.rules.partial {
            Partial::Always => true,
            Partial::People => !for_caches,
            Partial::Never => false,
        };
        let members = asked.table.fleet.members().iter();
        let members = members.filter(|member| filter.admits(&member.name)).cloned().collect();
        let unfolded = filter.is_unfolding();
        let involved = Involved::default();
        Ok(Self { members, query, accepted, include_object, fold, unfolded, partial, involved })
    }

    /// Leaves only the member whose node the pods are asked for, so that a drain empties one machine
    /// and not its namesakes in other clusters.
    async fn narrow_to_node(&mut self, asked: &Asked) -> Result<(), Status> {
        let Some(name) = self.query.field_selector().and_then(node_name) else { return Ok(()) };
        let holder = find::holder(asked, &Object::node(name)).await?;
        self.members.retain(|member| member.name == holder.name);
        Ok(())
    }

    /// Decides what the answer is made of.
    fn judge(&self, asked: &Asked, replies: Vec<Reply>) -> Result<Judged, Status> {
        let mut merge = ListMerge::new(self.options(asked));
        let (mut bodies, mut warnings, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
        if self.unfolded {
            warnings.push(unfolded_warning());
        }
        for (index, reply) in replies.into_iter().enumerate() {
            let verdict = match reply {
                Reply::Listing(answer) => {
                    bodies.push((index, answer.body));
                    continue;
                }
                Reply::Refused(response) => return Ok(Judged::Whole(response)),
                Reply::Lacking(status) => status,
                Reply::Barred(status) => {
                    warnings.push(format!("left out: {status}"));
                    status
                }
                Reply::Dead(reason) if self.partial => {
                    warnings.push(reason.clone());
                    Status::new(Reason::ServiceUnavailable, reason).retry_after(5)
                }
                Reply::Dead(reason) => {
                    return Err(Status::new(Reason::ServiceUnavailable, reason).retry_after(5));
                }
            };
            verdicts.push(verdict);
            merge
                .absent(index)
                .map_err(|error| Status::new(Reason::InternalError, error.to_string()))?;
        }
        if bodies.is_empty() {
            return Err(nobody(&verdicts));
        }
        Ok(Judged::Merge(Box::new(Pump::new(merge, bodies, &asked.worker.pumps)), warnings))
    }

    fn options(&self, asked: &Asked) -> MergeOptions {
        let is_table = matches!(self.accepted.form, AnswerForm::Table(_));
        MergeOptions {
            members: self.members.iter().map(|member| member.name.clone()).collect(),
            space: Arc::clone(&asked.table.fleet.space),
            label_key: asked.table.rules.label_key.clone(),
            fold: self.fold.filter(|_| !self.unfolded),
            one_key_once: !is_table && !self.unfolded,
            show_state: self.unfolded,
            include_object: self.include_object,
        }
    }

    /// The query in the words of one member.
    fn query_for(&self, asked: &Asked, member: &Member) -> Result<String, Status> {
        let mut query = self.query.clone();
        self.involved.translate(&mut query, &member.name);
        let bare = if member.own { BareMeans::Its } else { BareMeans::Anothers };
        in_words_of(&mut query, &asked.table.fleet.space, &member.name, bare)?;
        Ok(query.to_string())
    }
}

async fn ask(
    asked: &Asked,
    plan: &Plan,
    member: &Arc<Member>,
    path: &str,
    lost: Option<String>,
) -> Reply {
    if let Some(reason) = lost {
        return Reply::Dead(reason);
    }
    let query = match plan.query_for(asked, member) {
        Ok(query) => query,
        Err(status) => return Reply::Refused(respond::status(&status)),
    };
    let call = match asked.get(member, target(path, &query), &plan.accepted.upstream) {
        Ok(call) => call,
        Err(status) => return Reply::Barred(status),
    };
    let answer = match asked.worker.lanes.send(member, call).await {
        Ok(answer) => answer,
        Err(fault) => return Reply::Dead(fault.to_string()),
    };
    let code = answer.status.as_u16();
    match code {
        200..=299 => Reply::Listing(answer),
        403 => Reply::Barred(refusal(Reason::Forbidden, answer).await),
        404 => Reply::Lacking(refusal(Reason::NotFound, answer).await),
        401 | 429 | 500..=599 => Reply::Dead(format!("{} answers {code}", member.name)),
        _ => {
            let headers = crate::pass::passed_headers(&answer);
            let body = answer.body.into_stream();
            Reply::Refused(respond::stream(code, headers, body))
        }
    }
}

/// A member's refusal, named.
pub(crate) async fn refusal(reason: Reason, answer: Answer) -> Status {
    let member = answer.member.clone();
    let body = answer.whole(REFUSAL_LIMIT).await.unwrap_or_default();
    let message = respond::message(&body);
    Status::new(reason, format!("{member}: {message}"))
}

/// The answer where no member lists: what own says, if it says anything; 403 before 404.
pub(crate) fn nobody(verdicts: &[Status]) -> Status {
    let dead = |status: &&Status| status.code == 503;
    let worst = verdicts.iter().find(dead).or_else(|| verdicts.iter().find(|it| it.code == 403));
    worst.or_else(|| verdicts.first()).cloned().unwrap_or_else(|| {
        Status::new(Reason::NotFound, "the selector tenbin/cluster names no member")
    })
}

fn answer(first: Option<bytes::Bytes>, pump: Pump, warnings: &[String]) -> Response<BoxBody> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, respond::JSON);
    let rest = pump
        .into_stream()
        .map(|chunk| chunk.inspect_err(|error| debug!(%error, "merged list is cut")));
    let body = stream::iter(first.map(Ok)).chain(rest);
    let mut response = respond::stream(StatusCode::OK.as_u16(), headers, body);
    respond::warn(&mut response, warnings);
    response
}
