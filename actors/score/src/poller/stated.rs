//! The watts that an operator states for a member without sensors.

use std::sync::Arc;

use std::time::Duration;

use futures_util::future::{BoxFuture, LocalBoxFuture};
use tenbin_kernel::Clock;
use tenbin_model::score::{Provenance, Sample};

use super::{Measured, PollError, Source};

/// Tells whether the member answers; the error is for a person.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Stated watts are a sample only while the member answers: those of a dead member grow old like
/// any other score.
pub struct StatedSource {
    watts: f64,
    probe: Probe,
    clock: Clock,
}

// === impl StatedSource ===

impl StatedSource {
    /// States `watts` whenever `probe` succeeds.
    pub fn new(watts: f64, probe: Probe, clock: Clock) -> Self {
        Self { watts, probe, clock }
    }
}

impl Source for StatedSource {
    fn sample(&self, _within: Duration) -> LocalBoxFuture<'static, Result<Measured, PollError>> {
        let (watts, answer, clock) = (self.watts, (self.probe)(), self.clock.clone());
        Box::pin(async move {
            answer.await.map_err(PollError::NoAnswer)?;
            let sample = Sample {
                watts,
                provenance: Provenance::Stated,
                sampled_at: clock.now(),
                nodes: Vec::new(),
                missing: Vec::new(),
            };
            Ok(Measured { sample, power: None })
        })
    }
}
