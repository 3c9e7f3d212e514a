//! What a daemon that starts anew knows of members that are dead.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::eventually::now;
use tenbin_integration::{
    Daemon, FaultyPredictor, Mode, Model, Space, deployment, eventually, tools,
};

use super::FLEET;
use super::rig::{Rig, configure, daemon, is_close, is_whole, linear, sum};

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
        eventually!(rig.row_of(cluster), |row: &Value| is_whole(row));
    }

    for cluster in ["calm", "busy"] {
        rig.daemon.shim(cluster)?.set(Mode::Refuse)?;
    }
    // The last that is learnt of them before the end.
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 2);
    let before = ["calm", "busy"].map(|it| rig.row_of(it));
    rig.daemon.restart()?;
    let began = now();
    for before in before {
        let before = before?;
        let cluster = before["name"].as_str().context("no name")?;
        let row = rig.row_of(cluster)?;
        println!("{cluster} is known again: {} W, {} s old", row["watts"], row["age_seconds"]);
        assert_eq!(row["provenance"], "ledger", "{row:#}");
        assert_eq!(row["watts"], before["watts"], "{row:#}");
        assert_eq!(row["sampled_at"], before["sampled_at"], "{row:#}");
        assert!(row["age_seconds"].as_f64() > before["age_seconds"].as_f64(), "{row:#}");
        assert_eq!(row["region"], cluster, "{row:#}");
        eventually!(rig.row_of(cluster), |row: &Value| {
            row["reachable"] == false && row["failure"].is_string()
        });
    }

    // Divided among the living by their watts, 1 : 2.
    rig.reaches(watts);
    let row = eventually!(rig.row_of("shaky"), |row: &Value| row["watts"].is_number());
    assert!(is_close(&row, stated), "{row:#}");
    let space = Space::only_in(&FLEET, "known-again-work", &["quiet", "calm", "busy", "shaky"])?;
    let path = space.path("deployments");
    rig.daemon.client()?.send_json("POST", &path, &deployment("web", 9))?.success()?;
    let shares = space.shares("deployments/web")?;
    println!(
        "shares of {:?}: {shares:?}",
        FLEET.clusters().iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
    );
    let of = |name: &str| {
        let place = FLEET.clusters().iter().position(|it| it.name() == name);
        place.and_then(|place| shares.get(place).copied().flatten())
    };
    assert_eq!((of("quiet"), of("shaky")), (Some(6), Some(3)), "{shares:?}");
    assert_eq!((of("calm"), of("busy")), (None, None), "{shares:?}");

    for cluster in ["calm", "busy"] {
        let row = eventually!(rig.row_of(cluster), |row: &Value| row["watts"].is_null());
        assert_eq!(row["provenance"], "unknown", "{row:#}");
        assert!(row["failure"].is_string(), "{row:#}");
    }
    println!("unknown {:.1} s after the start", began.elapsed().as_secs_f64());
    for cluster in ["calm", "busy"] {
        rig.daemon.shim(cluster)?.set(Mode::Pass)?;
    }
    for cluster in ["calm", "busy"] {
        eventually!(rig.row_of(cluster), |row: &Value| is_whole(row));
    }
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
    let history = eventually!(inspect(&rig.daemon), |page: &Value| {
        page["history"]["quiet"].as_array().is_some_and(|points| !points.is_empty())
    });
    println!("{}", history["history"]);
    // Asking holds nothing up.
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 2);
    rig.reaches(watts);
    Ok(())
}
