//! Turns of several ways to do one thing, and what their times come to.

use std::time::Duration;

use anyhow::Result;

/// How many times all ways take their turn.
pub(crate) const ROUNDS: usize = 5;

/// The samples of one way: one list of times, in milliseconds, for each round.
#[derive(Debug, Default)]
pub(crate) struct Way(Vec<Vec<f64>>);

/// Lets `turn` take `samples` samples of each way, `ROUNDS` times in turns; the number it is given is
/// that of the way.
pub(crate) fn take_turns(
    ways: usize,
    samples: usize,
    mut turn: impl FnMut(usize) -> Result<Duration>,
) -> Result<Vec<Way>> {
    let mut taken: Vec<Way> = (0..ways).map(|_| Way::default()).collect();
    for _ in 0..ROUNDS {
        for (number, way) in taken.iter_mut().enumerate() {
            let times = (0..samples).map(|_| Ok(milliseconds(turn(number)?)));
            way.0.push(times.collect::<Result<_>>()?);
        }
    }
    Ok(taken)
}

impl Way {
    /// The median over the rounds of the rounds' medians.
    pub(crate) fn p50(&self) -> f64 {
        median(self.medians())
    }

    /// The 99th percentile of all samples.
    pub(crate) fn p99(&self) -> f64 {
        percentile(self.0.iter().flatten().copied().collect(), 0.99)
    }

    /// The ratios of the rounds' medians.
    pub(crate) fn ratios(&self, base: &Self) -> Vec<f64> {
        self.medians().zip(base.medians()).map(|(own, base)| own / base).collect()
    }

    /// The differences of the rounds' medians.
    pub(crate) fn differences(&self, base: &Self) -> Vec<f64> {
        self.medians().zip(base.medians()).map(|(own, base)| own - base).collect()
    }

    /// The median of the ratios.
    pub(crate) fn ratio(&self, base: &Self) -> f64 {
        median(self.ratios(base))
    }

    /// Adds a round.
    pub(crate) fn push(&mut self, times: impl IntoIterator<Item = Duration>) {
        self.0.push(times.into_iter().map(milliseconds).collect());
    }

    fn medians(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|times| median(times.iter().copied()))
    }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(values.into_iter().collect(), 0.5)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a short list"
)]
fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(place).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_round_by_round() {
        let way = |rounds: [[u64; 3]; 3]| {
            let mut way = Way::default();
            for round in rounds {
                way.push(round.map(Duration::from_millis));
            }
            way
        };
        let slow = way([[20, 90, 22], [200, 200, 1], [2, 2, 2]]);
        let base = way([[11, 10, 99], [100, 100, 100], [1, 1, 7]]);
        assert!((slow.ratio(&base) - 2.0).abs() < 1e-9);
        assert!((slow.p50() - 22.0).abs() < 1e-9);
        assert!((slow.p99() - 200.0).abs() < 1e-9);
    }
}
