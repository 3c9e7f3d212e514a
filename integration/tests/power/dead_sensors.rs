//! A cluster whose sensors have never said anything.

use std::sync::LazyLock;

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::power::wao;
use tenbin_integration::{Space, deployment, eventually};

use super::FLEET;
use super::rig::{Rig, configure, daemon};

static SPACE: LazyLock<Space> = LazyLock::new(|| {
    Space::only_in(&FLEET, "dead-sensors-work", &["shaky", "quiet", "calm"]).unwrap()
});

/// `spec.replicas` in shaky, quiet and calm.
fn shares(space: &Space, name: &str) -> Result<Vec<Option<u64>>> {
    let all = space.shares(&format!("deployments/{name}"))?;
    let place = |name: &str| FLEET.clusters().iter().position(|it| it.name() == name);
    let share = |name: &str| place(name).and_then(|place| all.get(place).copied().flatten());
    Ok(["shaky", "quiet", "calm"].map(share).to_vec())
}

#[test]
fn a_cluster_of_which_nothing_was_ever_known_is_unknown_and_work_is_placed() -> Result<()> {
    let name = "dead-sensors";
    let endpoint = FLEET.power()?.predictor().endpoint("linear");
    let predictor = wao::power_consumption(&wao::v2(&endpoint));
    let daemon = daemon("shaky", name).members(&["quiet", "calm"]);
    let daemon = daemon.watts("quiet", 100.0).watts("calm", 200.0);
    let rig = Rig::with(daemon, "shaky", name, &predictor)?;
    let is_told = |row: &Value| {
        row["failure"].as_str().is_some_and(|it| {
            it.contains("none of the 3 nodes was ever measured")
                && it.contains("no inlet_temp: custom.metrics.k8s.io answers 404")
        })
    };
    let row = eventually!(rig.row(), is_told);
    assert!(row["watts"].is_null() && row["age_seconds"].is_null(), "{row:#}");
    assert_eq!(row["provenance"], "unknown", "{row:#}");
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 3);
    assert!(rig.row()?["watts"].is_null());

    // The unknown gets the worst known weight, that of calm: 1/200, 1/100, 1/200.
    let path = SPACE.path("deployments");
    rig.daemon.client()?.send_json("POST", &path, &deployment("web", 8))?.success()?;
    assert_eq!(shares(&SPACE, "web")?, [Some(2), Some(4), Some(2)]);
    Ok(())
}

#[test]
fn where_no_cluster_is_known_all_get_the_same() -> Result<()> {
    let name = "nothing-known";
    let endpoint = FLEET.power()?.predictor().endpoint("linear");
    let predictor = wao::power_consumption(&wao::v2(&endpoint));
    // Without a NodeConfig nobody knows how to tell their power.
    let daemon = daemon("shaky", name).members(&["quiet", "calm"]);
    let daemon = daemon.watts("quiet", None).watts("calm", None);
    configure(FLEET.cluster("shaky")?, name, &predictor)?;
    let daemon = daemon.start()?;
    let page = eventually!(daemon.scores(), |page: &Value| {
        let rows = page["clusters"].as_array().cloned().unwrap_or_default();
        let failure = |row: &Value, reason| row["failure"].to_string().contains(reason);
        rows.len() == 3 && rows[1..].iter().all(|row| failure(row, ": no NodeConfig"))
    });
    for row in page["clusters"].as_array().into_iter().flatten() {
        assert!(row["watts"].is_null() && row["provenance"] == "unknown", "{row:#}");
    }
    let path = SPACE.path("deployments");
    daemon.client()?.send_json("POST", &path, &deployment("even", 6))?.success()?;
    assert_eq!(shares(&SPACE, "even")?, [Some(2), Some(2), Some(2)]);
    Ok(())
}
