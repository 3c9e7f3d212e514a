//! PUT and PATCH of `/scale` of a split object.

use actix_http::Method;
use bytes::Bytes;
use futures_util::future::join_all;
use tenbin_model::body::{ScaleBody, scale_patch};
use tenbin_model::fold;
use tenbin_model::ids::ClusterName;
use tenbin_model::status::{Reason, Status};

use crate::answer::Answer;
use crate::copies::Standing;
use crate::engine::{Job, Part, Plan, Write};
use crate::member_parts::{self, Assigned, Demand, Missing};
use crate::session::Session;
use crate::single;
use crate::verdict::{self, Step, Verdict};

/// A write of `/scale` as the user sent it.
#[derive(Debug, Clone)]
pub struct RawScale {
    /// PUT or PATCH.
    pub method: Method,
    /// The path of the workload, without `/scale`.
    pub path: String,
    /// The media type of the body, if the user named one.
    pub content_type: Option<String>,
    /// The body.
    pub bytes: Bytes,
}

struct ScaleJob {
    path: String,
    query: String,
}

/// Divides the new total of a managed object; of another, passes the write to the member that a
/// GET shows.
pub async fn scale(session: &Session<'_>, raw: RawScale, body: ScaleBody) -> Answer {
    let standing = Standing::read(session, &raw.path).await;
    let Some((home, mark)) = standing.home.clone() else {
        return single::pass(session, &standing, raw.into_step(session)).await;
    };
    if let Some(status) = session.barred() {
        return status.into();
    }
    // An absent number is 0 in a Scale that was put, as the API server reads it.
    let total = match (body.replicas, raw.method == Method::PUT) {
        (Some(total), _) => total,
        (None, true) => 0,
        (None, false) => {
            let message = "a patch of /scale that does not change spec.replicas changes nothing";
            return Status::new(Reason::BadRequest, message).into();
        }
    };
    let demand =
        Demand { uid: body.uid.as_deref(), resource_version: body.resource_version.as_deref() };
    let order = Some(member_parts::order(&standing, home, total));
    let Assigned { parts, home_uid, warnings } =
        match member_parts::assign(session, &standing, home, &demand, Missing::Leave) {
            Ok(assigned) => assigned,
            Err(answer) => return *answer,
        };
    let present = mark.shares.clone();
    let plan = Plan { home, home_uid, epoch: mark.epoch, shares: mark.shares };
    let job = ScaleJob { path: raw.path.clone(), query: session.query.clone() };
    let path = raw.path.clone();
    let write =
        Write { session, job: &job, path, parts, plan, order, present, warnings, note: None };
    let answer = write.run().await;
    if answer.code >= 300 {
        answer
    } else {
        as_scale(session, &raw.path, &mark.home, total, answer).await
    }
}

/// Puts the fold of the members' `/scale` in place of the workload.
async fn as_scale(
    session: &Session<'_>,
    path: &str,
    home: &ClusterName,
    total: u32,
    answer: Answer,
) -> Answer {
    let reading =
        session.targets.iter().filter(|target| target.down.is_none()).map(|target| async move {
            let step = Step::get(format!("{path}/scale"));
            match verdict::send(session, target, step).await {
                Verdict::Done(done) => {
                    Some(fold::Copy { member: target.member.name.clone(), object: done.object })
                }
                Verdict::Refused(_) | Verdict::Unsent(_) | Verdict::Unknown(_) => None,
            }
        });
    let copies = join_all(reading).await.into_iter().flatten().collect();
    match fold::fold_scale(home, Some(total), copies, &session.space) {
        Some(body) => Answer { body, ..answer },
        None => answer,
    }
}

// === impl RawScale ===

impl RawScale {
    fn into_step(self, session: &Session<'_>) -> Step {
        // kubectl's `scale --current-replicas` names no media type.
        let content_type = self.content_type.unwrap_or_else(|| "application/json".to_owned());
        Step {
            method: self.method,
            query: session.query.clone(),
            content_type: Some(content_type),
            body: self.bytes,
            ..Step::get(format!("{}/scale", self.path))
        }
    }
}

// === impl ScaleJob ===

impl Job for ScaleJob {
    fn step(&self, session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Step, Status> {
        let lost = || Status::new(Reason::InternalError, "the shares are not known");
        let (member, shares) =
            (session.name(part.target).ok_or_else(lost)?, plan.shares.as_ref().ok_or_else(lost)?);
        let encoded = scale_patch(member, shares, part.version.as_deref());
        Ok(Step {
            method: Method::PATCH,
            query: self.query.clone(),
            content_type: Some(encoded.content_type.to_owned()),
            body: encoded.bytes,
            ..Step::get(self.path.clone())
        })
    }
}
