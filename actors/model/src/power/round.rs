//! One round of measuring one cluster, settled: what each node is counted at, and what they cost
//! together.
//!
//! 1. A node that was measured counts what was measured. Watts that no machine has (not finite, not
//!    above zero, above a megawatt) and inputs that are not finite are a failure of that node, with
//!    a reason.
//! 2. A node that failed counts its last known watts while these are not older than `max_age`.
//! 3. Later it may cost more than it did, so it counts the mean of the others of its like, but never
//!    less than its last known watts.
//! 4. A node of which nothing was ever known counts the mean of its like.
//! 5. The mean is that of the narrowest group (NodeConfig template, then labels, then the cluster)
//!    in which a node's watts are known, measured in this round or last.
//! 6. A node that exists no more is not counted; one that exists always is, and stands in the sample
//!    once: as measured, or as missing with its reason.
//! 7. The sample is as old as its youngest watts: where every node fails for long, the score grows
//!    old and becomes unknown.
//! 8. A cluster without nodes, or one of which nothing was ever known, costs nobody knows what: that
//!    is an error, not zero.
//!
//! Law: **a failure never makes a cluster look better.** While the nodes that are measured cost the
//! same, the watts are never lower than they would be had no node failed, whichever nodes fail, in
//! whatever order, and for however long. What is known of a node ([`Missing::last_watts`]) is
//! therefore never forgotten as long as it exists, and a node that fails stays in the mean of its
//! like: an expensive one must not make its like look cheap by failing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::power::Features;
use crate::score::{Missing, NodeScore, Provenance, Sample, Score, one_line, reasons};

/// The most watts that are believed of one machine.
const MOST_WATTS: f64 = 1e6;

/// One node in a round.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeOutcome {
    /// Its name.
    pub name: String,
    /// The groups of its like, narrowest first: its NodeConfig template, then its labels.
    pub like: Vec<String>,
    /// What was measured, or why not, for a person.
    pub outcome: Result<NodeReading, String>,
}

/// What was measured of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodeReading {
    /// What its power model was asked.
    pub features: Features,
    /// What that answered.
    pub watts: f64,
}

/// Why a round has no watts.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unsettled {
    /// There is nothing that could cost watts.
    #[error("the cluster has no nodes")]
    NoNodes,
    /// No node was measured, now or before.
    #[error("none of the {} nodes was ever measured: {}", .0.len(), reasons(.0))]
    NothingKnown(Vec<Missing>),
}

/// What is known of a node: the watts that were measured last, in this round or before.
#[derive(Debug, Clone, Copy)]
struct Known {
    watts: f64,
    measured_at: Timestamp,
}

/// The known watts of nodes that are alike, by group; those of the whole cluster under `None`.
#[derive(Debug, Default)]
struct Likes<'a>(BTreeMap<Option<&'a str>, Sum>);

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    watts: f64,
    nodes: f64,
}

/// Counts every node of a round, by the rules of this module; `previous` is the cluster's last
/// score, however old.
pub fn settle(
    nodes: Vec<NodeOutcome>,
    previous: Option<&Score>,
    now: Timestamp,
    max_age: Duration,
) -> Result<Sample, Unsettled> {
    if nodes.is_empty() {
        return Err(Unsettled::NoNodes);
    }
    let nodes: Vec<_> = nodes.into_iter().map(NodeOutcome::checked).collect();
    let before = previous.map(last_known).unwrap_or_default();
    let known: Vec<_> = nodes.iter().map(|node| node.known(&before, now)).collect();
    let likes = Likes::new(nodes.iter().zip(&known));

    let (mut watts, mut measured, mut missing) = (0.0, Vec::new(), Vec::new());
    for (node, known) in nodes.iter().zip(&known) {
        let counted = match &node.outcome {
            Ok(reading) => {
                measured.push(reading.score(&node.name));
                Some(reading.watts)
            }
            Err(reason) => {
                let counted = likes.counted(node, *known, now, max_age);
                missing.push(Missing {
                    node: node.name.clone(),
                    reason: reason.clone(),
                    watts: counted,
                    last_watts: known.map(|it| it.watts),
                    measured_at: known.map(|it| it.measured_at),
                });
                counted
            }
        };
        watts += counted.unwrap_or(0.0);
    }
    let (provenance, sampled_at) = if measured.is_empty() {
        let newest = known.iter().flatten().map(|it| it.measured_at).max();
        match previous.zip(newest) {
            Some((previous, newest)) => (previous.provenance(), newest),
            None => return Err(Unsettled::NothingKnown(missing)),
        }
    } else {
        (Provenance::Measured, now)
    };
    Ok(Sample { watts, provenance, sampled_at, nodes: measured, missing })
}

// === impl NodeOutcome ===

impl NodeOutcome {
    /// The same, where watts or inputs that cannot be are a failure, and a reason is one line.
    fn checked(mut self) -> Self {
        let outcome = self.outcome.and_then(NodeReading::checked);
        self.outcome = outcome.map_err(|reason| one_line(&reason));
        self
    }

    fn known(&self, before: &BTreeMap<&str, Known>, now: Timestamp) -> Option<Known> {
        match &self.outcome {
            Ok(reading) => Some(Known { watts: reading.watts, measured_at: now }),
            Err(_) => before.get(self.name.as_str()).copied(),
        }
    }

    /// The groups that it belongs to, narrowest first.
    fn groups(&self) -> impl Iterator<Item = Option<&str>> {
        self.like.iter().map(|group| Some(group.as_str())).chain([None])
    }
}

// === impl NodeReading ===

impl NodeReading {
    fn checked(self) -> Result<Self, String> {
        let inputs = [
            ("CPU load", self.features.cpu_percent),
            ("inlet temperature", self.features.inlet_celsius),
            ("pressure difference", self.features.delta_p_pascal),
        ];
        if let Some((input, value)) = inputs.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(format!("its {input} is {value}"));
        }
        // NaN is in no range.
        if self.watts > 0.0 && self.watts <= MOST_WATTS {
            Ok(self)
        } else {
            Err(format!("its power model says {:?} W", self.watts))
        }
    }

    fn score(self, name: &str) -> NodeScore {
        NodeScore {
            name: name.to_owned(),
            watts: self.watts,
            cpu_percent: Some(self.features.cpu_percent),
            inlet_celsius: Some(self.features.inlet_celsius),
            delta_p_pascal: Some(self.features.delta_p_pascal),
        }
    }
}

// === impl Likes ===

impl<'a> Likes<'a> {
    fn new(nodes: impl Iterator<Item = (&'a NodeOutcome, &'a Option<Known>)>) -> Self {
        let mut likes = Self::default();
        for (node, known) in nodes {
            let Some(known) = known else { continue };
            for group in node.groups() {
                let sum = likes.0.entry(group).or_default();
                sum.watts += known.watts;
                sum.nodes += 1.0;
            }
        }
        likes
    }

    /// What a node that failed is counted at; `None` where nothing is known of any node.
    fn counted(
        &self,
        node: &NodeOutcome,
        known: Option<Known>,
        now: Timestamp,
        max_age: Duration,
    ) -> Option<f64> {
        let Some(last) = known else { return self.mean(node, Sum::default()) };
        if now.duration_since(last.measured_at).unsigned_abs() <= max_age {
            return Some(last.watts);
        }
        let others = self.mean(node, Sum { watts: last.watts, nodes: 1.0 });
        Some(others.map_or(last.watts, |mean| mean.max(last.watts)))
    }

    /// The mean of the narrowest of the node's groups in which anything is known beside `own`.
    fn mean(&self, node: &NodeOutcome, own: Sum) -> Option<f64> {
        let mut groups = node.groups().filter_map(|group| self.0.get(&group));
        let group = groups.find(|group| group.nodes > own.nodes)?;
        Some((group.watts - own.watts) / (group.nodes - own.nodes))
    }
}

fn last_known(score: &Score) -> BTreeMap<&str, Known> {
    let measured = score.nodes().iter().map(|node| {
        (node.name.as_str(), Known { watts: node.watts, measured_at: score.sampled_at() })
    });
    let missing = score.missing().iter().filter_map(|missing| {
        let (watts, measured_at) = missing.last_watts.zip(missing.measured_at)?;
        Some((missing.node.as_str(), Known { watts, measured_at }))
    });
    measured.chain(missing).collect()
}

#[cfg(test)]
mod tests;
