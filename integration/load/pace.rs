//! Events at an even pace, each of which tells when it was made.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use tenbin_integration::eventually::now;

const MARK: &str = "made-at-";
/// Digits of nanoseconds, the same number in all events.
const DIGITS: usize = 15;

/// Marks events with the time since it was started, and reads those marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(now())
    }

    /// A mark of this moment.
    pub(crate) fn mark(self) -> String {
        format!("{MARK}{:0DIGITS$}", self.0.elapsed().as_nanos())
    }

    /// The mark in an event.
    pub(crate) fn find(event: &str) -> Option<&str> {
        let start = event.find(MARK)?;
        event.get(start..start + MARK.len() + DIGITS)
    }

    /// How long ago an event was made; `None` where it has no mark.
    pub(crate) fn age(self, event: &str) -> Option<Duration> {
        let made = Self::find(event)?.trim_start_matches(MARK).parse().ok()?;
        Some(self.0.elapsed().saturating_sub(Duration::from_nanos(made)))
    }
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "the pace of a load is a time to wait for")]
pub(crate) fn pause(time: Duration) {
    thread::sleep(time);
}

/// Acts so often in a second, `times` times; where it was late, it makes up for it.
pub(crate) fn at_pace(
    each_second: u32,
    times: u32,
    mut act: impl FnMut(u32) -> Result<()>,
) -> Result<()> {
    let start = now();
    for n in 0..times {
        let due = Duration::from_secs(1) * n / each_second;
        pause(due.saturating_sub(start.elapsed()));
        act(n)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_an_event() {
        let watch = Stopwatch::start();
        let event = format!("{{\"key\":\"{}\"}}", watch.mark());
        assert!(watch.age(&event).unwrap() < Duration::from_secs(9));
        assert_eq!(watch.age("{\"key\":\"\"}"), None);
    }
}
