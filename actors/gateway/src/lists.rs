//! The members' lists, merged while they arrive (`reads.md`, Lists).

mod ask;
mod zip;

use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use actix_http::{Response, StatusCode};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tenbin_fleet::member::Member;
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::list::{IncludeObject, ListMerge, MergeOptions, Page, Turn};
use tenbin_model::request::accept::Accepted;
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::request::query::Query;
use tenbin_model::request::selector::{member_filter, node_name, single_name};
use tenbin_model::request::versions::{
    BareMeans, check_continued, drop_limit, in_words_of, leaves_out,
};
use tenbin_model::status::{Reason, Status};
use tracing::debug;

pub(crate) use self::ask::refusal;
use self::ask::{Reply, ask};
use crate::asked::Asked;
use crate::find;
use crate::involved::Involved;
use crate::pump::{Begun, Pump, PumpError};
use crate::respond::{self, Answered};
use crate::spare::Spare;

/// What kubectl says of itself with every request (KEP-859).
const KUBECTL: HeaderName = HeaderName::from_static("kubectl-command");

/// What a list request comes to, before any member is asked.
struct Plan {
    members: Vec<Arc<Member>>,
    query: Query,
    accepted: Accepted,
    include_object: IncludeObject,
    fold: Option<FoldClass>,
    unfolded: bool,
    spare: Spare,
    /// Which part of the list is asked for; `None` is the whole list.
    page: Option<Page>,
    involved: Involved,
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
    let mut plan = Plan::new(&asked, collection, class)?;
    plan.narrow_to_node(&asked).await?;
    plan.paginate(&asked)?;
    plan.involved = Involved::find(&asked, &plan.members, collection, &plan.query).await;
    let path = collection.path();
    let zips = zip::is_accepted(&asked);
    let mut lost: Vec<(usize, String)> = Vec::new();
    loop {
        let asking = plan.members.iter().enumerate().map(|(index, member)| {
            let reason = lost.iter().find(|(lost, _)| *lost == index).map(|(_, why)| why.clone());
            ask(&asked, &plan, index, member, &path, reason)
        });
        let replies = join_all(asking).await;
        let (mut pump, warnings) = match plan.judge(&asked, replies)? {
            Judged::Merge(pump, warnings) => (*pump, warnings),
            Judged::Whole(response) => return Ok(response),
        };
        // As long as nothing was sent, a member that breaks off can still be left out.
        match pump.begin(if zips { zip::THRESHOLD } else { 1 }).await {
            Ok(begun) => return Ok(answer(begun, pump, zips, &warnings)),
            Err(PumpError::Member(index, fault))
                if lost.is_empty() && plan.spare.has(fault.member()) =>
            {
                lost.push((index, fault.to_string()));
            }
            Err(PumpError::Member(_, fault)) => return Err(gone(fault.to_string())),
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
    fn new(asked: &Asked, collection: &Collection, class: WriteClass) -> Result<Self, Status> {
        let mut query = asked.parsed_query()?;
        let filter = member_filter(&mut query)?;
        let (accepted, include_object) = asked.form(&mut query)?;
        let fold = class.fold();
        let name = query.field_selector().and_then(single_name);
        // kube-rs and others fill their caches with pages of no version; kubectl shows a person pages.
        let pages = query.limit()?.is_some() && asked.header(&KUBECTL).is_none();
        let fills = query.resource_version().is_some() || pages;
        let fills = fills && !accepted.is_table();
        let spare = Spare::new(asked, collection, name.as_deref(), fold, fills);
        let fleet = &asked.table.fleet;
        let members = fleet.members().iter();
        let members = members
            .filter(|it| filter.admits(&it.name) && !leaves_out(&query, &fleet.space, &it.name))
            .cloned()
            .collect();
        let unfolded = filter.is_unfolding();
        let fold = fold.filter(|_| !unfolded);
        Ok(Self {
            members,
            query,
            accepted,
            include_object,
            fold,
            unfolded,
            spare,
            page: None,
            involved: Involved::default(),
        })
    }

    /// Leaves only the member whose node the pods are asked for, so that a drain empties one machine
    /// and not its namesakes in other clusters.
    async fn narrow_to_node(&mut self, asked: &Asked) -> Result<(), Status> {
        let Some(name) = self.query.field_selector().and_then(node_name) else { return Ok(()) };
        // Where nobody shows the node all are asked: who is silent may have it, or who does not tell.
        if let Some(holder) = find::seek(asked, &Object::node(name)).await?.holder {
            self.members.retain(|member| member.name == holder.name);
        }
        Ok(())
    }

    /// Decides which part of the list the answer is.
    ///
    /// A limit is passed over, as the API allows, where items are folded or shown once
    /// ([`tenbin_model::list`], pages), and where any state will do, as API servers do then.
    fn paginate(&mut self, asked: &Asked) -> Result<(), Status> {
        let limit = self.query.limit()?;
        if let Some(token) = self.query.continue_token().map(str::to_owned) {
            check_continued(&self.query)?;
            let is_there = |name: &ClusterName| self.members.iter().any(|it| it.name == *name);
            let page = Page::continued(&token, limit, &asked.table.fleet.space, is_there)?;
            if self.fold.is_some() {
                let message = "invalid continue token: this list is answered whole";
                return Err(Status::new(Reason::BadRequest, message));
            }
            let of = |turn: &Turn| self.members.iter().find(|it| it.name == *turn.member());
            self.members = page.turns().iter().filter_map(of).cloned().collect();
            // To whoever has the pages before it, a shorter list would say that objects are gone.
            self.spare = Spare::none();
            self.page = Some(page);
            return Ok(());
        }
        let every_copy = self.fold.is_none() && (!self.one_key_once() || self.members.len() == 1);
        match limit {
            Some(limit) if every_copy && self.query.resource_version() != Some("0") => {
                let names: Vec<_> = self.members.iter().map(|member| member.name.clone()).collect();
                self.page = Some(Page::first(&names, limit));
            }
            Some(_) | None => drop_limit(&mut self.query),
        }
        Ok(())
    }

    /// Whether pages came before this answer.
    fn is_continued(&self) -> bool {
        self.page.as_ref().is_some_and(Page::is_continued)
    }

    /// Whether each namespace/name is shown once.
    fn one_key_once(&self) -> bool {
        !self.accepted.is_table() && !self.unfolded
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
                Reply::Barred(status) if self.is_continued() => return Err(status),
                Reply::Barred(status) => {
                    warnings.push(format!("left out: {status}"));
                    status
                }
                // Where nobody else answers a person reads it at once: kubectl would retry for 50 s.
                Reply::Dead(reason)
                    if self.members.get(index).is_some_and(|it| self.spare.has(&it.name)) =>
                {
                    warnings.push(reason.clone());
                    Status::new(Reason::ServiceUnavailable, reason)
                }
                Reply::Dead(reason) => return Err(gone(reason)),
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
        MergeOptions {
            members: self.members.iter().map(|member| member.name.clone()).collect(),
            space: Arc::clone(&asked.table.fleet.space),
            label_key: asked.table.rules.label_key.clone(),
            fold: self.fold,
            one_key_once: self.one_key_once(),
            show_state: self.unfolded,
            include_object: self.include_object,
            page: self.page.clone(),
        }
    }

    /// The query in the words of one member, for its part of the page.
    fn query_for(
        &self,
        asked: &Asked,
        member: &Member,
        turn: Option<&Turn>,
    ) -> Result<String, Status> {
        let mut query = self.query.clone();
        self.involved.translate(&mut query, &member.name);
        // Of several members nobody knows whose version a bare one is.
        let alone = self.members.len() == 1;
        let bare = if alone { BareMeans::Its } else { BareMeans::Anothers };
        in_words_of(&mut query, &asked.table.fleet.space, &member.name, bare)?;
        if let Some(turn) = turn {
            turn.ask(&mut query);
        }
        Ok(query.to_string())
    }
}

/// The answer where no member lists: what own says, if it says anything; 403 before 404.
pub(crate) fn nobody(verdicts: &[Status]) -> Status {
    let dead = |status: &&Status| status.code == 503;
    let worst = verdicts.iter().find(dead).or_else(|| verdicts.iter().find(|it| it.code == 403));
    worst.or_else(|| verdicts.first()).cloned().unwrap_or_else(|| {
        Status::new(Reason::NotFound, "the selector tenbin/cluster names no member")
    })
}

/// A member that must be heard is not: the same may be asked again.
fn gone(reason: String) -> Status {
    Status::new(Reason::ServiceUnavailable, reason).retry_after(5)
}

fn answer(begun: Begun, pump: Pump, zips: bool, warnings: &[String]) -> Response<BoxBody> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, respond::JSON);
    let mut response = match begun {
        Begun::Whole(body) => respond::json(StatusCode::OK.as_u16(), body),
        Begun::Part(first) => {
            let rest = pump.into_stream();
            let body = stream::iter([Ok(first)]).chain(rest);
            let body = body.inspect_err(|error| debug!(%error, "merged list is cut"));
            if zips {
                zip::mark(&mut headers);
                respond::stream(StatusCode::OK.as_u16(), headers, zip::zipped(body))
            } else {
                respond::stream(StatusCode::OK.as_u16(), headers, body)
            }
        }
    };
    respond::warn(&mut response, warnings);
    response
}
