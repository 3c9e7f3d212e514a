//! Scores that are measured, end to end: what is right, and what becomes of them when a part that
//! they come from breaks. In every fault the score never gets better, the reason can be read, the
//! rounds go on, and all is well again once the fault is over.
//!
//! Each test has a daemon, NodeConfigs in a namespace and, mostly, a predictor of its own. What
//! holds for a whole cluster (load, sensors, nodes) is broken in a cluster of its own, in turns.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "serde_json's index of a missing key is null, which an assertion shows; a static has no ?"
)]

mod adapter;
mod dead_sensors;
mod formulas;
mod known_again;
mod load;
mod many_nodes;
mod node_configs;
mod nodes;
mod own_api;
mod peers;
mod predictors;
mod redfish;
mod rig;

use std::sync::LazyLock;

use tenbin_integration::power::wao::Group;
use tenbin_integration::{ClusterSpec, Condition, Fleet, FleetBuilder, Usage};

/// The nodes of each cluster.
const NODES: u32 = 3;

/// - `quiet`: nothing happens to it; predictors, NodeConfigs and Secrets of a test are its own.
/// - `busy`: its load and metrics-server change; the newer group of NodeConfigs.
/// - `windy`: its adapter and its sensors change.
/// - `calm`: its nodes change.
/// - `shaky`: no sensor ever says anything there, and its nodes do not know their region.
static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let spec = |name| cluster(name).nodes(NODES);
    let fleet = FleetBuilder::new("measured")
        .cluster(spec("quiet"))
        .cluster(spec("busy").wao(Group::Waok8s))
        .cluster(spec("windy"))
        .cluster(spec("calm"))
        .cluster(spec("shaky"))
        .power()
        .shared();
    set(&fleet).unwrap();
    fleet
});

/// A cluster whose new nodes take pods, though it has no controllers to take their taint away.
fn cluster(name: &str) -> ClusterSpec {
    ClusterSpec::new(name).flag("--disable-admission-plugins=TaintNodesByCondition")
}

fn set(fleet: &Fleet) -> anyhow::Result<()> {
    for cluster in fleet.clusters() {
        for n in 0..NODES {
            let node = format!("{}-n{n}", cluster.name());
            let Condition { cpu, inlet, pressure } = condition(n);
            fleet.kubelet()?.set([(&node, Usage::cores(cpu / 100.0 * 32.0))])?;
            if cluster.name() != "shaky" {
                cluster.metrics()?.sensors().set(&node, inlet, pressure)?;
            }
        }
    }
    Ok(())
}

/// How the `n`th node of each cluster is at the start.
fn condition(n: u32) -> Condition {
    let n = f64::from(n);
    Condition { cpu: 12.5 + 25.0 * n, inlet: 18.5 + 2.0 * n, pressure: 5.25 + n }
}
