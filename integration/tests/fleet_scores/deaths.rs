//! Peers that die, and what goes on with what was known of them.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::eventually::now;
use tenbin_integration::{Signal, copies, deployment, eventually};

use super::house::{HOUSE, Objects, Trio};
use super::measured::row;
use super::{CROSS, NAMES};

/// The longest that a person waits for an answer without the dead.
const PROMPT: Duration = Duration::from_secs(5);

/// `spec.replicas` of a Deployment in the three clusters.
fn shares(test: &str, name: &str) -> Result<Vec<Option<u64>>> {
    let path = format!("/apis/apps/v1/namespaces/{test}/deployments/{name}");
    let share = |copy: Option<Value>| copy?.pointer("/spec/replicas")?.as_u64();
    Ok(copies(&HOUSE, &path)?.into_iter().map(share).collect())
}

/// What everybody sees while osaka is dead in this way.
fn while_osaka_is_dead(trio: &Trio, fault: &str) -> Result<()> {
    let began = now();
    let (names, warnings) = trio.seen()?;
    assert!(began.elapsed() < PROMPT, "{fault}: {:?}", began.elapsed());
    assert_eq!(names, ["tokyo", "nagoya"], "{fault}: {warnings}");
    assert!(warnings.contains("osaka"), "{fault}: {warnings}");
    let tokyo = trio.tokyo();
    let first = eventually!(row(tokyo, "osaka"), |row| row["reachable"] == false);
    assert_eq!(first["watts"], 200.0, "{fault}: {first:#}");
    assert_eq!(first["provenance"], "peer", "{fault}: {first:#}");
    let age = |row: &Value| row["age_seconds"].as_f64().unwrap_or_default();
    let later = eventually!(row(tokyo, "osaka"), |row| age(row) > age(&first) + 1.0);
    assert_eq!(later["sampled_at"], first["sampled_at"], "{fault}");
    let objects = Objects::new(&HOUSE, "tokyo", &trio.test)?;
    let ready = || objects.condition("osaka", "Ready");
    let ready = eventually!(ready(), |it: &String| it.starts_with("False Unreachable"));
    assert!(ready.contains("no answer since"), "{fault}: {ready}");
    assert_eq!(objects.get("osaka")?["status"]["score"], 200, "{fault}");
    divides_without_osaka(trio, fault)
}

fn divides_without_osaka(trio: &Trio, fault: &str) -> Result<()> {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", trio.test);
    let began = now();
    let made = trio.tokyo().client()?.send_json("POST", &path, &deployment(fault, 8))?;
    assert!(began.elapsed() < PROMPT, "{fault}: {:?}", began.elapsed());
    let made = made.success().context("creating while osaka is dead")?;
    assert_eq!(made.json()?["spec"]["replicas"], 8, "{fault}");
    assert_eq!(shares(&trio.test, fault)?, [Some(6), None, Some(2)], "{fault}");
    Ok(())
}

fn comes_back(trio: &Trio) -> Result<()> {
    let is_fresh = |row: &Value| {
        row["reachable"] == true && row["age_seconds"].as_f64().is_some_and(|age| age < 5.0)
    };
    eventually!(row(trio.tokyo(), "osaka"), is_fresh);
    eventually!(trio.seen(), |(names, warnings)| names.len() == 3 && warnings.is_empty());
    let objects = Objects::new(&HOUSE, "tokyo", &trio.test)?;
    eventually!(objects.condition("osaka", "Ready"), |it: &String| it.starts_with("True Ready"));
    Ok(())
}

#[test]
fn a_peer_whose_tenbin_dies_or_stops_is_known_missed_and_taken_back() -> Result<()> {
    let mut trio = Trio::start(&HOUSE, "deaths", |daemon| daemon.config(CROSS))?;
    trio.daemons[1].kill()?;
    while_osaka_is_dead(&trio, "killed")?;
    trio.daemons[1].start()?;
    comes_back(&trio)?;
    trio.daemons[1].process()?.signal(Signal::STOP)?;
    let seen = while_osaka_is_dead(&trio, "stopped");
    trio.daemons[1].process()?.signal(Signal::CONT)?;
    seen?;
    comes_back(&trio)
}

#[test]
fn a_daemon_that_starts_among_dead_peers_knows_them_from_its_ledger() -> Result<()> {
    let age = "[score]\nmax_age = '20s'";
    let mut trio = Trio::start(&HOUSE, "ledger", |daemon| daemon.config(CROSS).config(age))?;
    trio.daemons[1].kill()?;
    trio.daemons[2].kill()?;
    trio.daemons[0].restart()?;
    for (name, watts) in [("osaka", 200.0), ("nagoya", 300.0)] {
        let row = row(trio.tokyo(), name)?;
        let told = (&row["watts"], &row["provenance"], &row["reachable"]);
        assert_eq!(told, (&json!(watts), &json!("ledger"), &json!(false)), "{row:#}");
    }
    let began = now();
    let (names, warnings) = trio.seen()?;
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    assert_eq!(names, ["tokyo"]);
    assert!(warnings.contains("osaka") && warnings.contains("nagoya"), "{warnings}");
    let objects = Objects::new(&HOUSE, "tokyo", "ledger")?;
    for name in NAMES.into_iter().skip(1) {
        let gone = eventually!(row(trio.tokyo(), name), |row| row["watts"].is_null());
        assert_eq!(gone["provenance"], "unknown", "{gone:#}");
        eventually!(objects.get(name), |it| it["status"]["score"].is_null());
        let stale = || objects.condition(name, "Stale");
        eventually!(stale(), |it: &String| it.starts_with("True TooOld"));
    }
    Ok(())
}
