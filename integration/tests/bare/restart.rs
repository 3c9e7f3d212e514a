//! What was known survives a restart, even one into a broken world.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::eventually::now;
use tenbin_integration::{Daemon, Mode, deployment, eventually};

use super::{daemon, shares, space, warnings};

fn provenances(daemon: &Daemon) -> Result<Vec<(String, Option<f64>)>> {
    let scores = daemon.scores()?;
    let clusters = scores["clusters"].as_array().context("no clusters")?;
    let row = |it: &Value| Some((it["provenance"].as_str()?.to_owned(), it["watts"].as_f64()));
    clusters.iter().map(|it| row(it).with_context(|| format!("{it}"))).collect()
}

fn forget_watts(daemon: &Daemon) -> Result<()> {
    daemon.edit_config(|table| {
        let members = table.get_mut("member").and_then(|it| it.as_array_mut());
        for member in members.into_iter().flatten().filter_map(|it| it.as_table_mut()) {
            member.remove("watts");
        }
        if let Some(own) = table.get_mut("own").and_then(|it| it.as_table_mut()) {
            own.remove("watts");
        }
    })
}

/// The restart test of issue 3.
#[test]
fn placement_goes_on_by_the_last_known_scores_with_a_member_down() -> Result<()> {
    let space = space("restart")?;
    let mut daemon = daemon("restart").start()?;
    eventually!(provenances(&daemon), |all| all.iter().all(|(from, _)| from == "stated"));
    assert!(daemon.stop()?.success(), "{}", daemon.log());
    forget_watts(&daemon)?;
    daemon.shim("nagoya")?.set(Mode::BlackHole)?;
    let began = now();
    daemon.start()?;
    let answer =
        daemon.client()?.send_json("POST", &space.path("deployments"), &deployment("web", 10))?;
    let took = began.elapsed();
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(took < Duration::from_secs(2), "{took:?}\n{}", daemon.log());
    assert_eq!(shares(&space, "web")?, [Some(7), Some(3), None], "{}", answer.text());
    assert!(warnings(&answer).contains("nagoya"), "{answer:?}");
    let known = [("ledger", 100.0), ("ledger", 200.0), ("ledger", 300.0)];
    let known: Vec<_> =
        known.iter().map(|(from, watts)| ((*from).to_owned(), Some(*watts))).collect();
    assert_eq!(provenances(&daemon)?, known);
    Ok(())
}

#[test]
fn a_ledger_of_garbage_is_moved_aside_and_the_daemon_starts() -> Result<()> {
    let mut daemon = daemon("restart-garbage").start()?;
    eventually!(provenances(&daemon), |all| all.iter().all(|(from, _)| from == "stated"));
    assert!(daemon.stop()?.success());
    let ledger = daemon.folder().join("state/ledger");
    assert!(ledger.is_dir(), "state_dir holds a ledger");
    for entry in std::fs::read_dir(&ledger)?.flatten().filter(|it| it.path().is_file()) {
        std::fs::write(entry.path(), b"this was a database")?;
    }
    daemon.start()?;
    assert!(daemon.log().to_lowercase().contains("corrupt"), "{}", daemon.log());
    eventually!(provenances(&daemon), |all| all.iter().all(|(from, _)| from == "stated"));
    Ok(())
}

#[test]
fn two_daemons_do_not_share_a_ledger() -> Result<()> {
    let first = daemon("restart-first").start()?;
    let mut second = daemon("restart-second").prepare()?;
    let state = first.folder().join("state").display().to_string();
    second.edit_config(|table| {
        table.insert("state_dir".to_owned(), state.into());
    })?;
    let error = format!("{:#}", second.start().err().context("it started")?);
    assert!(error.contains("ended") && error.contains("state"), "{error}");
    assert_eq!(first.admin().get("/healthz")?.status, 200);
    Ok(())
}
