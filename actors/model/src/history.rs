//! What a cluster has cost over the last days, for charts.
//!
//! Law: each point is a score as it was measured. Nothing is averaged or made up in between; what
//! becomes too much is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::score::{Provenance, Score};

/// Minutes for which a point each minute is kept. One that is ahead of the clock by as much comes from
/// a clock that runs wrong, and is dropped.
const FINE: i64 = 24 * 60;
/// Minutes for which one of each quarter of an hour is kept; after that none.
const COARSE: i64 = 7 * 24 * 60;
const QUARTER: i64 = 15;
const HOUR: i64 = 60;

/// The watts of a cluster at one moment; as JSON `[time, watts, provenance]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point(Timestamp, f64, Provenance);

/// An hour since 1970, by which the points are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(i64);

/// The points of one cluster, by the minute in which they were sampled.
///
/// At most one a minute for a day on either side of now, and one each quarter of an hour for the
/// six days before that: some 2,000 points, or 3,457 where a clock ran ahead and was set back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History(BTreeMap<i64, Point>);

// === impl Point ===

impl Point {
    /// When it was sampled.
    pub fn at(&self) -> Timestamp {
        self.0
    }

    /// The watts.
    pub fn watts(&self) -> f64 {
        self.1
    }

    /// Where they come from.
    pub fn provenance(&self) -> Provenance {
        self.2
    }

    fn minute(&self) -> i64 {
        minute(self.0)
    }
}

impl From<&Score> for Point {
    fn from(score: &Score) -> Self {
        Self(score.sampled_at(), score.watts(), score.provenance())
    }
}

impl fmt::Display for Point {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:.1} W {}", self.0, self.1, self.2.as_str())
    }
}

// === impl Hour ===

impl Hour {
    fn of(minute: i64) -> Self {
        Self(minute.div_euclid(HOUR))
    }
}

/// `2026-07-01T09`, in UTC: hours sort as their texts do.
impl fmt::Display for Hour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = Timestamp::from_second(self.0.saturating_mul(3600)).unwrap_or_default();
        write!(formatter, "{}", begin.strftime("%Y-%m-%dT%H"))
    }
}

// === impl History ===

impl History {
    /// Adds a point unless its minute has one, and lets the others age; tells whose hours changed.
    pub fn record(&mut self, point: Point, now: Timestamp) -> BTreeSet<Hour> {
        let mut changed = BTreeSet::new();
        if kept_by_minute(point.minute(), now) && !self.0.contains_key(&point.minute()) {
            self.restore([point]);
            changed.insert(Hour::of(point.minute()));
        }
        changed.extend(self.age(now));
        changed
    }

    /// Drops and thins what has grown old by `now`; tells whose hours changed. Of each quarter of an
    /// hour the newest point stays.
    pub fn age(&mut self, now: Timestamp) -> BTreeSet<Hour> {
        let quarter = |minute: &i64| minute.div_euclid(QUARTER);
        let mut leaving = Vec::new();
        let mut minutes = self.0.keys().peekable();
        while let Some(minute) = minutes.next() {
            let thinned = minutes.peek().is_some_and(|next| quarter(next) == quarter(minute));
            if !kept_by_quarter(*minute, now) || (thinned && !kept_by_minute(*minute, now)) {
                leaving.push(*minute);
            }
        }
        for minute in &leaving {
            self.0.remove(minute);
        }
        leaving.into_iter().map(Hour::of).collect()
    }

    /// Puts back points that were recorded before.
    pub fn restore(&mut self, points: impl IntoIterator<Item = Point>) {
        self.0.extend(points.into_iter().map(|point| (point.minute(), point)));
    }

    /// All points, the oldest first.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = &Point> {
        self.0.values()
    }

    /// The points of one hour, the oldest first; 60 at most.
    pub fn of_hour(&self, hour: Hour) -> Vec<Point> {
        let begin = hour.0.saturating_mul(HOUR);
        self.0.range(begin..begin.saturating_add(HOUR)).map(|(_, point)| *point).collect()
    }

    /// The hours that have points.
    pub fn hours(&self) -> BTreeSet<Hour> {
        self.0.keys().map(|minute| Hour::of(*minute)).collect()
    }

    /// Whether there are no points.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_second().div_euclid(60)
}

fn kept_by_minute(of: i64, now: Timestamp) -> bool {
    within(of, now, FINE)
}

fn kept_by_quarter(of: i64, now: Timestamp) -> bool {
    within(of, now, COARSE)
}

/// Whether a minute is not `age` minutes old, nor further ahead than a clock may be.
fn within(of: i64, now: Timestamp, age: i64) -> bool {
    let now = minute(now);
    now.saturating_sub(age) < of && of <= now.saturating_add(FINE)
}

#[cfg(test)]
mod tests;
