//! Sensors and their adapter: dead, standing still, silent.

use anyhow::Result;
use tenbin_integration::{Condition, FaultyPredictor, Model, Signal, eventually};

use super::rig::{Rig, daemon, linear, sum};
use super::{NODES, condition};

/// One test, as they are all of the one adapter.
#[test]
fn the_score_never_gets_better_by_what_sensors_do_not_say() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    // More than the 10 s that metrics-server takes from one sample of CPU to the next.
    let stuck = daemon("windy", "sensors").config("[score]\nstuck_after = '14s'");
    let rig = Rig::with(stuck, "windy", "sensors", &linear(&fake))?;
    let (watts, sensors) = (sum(&Model::Linear), rig.cluster.metrics()?.sensors());
    rig.reaches(watts);

    let (dead, all) = (rig.node(1), [0, 1, 2]);
    let inlet = condition(1).inlet;
    for strict in [false, true] {
        sensors.strict(strict)?;
        let forget = || sensors.forget(&dead, "inlet_temp");
        let write = || sensors.write(&dead, "inlet_temp", &inlet.to_string());
        rig.survives(watts, &[1], "no inlet_temp: custom.metrics.k8s.io", forget, write)?;
    }
    sensors.strict(false)?;
    let stop_clock = || sensors.stop_clock(true);
    let go_on = || sensors.stop_clock(false);
    rig.survives(watts, &all, "the timestamp of inlet_temp has stood still", stop_clock, go_on)?;

    let stop = || sensors.process().signal(Signal::STOP);
    let go_on = || sensors.process().signal(Signal::CONT);
    let gone = "no inlet_temp: custom.metrics.k8s.io";
    rig.survives(watts, &all, gone, stop, go_on)?;

    let kill = || sensors.process().signal(Signal::KILL);
    let start = || {
        // It ends with this program: other tests need it as well.
        std::mem::forget(sensors.start_again()?);
        for n in 0..NODES {
            let Condition { inlet, pressure, .. } = condition(n);
            eventually!(sensors.set(&rig.node(n), inlet, pressure));
        }
        Ok(())
    };
    rig.survives(watts, &all, gone, kill, start)
}
