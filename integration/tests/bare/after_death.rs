//! A member returns with a past of its own: nobody repairs it yet, so users must be able to.

use anyhow::{Context, Result};
use tenbin_integration::{Daemon, Mode, Response, Space, deployment, eventually};

use super::{daemon, shares, space, warnings};

const MERGE: &str = "application/merge-patch+json";

fn create(daemon: &Daemon, space: &Space, replicas: i64) -> Result<Response> {
    let body = deployment("web", replicas);
    daemon.client()?.send_json("POST", &space.path("deployments"), &body)
}

fn heal(daemon: &Daemon) -> Result<()> {
    daemon.shim("osaka")?.set(Mode::Pass)?;
    eventually!(daemon.scores(), |scores| scores["clusters"][1]["reachable"] == true);
    Ok(())
}

fn sum(space: &Space) -> Result<u64> {
    Ok(shares(space, "web")?.into_iter().flatten().sum())
}

#[test]
fn a_member_that_missed_the_create_is_part_of_the_next_scale_or_named() -> Result<()> {
    let space = space("after-create")?;
    let daemon = daemon("after-create").start()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    create(&daemon, &space, 10)?.success()?;
    heal(&daemon)?;
    let path = space.path("deployments/web");
    let client = daemon.client()?;
    let folded = client.json(&path)?;
    assert_eq!(folded["spec"]["replicas"], 10);
    let patch = br#"{"spec":{"replicas":20}}"#;
    let answer = client.send("PATCH", &path, Some((MERGE, patch)))?.success()?;
    assert_eq!((sum(&space)?, &client.json(&path)?["spec"]["replicas"]), (20, &20.into()));
    let osaka = shares(&space, "web")?[1];
    assert!(osaka.is_some() || warnings(&answer).contains("osaka"), "{answer:?}");
    let mut folded = client.json(&path)?;
    folded["spec"]["replicas"] = 30.into();
    client.send_json("PUT", &path, &folded)?.success()?;
    assert_eq!(sum(&space)?, 30, "{:?}", shares(&space, "web")?);
    client.send("DELETE", &path, None)?.success()?;
    assert_eq!(shares(&space, "web")?, [None, None, None]);
    Ok(())
}

#[test]
fn what_a_delete_left_behind_can_be_seen_and_deleted() -> Result<()> {
    let space = space("after-delete")?;
    let daemon = daemon("after-delete").start()?;
    create(&daemon, &space, 10)?.success()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let path = space.path("deployments/web");
    let client = daemon.client()?;
    let deleted = client.send("DELETE", &path, None)?.success()?;
    assert!(warnings(&deleted).contains("osaka"), "{deleted:?}");
    assert_eq!(shares(&space, "web")?, [None, Some(3), None]);
    heal(&daemon)?;
    // Seen, so that nobody runs three pods that no one knows of; then gone for good.
    let unfolded =
        client.json(&format!("{}?labelSelector=tenbin%2Fcluster", space.path("deployments")))?;
    assert_eq!(unfolded["items"].as_array().context("no items")?.len(), 1);
    let again = client.send("DELETE", &path, None)?;
    assert!(matches!(again.status, 200 | 202), "{}", again.text());
    assert_eq!(shares(&space, "web")?, [None, None, None]);
    assert_eq!(client.get(&path)?.status, 404);
    Ok(())
}

/// Osaka still runs a copy of the old object: it must not count for the new one unsaid.
#[test]
fn a_name_that_is_used_again_is_not_mixed_with_its_past() -> Result<()> {
    let space = space("after-again")?;
    let daemon = daemon("after-again").start()?;
    create(&daemon, &space, 10)?.success()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let client = daemon.client()?;
    client.send("DELETE", &space.path("deployments/web"), None)?.success()?;
    heal(&daemon)?;
    let answer = create(&daemon, &space, 20)?;
    let now = shares(&space, "web")?;
    if answer.status == 201 {
        let folded = client.json(&space.path("deployments/web"))?;
        assert_eq!(folded["spec"]["replicas"], 20);
        let others = now[0].unwrap_or_default() + now[2].unwrap_or_default();
        let told = others == 20 && warnings(&answer).contains("osaka");
        assert!(sum(&space)? == 20 || told, "{now:?} {answer:?}");
    } else {
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert!(answer.text().contains("osaka"), "{}", answer.text());
        assert_eq!(now, [None, Some(3), None]);
    }
    Ok(())
}

#[test]
fn stale_versions_conflict_everywhere() -> Result<()> {
    let space = space("after-stale")?;
    let daemon = daemon("after-stale").start()?;
    create(&daemon, &space, 10)?.success()?;
    let (client, path) = (daemon.client()?, space.path("deployments/web"));
    let mut stale = client.json(&path)?;
    client
        .send("PATCH", &path, Some((MERGE, br#"{"metadata":{"labels":{"a":"b"}}}"#)))?
        .success()?;
    stale["spec"]["replicas"] = 99.into();
    let put = client.send_json("PUT", &path, &stale)?;
    assert_eq!(put.status, 409, "{}", put.text());
    let version = stale["metadata"]["resourceVersion"].as_str().context("no version")?;
    let patch =
        format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"spec":{{"replicas":99}}}}"#);
    let patched = client.send("PATCH", &path, Some((MERGE, patch.as_bytes())))?;
    assert_eq!(patched.status, 409, "{}", patched.text());
    let preconditions = format!(r#"{{"preconditions":{{"resourceVersion":"{version}"}}}}"#);
    let body = Some(("application/json", preconditions.as_bytes()));
    let deleted = client.send("DELETE", &path, body)?;
    assert_eq!(deleted.status, 409, "{}", deleted.text());
    assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    let fresh = client.json(&path)?;
    let uid = fresh["metadata"]["uid"].as_str().context("no uid")?;
    let body = format!(r#"{{"preconditions":{{"uid":"{uid}"}}}}"#);
    client.send("DELETE", &path, Some(("application/json", body.as_bytes())))?.success()?;
    assert_eq!(shares(&space, "web")?, [None, None, None]);
    Ok(())
}
