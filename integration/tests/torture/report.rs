//! What an informer has, and what it saw that must not be.

use std::time::Duration;

use super::truth::Store;

/// The most that is told of what was wrong.
const MOST: usize = 10;

/// Tells whoever reads the log of the test.
#[expect(clippy::print_stdout, reason = "what a test has to say is shown when it fails, or wanted")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) store: Store,
    pub(crate) events: u64,
    pub(crate) lists: u64,
    pub(crate) watches: u64,
    pub(crate) refusals: u64,
    pub(crate) cuts: u64,
    /// From a member's write to the event.
    pub(crate) lags: Vec<Duration>,
    pub(crate) wrong: Vec<String>,
}

impl Report {
    pub(crate) fn figures(&self, time: Duration) -> String {
        let mut lags = self.lags.clone();
        lags.sort();
        let part = |percent: usize| {
            let lag = lags.get(lags.len() * percent / 100).copied().unwrap_or_default();
            format!("{:.1}", lag.as_secs_f64() * 1e3)
        };
        let events = f64::from(u32::try_from(self.events).unwrap_or(u32::MAX));
        let rate = events / time.as_secs_f64().max(0.001);
        format!(
            "{} events ({rate:.0}/s), {} lists, {} watches, {} refusals, {} cuts, lag p50 {} p90 {} p99 {} ms",
            self.events,
            self.lists,
            self.watches,
            self.refusals,
            self.cuts,
            part(50),
            part(90),
            part(99),
        )
    }

    /// What differs from the truth.
    pub(crate) fn difference(&self, truth: &Store) -> String {
        let mut lines = Vec::new();
        for (name, wanted) in truth {
            if self.store.get(name) != Some(wanted) {
                lines.push(format!("{name}: {:?}, not {wanted}", self.store.get(name)));
            }
        }
        let more = self.store.iter().filter(|(name, _)| !truth.contains_key(*name));
        lines.extend(more.map(|(name, has)| format!("{name}: {has}, but it is gone")));
        lines.join("\n")
    }

    pub(crate) fn fault(&mut self, what: String) {
        if self.wrong.len() < MOST {
            self.wrong.push(what);
        }
    }

    pub(crate) fn wrong(&self, name: &str) -> Vec<String> {
        self.wrong.iter().map(|wrong| format!("{name}: {wrong}")).collect()
    }
}
