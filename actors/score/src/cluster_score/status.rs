//! A score as `status` has it.

use std::time::Duration;

use jiff::Timestamp;
use tenbin_model::score::Score;

use super::resource::{ClusterScoreStatus, NodeStatus};

/// Nodes that one object names: etcd refuses objects over 1.5 MiB, and a node takes up to 150 bytes.
const MAX_NODES: usize = 8192;

// === impl ClusterScoreStatus ===

impl ClusterScoreStatus {
    /// What is known of a member's watts, without conditions. A score older than `max_age` is
    /// unknown as everywhere, and only its time is told.
    pub(crate) fn of(score: Option<&Score>, now: Timestamp, max_age: Duration) -> Self {
        let Some(score) = score else { return Self::default() };
        let update_timestamp =
            Timestamp::from_millisecond(score.sampled_at().as_millisecond()).ok();
        if !score.is_fresh(now, max_age) {
            return Self { update_timestamp, ..Self::default() };
        }
        let nodes = score.nodes().iter().take(MAX_NODES).map(|node| NodeStatus {
            name: node.name.clone(),
            score: rounded(node.watts),
            watts: Some(node.watts),
        });
        Self {
            score: Some(rounded(score.watts())),
            watts: Some(score.watts()),
            nodes: nodes.collect(),
            update_timestamp,
            conditions: Vec::new(),
        }
    }
}

/// Whole watts, never zero: to the original program that is no score.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn rounded(watts: f64) -> i64 {
    (watts.round() as i64).max(1)
}
