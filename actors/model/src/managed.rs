//! The marks by which tenbin knows the objects that it fanned out (`writes.md`, Home).

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::ids::ClusterName;

/// Pseudo label of reads, and the annotation that names an item's member.
pub const CLUSTER: &str = "tenbin/cluster";
/// Names the home of a managed object.
pub const HOME: &str = "tenbin/home";
/// The uid of home's copy, on the other members' copies.
pub const HOME_UID: &str = "tenbin/home-uid";
/// Raised when a home is taken over.
pub const EPOCH: &str = "tenbin/epoch";
/// The replicas that the user asked for.
pub const TOTAL: &str = "tenbin/total";
/// The replicas of each member, as `tokyo:5,osaka:3,nagoya:2`.
pub const SHARES: &str = "tenbin/shares";

/// The annotations that carry tenbin's state: never taken from a user, never shown in a fold.
pub const STATE: [&str; 5] = [HOME, HOME_UID, EPOCH, TOTAL, SHARES];

/// StatefulSets of different members get ordinals this far apart.
const ORDINALS_PER_SLOT: i64 = 10_000;

/// What is added to the user's own `spec.ordinals.start` in a member other than home.
///
/// Never 0, which is home's, whichever slot home has.
pub fn ordinals_base(slot: usize) -> i64 {
    i64::try_from(slot).unwrap_or(i64::MAX).saturating_add(1).saturating_mul(ORDINALS_PER_SLOT)
}

/// Whether an annotation is tenbin's own, so that no user may write it.
pub(crate) fn is_state(annotation: &str) -> bool {
    annotation == CLUSTER || STATE.contains(&annotation)
}

/// Whether an annotation tells tenbin what a user wants of it.
pub(crate) fn is_input(annotation: &str) -> bool {
    annotation.starts_with("tenbin/") && !is_state(annotation)
}

/// What a user wants of tenbin, as the annotations of an object say it.
pub fn inputs(object: &Value) -> BTreeMap<String, String> {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let inputs = annotations.into_iter().flatten().filter(|(key, _)| is_input(key));
    inputs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The replicas of each member, in the members' order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares(Vec<(ClusterName, u32)>);

/// What the annotations of one copy say of a managed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The member whose copy is the truth.
    pub home: ClusterName,
    /// The uid of home's copy; absent on home's own copy.
    pub home_uid: Option<String>,
    /// Raised when a home is taken over.
    pub epoch: u64,
    /// The replicas that the user asked for; present on split kinds.
    pub total: Option<u32>,
    /// The replicas of each member; present on split kinds.
    pub shares: Option<Shares>,
}

// === impl Shares ===

impl Shares {
    /// Makes shares of pairs; the order is kept.
    pub fn new(shares: Vec<(ClusterName, u32)>) -> Self {
        Self(shares)
    }

    /// Reads the text of the annotation, `tokyo:5,osaka:3`.
    pub fn parse(text: &str) -> Option<Self> {
        text.split(',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, share) = part.rsplit_once(':')?;
                Some((ClusterName::new(name).ok()?, share.parse().ok()?))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// The share of one member; zero where it is not named.
    pub fn of(&self, member: &ClusterName) -> u32 {
        self.0.iter().find(|(name, _)| name == member).map_or(0, |(_, share)| *share)
    }

    /// Members and shares in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(ClusterName, u32)> {
        self.0.iter()
    }

    /// The sum of all shares.
    pub fn total(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, share)| sum.saturating_add(*share))
    }

    /// These shares among `members`, if they have this total and nobody else has any.
    pub fn kept(&self, total: u32, members: &[ClusterName]) -> Option<Self> {
        let kept: Vec<_> = members.iter().map(|name| (name.clone(), self.of(name))).collect();
        let kept = Self(kept);
        (kept.total() == total && self.total() == total).then_some(kept)
    }

    /// What a person reads in the CLUSTER column: `tokyo:5 osaka:3`.
    pub fn cell(&self) -> String {
        self.to_string().replace(',', " ")
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, share)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{name}:{share}")?;
        }
        Ok(())
    }
}

// === impl Mark ===

impl Mark {
    /// Reads the mark of an object; `None` where it is not managed.
    pub fn of(object: &Value, label_key: &str) -> Option<Self> {
        object.get("metadata")?.get("labels")?.get(label_key)?;
        Self::of_managed(object)
    }

    /// Reads the mark of an object that is known to carry the label.
    pub(crate) fn of_managed(object: &Value) -> Option<Self> {
        let annotations = object.pointer("/metadata/annotations")?;
        Self::read(true, |key| annotations.get(key)?.as_str())
    }

    /// Reads the mark of a copy that carries the label; `None` where the copy is not managed.
    pub fn read<'a>(labelled: bool, annotation: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        if !labelled {
            return None;
        }
        Some(Self {
            home: ClusterName::new(annotation(HOME)?).ok()?,
            home_uid: annotation(HOME_UID).map(str::to_owned),
            epoch: annotation(EPOCH).and_then(|text| text.parse().ok()).unwrap_or(1),
            total: annotation(TOTAL).and_then(|text| text.parse().ok()),
            shares: annotation(SHARES).and_then(Shares::parse),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_survive_their_own_text() {
        let shares = Shares::parse("tokyo:5,osaka.jp:3,nagoya:0").unwrap();
        assert_eq!(shares.to_string(), "tokyo:5,osaka.jp:3,nagoya:0");
        assert_eq!(shares.cell(), "tokyo:5 osaka.jp:3 nagoya:0");
        assert_eq!(shares.total(), 8);
        assert_eq!(Shares::parse("tokyo"), None);
        assert_eq!(Shares::parse(""), Some(Shares::default()));
    }

    #[test]
    fn shares_are_kept_for_the_same_total_of_members_that_take_part() {
        let shares = Shares::parse("tokyo:5,osaka:3,nagoya:0").unwrap();
        let kept = |total, names: &[&str]| {
            let names: Vec<_> = names.iter().map(|it| ClusterName::new(it).unwrap()).collect();
            Some(shares.kept(total, &names)?.to_string())
        };
        assert_eq!(kept(8, &["tokyo", "osaka"]).as_deref(), Some("tokyo:5,osaka:3"));
        assert_eq!(kept(8, &["osaka", "tokyo", "kobe"]).as_deref(), Some("osaka:3,tokyo:5,kobe:0"));
        assert_eq!(kept(8, &["tokyo", "nagoya"]), None);
        assert_eq!(kept(9, &["tokyo", "osaka"]), None);
    }

    #[test]
    fn a_copy_without_the_label_or_without_a_home_is_not_managed() {
        let home = |key: &str| (key == HOME).then_some("tokyo");
        assert_eq!(Mark::read(false, home), None);
        assert_eq!(Mark::read(true, |_| None), None);
        assert_eq!(Mark::read(true, home).unwrap().epoch, 1);
        let mut object = serde_json::json!({"metadata": {
            "labels": {"tenbin": "x"},
            "annotations": {"tenbin/home": "tokyo", "tenbin/min": "1", "a": "b"},
        }});
        assert_eq!(Mark::of(&object, "tenbin").unwrap().home.as_str(), "tokyo");
        assert_eq!(Mark::of(&object, "other"), None);
        assert_eq!(inputs(&object), [("tenbin/min".into(), "1".into())].into());
        object["metadata"]["annotations"] = Value::Null;
        assert_eq!(Mark::of(&object, "tenbin"), None);
    }
}
