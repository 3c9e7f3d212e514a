//! Writes while a member is dead: its share is zero and said, or the outcome is unknown and said.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tenbin_integration::eventually::now;
use tenbin_integration::{Daemon, Mode, Space, deployment, eventually};

use super::{daemon, shares, space, warnings};

const PATIENCE: Duration = Duration::from_secs(6);

fn create(daemon: &Daemon, space: &Space, name: &str) -> Result<tenbin_integration::Response> {
    daemon.client()?.send_json("POST", &space.path("deployments"), &deployment(name, 10))
}

/// The dry run finds out that osaka is dead before a byte of the write itself is sent.
fn goes_on_without(name: &str, mode: Mode) -> Result<()> {
    let space = space(name)?;
    let daemon = daemon(name).start()?;
    create(&daemon, &space, "before")?.success()?;
    assert_eq!(shares(&space, "before")?, [Some(5), Some(3), Some(2)]);
    daemon.shim("osaka")?.set(mode)?;
    for name in ["first", "second"] {
        let began = now();
        let answer = create(&daemon, &space, name)?;
        assert!(began.elapsed() < PATIENCE, "{name}: {:?}", began.elapsed());
        assert_eq!(answer.status, 201, "{name}: {}", answer.text());
        assert!(warnings(&answer).contains("osaka"), "{name}: {answer:?}");
        assert_eq!(answer.json()?["spec"]["replicas"], 10);
        assert_eq!(shares(&space, name)?, [Some(8), None, Some(2)], "{name}");
    }
    daemon.shim("osaka")?.set(Mode::Pass)?;
    eventually!(daemon.scores(), |scores| scores["clusters"][1]["reachable"] == true);
    let healed = create(&daemon, &space, "healed")?.success()?;
    assert_eq!(warnings(&healed), "");
    assert_eq!(shares(&space, "healed")?, [Some(5), Some(3), Some(2)]);
    Ok(())
}

#[test]
fn a_create_goes_on_without_a_member_that_refuses_connections() -> Result<()> {
    goes_on_without("write-refuse", Mode::Refuse)
}

#[test]
fn a_create_goes_on_without_a_member_in_a_black_hole() -> Result<()> {
    goes_on_without("write-hole", Mode::BlackHole)
}

#[test]
fn a_create_goes_on_without_a_silent_member() -> Result<()> {
    goes_on_without("write-silent", Mode::Silent)
}

#[test]
fn replicated_kinds_go_on_and_say_what_was_not_delivered() -> Result<()> {
    let space = space("write-replicate")?;
    let daemon = daemon("write-replicate").start()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                         "spec": {"ports": [{"port": 80}]}});
    let answer = daemon.client()?.send_json("POST", &space.path("services"), &service)?;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert!(warnings(&answer).contains("osaka"), "{answer:?}");
    let copies: Vec<bool> = space.copies("services/web")?.iter().map(Option::is_some).collect();
    assert_eq!(copies, [true, false, true, false]);
    Ok(())
}

#[test]
fn a_scale_moves_the_share_of_a_dead_member_nowhere_twice() -> Result<()> {
    let space = space("write-scale")?;
    let daemon = daemon("write-scale").start()?;
    create(&daemon, &space, "web")?.success()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let patch = br#"{"spec":{"replicas":20}}"#;
    let kind = "application/merge-patch+json";
    let answer =
        daemon.client()?.send("PATCH", &space.path("deployments/web"), Some((kind, patch)))?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(warnings(&answer).contains("osaka"), "{answer:?}");
    let now = shares(&space, "web")?;
    // Osaka's copy still says 3, which the Warning is about; the living hold the new total.
    assert_eq!(now.iter().flatten().sum::<u64>() - now[1].unwrap_or_default(), 20, "{now:?}");
    Ok(())
}

#[test]
fn managed_writes_wait_for_own() -> Result<()> {
    let space = space("write-own")?;
    let daemon = daemon("write-own").start()?;
    create(&daemon, &space, "web")?.success()?;
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    let began = now();
    let scale = br#"{"spec":{"replicas":20}}"#;
    let patch = ("application/merge-patch+json", &scale[..]);
    let client = daemon.client()?;
    let path = space.path("deployments/web");
    for answer in [
        create(&daemon, &space, "new")?,
        client.send("PATCH", &path, Some(patch))?,
        client.send("DELETE", &path, None)?,
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.json()?["kind"], "Status");
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!(shares(&space, "new")?, [None, None, None]);
    assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    let list = client.get(&space.path("deployments"))?.success()?;
    assert!(warnings(&list).contains("tokyo"), "reads go on without own: {list:?}");
    Ok(())
}

/// The answer to a commit is lost: nobody may guess what happened.
#[test]
fn an_outcome_that_is_unknown_is_said_to_be_unknown() -> Result<()> {
    let space = space("write-unknown")?;
    let daemon = daemon("write-unknown").start()?;
    for bytes in [200, 2_000, 4_000, 6_000, 8_000] {
        let name = format!("cut-{bytes}");
        daemon.shim("osaka")?.set(Mode::CutAfter(bytes))?;
        let answer = create(&daemon, &space, &name)?;
        daemon.shim("osaka")?.set(Mode::Pass)?;
        let now = shares(&space, &name)?;
        let sum: u64 = now.iter().flatten().sum();
        match answer.status {
            201 => assert_eq!(sum, 10, "{name}: {now:?}"),
            504 => assert!(answer.text().contains("osaka"), "{name}: {}", answer.text()),
            status => {
                assert!(status >= 400, "{name}: {}", answer.text());
                assert_eq!(now, [None, None, None], "{name}: {}", answer.text());
            }
        }
        eventually!(daemon.scores(), |scores| scores["clusters"][1]["reachable"] == true);
    }
    Ok(())
}
