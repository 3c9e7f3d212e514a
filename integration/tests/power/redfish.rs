//! Predictors that a BMC names.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::power::{PASSWORD, USER, wao};
use tenbin_integration::{Model, Signal, eventually};

use super::FLEET;
use super::rig::{Rig, sum};

fn provider(secret: &str) -> Result<Value> {
    let term = wao::term("Redfish", &FLEET.power()?.redfish().url());
    Ok(json!({"powerConsumptionEndpointProvider": wao::with_secret(term, secret)}))
}

fn secret(namespace: &str, password: &str) -> Result<()> {
    let cluster = FLEET.cluster("quiet")?;
    cluster.ensure_namespace(namespace)?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bmc"},
        "stringData": {"username": USER, "password": password}});
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    cluster.client()?.send_json("POST", &path, &secret)?.success()?;
    Ok(())
}

/// One test, as there is one BMC.
#[test]
fn a_bmc_names_the_predictor_and_is_not_believed_without_a_password() -> Result<()> {
    let bmc = FLEET.power()?.redfish();
    bmc.set_model(&FLEET.power()?.predictor().url(), "spec-hp-ml110-g5")?;
    let watts = sum(&Model::named("spec-hp-ml110-g5")?);
    secret("bmc", PASSWORD)?;
    let rig = Rig::start("quiet", "bmc", &provider("bmc")?)?;
    rig.reaches(watts);

    secret("bmc-wrong", "wrong")?;
    let wrong = Rig::start("quiet", "bmc-wrong", &provider("bmc")?)?;
    let told = |reason: &'static str| {
        move |row: &Value| row["failure"].as_str().is_some_and(|it| it.contains(reason))
    };
    let row = eventually!(wrong.row(), told("answers 401"));
    assert!(row["watts"].is_null(), "{row:#}");

    // What the BMC said counts for a while; who asks for the first time waits in vain.
    bmc.process().signal(Signal::STOP)?;
    secret("bmc-hangs", PASSWORD)?;
    let hangs = Rig::start("quiet", "bmc-hangs", &provider("bmc")?)?;
    let row = eventually!(hangs.row(), told("does not answer"));
    assert!(row["watts"].is_null(), "{row:#}");
    let polls = (rig.polls()?, hangs.polls()?);
    eventually!(rig.polls(), |now: &u64| *now >= polls.0 + 3);
    eventually!(hangs.polls(), |now: &u64| *now >= polls.1 + 3);
    rig.reaches(watts);
    bmc.process().signal(Signal::CONT)?;
    hangs.reaches(watts);
    Ok(())
}
