//! What is known, as the objects should say it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tenbin_fleet::health as member;
use tenbin_fleet::member::{Fleet, Reach};
use tenbin_fleet::registry::PeerSpec;
use tenbin_model::ids::{ClusterName, is_label_value};
use tenbin_model::score::ScoreBoard;
use tenbin_model::score::condition::{self, Condition, Facts, Health};

use super::Own;
use super::resource::{ClusterScoreSpec, ClusterScoreStatus, Group};
use super::view::{Seen, View};

/// What is known at one moment.
pub(super) struct World<'a> {
    pub(super) own: &'a Own,
    pub(super) members: &'a BTreeMap<ClusterName, Known>,
    /// Who was to join, by all groups.
    pub(super) peers: &'a BTreeMap<ClusterName, PeerSpec>,
    /// Who cannot be a member, and why.
    pub(super) refused: &'a BTreeMap<ClusterName, String>,
    pub(super) board: &'a ScoreBoard,
    pub(super) now: Timestamp,
    pub(super) max_age: Duration,
}

/// What is known of a member beside its score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Its region, once it has told it.
    pub(super) region: Option<String>,
    pub(super) health: Arc<member::Health>,
}

/// What is known of the members of a fleet.
pub(super) fn members(fleet: &Fleet) -> BTreeMap<ClusterName, Known> {
    let members = fleet.members().iter().map(|member| {
        let region = match member.reach {
            Reach::Direct => Some(member.region.clone()),
            Reach::Peer | Reach::Original => fleet.regions.get(&member.name).cloned(),
        };
        (member.name.clone(), Known { region, health: member.health.load_full() })
    });
    members.collect()
}

/// The peers that the objects name; of two objects of one name that of the first view counts.
///
/// What an object says of its region helps only as long as the peer itself has not spoken.
pub(super) fn peers<'a>(
    views: impl IntoIterator<Item = &'a View>,
    own: &Own,
    told: &BTreeMap<ClusterName, String>,
) -> BTreeMap<ClusterName, PeerSpec> {
    let mut peers = BTreeMap::new();
    for (name, seen) in views.into_iter().flat_map(|view| &view.objects) {
        let Ok(name) = ClusterName::new(name) else { continue };
        if name == own.name || own.was(seen) {
            continue;
        }
        peers.entry(name).or_insert_with_key(|name| {
            let said = Some(&seen.spec.region).filter(|region| is_label_value(region));
            PeerSpec {
                name: name.clone(),
                endpoint: seen.spec.endpoint.clone(),
                region: told.get(name).or(said).cloned(),
            }
        });
    }
    peers
}

// === impl Own ===

impl Own {
    /// Whether an object of another name was made by own's tenbin under a former name.
    pub(super) fn was(&self, seen: &Seen) -> bool {
        seen.managed && seen.spec.owncluster && seen.spec.endpoint == self.endpoint
    }
}

// === impl World ===

impl World<'_> {
    pub(super) fn is_own(&self, name: &str) -> bool {
        name == self.own.name.as_str()
    }

    /// The spec that the object should have.
    pub(super) fn spec(&self, name: &str, seen: &Seen) -> ClusterScoreSpec {
        if self.is_own(name) {
            return self.own.spec();
        }
        let known = ClusterName::new(name).ok().and_then(|name| self.members.get(&name));
        let region = known.and_then(|known| known.region.clone()).unwrap_or_default();
        ClusterScoreSpec { endpoint: seen.spec.endpoint.clone(), owncluster: false, region }
    }

    /// The status that the object should have, where its conditions were those of `before`.
    pub(super) fn status(
        &self,
        name: &str,
        seen: &Seen,
        before: &[Condition],
    ) -> (ClusterScoreStatus, Vec<Condition>) {
        let known = ClusterName::new(name);
        let member = known.as_ref().ok().filter(|name| self.members.contains_key(name));
        let score = member.and_then(|name| self.board.get(name)).map(AsRef::as_ref);
        let refusal = match &known {
            Ok(name) => self.refusal(name, seen),
            Err(error) => Some(error.to_string()),
        };
        let facts = Facts {
            health: member.and_then(|name| self.members.get(name)).map_or(Health::Unknown, health),
            score,
            failure: member.and_then(|name| self.board.failure(name)),
            refusal: refusal.as_deref(),
        };
        let conditions = condition::conditions(&facts, self.now, self.max_age, before);
        (ClusterScoreStatus::of(score, &conditions, self.now, self.max_age), conditions)
    }

    fn refusal(&self, name: &ClusterName, seen: &Seen) -> Option<String> {
        if *name == self.own.name {
            return None;
        }
        match self.peers.get(name) {
            Some(peer) if peer.endpoint != seen.spec.endpoint => {
                Some(format!("the object of this name in group {} counts", Group::Tenbin.as_str()))
            }
            Some(_) | None => self.refused.get(name).cloned(),
        }
    }
}

fn health(known: &Known) -> Health<'_> {
    match &*known.health {
        member::Health::Unknown => Health::Unknown,
        member::Health::Up => Health::Up,
        member::Health::Down { since, reason, untrusted } => {
            Health::Down { since: *since, reason, untrusted: *untrusted }
        }
    }
}
