//! The admin listener, and the end of the daemon.

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::eventually::now;
use tenbin_integration::{Daemon, Mode, eventually, tools};

use super::{daemon, space};

static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("admin").shared());

#[test]
fn scores_are_as_designed() -> Result<()> {
    let page = eventually!(DAEMON.scores(), |page| {
        page["clusters"]
            .as_array()
            .is_some_and(|all| all.iter().all(|it| it["provenance"] == "stated"))
    });
    let clusters = page["clusters"].as_array().context("no clusters")?;
    assert_eq!(clusters.len(), 3);
    for (cluster, (name, watts)) in
        clusters.iter().zip([("tokyo", 100.0), ("osaka", 200.0), ("nagoya", 300.0)])
    {
        let own = json!(name == "tokyo");
        for (key, value) in [
            ("name", json!(name)),
            ("own", own),
            ("region", json!(name)),
            ("watts", json!(watts)),
            ("reachable", json!(true)),
        ] {
            assert_eq!(cluster[key], value, "{key} of {cluster}");
        }
        let sampled = cluster["sampled_at"].as_str().context("no sampled_at")?;
        assert!(sampled.ends_with('Z') && sampled.contains('T'), "{sampled}");
        let age = cluster["age_seconds"].as_f64().context("no age_seconds")?;
        assert!((0.0..10.0).contains(&age), "{age}");
        assert!(cluster["nodes"].is_array() && cluster["missing"].is_array(), "{cluster}");
    }
    Ok(())
}

#[test]
fn scores_are_printed_as_a_table() -> Result<()> {
    let output = Command::new(tools::tenbin()?)
        .args(["scores", "--config"])
        .arg(DAEMON.config_path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for (name, watts) in [("tokyo", "100"), ("osaka", "200"), ("nagoya", "300")] {
        let row = said.lines().find(|row| row.contains(name)).context(said.clone())?;
        assert!(row.contains(watts) && row.contains("stated"), "{row}");
    }
    Ok(())
}

#[test]
fn health_readiness_and_actors_are_pages() -> Result<()> {
    for path in ["/healthz", "/readyz"] {
        assert_eq!(DAEMON.admin().get(path)?.status, 200, "{path}");
    }
    let actors = DAEMON.admin().get("/actors")?.success()?;
    let names = actors.text().to_lowercase();
    for actor in ["registry", "scorer", "ledger", "router", "placer", "forwarder"] {
        assert!(names.contains(actor), "{actor}: {names}");
    }
    assert!(names.contains("restarts"), "{names}");
    assert_eq!(DAEMON.admin().get("/nowhere")?.status, 404);
    Ok(())
}

#[test]
fn readiness_ends_when_nobody_answers_and_returns() -> Result<()> {
    let daemon = daemon("admin-ready").start()?;
    let status = || Ok::<u16, anyhow::Error>(daemon.admin().get("/readyz")?.status);
    for cluster in ["tokyo", "osaka", "nagoya"] {
        assert_eq!(status()?, 200, "any member will do");
        daemon.shim(cluster)?.set(Mode::Refuse)?;
    }
    eventually!(status(), |status| *status == 503);
    assert_eq!(daemon.admin().get("/healthz")?.status, 200);
    daemon.shim("osaka")?.set(Mode::Pass)?;
    eventually!(status(), |status| *status == 200);
    Ok(())
}

#[test]
fn sigterm_drains_within_seconds_although_a_watch_is_open() -> Result<()> {
    let space = space("admin-drain")?;
    let mut daemon = daemon("admin-drain").start()?;
    let path = format!("{}?watch=true", space.path("configmaps"));
    let mut watch = daemon.client()?.open("GET", &path, None)?;
    assert_eq!(watch.status, 200);
    let began = now();
    let ended = daemon.stop()?;
    assert!(ended.success(), "{ended}: {}", daemon.log());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    let ending = std::iter::from_fn(|| Some(watch.line())).find(|it| !matches!(it, Ok(Some(_))));
    assert!(matches!(ending, Some(Ok(None))), "the stream ends as HTTP says: {ending:?}");
    Ok(())
}

#[test]
fn the_log_is_json_off_a_terminal_and_never_holds_bodies_or_credentials() -> Result<()> {
    let space = space("admin-log")?;
    let client = DAEMON.client()?.header("Authorization", "Bearer very-secret-token");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                        "stringData": {"password": "hunter2-in-the-log"}});
    client.send_json("POST", &space.path("secrets"), &secret)?;
    let log = DAEMON.log();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).with_context(|| line.to_owned())?;
    }
    assert!(!log.contains("hunter2") && !log.contains("very-secret"), "{log}");
    Ok(())
}
