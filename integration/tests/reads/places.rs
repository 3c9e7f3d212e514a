//! The members' places in versions outlive the daemon's disk.

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Daemon, eventually};

use super::{FLEET, daemon, filled};

const NAMESPACE: &str = "wao-places";

/// Ends the daemon, and starts it without anything that it knew.
fn lose_everything(daemon: &mut Daemon) -> Result<()> {
    daemon.stop()?;
    std::fs::remove_dir_all(daemon.folder().join("state")).context("removing the ledger")?;
    daemon.start()
}

/// The first line of a watch from a version.
fn watched(daemon: &Daemon, path: &str, version: &str) -> Result<String> {
    let query = format!("watch=1&timeoutSeconds=1&resourceVersion={version}");
    Ok(daemon.client()?.get(&format!("{path}?{query}"))?.text())
}

#[test]
fn a_daemon_that_lost_its_ledger_goes_on_with_the_versions_of_before() -> Result<()> {
    let own = FLEET.cluster("tokyo")?.client()?;
    let namespace = json!({"metadata": {"name": NAMESPACE}});
    own.send_json("POST", "/api/v1/namespaces", &namespace)?.success()?;
    let space = filled("places", [1, 1, 1])?;
    let path = space.path("configmaps");
    let config = format!("[score]\nnamespace = '{NAMESPACE}'");
    let mut daemon = daemon("places").config(&config).start()?;
    let kept = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/tenbin-versions");
    eventually!(own.json(&kept), |kept| kept["data"]["members"] == "tokyo\nosaka\nnagoya");
    let list = daemon.client()?.json(&path)?;
    let version = list["metadata"]["resourceVersion"].as_str().context("no version")?.to_owned();

    lose_everything(&mut daemon)?;
    assert_eq!(watched(&daemon, &path, &version)?, "", "nothing has happened since");

    own.send("DELETE", &kept, None)?.success()?;
    lose_everything(&mut daemon)?;
    let answer = watched(&daemon, &path, &version)?;
    assert!(answer.contains("\"code\":410"), "nobody knows these versions any more: {answer}");
    Ok(())
}
