//! Whether a metric still moves.
//!
//! A sensor whose timestamp stands still reports what was, not what is, and a hot machine that
//! reports its coolest hour makes its cluster look better. Timestamps of a source are compared with
//! each other, never with our clock: what its clock says does not matter, only that it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

/// What is measured of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// CPU in use, of metrics.k8s.io.
    Cpu,
    /// The temperature of the air that it draws in.
    InletTemp,
    /// The difference of pressure between its front and back.
    DeltaP,
}

/// The last timestamp of every metric of every node, and since when it has been the same.
#[derive(Debug, Clone, Default)]
pub struct Readings(BTreeMap<String, BTreeMap<Metric, Movement>>);

#[derive(Debug, Clone, Copy)]
struct Movement {
    timestamp: Timestamp,
    /// When this timestamp was seen first, since the daemon's start.
    since: Duration,
}

/// A metric that is not believed any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the timestamp of {} has stood still for {} s", metric.name(), standing.as_secs())]
pub struct Stuck {
    /// Which.
    pub metric: Metric,
    /// For how long its timestamp has been the same.
    pub standing: Duration,
}

// === impl Metric ===

impl Metric {
    /// Its name in the metrics APIs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::InletTemp => "inlet_temp",
            Self::DeltaP => "delta_p",
        }
    }
}

// === impl Readings ===

impl Readings {
    /// Notes the timestamp of a metric that was read at `now`, a time since the daemon's start, and
    /// tells whether to believe its value: not one that has stood still for longer than
    /// `stuck_after`.
    ///
    /// What is read for the first time is believed. Any other timestamp is a movement, an earlier
    /// one too: the source's clock may have been set back.
    pub fn believe(
        &mut self,
        node: &str,
        metric: Metric,
        timestamp: Timestamp,
        now: Duration,
        stuck_after: Duration,
    ) -> Result<(), Stuck> {
        let seen = Movement { timestamp, since: now };
        let last = self.0.entry(node.to_owned()).or_default().entry(metric).or_insert(seen);
        if last.timestamp != timestamp {
            *last = seen;
        }
        let standing = now.saturating_sub(last.since);
        if standing > stuck_after { Err(Stuck { metric, standing }) } else { Ok(()) }
    }

    /// Forgets the nodes that exist no more. To be called in each round: nothing else makes this
    /// smaller. A node that exists is remembered even while its metrics cannot be read, so that a
    /// value which comes and goes does not pass for a new one.
    pub fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|node, _| exists(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK_AFTER: Duration = Duration::from_secs(90);

    fn believe(readings: &mut Readings, node: &str, stamp: i64, now: u64) -> Result<(), Stuck> {
        let (stamp, now) = (Timestamp::from_second(stamp).unwrap(), Duration::from_secs(now));
        readings.believe(node, Metric::InletTemp, stamp, now, STUCK_AFTER)
    }

    #[test]
    fn a_timestamp_that_stands_still_for_too_long_is_not_believed_until_it_moves() {
        let mut readings = Readings::default();
        for now in [0, 30, 60, 90] {
            assert_eq!(believe(&mut readings, "n0", 7, now), Ok(()), "{now}");
        }
        let stuck = believe(&mut readings, "n0", 7, 91).unwrap_err();
        assert_eq!(stuck.to_string(), "the timestamp of inlet_temp has stood still for 91 s");
        assert_eq!(believe(&mut readings, "n0", 8, 92), Ok(()));
        assert_eq!(believe(&mut readings, "n0", 8, 182), Ok(()));
        assert!(believe(&mut readings, "n0", 8, 183).is_err());
    }

    #[test]
    fn a_source_whose_clock_is_wrong_or_set_back_is_believed_as_long_as_it_moves() {
        let mut readings = Readings::default();
        for (now, stamp) in [(0, 9_000_000_000), (80, 9_000_000_080), (160, -5), (240, 75)] {
            assert_eq!(believe(&mut readings, "n0", stamp, now), Ok(()), "{now}");
        }
    }

    #[test]
    fn every_metric_of_every_node_moves_for_itself() {
        let mut readings = Readings::default();
        assert_eq!(believe(&mut readings, "n0", 7, 0), Ok(()));
        assert_eq!(believe(&mut readings, "n1", 7, 80), Ok(()));
        let stamp = Timestamp::from_second(7).unwrap();
        let now = Duration::from_secs(100);
        assert_eq!(readings.believe("n0", Metric::Cpu, stamp, now, STUCK_AFTER), Ok(()));
        assert_eq!(believe(&mut readings, "n1", 7, 100), Ok(()));
        assert!(believe(&mut readings, "n0", 7, 100).is_err());
    }

    #[test]
    fn a_value_that_comes_and_goes_does_not_pass_for_a_new_one() {
        let mut readings = Readings::default();
        assert_eq!(believe(&mut readings, "n0", 7, 0), Ok(()));
        // A round in which the metric could not be read.
        readings.retain(|node| node == "n0");
        assert!(believe(&mut readings, "n0", 7, 100).is_err());
    }

    #[test]
    fn a_node_that_exists_no_more_is_forgotten() {
        let mut readings = Readings::default();
        assert_eq!(believe(&mut readings, "n0", 7, 0), Ok(()));
        assert_eq!(believe(&mut readings, "n1", 7, 0), Ok(()));
        readings.retain(|node| node == "n1");
        assert_eq!(readings.0.keys().collect::<Vec<_>>(), ["n1"]);
        assert_eq!(believe(&mut readings, "n0", 7, 100), Ok(()));
        assert!(believe(&mut readings, "n1", 7, 100).is_err());
    }
}
