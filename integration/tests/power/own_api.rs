//! The way to own's API server, and a configuration that changes.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::{FaultyPredictor, Mode, Model, eventually};
use toml::{Table, Value as Toml};

use super::rig::{Rig, at_once, configure, is_close, linear, sum};

#[test]
fn an_api_server_that_cannot_be_reached_makes_nothing_better_and_holds_nobody_up() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let modes =
        [("refuses", Mode::Refuse), ("silent", Mode::Silent), ("black-hole", Mode::BlackHole)];
    at_once(modes, |(name, mode)| {
        let rig = Rig::start("quiet", &format!("own-api-{name}"), &linear(&fake))?;
        let shim = rig.daemon.shim("quiet")?;
        let break_it = || shim.set(mode);
        let heal = || shim.set(Mode::Pass);
        let reason = "no cpu: metrics.k8s.io does not answer";
        rig.survives(sum(&Model::Linear), &[0, 1, 2], reason, break_it, heal)
    })
}

fn edit(rig: &Rig, section: &str, key: &str, value: Option<Toml>) -> Result<()> {
    rig.daemon.edit_config(|table| {
        let section = table.entry(section).or_insert(Toml::Table(Table::new()));
        if let Some(section) = section.as_table_mut() {
            match value {
                Some(value) => drop(section.insert(key.to_owned(), value)),
                None => drop(section.remove(key)),
            }
        }
    })?;
    rig.daemon.reload()
}

#[test]
fn what_is_measured_and_how_changes_with_the_configuration() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let rig = Rig::start("quiet", "reloaded", &linear(&fake))?;
    let watts = sum(&Model::Linear);
    rig.reaches(watts);
    edit(&rig, "own", "watts", Some(Toml::from(55.5)))?;
    eventually!(rig.row(), |row: &Value| row["provenance"] == "stated" && is_close(row, 55.5));
    edit(&rig, "own", "watts", None)?;
    rig.reaches(watts);

    let model = Model::named("spec-hp-ml110-g5")?;
    let power = tenbin_integration::power::wao::v2(&fake.endpoint(model.name()));
    let predictor = tenbin_integration::power::wao::power_consumption(&power);
    configure(rig.cluster, "reloaded-elsewhere", &predictor)?;
    edit(&rig, "score", "namespace", Some(Toml::from("reloaded-elsewhere")))?;
    rig.reaches(sum(&model));
    Ok(())
}
