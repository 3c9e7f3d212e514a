//! Reads while a member is dead in every way in which members die.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::eventually::now;
use tenbin_integration::{Daemon, Mode, Response, Signal, Space, config_map, eventually};

use super::{FLEET, daemon, person, space, warnings};

/// The longest that a person may wait for an answer without the dead: 1 s for silence, 1 s for
/// `/livez`, and slack for a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(5);

fn names(answer: &Response) -> Result<Vec<String>> {
    let table = answer.json()?;
    let rows = table["rows"].as_array().with_context(|| format!("no rows in {table:#}"))?;
    let name = |row: &Value| row["object"]["metadata"]["name"].as_str().map(str::to_owned);
    rows.iter().map(|row| name(row).context("a row without a name")).collect()
}

/// One config map in each of the three clusters, called as the cluster.
fn populated(name: &str) -> Result<Space> {
    let space = space(name)?;
    for cluster in ["tokyo", "osaka", "nagoya"] {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    Ok(space)
}

/// Asks as a person until everybody is there, which also warms every lane.
fn healthy(daemon: &Daemon, path: &str) -> Result<()> {
    let client = person(daemon)?;
    eventually!(client.get(path).and_then(Response::success), |answer: &Response| {
        names(answer).is_ok_and(|names| names.len() == 3) && warnings(answer).is_empty()
    });
    Ok(())
}

/// What everybody sees while osaka is dead.
fn dead(daemon: &Daemon, path: &str, fault: &str) -> Result<()> {
    for round in 0..3 {
        let began = now();
        let answer = person(daemon)?.get(path)?.success()?;
        let took = began.elapsed();
        assert!(took < PATIENCE, "{fault}, round {round}: {took:?}");
        assert_eq!(names(&answer)?, ["tokyo", "nagoya"], "{fault}, round {round}");
        assert!(warnings(&answer).contains("osaka"), "{fault}, round {round}: {answer:?}");
    }
    let began = now();
    let cache = daemon.client()?.get(&format!("{path}?resourceVersion=0"))?;
    assert_eq!(cache.status, 503, "{fault}: {}", cache.text());
    assert_eq!(cache.json()?["kind"], "Status");
    assert!(cache.header("retry-after").is_some(), "{fault}: {cache:?}");
    assert!(cache.text().contains("osaka"), "{fault}: {}", cache.text());
    let own = daemon.client()?.get(&format!("{path}/tokyo"))?.success()?;
    assert_eq!(own.json()?["metadata"]["name"], "tokyo");
    let missing = daemon.client()?.get(&format!("{path}/nowhere"))?;
    assert!(matches!(missing.status, 404 | 503), "{fault}: {}", missing.text());
    assert!(began.elapsed() < PATIENCE, "{fault}: {:?}", began.elapsed());
    Ok(())
}

fn dies_and_returns(name: &str, mode: Mode) -> Result<()> {
    let space = populated(name)?;
    let daemon = daemon(name).start()?;
    let path = space.path("configmaps");
    healthy(&daemon, &path)?;
    daemon.shim("osaka")?.set(mode)?;
    dead(&daemon, &path, name)?;
    daemon.shim("osaka")?.set(Mode::Pass)?;
    // Nobody asks for anything but the scores: the daemon finds out by itself.
    eventually!(daemon.scores(), |scores| reachable(scores, "osaka") == Some(true));
    let answer = person(&daemon)?.get(&path)?.success()?;
    assert_eq!(names(&answer)?.len(), 3, "{}", warnings(&answer));
    assert_eq!(warnings(&answer), "");
    Ok(())
}

/// What `/scores` says of a member.
fn reachable(scores: &Value, name: &str) -> Option<bool> {
    let clusters = scores["clusters"].as_array()?;
    clusters.iter().find(|it| it["name"] == name)?["reachable"].as_bool()
}

#[test]
fn refused_connections() -> Result<()> {
    dies_and_returns("dead-refuse", Mode::Refuse)
}

#[test]
fn a_black_hole() -> Result<()> {
    dies_and_returns("dead-hole", Mode::BlackHole)
}

#[test]
fn silence_after_accepting() -> Result<()> {
    dies_and_returns("dead-silent", Mode::Silent)
}

/// Each connection ends within the TLS handshake.
#[test]
fn half_a_handshake() -> Result<()> {
    dies_and_returns("dead-handshake", Mode::CutAfter(100))
}

#[test]
fn a_stopped_process() -> Result<()> {
    let space = Space::only_in(&FLEET, "dead-stopped", &["tokyo", "sapporo"])?;
    for cluster in ["tokyo", "sapporo"] {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    let daemon =
        FLEET.daemon().name("dead-stopped").members(&["sapporo"]).config(super::CROSS).start()?;
    let path = space.path("configmaps");
    let client = person(&daemon)?;
    eventually!(client.get(&path).and_then(|it| names(&it)), |names| names.len() == 2);
    let process = FLEET.cluster("sapporo")?.apiserver().running();
    process.signal(Signal::STOP)?;
    let began = now();
    let answer = client.get(&path);
    let took = began.elapsed();
    process.signal(Signal::CONT)?;
    let answer = answer?.success()?;
    assert!(took < PATIENCE, "{took:?}");
    assert_eq!(names(&answer)?, ["tokyo"]);
    assert!(warnings(&answer).contains("sapporo"), "{answer:?}");
    eventually!(client.get(&path).and_then(|it| names(&it)), |names| names.len() == 2);
    Ok(())
}

#[test]
fn half_a_body_is_never_ended_as_if_whole() -> Result<()> {
    let space = populated("dead-half")?;
    let big = "x".repeat(100_000);
    for n in 0..8 {
        space.create_in("osaka", "configmaps", &config_map(&format!("big-{n}"), &big))?;
    }
    let daemon = daemon("dead-half").start()?;
    let path = space.path("configmaps");
    let whole = daemon.client()?.json(&path)?;
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(11));
    for bytes in [1, 20_000, 300_000, 600_000] {
        daemon.shim("osaka")?.set(Mode::CutAfter(bytes))?;
        match daemon.client()?.get(&path) {
            Err(_) => {}
            Ok(answer) if answer.status == 200 => {
                let items = answer.json()?["items"].as_array().map(Vec::len);
                assert_eq!(items, Some(2), "cut after {bytes}: all of osaka or nothing");
                assert!(warnings(&answer).contains("osaka"), "cut after {bytes}");
            }
            Ok(answer) => assert_eq!(answer.json()?["kind"], "Status", "cut after {bytes}"),
        }
        daemon.shim("osaka")?.set(Mode::Pass)?;
        let client = daemon.client()?;
        eventually!(client.json(&path), |list| list["items"].as_array().map(Vec::len) == Some(11));
    }
    Ok(())
}

#[test]
fn the_daemon_starts_while_a_member_is_dead() -> Result<()> {
    let space = populated("dead-start")?;
    let mut daemon = daemon("dead-start").prepare()?;
    daemon.shim("osaka")?.set(Mode::BlackHole)?;
    let began = now();
    daemon.start()?;
    assert!(began.elapsed() < PATIENCE, "ready after {:?}", began.elapsed());
    dead(&daemon, &space.path("configmaps"), "dead from the start")
}

#[test]
fn discovery_and_reviews_do_not_wait_for_the_dead() -> Result<()> {
    let daemon = daemon("dead-others").start()?;
    daemon.client()?.json("/api/v1/namespaces")?;
    daemon.shim("osaka")?.set(Mode::BlackHole)?;
    daemon.shim("nagoya")?.set(Mode::Silent)?;
    let began = now();
    for path in ["/version", "/healthz", "/api", "/apis", "/openapi/v3"] {
        daemon.client()?.get(path)?.success().context(path)?;
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    Ok(())
}

#[test]
fn the_dead_are_an_error_when_partial_answers_are_off() -> Result<()> {
    let space = populated("dead-never")?;
    let daemon = daemon("dead-never").config("[reads]\npartial = 'never'").start()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let answer = person(&daemon)?.get(&space.path("configmaps"))?;
    assert_eq!((answer.status, &answer.json()?["kind"]), (503, &json!("Status")));
    daemon.edit_config(|table| {
        table.insert(
            "reads".to_owned(),
            toml::Table::from_iter([("partial".to_owned(), "always".into())]).into(),
        );
    })?;
    daemon.reload()?;
    let cache = daemon.client()?;
    let path = format!("{}?resourceVersion=0", space.path("configmaps"));
    eventually!(cache.get(&path), |answer: &Response| answer.status == 200);
    Ok(())
}
