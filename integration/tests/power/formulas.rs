//! The score of a cluster is the sum by hand.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::power::wao;
use tenbin_integration::{Condition, Model};

use super::rig::{Rig, sum};
use super::{FLEET, NODES, condition};

#[test]
fn the_score_is_the_sum_by_hand_of_every_model() -> Result<()> {
    for name in ["linear", "spec-ibm-x3550-x5675"] {
        let model = Model::named(name)?;
        let endpoint = FLEET.power()?.predictor().endpoint(name);
        let predictor = wao::power_consumption(&wao::v2(&endpoint));
        let rig = Rig::start("quiet", &format!("sum-of-{name}"), &predictor)?;
        let row = rig.reaches(sum(&model));
        eprintln!("{name}: {} W, by hand {} W", row["watts"], sum(&model));
        assert_eq!(row["own"], true, "{row:#}");
        for n in 0..NODES {
            let node = row["nodes"]
                .as_array()
                .and_then(|nodes| nodes.iter().find(|node| node["name"] == rig.node(n)).cloned());
            let node = node.unwrap_or_default();
            let Condition { cpu, inlet, pressure } = condition(n);
            let watts = model.watts(cpu, inlet, pressure);
            for (key, wanted) in [
                ("cpu_percent", cpu),
                ("inlet_celsius", inlet),
                ("delta_p_pascal", pressure),
                ("watts", watts),
            ] {
                assert!(is_near(&node[key], wanted), "{key} is not {wanted}: {row:#}");
            }
        }
    }
    Ok(())
}

fn is_near(value: &Value, wanted: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - wanted).abs() < 0.01)
}
