//! What a peer's list of ClusterScores says of it.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use tenbin_model::ids::is_label_value;
use tenbin_model::score::{NodeScore, Provenance, Sample};

use crate::cluster_score::{ClusterScoreSpec, ClusterScoreStatus, NodeStatus};

/// A peer's own score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    /// Its region, a label value.
    pub(super) region: String,
    pub(super) watts: f64,
    pub(super) nodes: Vec<NodeScore>,
    /// When it was measured, by the peer's clock; the first original program does not say.
    pub(super) measured_at: Option<Timestamp>,
}

/// Why a list has no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mute {
    #[error("the list cannot be read: {0}")]
    Unreadable(String),
    #[error("no item of the list is the peer's own")]
    NoOwn,
    #[error("the peer does not know its score")]
    Unknown,
    #[error("the peer's region {0:?} is not a label value")]
    Region(String),
}

/// Turns times of the peer's clock into times of ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Times {
    /// The last time that was told, and when that was by our clock.
    last: Option<(Timestamp, Timestamp)>,
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    spec: ClusterScoreSpec,
    #[serde(default)]
    status: Option<ClusterScoreStatus>,
}

// === impl Told ===

impl Told {
    /// Reads a `ClusterScoreList`; the first item that is the peer's own counts.
    pub(super) fn read(body: &[u8]) -> Result<Self, Mute> {
        let list: List =
            serde_json::from_slice(body).map_err(|error| Mute::Unreadable(error.to_string()))?;
        let own = list.items.into_iter().find(|item| item.spec.owncluster).ok_or(Mute::NoOwn)?;
        let status = own.status.unwrap_or_default();
        let watts = watts(status.watts, status.score.unwrap_or(0)).ok_or(Mute::Unknown)?;
        if !is_label_value(&own.spec.region) {
            return Err(Mute::Region(own.spec.region));
        }
        Ok(Self {
            region: own.spec.region,
            watts,
            nodes: status.nodes.into_iter().filter_map(node).collect(),
            measured_at: status.update_timestamp,
        })
    }

    /// The score as of a time by our clock.
    pub(super) fn sample(self, sampled_at: Timestamp) -> Sample {
        Sample {
            watts: self.watts,
            provenance: Provenance::Peer,
            sampled_at,
            nodes: self.nodes,
            missing: Vec::new(),
        }
    }
}

// === impl Times ===

impl Times {
    /// When that was by our clock, which stands at `now` and may differ from the peer's: the age
    /// counts, which is the time since then by the peer's own clock (`date`, of the answer's head).
    /// Without it the clocks are taken to agree. It is never in the future, and a time that stands
    /// still grows old whatever it says.
    pub(super) fn ours(
        &mut self,
        measured_at: Option<Timestamp>,
        date: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        // The original program's v1.29 tells no time: what it says is of now.
        let Some(told) = measured_at else { return now };
        let age = date.unwrap_or(now).duration_since(told);
        let ours = now.checked_sub(age).map_or(now, |ours| ours.min(now));
        let ours = match self.last {
            Some((last, then)) if last == told => then.min(ours),
            Some(_) | None => ours,
        };
        self.last = Some((told, ours));
        ours
    }
}

/// The `Date` header of an answer.
pub(super) fn date(header: &[u8]) -> Option<Timestamp> {
    let zoned = rfc2822::DateTimeParser::new().parse_zoned(header).ok()?;
    Some(zoned.timestamp())
}

/// tenbin tells the fraction, the original program whole watts.
#[expect(clippy::cast_precision_loss, reason = "no cluster takes 2^52 watts")]
fn watts(watts: Option<f64>, score: i64) -> Option<f64> {
    Some(watts.unwrap_or(score as f64)).filter(|watts| watts.is_finite() && *watts > 0.0)
}

/// A node without watts makes the cluster's no less true.
fn node(node: NodeStatus) -> Option<NodeScore> {
    Some(NodeScore {
        watts: watts(node.watts, node.score)?,
        name: node.name,
        cpu_percent: None,
        inlet_celsius: None,
        delta_p_pascal: None,
    })
}
