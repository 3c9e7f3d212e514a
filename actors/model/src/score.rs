//! What is known of the members' watts, how old it is and where it comes from.
//!
//! Law: what is missing, stale or impossible is *unknown*; it is never zero, and never a win.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::ClusterName;

pub mod condition;
mod page;

pub use page::{ClusterRow, MemberView, ScoresPage};

/// The nodes that a person reads the reasons of, where there is not room for all.
const TOLD: usize = 3;
/// The characters of a foreign text that a person reads.
const LINE_LIMIT: usize = 200;

/// Where a score comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// Sensors of the member's nodes.
    Measured,
    /// The operator's configuration.
    Stated,
    /// The member's own tenbin.
    Peer,
    /// The ledger: it was known before a restart, and nothing newer is.
    Ledger,
    /// Nowhere.
    Unknown,
}

/// One node's part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeScore {
    /// The node's name.
    pub name: String,
    /// Its predicted power.
    pub watts: f64,
    /// CPU in use, in percent of the node's.
    pub cpu_percent: Option<f64>,
    /// The temperature of the air that it draws in.
    pub inlet_celsius: Option<f64>,
    /// The difference of pressure between its front and back.
    pub delta_p_pascal: Option<f64>,
}

/// A node that could not be measured. It is counted all the same: a cluster must not look better
/// because something broke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// The node's name.
    pub node: String,
    /// Why not, for a person.
    pub reason: String,
    /// The watts it is counted at; `None` where nothing is known of it nor of its like.
    #[serde(default)]
    pub watts: Option<f64>,
    /// The watts that were measured of it last; `None` where none ever were, and it is counted at
    /// the mean of its like.
    #[serde(default)]
    pub last_watts: Option<f64>,
    /// When that was.
    #[serde(default)]
    pub measured_at: Option<Timestamp>,
}

/// What a source delivers, not yet checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The member's predicted power.
    pub watts: f64,
    /// Where it comes from.
    pub provenance: Provenance,
    /// When it was taken.
    pub sampled_at: Timestamp,
    /// The nodes that were measured.
    pub nodes: Vec<NodeScore>,
    /// The nodes that were not.
    pub missing: Vec<Missing>,
}

/// The watts of a member: positive, finite, with age and provenance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Sample")]
pub struct Score(Sample);

/// Why a sample is not a score.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidSample {
    /// A power that no running machine has.
    #[error("{watts} watts of {of} are not a finite number above zero")]
    Watts {
        /// What they cost.
        watts: f64,
        /// `the cluster`, or the node.
        of: String,
    },
    /// A reading of a node that is not a number.
    #[error("the {reading} of node {node} is not a finite number")]
    Reading {
        /// The field's name.
        reading: &'static str,
        /// The node's name.
        node: String,
    },
    /// A source that knows nothing delivers no sample.
    #[error("a sample cannot be of unknown provenance")]
    Unknown,
}

/// The scores of all members at one moment. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreBoard {
    scores: BTreeMap<ClusterName, Arc<Score>>,
    /// Why the last attempt to learn a score failed.
    failures: BTreeMap<ClusterName, Arc<str>>,
}

// === impl Provenance ===

impl Provenance {
    /// The word that a person reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Stated => "stated",
            Self::Peer => "peer",
            Self::Ledger => "ledger",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Score ===

impl Score {
    /// Checks a sample and makes a score of it.
    pub fn new(sample: Sample) -> Result<Self, InvalidSample> {
        check_watts(sample.watts, || "the cluster".to_owned())?;
        for node in &sample.nodes {
            check_watts(node.watts, || format!("node {}", node.name))?;
            let readings = [
                ("CPU percentage", node.cpu_percent),
                ("inlet temperature", node.inlet_celsius),
                ("pressure difference", node.delta_p_pascal),
            ];
            if let Some((reading, _)) =
                readings.into_iter().find(|(_, value)| value.is_some_and(|it| !it.is_finite()))
            {
                return Err(InvalidSample::Reading { reading, node: node.name.clone() });
            }
        }
        for missing in &sample.missing {
            for watts in missing.watts.into_iter().chain(missing.last_watts) {
                check_watts(watts, || format!("node {}", missing.node))?;
            }
        }
        match sample.provenance {
            Provenance::Unknown => Err(InvalidSample::Unknown),
            Provenance::Measured | Provenance::Stated | Provenance::Peer | Provenance::Ledger => {
                Ok(Self(sample))
            }
        }
    }

    /// The watts at the time of the sample, however long ago; see [`ScoreBoard::watts`].
    pub fn watts(&self) -> f64 {
        self.0.watts
    }

    /// Where the score comes from.
    pub fn provenance(&self) -> Provenance {
        self.0.provenance
    }

    /// When the sample was taken.
    pub fn sampled_at(&self) -> Timestamp {
        self.0.sampled_at
    }

    /// The nodes that were measured.
    pub fn nodes(&self) -> &[NodeScore] {
        &self.0.nodes
    }

    /// The nodes that were not.
    pub fn missing(&self) -> &[Missing] {
        &self.0.missing
    }

    /// The time since the sample, zero for one that is slightly ahead of `now`.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.0.sampled_at)).unwrap_or(Duration::ZERO)
    }

    /// Whether the sample is not older than `max_age`, nor further ahead of `now` than that: one
    /// from a clock that ran wrong would never grow old.
    pub fn is_fresh(&self, now: Timestamp, max_age: Duration) -> bool {
        now.duration_since(self.0.sampled_at).unsigned_abs() <= max_age
    }

    /// The same score as one that the ledger remembered.
    #[must_use]
    fn into_recovered(mut self) -> Self {
        self.0.provenance = Provenance::Ledger;
        self
    }
}

impl TryFrom<Sample> for Score {
    type Error = InvalidSample;

    fn try_from(sample: Sample) -> Result<Self, Self::Error> {
        Self::new(sample)
    }
}

// === impl ScoreBoard ===

impl ScoreBoard {
    /// The board that a ledger remembered; every score gets provenance [`Provenance::Ledger`].
    pub fn recovered(scores: impl IntoIterator<Item = (ClusterName, Score)>) -> Self {
        let recovered = |(name, score): (_, Score)| (name, Arc::new(score.into_recovered()));
        let scores = scores.into_iter().map(recovered).collect();
        Self { scores, failures: BTreeMap::new() }
    }

    /// The board with a new sample of one member. What is delivered last counts, whatever time it
    /// carries, so that a clock that was set back cannot freeze a score.
    pub fn with_sample(&self, name: ClusterName, sample: Sample) -> Result<Self, InvalidSample> {
        let score = Arc::new(Score::new(sample)?);
        let mut board = self.clone();
        board.failures.remove(&name);
        board.scores.insert(name, score);
        Ok(board)
    }

    /// The board after an attempt to learn a score has failed, for a `reason` of which one short
    /// line is kept; what was known before stays known.
    #[must_use]
    pub fn with_failure(&self, name: ClusterName, reason: &str) -> Self {
        let mut board = self.clone();
        board.failures.insert(name, one_line(reason).into());
        board
    }

    /// The board after a member has left.
    #[must_use]
    pub fn without(&self, name: &ClusterName) -> Self {
        let mut board = self.clone();
        board.scores.remove(name);
        board.failures.remove(name);
        board
    }

    /// The last known score of a member, however old.
    pub fn get(&self, name: &ClusterName) -> Option<&Arc<Score>> {
        self.scores.get(name)
    }

    /// Why the last attempt to learn a member's score failed, if it did; for a person.
    pub fn failure(&self, name: &ClusterName) -> Option<&str> {
        self.failures.get(name).map(AsRef::as_ref)
    }

    /// The last known scores by name, however old.
    pub fn iter(&self) -> impl Iterator<Item = (&ClusterName, &Arc<Score>)> {
        self.scores.iter()
    }

    /// What a member costs now; `None` is unknown: no score, or none of the last `max_age`.
    pub fn watts(&self, name: &ClusterName, now: Timestamp, max_age: Duration) -> Option<f64> {
        self.fresh(name, now, max_age).map(|score| score.watts())
    }

    fn fresh(&self, name: &ClusterName, now: Timestamp, max_age: Duration) -> Option<&Arc<Score>> {
        self.get(name).filter(|score| score.is_fresh(now, max_age))
    }
}

/// The first nodes with their reasons, and how many more there are.
pub(crate) fn reasons(missing: &[Missing]) -> String {
    let told = missing.iter().take(TOLD).map(|it| one_line(&format!("{}: {}", it.node, it.reason)));
    let more = missing.len().checked_sub(TOLD).filter(|more| *more > 0);
    told.chain(more.map(|more| format!("and {more} more"))).collect::<Vec<_>>().join("; ")
}

/// A text as one short line, whatever a foreign server answered.
pub fn one_line(text: &str) -> String {
    let printable = |it: char| if it.is_control() { ' ' } else { it };
    text.chars().take(LINE_LIMIT).map(printable).collect()
}

fn check_watts(watts: f64, of: impl FnOnce() -> String) -> Result<(), InvalidSample> {
    if watts.is_finite() && watts > 0.0 {
        Ok(())
    } else {
        Err(InvalidSample::Watts { watts, of: of() })
    }
}

#[cfg(test)]
mod tests;
