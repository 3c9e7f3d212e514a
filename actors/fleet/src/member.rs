//! One member, and all members at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tenbin_kernel::Slot;
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;

use crate::access::Access;
use crate::fault::Fault;
use crate::forwarder::Forwarder;
use crate::health::Health;
use crate::places::Places;

/// How a member is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Straight at its API server, with a kubeconfig.
    Direct,
    /// Through the peers port of its own tenbin.
    Peer,
    /// Through the second port of the original program, which serves scores but no curves.
    Original,
}

/// One member of the fleet.
///
/// Immutable but for its health; a member whose access changes becomes a new value with a new
/// `generation`, so that workers drop the connections of the old one.
pub struct Member {
    /// Its unique name.
    pub name: ClusterName,
    /// Whether this daemon belongs to it.
    pub own: bool,
    /// The label value of its objects, unless it is their home.
    pub region: String,
    /// How it is reached.
    pub reach: Reach,
    /// Its address and credentials.
    pub access: Access,
    /// Distinguishes this value from earlier ones of the same name.
    pub generation: u64,
    /// What its forwarder last found out.
    pub health: Arc<ArcSwap<Health>>,
    /// What it may have in flight.
    pub places: Places,
    /// Its forwarder.
    pub forwarder: Slot<Forwarder>,
}

/// All members at one moment.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Arc<Member>>,
    /// The regions that nodes have told, of present and former members.
    pub regions: Arc<BTreeMap<ClusterName, String>>,
    /// How versions of merged answers are written.
    pub space: Arc<VersionSpace>,
}

// === impl Member ===

impl Member {
    /// The same member, known by another region.
    #[must_use]
    pub(crate) fn with_region(&self, region: String) -> Self {
        Self {
            name: self.name.clone(),
            own: self.own,
            region,
            reach: self.reach,
            access: self.access.clone(),
            generation: self.generation,
            health: Arc::clone(&self.health),
            places: self.places.clone(),
            forwarder: self.forwarder.clone(),
        }
    }

    /// The fault of asking the member now, if it is known to be dead.
    pub fn fault(&self, now: Timestamp) -> Option<Fault> {
        match &*self.health.load_full() {
            Health::Unknown | Health::Up => None,
            Health::Down { since, reason, .. } => Some(Fault::Down {
                member: self.name.clone(),
                since: Duration::try_from(now.duration_since(*since)).unwrap_or_default(),
                reason: reason.clone(),
            }),
        }
    }

    /// Whether the member answered the last time it was asked.
    pub fn is_up(&self) -> bool {
        **self.health.load() == Health::Up
    }

    /// Whether it is dead, as far as is known.
    pub fn is_down(&self) -> bool {
        matches!(**self.health.load(), Health::Down { .. })
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Member")
            .field("name", &self.name)
            .field("own", &self.own)
            .field("region", &self.region)
            .field("base", &self.access.base)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

// === impl Fleet ===

impl Fleet {
    /// Makes a fleet; own comes first, the others keep their order.
    pub fn new(
        mut members: Vec<Arc<Member>>,
        space: Arc<VersionSpace>,
        regions: Arc<BTreeMap<ClusterName, String>>,
    ) -> Self {
        members.sort_by_key(|member| !member.own);
        Self { members, regions, space }
    }

    /// All members, own first.
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// The member that this daemon belongs to; `None` before the registry has spoken.
    pub fn own(&self) -> Option<&Arc<Member>> {
        self.members.first().filter(|member| member.own)
    }

    /// The member of a name.
    pub fn get(&self, name: &str) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| member.name.as_str() == name)
    }
}
