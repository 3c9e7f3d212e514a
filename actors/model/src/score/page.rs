//! The scores as `GET /scores` and `tenbin scores` show them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Missing, NodeScore, Provenance, ScoreBoard};
use crate::ids::ClusterName;

/// What the page needs to know of a member beside its score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// The member's name.
    pub name: ClusterName,
    /// Whether it is the member that this daemon belongs to.
    pub own: bool,
    /// Its region.
    pub region: String,
    /// Whether it answers now.
    pub reachable: bool,
}

/// The body of `GET /scores`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoresPage {
    /// One entry for each member.
    pub clusters: Vec<ClusterRow>,
}

/// One member on the page. Of an unknown score nothing is shown, not even how old it is, but for
/// what its nodes failed of when it was known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterRow {
    /// The member's name.
    pub name: ClusterName,
    /// Whether it is the member that the daemon belongs to.
    pub own: bool,
    /// Its region.
    pub region: String,
    /// What it costs; `null` when unknown.
    pub watts: Option<f64>,
    /// Where the score comes from.
    pub provenance: Provenance,
    /// When the sample was taken.
    pub sampled_at: Option<Timestamp>,
    /// The age of the sample, to the millisecond.
    pub age_seconds: Option<f64>,
    /// Whether the member answers now.
    pub reachable: bool,
    /// Why the last attempt to learn its score failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The nodes that were measured.
    pub nodes: Vec<NodeScore>,
    /// The nodes that were not.
    pub missing: Vec<Missing>,
}

const HEADER: [&str; 8] =
    ["NAME", "OWN", "REGION", "WATTS", "NODES", "PROVENANCE", "AGE", "REACHABLE"];

/// The most nodes below the table.
const LISTED: usize = 20;

// === impl ScoresPage ===

impl ScoresPage {
    /// Shows `members` in their order. A score older than `max_age` is unknown, as in placement.
    pub fn new(
        board: &ScoreBoard,
        members: &[MemberView],
        now: Timestamp,
        max_age: Duration,
    ) -> Self {
        let row = |member| ClusterRow::new(board, member, now, max_age);
        Self { clusters: members.iter().map(row).collect() }
    }

    /// The table of `tenbin scores`: aligned columns, one line for each member; below it, one for
    /// each of the first nodes that were not measured.
    pub fn table(&self) -> String {
        let mut lines = vec![HEADER.map(str::to_owned)];
        lines.extend(self.clusters.iter().map(ClusterRow::cells));
        let widths: [usize; HEADER.len()] = std::array::from_fn(|column| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        });
        let mut table = String::new();
        for line in lines {
            let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            table.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
            table.push('\n');
        }
        table + &self.missing()
    }

    /// An empty line and the first nodes that were not measured; nothing where all were.
    fn missing(&self) -> String {
        let mut lines: Vec<_> = self.clusters.iter().flat_map(ClusterRow::reason_lines).collect();
        let more = lines.len().saturating_sub(LISTED);
        lines.truncate(LISTED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
    }
}

// === impl ClusterRow ===

impl ClusterRow {
    fn new(board: &ScoreBoard, member: &MemberView, now: Timestamp, max_age: Duration) -> Self {
        let score = board.fresh(&member.name, now, max_age);
        let last = board.get(&member.name);
        Self {
            name: member.name.clone(),
            own: member.own,
            region: member.region.clone(),
            watts: score.map(|it| it.watts()),
            provenance: score.map_or(Provenance::Unknown, |it| it.provenance()),
            sampled_at: score.map(|it| it.sampled_at()),
            age_seconds: score.map(|it| to_the_millisecond(it.age(now))),
            reachable: member.reachable,
            failure: board.failure(&member.name).map(str::to_owned),
            nodes: score.map_or_else(Vec::new, |it| it.nodes().to_vec()),
            missing: last.map_or_else(Vec::new, |it| it.missing().to_vec()),
        }
    }

    pub(super) fn cells(&self) -> [String; HEADER.len()] {
        let unknown = || "-".to_owned();
        [
            self.name.to_string(),
            yes_or_no(self.own),
            self.region.clone(),
            self.watts.map_or_else(unknown, |watts| format!("{watts:.1}")),
            self.measured_of_all().unwrap_or_else(unknown),
            self.provenance.as_str().to_owned(),
            self.age_seconds.map_or_else(unknown, age),
            yes_or_no(self.reachable),
        ]
    }

    /// As kubectl's READY: `3/4` is three nodes measured of four. `None` where the score is unknown
    /// or knows no nodes.
    fn measured_of_all(&self) -> Option<String> {
        let (measured, all) = (self.nodes.len(), self.nodes.len() + self.missing.len());
        (self.watts.is_some() && all > 0).then(|| format!("{measured}/{all}"))
    }

    /// What a person should know of what could not be measured.
    fn reason_lines(&self) -> impl Iterator<Item = String> {
        let whole = self.failure.iter().map(|reason| format!("{}: {reason}", self.name));
        whole.chain(self.missing.iter().map(|missing| {
            let counted = self.watts.and_then(|_| counted(missing)).unwrap_or_default();
            format!("{} {}: {}{counted}", self.name, missing.node, missing.reason)
        }))
    }
}

/// What a missing node is counted at, and why.
fn counted(missing: &Missing) -> Option<String> {
    let watts = missing.watts?;
    let how = match missing.measured_at {
        Some(measured_at) if missing.last_watts == missing.watts => {
            format!("last measured at {measured_at:.0}")
        }
        _ => "the mean of its like".to_owned(),
    };
    Some(format!("; counted at {watts:.1} W, {how}"))
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn to_the_millisecond(age: Duration) -> f64 {
    (age.as_secs_f64() * 1000.0).round() / 1000.0
}

/// An age as kubectl writes one, in its largest whole unit.
fn age(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    let hours = minutes / 60.0;
    if seconds < 120.0 {
        format!("{:.0}s", seconds.floor())
    } else if minutes < 120.0 {
        format!("{:.0}m", minutes.floor())
    } else if hours < 48.0 {
        format!("{:.0}h", hours.floor())
    } else {
        format!("{:.0}d", (hours / 24.0).floor())
    }
}
