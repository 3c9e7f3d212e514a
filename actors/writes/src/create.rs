//! POST of a split or replicated object.

use std::collections::BTreeMap;

use actix_http::Method;
use tenbin_model::body::{Body, Encoded, Stamp};
use tenbin_model::managed::ordinals_base;
use tenbin_model::status::{Reason, Status};

use crate::answer::{Answer, lost};
use crate::engine::{Job, Part, Plan, Write, is_split};
use crate::session::{Order, Session};
use crate::verdict::{self, Step, Verdict};

/// The home of what is created: own, the first target.
const OWN: usize = 0;

struct Create {
    path: String,
    body: Body,
    name: Option<String>,
}

/// Creates the object in all members; own becomes its home.
pub async fn create(session: &Session<'_>, body: Body) -> Answer {
    if let Some(status) = session.barred() {
        return status.into();
    }
    let name = match resolve_name(session, &body).await {
        Ok(name) => name,
        Err(answer) => return *answer,
    };
    let order = order(session, &body);
    let warnings = owner_warning(&body).into_iter().collect();
    let parts = (0..session.targets.len()).map(Part::first).collect();
    let plan = Plan { home: OWN, home_uid: None, epoch: 1, shares: None };
    let named = name.as_deref().or(body.summary().name.as_deref()).unwrap_or_default();
    let path = format!("{}/{named}", session.collection);
    let job = Create { path: path.clone(), body, name };
    Write { session, job: &job, path, parts, plan, order, present: None, warnings, note: None }
        .run()
        .await
}

/// Has home's API server make a name of a `generateName`, once for all members.
async fn resolve_name(session: &Session<'_>, body: &Body) -> Result<Option<String>, Box<Answer>> {
    let summary = body.summary();
    if summary.name.is_some() || summary.generate_name.is_none() {
        return Ok(None);
    }
    let nameless = || Status::new(Reason::InternalError, "own made no name of generateName");
    let own = session.targets.get(OWN).ok_or_else(|| Box::new(nameless().into()))?;
    let plan = Plan { home: OWN, home_uid: None, epoch: 1, shares: None };
    let stamp = stamp(session, OWN, &plan).map_err(|status| Box::new(status.into()))?;
    let encoded = body.for_member(&stamp).map_err(|error| Box::new(Status::from(&error).into()))?;
    let step = post(session, encoded);
    let step = if session.dry_run { step } else { step.dry() };
    match verdict::send(session, own, step).await {
        Verdict::Done(done) => {
            let name = done.object.pointer("/metadata/name").and_then(|name| name.as_str());
            name.map(|name| Some(name.to_owned())).ok_or_else(|| Box::new(nameless().into()))
        }
        Verdict::Refused(refusal) => Err(Box::new(refusal.into())),
        Verdict::Unsent(fault) | Verdict::Unknown(fault) => Err(Box::new((&fault).into())),
    }
}

/// What is to be divided of a whole body.
pub(crate) fn order(session: &Session<'_>, body: &Body) -> Option<Order> {
    let annotations: BTreeMap<String, String> = body.summary().inputs.iter().cloned().collect();
    is_split(session.class).then(|| Order {
        total: body.summary().total(),
        annotations,
        shape: body.summary().pod,
        among: Vec::new(),
    })
}

/// Owners live in home only.
pub(crate) fn owner_warning(body: &Body) -> Option<String> {
    body.summary().has_owner_references.then(|| {
        "ownerReferences stay in the home of the object: an owner that another member lacks would have the copy collected".to_owned()
    })
}

/// The stamp of a new copy in `target`.
pub(crate) fn stamp(session: &Session<'_>, target: usize, plan: &Plan) -> Result<Stamp, Status> {
    let member = session.targets.get(target).ok_or_else(lost)?;
    // Without a slot of its own a member would share its ordinals with another.
    let slot = member.slot.ok_or_else(lost)?;
    Ok(Stamp {
        label_key: session.label_key.to_owned(),
        label_value: session.label_value(target, plan.home),
        ordinals_base: if target == plan.home { 0 } else { ordinals_base(slot) },
        member: member.member.name.clone(),
        home: session.name(plan.home).ok_or_else(lost)?.clone(),
        home_uid: plan.home_uid.clone(),
        epoch: plan.epoch,
        shares: plan.shares.clone(),
        name: None,
        resource_version: None,
    })
}

/// A POST of `encoded` to the collection.
pub(crate) fn post(session: &Session<'_>, encoded: Encoded) -> Step {
    Step {
        method: Method::POST,
        query: session.query.clone(),
        content_type: Some(encoded.content_type.to_owned()),
        body: encoded.bytes,
        ..Step::get(session.collection.clone())
    }
}

/// A PUT of `encoded` over an object.
pub(crate) fn put(session: &Session<'_>, path: &str, encoded: Encoded) -> Step {
    Step { method: Method::PUT, ..post(session, encoded) }.at(path)
}

// === impl Create ===

impl Job for Create {
    fn step(&self, session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Step, Status> {
        let stamp = Stamp {
            name: self.name.clone(),
            resource_version: part.version.clone(),
            ..stamp(session, part.target, plan)?
        };
        let encoded = self.body.for_member(&stamp).map_err(|error| Status::from(&error))?;
        Ok(match part.old {
            // A copy that lost its home.
            Some(_) => put(session, &self.path, encoded),
            None => post(session, encoded),
        })
    }
}
