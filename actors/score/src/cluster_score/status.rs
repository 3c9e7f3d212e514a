//! What is known of a member, as `status` has it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use tenbin_model::score::{Score, condition};

use super::resource::{ClusterScoreStatus, NodeStatus};

/// Nodes that one object names: etcd refuses objects over 1.5 MiB, and a node takes up to 150 bytes.
const MAX_NODES: usize = 8192;

// === impl ClusterScoreStatus ===

impl ClusterScoreStatus {
    /// The status of a member. A score older than `max_age` is unknown as everywhere, and only its
    /// time is told.
    pub(super) fn of(
        score: Option<&Score>,
        conditions: &[condition::Condition],
        now: Timestamp,
        max_age: Duration,
    ) -> Self {
        let conditions = conditions.iter().map(written).collect();
        let unknown = Self { conditions, ..Self::default() };
        let Some(score) = score else { return unknown };
        let update_timestamp =
            Timestamp::from_millisecond(score.sampled_at().as_millisecond()).ok();
        if !score.is_fresh(now, max_age) {
            return Self { update_timestamp, ..unknown };
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
            ..unknown
        }
    }

    /// The conditions as they were decided.
    pub(super) fn decided(&self) -> Vec<condition::Condition> {
        let decided = self.conditions.iter().map(|it| condition::Condition {
            type_: it.type_.clone(),
            status: it.status.clone(),
            reason: it.reason.clone(),
            message: it.message.clone(),
            last_transition_time: it.last_transition_time.0,
        });
        decided.collect()
    }
}

fn written(condition: &condition::Condition) -> Condition {
    Condition {
        type_: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: Time(condition.last_transition_time),
        observed_generation: None,
    }
}

/// Whole watts, never zero: to the original program that is no score.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn rounded(watts: f64) -> i64 {
    (watts.round() as i64).max(1)
}
