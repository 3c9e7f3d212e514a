//! What must be written so that the objects say what is known. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tenbin_model::score::condition::{Condition, Event, event};

use super::resource::{ClusterScoreSpec, ClusterScoreStatus};
use super::view::{MAX_OBJECTS, Seen, View};
use super::world::World;

/// An own object of another name is taken to be left over when it stands still for so many
/// intervals: that of a living tenbin does not.
const STILL: u32 = 3;

/// One request to own's API server. None makes an object but [`Write::Own`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// Creates own's object, or puts it right.
    Own { name: String, spec: ClusterScoreSpec },
    /// Puts right what is tenbin's in the spec of a peer's.
    Spec { name: String, spec: ClusterScoreSpec },
    /// Says what is known, with an Event where that is news.
    Status(Box<StatusWrite>),
    /// Removes own's object of a former name, if it still stands as it was seen.
    Remove { name: String, uid: String, version: String },
}

/// What is to be said of a member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StatusWrite {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) status: ClusterScoreStatus,
    pub(super) conditions: Vec<Condition>,
    pub(super) event: Option<Event>,
}

/// What was written to the objects of one group and when, so that nobody is written over more than
/// once an interval: another tenbin of the same cluster, or a user who insists.
#[derive(Debug, Default)]
pub(super) struct Memory {
    specs: BTreeMap<String, (ClusterScoreSpec, Duration)>,
    statuses: BTreeMap<String, (Vec<Condition>, Duration)>,
    /// Own objects of other names: their version, and since when they have it.
    others: BTreeMap<String, (String, Duration)>,
    /// Own objects of other names that were removed: one that comes back is somebody's.
    removed: BTreeSet<String>,
}

/// The writes that are due at `elapsed`, where the objects are as `view` shows.
pub(super) fn writes(
    view: &View,
    world: &World<'_>,
    memory: &mut Memory,
    elapsed: Duration,
    interval: Duration,
) -> Vec<Write> {
    memory.forget_all_but(view);
    let mut writes = Vec::new();
    let (own, spec_of_own) = (world.own.name.as_str(), world.own.spec());
    if !view.objects.contains_key(own) && memory.allows(own, &spec_of_own, elapsed, interval) {
        writes.push(Write::Own { name: own.to_owned(), spec: spec_of_own });
    }
    for (name, seen) in &view.objects {
        if !world.is_own(name) && world.own.was(seen) {
            writes.extend(memory.left_over(name, seen, elapsed, interval * STILL));
            continue;
        }
        writes.extend(spec(name, seen, world, memory, elapsed, interval));
        writes.extend(status(name, seen, world, memory, elapsed, interval));
    }
    writes
}

fn spec(
    name: &str,
    seen: &Seen,
    world: &World<'_>,
    memory: &Memory,
    elapsed: Duration,
    interval: Duration,
) -> Option<Write> {
    let own = world.is_own(name);
    let spec = world.spec(name, seen);
    let right = seen.spec == spec && (seen.managed || !own);
    if right || !memory.allows(name, &spec, elapsed, interval) {
        return None;
    }
    let name = name.to_owned();
    Some(if own { Write::Own { name, spec } } else { Write::Spec { name, spec } })
}

fn status(
    name: &str,
    seen: &Seen,
    world: &World<'_>,
    memory: &Memory,
    elapsed: Duration,
    interval: Duration,
) -> Option<Write> {
    let wrote = memory.statuses.get(name);
    let before = match wrote {
        Some((conditions, _)) => conditions.clone(),
        None => seen.status.as_ref().map(ClusterScoreStatus::decided).unwrap_or_default(),
    };
    let (status, conditions) = world.status(name, seen, &before);
    if seen.status.as_ref() == Some(&status) {
        return None;
    }
    if let Some((_, at)) = wrote
        && elapsed < *at + interval
        && !has_transition(&before, &conditions)
    {
        return None;
    }
    let (name, uid, event) = (name.to_owned(), seen.uid.clone(), event(&before, &conditions));
    Some(Write::Status(Box::new(StatusWrite { name, uid, status, conditions, event })))
}

/// Whether more than messages differ.
fn has_transition(before: &[Condition], after: &[Condition]) -> bool {
    let facts = |it: &Condition| (it.type_.clone(), it.status.clone(), it.reason.clone());
    !before.iter().map(facts).eq(after.iter().map(facts))
}

/// The endpoint of a peer is its user's.
fn ours(spec: &ClusterScoreSpec) -> ClusterScoreSpec {
    let endpoint = if spec.owncluster { spec.endpoint.clone() } else { String::new() };
    ClusterScoreSpec { endpoint, ..spec.clone() }
}

// === impl Write ===

impl Write {
    /// The object's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Own { name, .. } | Self::Spec { name, .. } | Self::Remove { name, .. } => name,
            Self::Status(write) => &write.name,
        }
    }

    /// Whether it needs an object that may be gone or changed meanwhile.
    pub(super) fn is_conditional(&self) -> bool {
        !matches!(self, Self::Own { .. })
    }
}

// === impl Memory ===

impl Memory {
    /// Notes what was carried out.
    pub(super) fn wrote(&mut self, write: Write, at: Duration) {
        match write {
            Write::Own { name, spec } | Write::Spec { name, spec } => {
                self.specs.insert(name, (ours(&spec), at));
            }
            Write::Status(write) => {
                self.statuses.insert(write.name, (write.conditions, at));
            }
            Write::Remove { name, .. } => {
                self.removed.insert(name);
            }
        }
    }

    /// Whether this spec may be written: it is another than the last time, or that is long ago.
    fn allows(
        &self,
        name: &str,
        spec: &ClusterScoreSpec,
        elapsed: Duration,
        interval: Duration,
    ) -> bool {
        let wrote = self.specs.get(name);
        wrote.is_none_or(|(wrote, at)| *wrote != ours(spec) || elapsed >= *at + interval)
    }

    fn forget_all_but(&mut self, view: &View) {
        let seen = |name: &String| view.objects.contains_key(name);
        // The spec of own's stays: whoever removes it again and again is not met in haste.
        self.specs.retain(|name, (spec, _)| spec.owncluster || seen(name));
        self.statuses.retain(|name, _| seen(name));
        self.others.retain(|name, _| seen(name));
    }

    fn left_over(
        &mut self,
        name: &str,
        seen: &Seen,
        elapsed: Duration,
        grace: Duration,
    ) -> Option<Write> {
        let since = match self.others.get(name) {
            Some((version, since)) if *version == seen.version => *since,
            Some(_) | None => {
                self.others.insert(name.to_owned(), (seen.version.clone(), elapsed));
                elapsed
            }
        };
        let wanted = !self.removed.contains(name) && self.removed.len() < MAX_OBJECTS;
        (wanted && elapsed >= since + grace).then(|| Write::Remove {
            name: name.to_owned(),
            uid: seen.uid.clone(),
            version: seen.version.clone(),
        })
    }
}
