//! How often, and after what pause, an actor is restarted. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// The pause after the first death; it doubles with each further one within the window.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many deaths of a child are borne within a window; one more and the daemon gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// The deaths that are borne.
    pub deaths: usize,
    /// How long a death counts.
    pub window: Duration,
}

/// The deaths of one child that still count.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    deaths: VecDeque<Duration>,
    count: u32,
}

// === impl Intensity ===

impl Default for Intensity {
    /// Five deaths in a minute.
    fn default() -> Self {
        Self { deaths: 5, window: Duration::from_mins(1) }
    }
}

// === impl Restarts ===

impl Restarts {
    /// Counts a death at `now`: the pause before the restart, or the deaths when they are too many.
    pub(super) fn died(&mut self, now: Duration, intensity: Intensity) -> Result<Duration, usize> {
        while self.deaths.front().is_some_and(|it| now.saturating_sub(*it) > intensity.window) {
            self.deaths.pop_front();
        }
        self.deaths.push_back(now);
        if self.deaths.len() > intensity.deaths {
            return Err(self.deaths.len());
        }
        let doublings = u32::try_from(self.deaths.len() - 1).unwrap_or(u32::MAX).min(16);
        Ok(FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE))
    }

    /// Counts a restart.
    pub(super) fn restarted(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// All restarts so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_five_seconds_and_start_anew_after_the_window() {
        let mut restarts = Restarts::default();
        let intensity = Intensity { deaths: 8, ..Intensity::default() };
        let pauses: Vec<_> = (0..8)
            .map(|second| restarts.died(Duration::from_secs(second), intensity).unwrap())
            .map(|pause| pause.as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(restarts.died(Duration::from_secs(8), intensity), Err(9));

        let later = restarts.died(Duration::from_mins(2), intensity);
        assert_eq!(later, Ok(Duration::from_millis(100)));
    }

    #[test]
    fn five_deaths_a_minute_are_borne_and_the_sixth_is_not() {
        let mut restarts = Restarts::default();
        let mut die = |second| restarts.died(Duration::from_secs(second), Intensity::default());
        assert!((0..5).all(|second| die(second).is_ok()));
        assert_eq!(die(59), Err(6));
    }
}
