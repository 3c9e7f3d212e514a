//! What a cluster has: its nodes, what their pods ask for, and how their power is predicted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tenbin_model::power::Resources;

mod listing;
mod node;
mod node_config;
mod pod;
mod stocktaker;

pub use stocktaker::{Stocktaker, StocktakerParts};

pub(super) use node::NodeFacts;
pub(super) use node_config::{NodeConfig, Term};

use listing::Listing;
use pod::Share;

/// A watch that has brought no error for this long lives again, although nothing happens in it:
/// its attempts and the pauses between them are shorter.
const WHOLE_AGAIN: Duration = Duration::from_secs(20);

/// What is known of a cluster's stock.
#[derive(Debug)]
pub enum Stock {
    /// Not all of it has been listed yet.
    Unknown {
        /// Why not, for a person.
        reason: String,
    },
    /// All of it.
    Known(Inventory),
}

/// A cluster at one moment.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The nodes by name.
    pub(super) nodes: Vec<Stocked>,
    /// Why a node may have no NodeConfig.
    pub(super) unconfigured: String,
    /// The watch that has been broken for longest.
    pub(super) broken: Option<Broken>,
}

/// One node with what belongs to it.
#[derive(Debug)]
pub(super) struct Stocked {
    pub(super) facts: Arc<NodeFacts>,
    pub(super) config: Option<Arc<NodeConfig>>,
    /// What its pods ask for.
    pub(super) requested: Resources,
}

/// A watch that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
    pub(super) reason: String,
}

/// All that is watched.
#[derive(Debug, Default)]
struct Watched {
    nodes: Listing<Arc<NodeFacts>>,
    pods: Listing<Share>,
    /// By group, the preferred one first.
    configs: [Listing<Arc<NodeConfig>>; node_config::GROUPS.len()],
}

// === impl Inventory ===

impl Inventory {
    /// Why this has not been kept up for longer than `longest`, if so.
    pub(super) fn outdated(&self, now: Timestamp, longest: Duration) -> Option<&str> {
        let broken = self.broken.as_ref().filter(|broken| broken.is_still(now))?;
        let for_long = now.duration_since(broken.since).unsigned_abs() > longest;
        for_long.then_some(broken.reason.as_str())
    }
}

impl Broken {
    fn is_still(&self, now: Timestamp) -> bool {
        now.duration_since(self.last).unsigned_abs() <= WHOLE_AGAIN
    }
}

impl Stocked {
    /// Whether a scheduler may put pods there that say nothing of taints.
    pub(super) fn takes_pods(&self) -> bool {
        let NodeFacts { ready, withdrawn, tainted, .. } = *self.facts;
        ready && !withdrawn && !tainted
    }

    /// The groups of nodes that it is like, the closest first.
    pub(super) fn like(&self) -> Vec<String> {
        let template = self.config.iter().filter_map(|config| config.template.clone());
        template.chain(self.facts.like.iter().cloned()).collect()
    }
}

// === impl Watched ===

impl Watched {
    /// The stock, once all of it has been listed.
    fn stock(&self) -> Stock {
        let refused = |what: &str, listing: Option<&Broken>| {
            let because = listing.map_or(String::new(), |broken| format!(": {}", broken.reason));
            Stock::Unknown { reason: format!("{what} are not listed yet{because}") }
        };
        let (Some(nodes), Some(pods)) = (self.nodes.listed(), self.pods.listed()) else {
            return match self.nodes.listed() {
                None => refused("nodes", self.nodes.broken()),
                Some(_) => refused("pods", self.pods.broken()),
            };
        };
        // A group that is not served, or not readable, is one without NodeConfigs.
        let pending = self.configs.iter().find(|it| it.listed().is_none() && it.broken().is_none());
        if pending.is_some() {
            return refused("NodeConfigs", None);
        }
        let configs = self.configs_by_node();
        let mut requested: HashMap<&str, Resources> = HashMap::new();
        for share in pods.values() {
            let sum = requested.entry(&share.node).or_default();
            sum.cpu_milli = sum.cpu_milli.saturating_add(share.cpu_milli);
            sum.memory_bytes = sum.memory_bytes.saturating_add(share.memory_bytes);
            sum.pods = sum.pods.saturating_add(1);
        }
        let nodes = nodes.values().map(|facts| Stocked {
            config: configs.get(facts.name.as_str()).map(|config| Arc::clone(config)),
            requested: requested.get(facts.name.as_str()).copied().unwrap_or_default(),
            facts: Arc::clone(facts),
        });
        Stock::Known(Inventory {
            nodes: nodes.collect(),
            unconfigured: self.unconfigured(),
            broken: self.broken(),
        })
    }

    /// The first NodeConfig of each node by name, of the preferred group that has one.
    fn configs_by_node(&self) -> BTreeMap<&str, &Arc<NodeConfig>> {
        let mut by_node = BTreeMap::new();
        for listing in &self.configs {
            for config in listing.listed().into_iter().flat_map(BTreeMap::values) {
                by_node.entry(config.node.as_str()).or_insert(config);
            }
        }
        by_node
    }

    fn unconfigured(&self) -> String {
        if self.configs.iter().any(|listing| listing.listed().is_some()) {
            return "no NodeConfig".to_owned();
        }
        let reasons = self.configs.iter().filter_map(Listing::broken);
        let reason = reasons.map(|broken| broken.reason.as_str()).next().unwrap_or_default();
        format!("NodeConfigs cannot be listed: {reason}")
    }

    /// A group that is not there is not broken.
    fn broken(&self) -> Option<Broken> {
        let configs = self.configs.iter().filter(|listing| listing.listed().is_some());
        let broken = configs.filter_map(Listing::broken);
        let broken = broken.chain(self.nodes.broken()).chain(self.pods.broken());
        broken.min_by_key(|broken| broken.since).cloned()
    }
}

#[cfg(test)]
mod tests;
