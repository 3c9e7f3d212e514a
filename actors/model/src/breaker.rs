//! Whether a member may be asked now.
//!
//! The breaker opens when a `/livez` on a fresh connection fails, for which a request asks that
//! could not be sent or heard nothing (`reads.md`), and closes on any answer. While it is open
//! nothing is sent but a probe at growing intervals. Times are durations since the daemon's start.

use std::time::Duration;

/// The wait before the first probe.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// The longest wait between probes.
const LONGEST: Duration = Duration::from_secs(15);

/// The breaker of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    state: State,
}

/// What the breaker knows of its member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum State {
    /// Nothing yet: it may be asked.
    #[default]
    Unknown,
    /// It answers.
    Closed,
    /// It does not, and is left alone until the next probe.
    Open {
        /// Since when it does not answer.
        since: Duration,
        /// When to probe it.
        next_probe: Duration,
        /// The wait that led to `next_probe`.
        wait: Duration,
        /// What failed last.
        reason: String,
    },
    /// A probe is under way.
    HalfOpen {
        /// Since when it does not answer.
        since: Duration,
        /// When the probe counts as lost, and another may be sent.
        lost_at: Duration,
        /// The wait before this probe.
        wait: Duration,
        /// What failed last.
        reason: String,
    },
}

// === impl Breaker ===

impl Breaker {
    /// Tells whether to send a probe now, and counts it as sent.
    ///
    /// It says so once per probe: again after that one failed and the next wait is over, or, where
    /// its outcome was never told, after 15 s.
    #[must_use]
    pub fn probe_due(&mut self, now: Duration) -> bool {
        let (since, due, wait, reason) = match &self.state {
            State::Unknown | State::Closed => return false,
            State::Open { since, next_probe: due, wait, reason }
            | State::HalfOpen { since, lost_at: due, wait, reason } => (since, due, wait, reason),
        };
        if now < *due {
            return false;
        }
        self.state = State::HalfOpen {
            since: *since,
            lost_at: now.saturating_add(LONGEST),
            wait: *wait,
            reason: reason.clone(),
        };
        true
    }

    /// Learns that the member could not be reached.
    ///
    /// Opens, or after a probe doubles the wait up to 15 s. While it is open, requests that were
    /// under way may still fail: they change only the reason.
    pub fn failed(&mut self, now: Duration, reason: impl Into<String>) {
        let (since, wait) = match &mut self.state {
            State::Unknown | State::Closed => (now, FIRST_PROBE),
            State::HalfOpen { since, wait, .. } => (*since, wait.saturating_mul(2).min(LONGEST)),
            State::Open { reason: last, .. } => {
                *last = reason.into();
                return;
            }
        };
        let (next_probe, reason) = (now.saturating_add(wait), reason.into());
        self.state = State::Open { since, next_probe, wait, reason };
    }

    /// Learns that the member answered.
    pub fn succeeded(&mut self) {
        self.state = State::Closed;
    }

    /// For how long, and why, the member has not answered; `None` while it may be asked.
    pub fn open_for(&self, now: Duration) -> Option<(Duration, &str)> {
        match &self.state {
            State::Unknown | State::Closed => None,
            State::Open { since, reason, .. } | State::HalfOpen { since, reason, .. } => {
                Some((now.saturating_sub(*since), reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_member_of_which_nothing_is_known_may_be_asked() {
        let mut breaker = Breaker::default();
        assert!(breaker.open_for(seconds(9)).is_none() && !breaker.probe_due(seconds(9)));
        assert_eq!(breaker.open_for(seconds(9)), None);
    }

    #[test]
    fn probes_come_at_doubled_waits_up_to_fifteen_seconds() {
        let mut breaker = Breaker::default();
        breaker.failed(seconds(0), "connect timed out");
        let mut probes = Vec::new();
        for now in 0..70 {
            if breaker.probe_due(seconds(now)) {
                probes.push(now);
                breaker.failed(seconds(now), "connect timed out");
            }
        }
        assert_eq!(probes, [1, 3, 7, 15, 30, 45, 60]);
        assert_eq!(breaker.open_for(seconds(70)), Some((seconds(70), "connect timed out")));
    }

    #[test]
    fn a_probe_that_succeeds_closes_and_the_next_failure_starts_anew() {
        let mut breaker = Breaker::default();
        breaker.failed(seconds(0), "refused");
        assert!(breaker.probe_due(seconds(1)) && breaker.open_for(seconds(1)).is_some());
        breaker.succeeded();
        assert!(breaker.open_for(seconds(9)).is_none());
        breaker.failed(seconds(50), "refused");
        assert!(!breaker.probe_due(seconds(50)) && breaker.probe_due(seconds(51)));
        assert_eq!(breaker.open_for(seconds(52)), Some((seconds(2), "refused")));
    }

    #[test]
    fn a_probe_whose_outcome_is_never_told_does_not_block_the_next() {
        let mut breaker = Breaker::default();
        breaker.failed(seconds(0), "refused");
        assert!(breaker.probe_due(seconds(1)));
        assert!(!breaker.probe_due(seconds(15)));
        assert!(breaker.probe_due(seconds(16)));
    }

    #[test]
    fn requests_that_fail_late_do_not_put_the_probe_off() {
        let mut breaker = Breaker::default();
        breaker.failed(Duration::ZERO, "refused");
        breaker.failed(Duration::from_millis(999), "no route");
        assert!(breaker.probe_due(seconds(1)));
        assert_eq!(breaker.open_for(seconds(1)), Some((seconds(1), "no route")));
    }

    #[derive(Debug, Clone)]
    enum Fact {
        Failed,
        Succeeded,
        Ticked,
    }

    fn facts() -> impl Strategy<Value = Vec<(u64, Fact)>> {
        let fact = prop_oneof![Just(Fact::Failed), Just(Fact::Succeeded), Just(Fact::Ticked)];
        prop::collection::vec((0..20_000_u64, fact), 0..60)
    }

    proptest! {
        #[test]
        fn a_member_is_asked_exactly_while_its_last_fact_is_not_a_failure(facts in facts()) {
            let (mut breaker, mut now, mut failed_at) = (Breaker::default(), Duration::ZERO, None);
            for (step, fact) in facts {
                now += Duration::from_millis(step);
                match fact {
                    Fact::Failed => {
                        breaker.failed(now, "x");
                        failed_at = failed_at.or(Some(now));
                    }
                    Fact::Succeeded => {
                        breaker.succeeded();
                        failed_at = None;
                    }
                    Fact::Ticked => {
                        let probes = breaker.probe_due(now);
                        prop_assert!(!probes || failed_at.is_some());
                    }
                }
                prop_assert_eq!(breaker.open_for(seconds(9)).is_none(), failed_at.is_none());
                let open_for = breaker.open_for(now).map(|(open_for, _)| open_for);
                prop_assert_eq!(open_for, failed_at.map(|since| now.saturating_sub(since)));
            }
        }

        #[test]
        fn an_open_breaker_probes_at_most_once_a_second_and_at_least_each_fifteen(facts in facts()) {
            let (mut breaker, mut now, mut last) = (Breaker::default(), Duration::ZERO, Duration::ZERO);
            breaker.failed(now, "x");
            for (step, fact) in facts {
                now += Duration::from_millis(step);
                let waited = now.saturating_sub(last);
                if breaker.probe_due(now) {
                    prop_assert!(waited >= FIRST_PROBE);
                    prop_assert!(!breaker.probe_due(now));
                    last = now;
                } else {
                    prop_assert!(waited <= LONGEST * 2);
                }
                if matches!(fact, Fact::Failed) {
                    breaker.failed(now, "x");
                }
            }
        }
    }
}
