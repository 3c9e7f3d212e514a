//! DELETE: home first, then every member that has a copy.

use actix_http::Method;
use futures_util::future::join_all;
use tenbin_model::body::{DeleteBody, Encoded, Preconditions};
use tenbin_model::status::Status;

use crate::answer::Answer;
use crate::copies::{Copy, Standing, uid};
use crate::member_parts::{self, Demand, Missing};
use crate::session::Session;
use crate::single;
use crate::verdict::{self, Step, Verdict};

/// Deletes all copies of a managed object; of another, the one that a GET shows.
pub async fn delete(
    session: &Session<'_>,
    path: &str,
    body: &DeleteBody,
    raw: Option<Encoded>,
) -> Answer {
    let standing = Standing::read(session, path).await;
    let Some((home, _)) = standing.home.clone() else {
        return single::pass(session, &standing, step(session, path, raw)).await;
    };
    if let Some(status) = session.barred() {
        return status.into();
    }
    let demanded = body.preconditions();
    let demand = Demand {
        uid: demanded.uid.as_deref(),
        resource_version: demanded.resource_version.as_deref(),
    };
    let assigned = member_parts::assign(session, &standing, home, &demand, Missing::Leave);
    let parts = match assigned {
        Ok(assigned) => assigned.parts,
        Err(answer) => return *answer,
    };
    let mut steps = Vec::new();
    for part in parts {
        // Home's copy arbitrates; on the others a status may have changed meanwhile.
        let own = Preconditions {
            uid: part.old.as_ref().and_then(uid).map(str::to_owned),
            resource_version: part.version.filter(|_| part.target == home),
        };
        match body.for_member(&own) {
            Ok(encoded) => {
                // What the query says is in the body now.
                let query = String::new();
                let step = Step { query, ..step(session, path, Some(encoded)) };
                steps.push((part.target, step));
            }
            Err(error) => return Status::from(&error).into(),
        }
    }
    run(session, steps).await.warned(missing(session, &standing))
}

/// Deletes in every member that has the object, whoever made it; own's answer, else the first's.
pub async fn delete_everywhere(session: &Session<'_>, path: &str, raw: Option<Encoded>) -> Answer {
    let standing = Standing::read(session, path).await;
    let Some(shown) = standing.shown() else { return single::nowhere(&standing) };
    let mut having: Vec<usize> = standing
        .copies
        .iter()
        .enumerate()
        .filter(|(_, copy)| matches!(copy, Copy::Present(_)))
        .map(|(target, _)| target)
        .collect();
    having.sort_by_key(|target| *target != shown);
    let steps =
        having.into_iter().map(|target| (target, step(session, path, raw.clone()))).collect();
    run(session, steps).await.warned(missing(session, &standing))
}

/// Empties the collection in every member; own's answer.
pub async fn delete_collection(session: &Session<'_>, raw: Option<Encoded>) -> Answer {
    if let Some(status) = session.barred() {
        return status.into();
    }
    let steps = (0..session.targets.len())
        .map(|target| (target, step(session, &session.collection, raw.clone())))
        .collect();
    run(session, steps).await
}

/// What a member misses that cannot be asked now. A later issue delivers it.
fn missing(session: &Session<'_>, standing: &Standing) -> Vec<String> {
    let out = standing.copies.iter().enumerate().filter_map(|(target, copy)| match copy {
        Copy::Out(reason) => Some((target, reason)),
        Copy::Present(_) | Copy::Absent(_) | Copy::Refused(_) => None,
    });
    out.map(|(target, reason)| {
        let named = session.named(target, reason);
        format!("{named}: if it holds a copy, that stays: delete it again when the member is back")
    })
    .collect()
}

/// Sends the first step, and if it succeeds the others at once.
async fn run(session: &Session<'_>, steps: Vec<(usize, Step)>) -> Answer {
    let mut steps = steps.into_iter();
    let Some((first, step)) = steps.next() else { return Answer::lost_target() };
    let mut answer = match send(session, first, step).await {
        Verdict::Done(done) => Answer::from(done),
        Verdict::Refused(refusal) => return refusal.into(),
        Verdict::Unsent(fault) | Verdict::Unknown(fault) => return (&fault).into(),
    };
    let rest = steps.map(|(target, step)| send(session, target, step));
    for verdict in join_all(rest).await {
        match verdict {
            Verdict::Done(done) => answer.warnings.extend(done.warnings),
            Verdict::Refused(refusal) if refusal.code == 404 => {}
            Verdict::Refused(refusal) => {
                answer.warnings.push(format!("not deleted there: {}", refusal.message()));
            }
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => {
                answer.warnings.push(format!("{fault}: delete it again when the member is back"));
            }
        }
    }
    answer
}

async fn send(session: &Session<'_>, target: usize, step: Step) -> Verdict {
    match session.targets.get(target) {
        Some(target) => verdict::send(session, target, step).await,
        None => Verdict::Refused(crate::answer::lost().into()),
    }
}

fn step(session: &Session<'_>, path: &str, body: Option<Encoded>) -> Step {
    let (content_type, bytes) = match body {
        Some(encoded) => (Some(encoded.content_type.to_owned()), encoded.bytes),
        None => (None, bytes::Bytes::new()),
    };
    Step {
        method: Method::DELETE,
        query: session.query.clone(),
        content_type,
        body: bytes,
        ..Step::get(path)
    }
}
