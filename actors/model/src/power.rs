//! What machines cost: predicted watts over load, node by node, and what more pods would add.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

pub use self::curve::{Curve, MAX_PODS};
use crate::config::Scheduler;
use crate::ids::ClusterName;

mod curve;
pub mod estimate;
pub mod readings;
pub mod round;

/// What a power model is asked of one machine (WAO's three inputs, `wao.md` 5.4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features {
    /// CPU in use, in percent of the node's capacity.
    pub cpu_percent: f64,
    /// The temperature of the air that it draws in.
    pub inlet_celsius: f64,
    /// The difference of pressure between its front and back.
    pub delta_p_pascal: f64,
}

/// What one more pod takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodShape {
    /// CPU in thousandths of a core.
    pub cpu_milli: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

// === impl PodShape ===

impl Default for PodShape {
    /// What kube-scheduler takes a container for that asks for nothing: 100m and 200 MiB
    /// (`scheduler/util/pod_resources.go`).
    fn default() -> Self {
        Self { cpu_milli: 100, memory_bytes: 200 * 1024 * 1024 }
    }
}

/// What a node has, or what its pods have asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub cpu_milli: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Pods.
    pub pods: u64,
}

/// One node that takes pods, as a curve sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePower {
    /// Its name.
    pub name: String,
    /// The cores that 100 % of CPU are, in thousandths.
    pub capacity_milli: u64,
    /// CPU in use now, in percent of its capacity.
    pub cpu_percent: f64,
    /// What pods may ask for in all.
    pub allocatable: Resources,
    /// What its pods have asked for.
    pub requested: Resources,
    /// Its watts over its load.
    pub table: Arc<PowerTable>,
}

/// The nodes of one member that take pods, at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Power {
    /// When their load was measured.
    pub measured_at: Timestamp,
    /// How the member's scheduler spreads pods.
    pub scheduler: Scheduler,
    /// The nodes.
    pub nodes: Vec<NodePower>,
}

/// The watts of one machine over its CPU load, under one inlet temperature and pressure: sampled
/// at [`GRID`], straight lines between.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerTable([f64; GRID.len()]);

/// The loads in percent at which a power model is sampled; dense near idle, where servers are not
/// convex (`specpower.json`: 58 W idle, 98 W at 10 %).
pub const GRID: [f64; 23] = [
    0.0, 1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0, 55.0, 60.0, 65.0,
    70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 100.0,
];

/// What is known of the members' power at one moment. Cheap to clone.
pub type PowerBoard = BTreeMap<ClusterName, Arc<Power>>;

// === impl PowerTable ===

impl PowerTable {
    /// Makes a table of the watts at each load of [`GRID`]; `None` where one is not a finite
    /// number above zero, or a full machine draws no more than an idle one.
    ///
    /// No machine draws less because it does more. A model that says so in between has an error,
    /// which is levelled; one that does not know load at all would make work look free, and win all
    /// of it.
    pub fn new(watts: [f64; GRID.len()]) -> Option<Self> {
        let real = watts.iter().all(|watts| watts.is_finite() && *watts > 0.0);
        if !real || watts.last() <= watts.first() {
            return None;
        }
        let mut most = 0.0_f64;
        Some(Self(watts.map(|watts| {
            most = most.max(watts);
            most
        })))
    }

    /// The watts at a load, which is held within 0 and 100 %.
    pub fn at(&self, cpu_percent: f64) -> f64 {
        let load = cpu_percent.clamp(0.0, 100.0);
        let points = GRID.iter().zip(&self.0);
        for ((low, below), (high, above)) in points.clone().zip(points.skip(1)) {
            if load <= *high {
                return below + (above - below) * (load - low) / (high - low);
            }
        }
        self.0.last().copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_meets_its_samples_and_is_straight_between() {
        let table = PowerTable::new(GRID.map(|load| 100.0 + load * load)).unwrap();
        for load in GRID {
            assert!((table.at(load) - (100.0 + load * load)).abs() < 1e-9, "{load}");
        }
        assert!((table.at(7.5) - f64::midpoint(125.0, 200.0)).abs() < 1e-9);
        assert!((table.at(250.0) - 10_100.0).abs() < 1e-9);
        assert!((table.at(-3.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn watts_that_no_machine_has_make_no_table() {
        for watts in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut samples = GRID.map(|load| 100.0 + load);
            samples[3] = watts;
            assert_eq!(PowerTable::new(samples), None);
        }
    }

    #[test]
    fn a_model_that_does_not_know_load_makes_no_table() {
        assert_eq!(PowerTable::new(GRID.map(|_| 100.0)), None);
        assert_eq!(PowerTable::new(GRID.map(|load| 200.0 - load)), None);
    }

    #[test]
    fn a_model_that_falls_in_between_is_levelled() {
        let falling = |load: f64| if (load - 50.0).abs() < 1.0 { 20.0 } else { 100.0 + load };
        let table = PowerTable::new(GRID.map(falling)).unwrap();
        assert!((table.at(50.0) - 145.0).abs() < 1e-9);
        assert!((table.at(55.0) - 155.0).abs() < 1e-9);
    }
}
