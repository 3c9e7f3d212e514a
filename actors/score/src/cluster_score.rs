//! ClusterScore: the members and their watts as objects in own's cluster.

use tenbin_fleet::member::Fleet;
use tenbin_model::ids::ClusterName;

mod keeper;
mod plan;
mod resource;
mod serve;
mod status;
mod view;
mod watched;
mod world;
mod write;

pub use keeper::{Keeper, Parts};
pub use resource::{ClusterScore, ClusterScoreSpec, ClusterScoreStatus, Group, NodeStatus, crd};
pub use serve::list;

/// What own's ClusterScore says of own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Own {
    /// The object's name.
    pub name: ClusterName,
    /// The URL of its API server.
    pub endpoint: String,
    /// Its region.
    pub region: String,
}

// === impl Own ===

impl Own {
    /// Own as the fleet knows it; `None` before the registry has spoken.
    pub fn of(fleet: &Fleet) -> Option<Self> {
        fleet.own().map(|own| Self {
            name: own.name.clone(),
            endpoint: own.access.base.clone(),
            region: own.region.clone(),
        })
    }

    fn spec(&self) -> ClusterScoreSpec {
        ClusterScoreSpec {
            endpoint: self.endpoint.clone(),
            owncluster: true,
            region: self.region.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
