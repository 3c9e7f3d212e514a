//! Folds of objects and of their scales.

use serde_json::{Map, Value, json};

use super::split::Split;
use super::{Copy, FoldClass};
use crate::ids::ClusterName;
use crate::managed::{CLUSTER, Mark, STATE, Shares, ordinals_base};
use crate::resource_version::{ResourceVersion, VersionSpace};

/// What the copies of one object have in common.
pub(super) struct Family {
    /// The place of the lead among the copies.
    pub(super) lead: usize,
    /// Whether the lead is home's copy.
    lead_is_home: bool,
    /// The total that the lead is marked with.
    pub(super) total: Option<u32>,
    /// The shares that the lead is marked with.
    pub(super) shares: Option<Shares>,
}

/// Folds the copies of one object, given in the members' order; `None` where there is none.
///
/// Works on whole objects and on `PartialObjectMetadata`.
pub fn fold_object(class: FoldClass, copies: Vec<Copy>, space: &VersionSpace) -> Option<Value> {
    let family = Family::of(copies.iter().map(|copy| (&copy.member, &copy.object)));
    let version = version(&copies, space);
    let split = match class {
        FoldClass::Split => Some(Split::of(&copies, &family)),
        FoldClass::Replicate => None,
    };
    let cluster = match &split {
        Some(split) => split.cell(),
        None => holders(copies.iter().map(|copy| &copy.member)),
    };
    let Copy { member, mut object } = copies.into_iter().nth(family.lead)?;
    if !family.lead_is_home {
        hide_ordinals(&mut object, &member, space);
    }
    if let Some(split) = split {
        split.apply(&mut object);
    }
    let metadata = child(&mut object, "metadata")?;
    if let Some(version) = version {
        metadata.insert("resourceVersion".to_owned(), Value::from(version));
    }
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if annotations.is_null() {
        *annotations = json!({});
    }
    let annotations = annotations.as_object_mut()?;
    annotations.retain(|key, _| !STATE.contains(&key.as_str()));
    annotations.insert(CLUSTER.to_owned(), Value::from(cluster));
    Some(object)
}

/// Folds the scales (`autoscaling/v1`) of one split workload, given in the members' order.
///
/// A scale carries no annotations, so `home` and `total` come from the mark of the workload. Where
/// home's scale is missing the first one leads; without a total, `spec.replicas` is the sum.
pub fn fold_scale(
    home: &ClusterName,
    total: Option<u32>,
    copies: Vec<Copy>,
    space: &VersionSpace,
) -> Option<Value> {
    let lead = copies.iter().position(|copy| copy.member == *home).unwrap_or(0);
    let sum = |pointer: &str| {
        let counts = copies.iter().filter_map(|copy| copy.object.pointer(pointer)?.as_i64());
        counts.fold(0_i64, i64::saturating_add)
    };
    let asked = total.map_or_else(|| sum("/spec/replicas"), i64::from);
    let running = sum("/status/replicas");
    let version = version(&copies, space);
    let mut scale = copies.into_iter().nth(lead)?.object;
    child(&mut scale, "spec")?.insert("replicas".to_owned(), Value::from(asked));
    child(&mut scale, "status")?.insert("replicas".to_owned(), Value::from(running));
    if let Some(version) = version {
        child(&mut scale, "metadata")?.insert("resourceVersion".to_owned(), Value::from(version));
    }
    Some(scale)
}

/// The Table that a member made of its scale, with the counts of the folded one; the folded one itself
/// where the member made no Table.
pub fn scale_table(mut table: Value, folded: Value) -> Value {
    let Some(columns) = table.get("columnDefinitions").and_then(Value::as_array) else {
        return folded;
    };
    let names: Vec<Value> = columns.iter().filter_map(|it| it.get("name").cloned()).collect();
    for (column, count) in [("Desired", "/spec/replicas"), ("Available", "/status/replicas")] {
        let Some(place) = names.iter().position(|name| name == column) else { continue };
        let cell = table.pointer_mut(&format!("/rows/0/cells/{place}"));
        if let (Some(cell), Some(count)) = (cell, folded.pointer(count)) {
            cell.clone_from(count);
        }
    }
    table
}

// === impl Family ===

impl Family {
    /// Finds the lead and its marks.
    pub(super) fn of<'a>(copies: impl Iterator<Item = (&'a ClusterName, &'a Value)>) -> Self {
        let marks = copies.map(|(member, object)| {
            let mark = Mark::of_managed(object);
            let home = mark.as_ref().is_some_and(|mark| mark.home == *member);
            (home, mark)
        });
        // The first copy leads until one with more right to it comes.
        let mut best: Option<(usize, bool, Option<Mark>)> = None;
        for (index, (home, mark)) in marks.enumerate() {
            let right = (home, mark.as_ref().map_or(0, |mark| mark.epoch));
            let known = best
                .as_ref()
                .map(|(_, home, mark)| (*home, mark.as_ref().map_or(0, |mark| mark.epoch)));
            if known.is_none_or(|known| right > known) {
                best = Some((index, home, mark));
            }
        }
        let (lead, lead_is_home, mark) = best.unwrap_or((0, false, None));
        let (total, shares) = mark.map_or((None, None), |mark| (mark.total, mark.shares));
        Self { lead, lead_is_home, total, shares }
    }
}

/// The names of the members that hold a copy, as a person reads them.
pub(super) fn holders<'a>(members: impl Iterator<Item = &'a ClusterName>) -> String {
    members.map(ClusterName::as_str).collect::<Vec<_>>().join(" ")
}

/// The composite of the copies' versions; `None` where no copy has one.
fn version(copies: &[Copy], space: &VersionSpace) -> Option<String> {
    let parts: Vec<_> = copies
        .iter()
        .filter_map(|copy| {
            let text = copy.object.pointer("/metadata/resourceVersion")?.as_str()?;
            match ResourceVersion::parse(text) {
                Ok(ResourceVersion::Bare(version)) => Some((&copy.member, version)),
                Ok(_) | Err(_) => None,
            }
        })
        .collect();
    (!parts.is_empty()).then(|| space.compose(parts))
}

/// Takes a member's base out of `spec.ordinals.start`; home's copy has the user's own start.
fn hide_ordinals(object: &mut Value, member: &ClusterName, space: &VersionSpace) {
    let Some(slot) = space.slot_of(member) else { return };
    let Some(start) = object.pointer_mut("/spec/ordinals/start") else {
        return;
    };
    let own = start.as_i64().and_then(|start| start.checked_sub(ordinals_base(slot)));
    match own {
        Some(own) if own > 0 => *start = Value::from(own),
        Some(0) => {
            if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                spec.shift_remove("ordinals");
            }
        }
        Some(_) | None => {}
    }
}

/// A member of an object that is an object itself, made where it is missing.
pub(super) fn child<'a>(object: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    object.as_object_mut()?.entry(key).or_insert_with(|| json!({})).as_object_mut()
}
