//! CPU: a load that changes, a kubelet that stands still, metrics-server gone.

use anyhow::Result;
use tenbin_integration::{FaultyPredictor, Model, Signal, Usage};

use super::rig::{Rig, daemon, linear, sum};
use super::{FLEET, NODES, condition};

fn use_cpu(n: u32, percent: f64, change: impl Fn(Usage) -> Usage) -> Result<()> {
    let usage = change(Usage::cores(percent / 100.0 * 32.0));
    FLEET.kubelet()?.set([(format!("busy-n{n}"), usage)])
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

    let server = rig.cluster.metrics()?.server();
    let all: Vec<u32> = (0..NODES).collect();
    let kill = || server.process().signal(Signal::KILL);
    let start = || {
        // It ends with this program: other tests need it as well.
        std::mem::forget(server.start_again()?);
        Ok(())
    };
    rig.survives(more, &all, "no cpu: metrics.k8s.io", kill, start)?;
    use_cpu(1, condition(1).cpu, |usage| usage)?;
    rig.reaches(watts);
    Ok(())
}
