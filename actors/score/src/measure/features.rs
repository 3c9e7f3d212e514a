//! What a power model is asked with, of what the metrics APIs say and can be believed.

use std::time::Duration;

use tenbin_model::power::readings::{Metric, Readings as Movements};

use super::inventory::{NodeConfig, NodeFacts};
use super::metrics::{Reading, Readings};

/// What WAO's adapter says where a NodeConfig names a collector of type Fake.
const FAKE_INLET: f64 = 15.5;
const FAKE_DELTA_P: f64 = 7.5;

/// What the metrics APIs say in one round.
pub(super) struct Metrics {
    /// Cores in use; an error holds for all nodes.
    pub(super) cpu: Result<Readings, String>,
    pub(super) inlet: Readings,
    pub(super) delta_p: Readings,
}

/// Believes what moves.
pub(super) struct Believer {
    movements: Movements,
    stuck_after: Duration,
}

// === impl Believer ===

impl Believer {
    pub(super) fn new(stuck_after: Duration) -> Self {
        Self { movements: Movements::default(), stuck_after }
    }

    /// The CPU in use of a node in percent of its capacity.
    pub(super) fn load(
        &mut self,
        metrics: &Metrics,
        node: &NodeFacts,
        now: Duration,
    ) -> Result<f64, String> {
        if node.capacity_milli == 0 {
            return Err("no CPU capacity".to_owned());
        }
        let lacks = || Err("metrics.k8s.io does not name the node".to_owned());
        let reading = match &metrics.cpu {
            Ok(readings) => readings.get(&node.name).cloned().unwrap_or_else(lacks),
            Err(reason) => Err(reason.clone()),
        };
        let cores = self.value(Metric::Cpu, reading, &node.name, now)?;
        // A model that is asked below idle answers with less than the machine ever draws.
        if cores < 0.0 {
            return Err(format!("no cpu: metrics.k8s.io says {cores} cores"));
        }
        #[expect(clippy::cast_precision_loss, reason = "a node has fewer than 2^52 millicores")]
        let capacity = node.capacity_milli as f64 / 1000.0;
        Ok(cores / capacity * 100.0)
    }

    /// The inlet temperature and the pressure difference of a node.
    pub(super) fn air(
        &mut self,
        metrics: &Metrics,
        node: &NodeFacts,
        config: &NodeConfig,
        now: Duration,
    ) -> Result<(f64, f64), String> {
        let mut read = |metric, readings: &Readings, fake: bool, made_up: f64| {
            let lacks = || Err("custom.metrics.k8s.io was not asked".to_owned());
            let reading = readings.get(&node.name).cloned().unwrap_or_else(lacks);
            let value = self.value(metric, reading, &node.name, now);
            if fake { Ok(value.unwrap_or(made_up)) } else { value }
        };
        let inlet = read(Metric::InletTemp, &metrics.inlet, config.fake_inlet, FAKE_INLET);
        let delta_p = read(Metric::DeltaP, &metrics.delta_p, config.fake_delta_p, FAKE_DELTA_P);
        Ok((inlet?, delta_p?))
    }

    /// Forgets nodes that exist no more.
    pub(super) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.movements.retain(exists);
    }

    fn value(
        &mut self,
        metric: Metric,
        reading: Result<Reading, String>,
        node: &str,
        now: Duration,
    ) -> Result<f64, String> {
        let reading = reading.map_err(|reason| format!("no {}: {reason}", metric.name()))?;
        if let Some(at) = reading.at {
            let believed = self.movements.believe(node, metric, at, now, self.stuck_after);
            believed.map_err(|stuck| stuck.to_string())?;
        }
        Ok(reading.value)
    }
}
