//! The power models that both predictors serve, as formulas of Rust.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// `base + cpu * 2 + inlet * 3 + pressure * 5`.
const LINEAR: [f64; 4] = [100.0, 2.0, 3.0, 5.0];

/// The version of every model.
pub const VERSION: &str = "v0.1.0";

/// A power model that the predictors know.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// `linear`: 100 + 2 × CPU in percent + 3 × inlet temperature in °C + 5 × pressure in Pa.
    Linear,
    /// `spec-<server>`: measured watts at 0, 10 … 100 % CPU, straight between them.
    Curve {
        /// Its name.
        name: String,
        /// The eleven measured watts.
        watts: Vec<f64>,
    },
}

static MEASURED: LazyLock<Vec<Model>> = LazyLock::new(|| {
    let read = || -> Result<Vec<Model>> {
        let data: Value = serde_json::from_str(include_str!("../../predictor/specpower.json"))?;
        let servers = data.get("servers").and_then(Value::as_array).context("no servers")?;
        servers.iter().map(curve).collect()
    };
    read().unwrap_or_default()
});

fn curve(server: &Value) -> Result<Model> {
    let name = server.get("name").and_then(Value::as_str).context("a server without a name")?;
    let watts = server.get("watts").and_then(Value::as_array).context("no watts")?;
    let watts = watts.iter().filter_map(Value::as_f64).collect();
    Ok(Model::Curve { name: format!("spec-{name}"), watts })
}

impl Model {
    /// Every model: linear, and those of `predictor/specpower.json`.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Linear];
        all.extend(MEASURED.iter().cloned());
        all
    }

    /// A model by name: `linear`, `spec-hp-ml110-g4`, `spec-hp-ml110-g5`, `spec-ibm-x3550-x5670`,
    /// `spec-ibm-x3550-x5675`.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::all().into_iter().find(|model| model.name() == name);
        found.with_context(|| format!("no model {name}"))
    }

    /// Its name, as it stands in URLs.
    pub fn name(&self) -> &str {
        match self {
            Self::Linear => "linear",
            Self::Curve { name, .. } => name,
        }
    }

    /// Watts at this load (percent), inlet temperature (°C) and differential pressure (Pa).
    pub fn watts(&self, cpu: f64, inlet: f64, pressure: f64) -> f64 {
        match self {
            Self::Linear => {
                let [base, per_cpu, per_degree, per_pascal] = LINEAR;
                base + per_cpu * cpu + per_degree * inlet + per_pascal * pressure
            }
            Self::Curve { watts, .. } => between(watts, cpu / 10.0),
        }
    }

    /// The `model-settings.json` of `MLServer`.
    pub(super) fn settings(&self) -> Value {
        let extra = match self {
            Self::Linear => json!({"linear": LINEAR}),
            Self::Curve { watts, .. } => json!({"curve": watts}),
        };
        json!({"name": self.name(), "implementation": "model.PowerModel",
               "parameters": {"version": VERSION, "extra": extra}})
    }
}

/// The value at `place` of points that are straight between each other; the ends go on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 … 10")]
fn between(points: &[f64], place: f64) -> f64 {
    let place = place.clamp(0.0, 10.0);
    let before = place.floor() as usize;
    let at = |index: usize| points.get(index.min(10)).copied().unwrap_or(f64::NAN);
    at(before) + (at(before + 1) - at(before)) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_server_is_straight_between_its_points() {
        let server = Model::named("spec-hp-ml110-g4").unwrap();
        for (cpu, watts) in [(-1.0, 86.0), (0.0, 86.0), (5.0, 87.7), (100.0, 117.0), (120.0, 117.0)]
        {
            assert!((server.watts(cpu, 99.0, 99.0) - watts).abs() < 1e-9, "{cpu}");
        }
        assert_eq!(Model::all().len(), 5);
    }
}
