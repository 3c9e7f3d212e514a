//! Children end with the process that started them, and survive what they should.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use tenbin_integration::process::Spec;
use tenbin_integration::{FleetBuilder, Signal, eventually};

/// Set in the process that `a_killed_parent_takes_its_children_along` starts: this test binary.
const PARENT: &str = "TENBIN_TEST_PARENT_LOG";

fn alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

#[test]
fn a_child_outlives_the_thread_that_asked_for_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let start = move || Spec::new("sleep", "sleep").arg("600").start(&log);
    let mut child = std::thread::spawn(start).join().expect("a thread")?;
    child.expect_running()?;
    let pid = child.id();
    drop(child);
    assert!(!alive(pid), "dropping ends it");
    Ok(())
}

#[test]
fn a_parent() -> Result<()> {
    let Some(log) = std::env::var_os(PARENT) else {
        return Ok(());
    };
    let mut child = Spec::new("sleep", "sleep").arg("600").start(Path::new(&log))?;
    std::fs::write(Path::new(&log).with_extension("pid"), child.id().to_string())?;
    child.wait(std::time::Duration::from_mins(10))?;
    Ok(())
}

#[test]
fn a_killed_parent_takes_its_children_along() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("child.log");
    let mut parent = Command::new(std::env::current_exe()?)
        .args(["--exact", "a_parent"])
        .env(PARENT, &log)
        .spawn()?;
    let pid_file = log.with_extension("pid");
    let pid: u32 =
        eventually!(std::fs::read_to_string(&pid_file).ok().and_then(|pid| pid.parse().ok()));
    assert!(alive(pid));
    parent.kill()?;
    parent.wait()?;
    eventually!(!alive(pid));
    Ok(())
}

#[test]
fn an_api_server_can_be_stopped_killed_and_started_again_where_it_was() -> Result<()> {
    let mut fleet = FleetBuilder::new("restart").clusters(["tokyo"]).start()?;
    let tokyo = fleet.cluster_mut("tokyo")?;
    let kubectl = tokyo.kubectl()?.flag("--request-timeout=1s");
    kubectl.ok(["create", "namespace", "kept"])?;
    tokyo.apiserver().running().signal(Signal::STOP)?;
    assert_ne!(kubectl.run(["get", "namespaces"])?.code, 0);
    tokyo.apiserver().running().signal(Signal::CONT)?;
    eventually!(kubectl.ok(["get", "namespace", "kept"]));
    tokyo.kill_apiserver()?;
    let refused = kubectl.run(["get", "namespaces"])?;
    assert!(refused.stderr.contains("refused"), "{}", refused.stderr);
    tokyo.restart_apiserver()?;
    kubectl.ok(["get", "namespace", "kept"])?;
    let folder = tokyo.folder().to_owned();
    drop(fleet);
    assert!(!folder.join("etcd").exists() && folder.join("kube-apiserver.log").exists());
    Ok(())
}

#[test]
fn a_child_that_ends_early_is_an_error_that_shows_its_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let script = ["-c", "echo what went wrong; exit 3"];
    let mut child = Spec::new("sh", "sh").args(script).start(&log)?;
    let never = || -> Result<()> { anyhow::bail!("not ready") };
    let error = child
        .wait_until(tenbin_integration::eventually::patience(), never)
        .err()
        .context("it never was ready")?;
    assert!(format!("{error:#}").contains("what went wrong"), "{error:#}");
    Ok(())
}
