//! What a divided workload looks like as one.

use serde_json::{Map, Value};

use super::Copy;
use super::object::{Family, child, holders};
use crate::managed::Shares;

/// The counts in the status of Deployments and StatefulSets.
const COUNTS: [&str; 7] = [
    "replicas",
    "readyReplicas",
    "availableReplicas",
    "updatedReplicas",
    "currentReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
];

/// The fields of a fold that more than one copy has a say in.
pub(super) struct Split {
    /// `spec.replicas`; `None` on metadata alone.
    replicas: Option<i64>,
    status: Option<Map<String, Value>>,
    cell: String,
}

// === impl Split ===

impl Split {
    /// Adds up `copies`.
    pub(super) fn of(copies: &[Copy], family: &Family) -> Self {
        let has_spec = copies.iter().any(|copy| copy.object.get("spec").is_some());
        let sum = || copies.iter().map(replicas).fold(0_i64, i64::saturating_add);
        Self {
            replicas: has_spec.then(|| family.total.map_or_else(sum, i64::from)),
            status: status(copies, family),
            cell: cell(copies, family, has_spec),
        }
    }

    /// What a person reads in the CLUSTER column.
    pub(super) fn cell(&self) -> String {
        self.cell.clone()
    }

    /// Puts the fields into the lead's copy.
    pub(super) fn apply(self, object: &mut Value) {
        if let Some(replicas) = self.replicas
            && let Some(spec) = child(object, "spec")
        {
            spec.insert("replicas".to_owned(), Value::from(replicas));
        }
        if let Some(folded) = self.status
            && let Some(status) = child(object, "status")
        {
            for (key, value) in folded {
                if value.is_null() {
                    status.shift_remove(&key);
                } else {
                    status.insert(key, value);
                }
            }
        }
    }
}

/// The shares as text: those that were decided, else those that the copies run.
fn cell(copies: &[Copy], family: &Family, has_spec: bool) -> String {
    match &family.shares {
        Some(shares) => shares.cell(),
        None if has_spec => {
            let share = |copy: &Copy| {
                (copy.member.clone(), u32::try_from(replicas(copy)).unwrap_or_default())
            };
            Shares::new(copies.iter().map(share).collect()).cell()
        }
        None => holders(copies.iter().map(|copy| &copy.member)),
    }
}

/// The folded members of `status`; null stands for one that has to go.
fn status(copies: &[Copy], family: &Family) -> Option<Map<String, Value>> {
    let lead = copies.get(family.lead)?;
    if !copies.iter().any(|copy| copy.object.get("status").is_some_and(Value::is_object)) {
        return None;
    }
    let mut status = Map::new();
    for count in COUNTS {
        let mut counts =
            copies.iter().filter_map(|copy| of_status(copy, count)?.as_i64()).peekable();
        if counts.peek().is_some() {
            let sum = counts.fold(0_i64, i64::saturating_add);
            status.insert(count.to_owned(), Value::from(sum));
        }
    }
    let mut sharing: Vec<&Copy> = copies.iter().filter(|copy| has_share(copy, family)).collect();
    if sharing.is_empty() {
        sharing.push(lead);
    }
    if let Some(conditions) = conditions(&sharing, lead) {
        status.insert("conditions".to_owned(), conditions);
    }
    if let Some((current, update)) = revisions(&sharing, lead) {
        status.insert("currentRevision".to_owned(), Value::from(current));
        status.insert("updateRevision".to_owned(), Value::from(update));
    }
    if let Some(generation) = number(lead, "/metadata/generation") {
        let behind = copies.iter().any(|copy| {
            number(copy, "/status/observedGeneration") != number(copy, "/metadata/generation")
        });
        let observed = if behind { generation.saturating_sub(1) } else { generation };
        let observed = if observed > 0 { Value::from(observed) } else { Value::Null };
        status.insert("observedGeneration".to_owned(), observed);
    }
    Some(status)
}

/// The worst condition of each type; the lead's where others are not worse.
fn conditions(sharing: &[&Copy], lead: &Copy) -> Option<Value> {
    let mut worst: Vec<(&str, &Copy, &Value)> = Vec::new();
    let lead_first = sharing.iter().filter(|copy| copy.member == lead.member);
    let others = sharing.iter().filter(|copy| copy.member != lead.member);
    for copy in lead_first.chain(others) {
        let list = of_status(copy, "conditions").and_then(Value::as_array);
        for condition in list.into_iter().flatten() {
            let Some(kind) = condition.get("type").and_then(Value::as_str) else {
                continue;
            };
            match worst.iter_mut().find(|(known, ..)| *known == kind) {
                None => worst.push((kind, copy, condition)),
                Some(known) if badness(condition) > badness(known.2) => {
                    *known = (kind, copy, condition);
                }
                Some(_) => {}
            }
        }
    }
    if worst.is_empty() {
        return None;
    }
    let shown = worst.into_iter().map(|(_, copy, condition)| {
        let mut condition = condition.clone();
        if let (true, Some(Value::String(message))) =
            (copy.member != lead.member, condition.get_mut("message"))
        {
            message.insert_str(0, &format!("{}: ", copy.member));
        }
        condition
    });
    Some(shown.collect())
}

/// How bad a condition is; among equals, a rollout that goes on is worse than one that is done.
fn badness(condition: &Value) -> (u8, bool) {
    let text = |key: &str| condition.get(key).and_then(Value::as_str);
    let negative = text("type") == Some("ReplicaFailure");
    let badness = match (text("status"), negative) {
        (Some("True"), false) | (Some("False"), true) => 0,
        (Some("False"), false) | (Some("True"), true) => 2,
        _ => 1,
    };
    (badness, text("reason") != Some("NewReplicaSetAvailable"))
}

/// The revisions of a StatefulSet: equal exactly when they are in every member with a share.
fn revisions(sharing: &[&Copy], lead: &Copy) -> Option<(String, String)> {
    let pair = |copy: &Copy| {
        let text = |key| of_status(copy, key).and_then(Value::as_str).map(str::to_owned);
        Some((text("currentRevision")?, text("updateRevision")?))
    };
    let unequal = |(current, update): &(String, String)| current != update;
    let pairs = || {
        std::iter::once(lead).filter(|lead| sharing.contains(lead)).chain(sharing.iter().copied())
    };
    if let Some(rolling) = pairs().filter_map(pair).find(unequal) {
        return Some(rolling);
    }
    let (_, update) = pair(lead).or_else(|| pairs().find_map(pair))?;
    Some((update.clone(), update))
}

fn has_share(copy: &Copy, family: &Family) -> bool {
    match &family.shares {
        Some(shares) => shares.of(&copy.member) > 0,
        None => replicas(copy) > 0,
    }
}

/// `spec.replicas`, which is 1 where it is absent.
fn replicas(copy: &Copy) -> i64 {
    number(copy, "/spec/replicas").unwrap_or(1)
}

fn of_status<'a>(copy: &'a Copy, key: &str) -> Option<&'a Value> {
    copy.object.get("status")?.get(key)
}

fn number(copy: &Copy, pointer: &str) -> Option<i64> {
    copy.object.pointer(pointer)?.as_i64()
}
