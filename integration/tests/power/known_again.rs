//! What a daemon that starts anew knows of members that are dead.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{
    Behaviour, Daemon, FaultyPredictor, Mode, Model, Space, deployment, eventually, tools,
};

use super::FLEET;
use super::rig::{Rig, configure, daemon, is_close, linear, node_config, sum};

fn inspect(daemon: &Daemon) -> Result<Value> {
    let output = Command::new(tools::tenbin()?)
        .args(["inspect-ledger", "--config"])
        .arg(daemon.config_path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).context("no JSON")
}

#[test]
fn dead_members_are_known_from_the_ledger_for_a_while_and_then_unknown() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let (name, watts) = ("known-again", sum(&Model::Linear));
    let stated = 2.0 * watts;
    let daemon = daemon("quiet", name).members(&["calm", "busy", "shaky"]);
    let daemon = daemon.watts("calm", None).watts("busy", None).watts("shaky", stated);
    let daemon = daemon.config("[score]\nmax_age = '12s'\n[placement]\nstrategy = 'inverse'");
    for cluster in ["calm", "busy"] {
        configure(FLEET.cluster(cluster)?, name, &linear(&fake))?;
    }
    let mut rig = Rig::with(daemon, "quiet", name, &linear(&fake))?;
    rig.reaches(watts);
    for cluster in ["calm", "busy"] {
        eventually!(rig.row_of(cluster), |row: &Value| row["provenance"] == "measured");
    }

    for cluster in ["calm", "busy"] {
        rig.daemon.shim(cluster)?.set(Mode::Refuse)?;
    }
    // The last that is learnt of them before the end.
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 2);
    let before = ["calm", "busy"].map(|it| rig.row_of(it));
    rig.daemon.restart()?;
    for before in before {
        let before = before?;
        let cluster = before["name"].as_str().context("no name")?;
        let row = rig.row_of(cluster)?;
        assert_eq!(row["provenance"], "ledger", "{row:#}");
        assert_eq!(row["watts"], before["watts"], "{row:#}");
        assert_eq!(row["sampled_at"], before["sampled_at"], "{row:#}");
        assert!(row["age_seconds"].as_f64() > before["age_seconds"].as_f64(), "{row:#}");
        assert_eq!(row["region"], cluster, "{row:#}");
        eventually!(rig.row_of(cluster), |row: &Value| {
            row["reachable"] == false && row["failure"].is_string()
        });
    }

    rig.reaches(watts);
    let row = eventually!(rig.row_of("shaky"), |row: &Value| row["watts"].is_number());
    assert!(is_close(&row, stated), "{row:#}");
    the_living_divide(&rig)?;

    for cluster in ["calm", "busy"] {
        let row = eventually!(rig.row_of(cluster), |row: &Value| row["watts"].is_null());
        assert_eq!(row["provenance"], "unknown", "{row:#}");
        assert!(row["failure"].is_string(), "{row:#}");
    }
    for cluster in ["calm", "busy"] {
        rig.daemon.shim(cluster)?.set(Mode::Pass)?;
    }
    for cluster in ["calm", "busy"] {
        eventually!(rig.row_of(cluster), |row: &Value| row["provenance"] == "measured");
    }
    Ok(())
}

/// Divides a Deployment among quiet and shaky by their watts, though the dead are cheap.
fn the_living_divide(rig: &Rig) -> Result<()> {
    let space = Space::only_in(&FLEET, "known-again-work", &["quiet", "calm", "busy", "shaky"])?;
    let path = space.path("deployments");
    rig.daemon.client()?.send_json("POST", &path, &deployment("web", 9))?.success()?;
    let shares = space.shares("deployments/web")?;
    let of = |name: &str| {
        let place = FLEET.clusters().iter().position(|it| it.name() == name);
        place.and_then(|place| shares.get(place).copied().flatten())
    };
    assert_eq!((of("quiet"), of("shaky")), (Some(6), Some(3)), "{shares:?}");
    assert_eq!((of("calm"), of("busy")), (None, None), "{shares:?}");
    Ok(())
}

#[test]
fn the_ledger_is_shown_while_the_daemon_runs() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let rig = Rig::start("quiet", "inspected", &linear(&fake))?;
    let watts = sum(&Model::Linear);
    rig.reaches(watts);
    let found = |page: &Value| {
        let records = page["records"].as_array().cloned().unwrap_or_default();
        let score = records.into_iter().find(|record| record["key"] == "score/quiet");
        score.is_some_and(|score| is_close(&score["content"], watts))
    };
    let page = eventually!(inspect(&rig.daemon), found);
    assert!(page["damage"].is_null(), "{page:#}");
    eventually!(inspect(&rig.daemon), |page: &Value| {
        page["history"]["quiet"].as_array().is_some_and(|points| !points.is_empty())
    });
    // Asking holds nothing up.
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 2);
    rig.reaches(watts);
    Ok(())
}

#[test]
fn what_broken_nodes_cost_is_known_after_a_restart() -> Result<()> {
    let (broken, well) = (FaultyPredictor::start()?, FaultyPredictor::start()?);
    let (name, watts) = ("broken-restart", sum(&Model::Linear));
    let cluster = FLEET.cluster("quiet")?;
    cluster.ensure_namespace(name)?;
    for n in 0..3 {
        node_config(cluster, name, n, &linear(if n == 2 { &broken } else { &well }))?;
    }
    let daemon = daemon("quiet", name).start()?;
    let mut rig = Rig { cluster, namespace: name.to_owned(), daemon };
    rig.reaches(watts);
    // One node, and then all: what is known of them outlives the daemon.
    for (fault, missing, provenance) in [(&broken, 1, "measured"), (&well, 3, "ledger")] {
        fault.behave(Behaviour::Status(500));
        let fails = |row: &Value| row["missing"].as_array().is_some_and(|it| it.len() == missing);
        eventually!(rig.row(), fails);
        let polls = rig.polls()?;
        eventually!(rig.polls(), |now: &u64| *now >= polls + 2);
        rig.daemon.restart()?;
        let first = rig.row()?;
        assert!(is_close(&first, watts), "{first:#}");
        let row =
            eventually!(rig.row(), |row: &Value| fails(row) && row["provenance"] == provenance);
        assert!(is_close(&row, watts), "{row:#}");
        let node = row["missing"].as_array().and_then(|it| it.last()).cloned().unwrap_or_default();
        assert!(node["last_watts"].is_number() && node["measured_at"].is_string(), "{row:#}");
    }
    broken.behave(Behaviour::Formula);
    well.behave(Behaviour::Formula);
    rig.reaches(watts);
    Ok(())
}
