//! PUT of a split or replicated object.

use tenbin_model::body::{Body, Encoded, strip_state};
use tenbin_model::managed::inputs;
use tenbin_model::status::Status;

use crate::answer::Answer;
use crate::copies::{Standing, version};
use crate::create::{order, owner_warning, post, put};
use crate::engine::{Job, Part, Plan, Write};
use crate::member_parts::{self, Assigned, Demand, Missing};
use crate::session::Session;
use crate::single;
use crate::verdict::Step;

struct Replace {
    path: String,
    body: Body,
    /// Home's copy before the write.
    home: Option<serde_json::Value>,
}

/// Replaces all copies; members without one get one, and an unmanaged object of own becomes
/// managed. An object that only another member has, and that tenbin did not make, is replaced there.
pub async fn replace(session: &Session<'_>, path: &str, body: Body, raw: Encoded) -> Answer {
    let standing = Standing::read(session, path).await;
    let own = 0;
    if standing.shown().is_none() {
        return single::nowhere(&standing);
    }
    if standing.home.is_none() && standing.shown().is_some_and(|shown| shown != own) {
        let bytes = strip_state(Some(raw.content_type), &raw.bytes).unwrap_or(raw.bytes);
        let step = put(session, path, Encoded { bytes, ..raw });
        return single::pass(session, &standing, step).await;
    }
    if let Some(status) = session.barred() {
        return status.into();
    }
    let mark = standing.home.as_ref();
    let (home, epoch) = mark.map_or((own, 1), |(home, mark)| (*home, mark.epoch));
    let shares = mark.and_then(|(_, mark)| mark.shares.clone());
    let order = order(session, &body);
    // Other wishes are another division, also of the same total.
    let wishes = standing.object(home).map(inputs);
    let present = shares.filter(|_| order.as_ref().map(|it| &it.annotations) == wishes.as_ref());
    let summary = body.summary();
    let demand = Demand {
        uid: summary.uid.as_deref(),
        resource_version: summary.resource_version.as_deref(),
    };
    let Assigned { mut parts, home_uid, mut warnings } =
        match member_parts::assign(session, &standing, home, &demand, Missing::Fill) {
            Ok(assigned) => assigned,
            Err(answer) => return *answer,
        };
    warnings.extend(owner_warning(&body));
    for part in parts.iter_mut().filter(|part| part.target != home) {
        // Some kinds are put with a version only; home's is the user's to name.
        part.version = part.old.as_ref().and_then(version).map(str::to_owned);
    }
    let home_copy = standing.object(home).cloned();
    let plan = Plan { home, home_uid, epoch, shares: None };
    let path = path.to_owned();
    let job = Replace { path: path.clone(), body, home: home_copy };
    Write { session, job: &job, path, parts, plan, order, present, warnings, note: None }
        .run()
        .await
}

// === impl Replace ===

impl Job for Replace {
    fn step(&self, session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Step, Status> {
        let stamp = member_parts::stamp(session, part, plan)?;
        let body = match &self.home {
            Some(home) if part.target != plan.home => self
                .body
                .clone()
                .with_allocated(home, part.old.as_ref())
                .map_err(|error| Status::from(&error))?,
            Some(_) | None => self.body.clone(),
        };
        let encoded = body.for_member(&stamp).map_err(|error| Status::from(&error))?;
        Ok(match part.old {
            Some(_) => put(session, &self.path, encoded),
            None => post(session, encoded),
        })
    }
}
