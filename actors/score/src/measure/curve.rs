//! The nodes that take pods, as a curve sees them.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tenbin_model::config::Scheduler;
use tenbin_model::power::{NodePower, Power};

use super::inventory::Stocked;
use super::tables::{Condition, Tables};

/// The last known load of nodes, in percent, and when that was.
pub(super) struct Loads {
    last: HashMap<String, (f64, Duration)>,
    max_age: Duration,
}

// === impl Loads ===

impl Loads {
    pub(super) fn new(max_age: Duration) -> Self {
        Self { last: HashMap::new(), max_age }
    }

    pub(super) fn note(&mut self, node: &str, percent: f64, now: Duration) {
        self.last.insert(node.to_owned(), (percent, now));
    }

    /// Forgets nodes that exist no more, and what is too old.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool, now: Duration) {
        let max_age = self.max_age;
        self.last.retain(|node, (_, at)| exists(node) && now.saturating_sub(*at) <= max_age);
    }

    /// The load of a node as it was; where that is not known, as its pods have asked for.
    #[expect(clippy::cast_precision_loss, reason = "a node has fewer than 2^52 millicores")]
    fn of(&self, node: &Stocked) -> f64 {
        let last = self.last.get(&node.facts.name);
        last.map_or_else(
            || node.requested.cpu_milli as f64 / node.facts.capacity_milli.max(1) as f64 * 100.0,
            |(percent, _)| *percent,
        )
    }
}

/// The power of the nodes that take pods, each with the condition of its air where that is known;
/// `None` where nothing is known of one of them.
pub(super) fn power(
    nodes: &[(&Stocked, Option<Condition>)],
    tables: &Tables,
    loads: &Loads,
    scheduler: Scheduler,
    measured_at: Timestamp,
) -> Option<Power> {
    let found = tables.of(nodes);
    let nodes = nodes.iter().zip(found).map(|((node, _), table)| {
        Some(NodePower {
            name: node.facts.name.clone(),
            capacity_milli: node.facts.capacity_milli,
            cpu_percent: loads.of(node),
            allocatable: node.facts.allocatable,
            requested: node.requested,
            table: table?,
        })
    });
    Some(Power { measured_at, scheduler, nodes: nodes.collect::<Option<_>>()? })
}
