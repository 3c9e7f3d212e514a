//! CPU: a load that changes, a kubelet that stands still, metrics-server gone.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::{Condition, FaultyPredictor, Model, Signal, Usage, eventually};

use super::rig::{Rig, daemon, is_close, is_whole, linear, sum};
use super::{FLEET, NODES, condition};

fn use_cpu(n: u32, percent: f64, change: impl Fn(Usage) -> Usage) -> Result<()> {
    let usage = change(Usage::cores(percent / 100.0 * 32.0));
    FLEET.power()?.kubelet().set([(format!("busy-n{n}"), usage)])
}

/// One test, as they are all of the one metrics-server.
#[test]
fn the_score_follows_the_load_and_never_gets_better_by_what_is_not_known_of_it() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    // More than the 10 s that metrics-server takes from one sample to the next.
    let stuck = daemon("busy", "load").config("[score]\nstuck_after = '14s'");
    let rig = Rig::with(stuck, "busy", "load", &linear(&fake))?;
    let watts = sum(&Model::Linear);
    rig.reaches(watts);

    // 2 W for each percent.
    use_cpu(1, 90.0, |usage| usage)?;
    let more = watts + 2.0 * (90.0 - condition(1).cpu);
    rig.reaches(more);

    // The node's load falls, but its kubelet says so with the old time and value.
    let freeze = || use_cpu(1, 0.0, Usage::frozen);
    let thaw = || use_cpu(1, 90.0, |usage| usage);
    rig.survives(more, &[1], "the timestamp of cpu has stood still", freeze, thaw)?;
    let break_it = || use_cpu(1, 0.0, Usage::broken);
    rig.survives(more, &[1], "metrics.k8s.io does not name the node", break_it, thaw)?;

    let server = rig.cluster.metrics()?.server().process();
    let all: Vec<u32> = (0..NODES).collect();
    let stop = || server.signal(Signal::STOP);
    let go_on = || server.signal(Signal::CONT);
    rig.survives(more, &all, "no cpu: metrics.k8s.io", stop, go_on)?;
    use_cpu(1, condition(1).cpu, |usage| usage)?;
    rig.reaches(watts);

    server.signal(Signal::KILL)?;
    let row = eventually!(rig.row(), |row: &Value| {
        row["missing"].as_array().is_some_and(|missing| missing.len() == NODES as usize)
    });
    println!("metrics-server killed: {}", row["missing"][0]["reason"]);
    assert!(is_close(&row, watts), "{row:#}");
    let Condition { cpu, .. } = condition(0);
    assert!(!is_whole(&row) && cpu > 0.0);
    Ok(())
}
