//! PATCH of a split or replicated object.

use actix_http::Method;
use bytes::Bytes;
use tenbin_model::body::{
    Body, BodyKind, Encoded, Encoding, Patch, PatchKind, ReplicasChange, apply_json_patch,
    strip_state,
};
use tenbin_model::fold;
use tenbin_model::status::{Reason, Status};

use crate::answer::Answer;
use crate::copies::Standing;
use crate::engine::{Job, Part, Plan, Write};
use crate::member_parts::{self, Assigned, Demand, Missing};
use crate::replace;
use crate::session::Session;
use crate::single;
use crate::verdict::Step;

/// How often a JSON patch is tried against newer versions (apiserver `patch.go`: 5 retries).
const ATTEMPTS: usize = 6;

/// A patch as the user sent it.
#[derive(Debug, Clone)]
pub struct RawPatch {
    /// The object's path.
    pub path: String,
    /// What is patched.
    pub body: BodyKind,
    /// How the patch is applied.
    pub kind: PatchKind,
    /// The body.
    pub bytes: Bytes,
}

struct PatchJob<'a> {
    path: String,
    patch: &'a Patch,
}

/// Patches all copies of a managed object; of another, the one that a GET shows.
pub async fn patch(session: &Session<'_>, raw: RawPatch) -> Answer {
    let standing = Standing::read(session, &raw.path).await;
    let creates = raw.kind == PatchKind::Apply && standing.shown().is_none();
    let (home, mark) = match standing.home.clone() {
        Some(home) => home,
        // What tenbin cannot divide yet still reaches objects that it does not divide.
        None if !creates => {
            return single::pass(session, &standing, raw.into_step(session)).await;
        }
        None => return refused(&raw).into(),
    };
    if raw.kind == PatchKind::Json {
        return by_replacing(session, standing, &raw).await;
    }
    if let Some(status) = session.barred() {
        return status.into();
    }
    let patch = match Patch::parse(raw.kind, raw.body, &raw.bytes) {
        Ok(patch) => patch,
        Err(error) => return Status::from(&error).into(),
    };
    let summary = patch.summary();
    let demand = Demand {
        uid: summary.uid.as_deref(),
        resource_version: summary.resource_version.as_deref(),
    };
    let order = match summary.replicas {
        ReplicasChange::Untouched => None,
        change @ (ReplicasChange::Set(_) | ReplicasChange::Reset) => {
            change.total().map(|total| member_parts::order(&standing, home, total))
        }
    };
    let Assigned { parts, home_uid, warnings } =
        match member_parts::assign(session, &standing, home, &demand, Missing::Leave) {
            Ok(assigned) => assigned,
            Err(answer) => return *answer,
        };
    let present = mark.shares.clone();
    let plan = Plan { home, home_uid, epoch: mark.epoch, shares: mark.shares };
    let job = PatchJob { path: raw.path.clone(), patch: &patch };
    Write { session, job: &job, path: raw.path, parts, plan, order, present, warnings, note: None }
        .run()
        .await
}

/// The answer to a patch that tenbin cannot divide.
fn refused(raw: &RawPatch) -> Status {
    match Patch::parse(raw.kind, raw.body, &raw.bytes) {
        Ok(_) => Status::new(Reason::NotFound, "no member has the object"),
        Err(error) => Status::from(&error),
    }
}

/// Applies a JSON patch to the fleet view and replaces the object by the result.
///
/// The view's version is demanded, so a write in between is a conflict; then it is tried again, as
/// an API server does.
async fn by_replacing(session: &Session<'_>, mut standing: Standing, raw: &RawPatch) -> Answer {
    for _ in 1..ATTEMPTS {
        let answer = replace_patched(session, standing, raw).await;
        if answer.code != 409 {
            return answer;
        }
        standing = Standing::read(session, &raw.path).await;
    }
    replace_patched(session, standing, raw).await
}

async fn replace_patched(session: &Session<'_>, standing: Standing, raw: &RawPatch) -> Answer {
    let copies = (0..session.targets.len())
        .filter(|target| standing.belongs(session, *target))
        .filter_map(|target| {
            let object = standing.object(target)?.clone();
            Some(fold::Copy { member: session.name(target)?.clone(), object })
        });
    let view = fold::fold_object(session.class, copies.collect(), &session.space);
    let Some(mut view) = view else { return single::nowhere(&standing) };
    let patched = apply_json_patch(&mut view, &raw.bytes).and_then(|()| {
        let bytes = Bytes::from(view.to_string());
        let body = Body::parse(Encoding::Json, raw.body, &bytes)?;
        Ok((body, Encoded { content_type: Encoding::Json.media_type(), bytes }))
    });
    match patched {
        Ok((body, encoded)) => replace::replace(session, &raw.path, body, encoded).await,
        Err(error) => Status::from(&error).into(),
    }
}

// === impl RawPatch ===

impl RawPatch {
    fn into_step(self, session: &Session<'_>) -> Step {
        let content_type = self.kind.media_type();
        Step {
            method: Method::PATCH,
            query: session.query.clone(),
            body: strip_state(Some(content_type), &self.bytes).unwrap_or(self.bytes),
            content_type: Some(content_type.to_owned()),
            ..Step::get(self.path)
        }
    }
}

// === impl PatchJob ===

impl Job for PatchJob<'_> {
    fn step(&self, session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Step, Status> {
        let live = part.old.clone().unwrap_or_default();
        let stamp = member_parts::stamp(session, part, plan)?;
        let encoded = self.patch.for_member(&stamp, &live).map_err(|error| Status::from(&error))?;
        Ok(Step {
            method: Method::PATCH,
            query: session.query.clone(),
            content_type: Some(encoded.content_type.to_owned()),
            body: encoded.bytes,
            ..Step::get(self.path.clone())
        })
    }
}
