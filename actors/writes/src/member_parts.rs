//! Which members take part in the change of an object that is there already.

use serde_json::Value;
use tenbin_model::body::{Stamp, pod_shape};
use tenbin_model::managed::Shares;
use tenbin_model::resource_version::ResourceVersion;
use tenbin_model::status::{Reason, Status};

use crate::answer::Answer;
use crate::copies::{Copy, Standing, uid, version};
use crate::create;
use crate::engine::{Part, Plan, home_is_out};
use crate::session::{Order, Session};

/// What the user demands of the object before it changes, in the fleet view's terms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Demand<'a> {
    pub(crate) uid: Option<&'a str>,
    pub(crate) resource_version: Option<&'a str>,
}

/// What becomes of members that have no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// They get one.
    Fill,
    /// They are named and left alone.
    Leave,
}

/// The parts of a change, home's first.
pub(crate) struct Assigned {
    pub(crate) parts: Vec<Part>,
    pub(crate) home_uid: Option<String>,
    pub(crate) warnings: Vec<String>,
}

/// Gives every member that has a copy its part; names the others.
///
/// # Errors
/// 409 where the demand is not met, 503 where home is silent, a member's own refusal to show its
/// copy.
pub(crate) fn assign(
    session: &Session<'_>,
    standing: &Standing,
    home: usize,
    demand: &Demand<'_>,
    missing: Missing,
) -> Result<Assigned, Box<Answer>> {
    let failed = |status: Status| Box::new(status.into());
    let home_uid = standing.object(home).and_then(uid).map(str::to_owned);
    if demand.uid.is_some() && home_uid.is_some() && demand.uid != home_uid.as_deref() {
        return Err(failed(conflict("the object's uid is another: it was made anew")));
    }
    let fills = missing == Missing::Fill;
    let (mut parts, mut warnings) = (Vec::new(), Vec::new());
    for (target, copy) in standing.copies.iter().enumerate() {
        let left_out = match copy {
            Copy::Present(old) if target == home || standing.belongs(session, target) => {
                let version =
                    demanded_version(session, target, home, (old, standing.object(home)), demand);
                parts.push(Part::of(target, old.clone(), version.map_err(failed)?));
                continue;
            }
            Copy::Present(old) if fills && standing.is_orphan(session, target) => {
                parts.push(Part::of(target, old.clone(), None));
                continue;
            }
            Copy::Present(_) => "an object of this name is there that is not managed from here",
            Copy::Absent(_) if fills => {
                parts.push(Part::first(target));
                continue;
            }
            Copy::Absent(_) if target == home => {
                return Err(failed(conflict("home has lost its copy: replace the object")));
            }
            Copy::Absent(_) => "it holds no copy yet",
            Copy::Out(reason) if target == home => return Err(failed(home_is_out(reason))),
            Copy::Out(reason) => reason,
            Copy::Refused(refusal) => return Err(Box::new(refusal.clone().into())),
        };
        let named = session.named(target, left_out);
        warnings.push(format!("{named}: it was not written there"));
    }
    parts.sort_by_key(|part| part.target != home);
    Ok(Assigned { parts, home_uid, warnings })
}

/// What is to be divided when replicas change: the wishes are those on home's copy.
pub(crate) fn order(standing: &Standing, home: usize, total: u32) -> Order {
    let object = standing.object(home);
    let annotations = object.map(tenbin_model::managed::inputs).unwrap_or_default();
    let shape = object.map(pod_shape).unwrap_or_default();
    Order { total, annotations, shape, running: running(standing), among: Vec::new() }
}

/// Where replicas of a managed object run.
pub(crate) fn running(standing: &Standing) -> Shares {
    standing.home.as_ref().and_then(|(_, mark)| mark.shares.clone()).unwrap_or_default()
}

/// The stamp of a copy that lives: its label keeps the value that it has.
pub(crate) fn stamp(session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Stamp, Status> {
    let fresh = create::stamp(session, part.target, plan)?;
    let label = part.old.as_ref().and_then(|old| {
        old.pointer("/metadata/labels")?.get(session.label_key).and_then(Value::as_str)
    });
    let label_value = label.map_or(fresh.label_value, str::to_owned);
    Ok(Stamp { label_value, resource_version: part.version.clone(), ..fresh })
}

/// The version that a member's copy must have for the demand to be met (reads.md, Coming back).
fn demanded_version(
    session: &Session<'_>,
    target: usize,
    home: usize,
    (copy, home_copy): (&Value, Option<&Value>),
    demand: &Demand<'_>,
) -> Result<Option<String>, Status> {
    let Some(text) = demand.resource_version else { return Ok(None) };
    let parsed = ResourceVersion::parse(text)
        .map_err(|error| Status::new(Reason::BadRequest, error.to_string()))?;
    match parsed {
        ResourceVersion::Unset | ResourceVersion::Any => Ok(None),
        // A bare version is that of home's copy, as an older answer or `/clusters/NAME` showed it.
        ResourceVersion::Bare(bare) => Ok((target == home).then(|| bare.to_string())),
        ResourceVersion::Composite(composite) => {
            let slot = session.targets.get(target).and_then(|target| target.slot);
            let now = number(copy);
            // Home decides; what a watch told from lists says of no other member how far it was.
            let is_homes = home_copy.is_some_and(|home| number(home) == composite.own());
            let admits = is_homes || composite.admits(slot, now);
            if composite.epoch() == session.space.epoch() && admits {
                Ok(Some(now.to_string()))
            } else {
                Err(Status::modified())
            }
        }
    }
}

/// A copy's version; greater than any where there is none.
fn number(copy: &Value) -> u64 {
    version(copy).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

fn conflict(message: &str) -> Status {
    Status::new(Reason::Conflict, message)
}
