//! Who has an object: not looked for at each read, looked for at every write, and remembered beyond the
//! member's death.

use anyhow::Result;
use serde_json::json;
use tenbin_integration::{Daemon, Mode, Space, config_map};

use super::{TABLE, daemon, filled, names, warnings};

/// A config map in osaka that was read.
fn seen(name: &str) -> Result<(Space, Daemon, String)> {
    let space = filled(name, [0, 1, 0])?;
    let daemon = daemon(name).start()?;
    let path = format!("{}/osaka-0", space.path("configmaps"));
    daemon.client()?.get(&path)?.success()?;
    Ok((space, daemon, path))
}

#[test]
fn who_had_an_object_a_moment_ago_is_asked_for_it_alone() -> Result<()> {
    let (_space, daemon, path) = seen("holder")?;
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    let answer = daemon.client()?.get(&path)?.success()?;
    assert_eq!(warnings(&answer), "");
    Ok(())
}

#[test]
fn a_write_goes_to_the_first_that_has_it_whoever_was_read_before() -> Result<()> {
    let (space, daemon, path) = seen("holder-write")?;
    space.create_in("tokyo", "configmaps", &config_map("osaka-0", "2"))?;
    daemon.client()?.send("DELETE", &path, None)?.success()?;
    let left: Vec<bool> = space.copies("configmaps/osaka-0")?.iter().map(Option::is_some).collect();
    assert_eq!(left, [false, true, false]);
    Ok(())
}

#[test]
fn an_object_of_a_dead_member_is_not_said_to_be_gone() -> Result<()> {
    let (space, daemon, path) = seen("holder-dead")?;
    let client = daemon.client()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    for (method, part) in [("GET", ""), ("GET", "/status"), ("DELETE", "")] {
        let answer = client.send(method, &format!("{path}{part}"), None)?;
        assert_eq!(answer.status, 503, "{method} {part} {answer:?}");
        assert!(answer.text().contains("osaka"), "{answer:?}");
    }
    // A namesake elsewhere is another object.
    space.create_in("nagoya", "configmaps", &config_map("osaka-0", "2"))?;
    assert_eq!(client.get(&path)?.status, 503);
    // Of what nobody has seen a person is told that it may be there.
    let other = format!("{}/other", space.path("configmaps"));
    let answer = client.get(&other)?;
    assert_eq!(answer.status, 404);
    assert!(warnings(&answer).contains("osaka"), "{answer:?}");
    let answer = client.send("DELETE", &other, None)?;
    assert_eq!(answer.status, 404);
    assert!(warnings(&answer).contains("osaka"), "{answer:?}");
    Ok(())
}

/// Pods are deleted in every member that has them.
#[test]
fn a_pod_of_a_dead_member_is_not_deleted_as_if_there_were_none() -> Result<()> {
    let space = filled("holder-pod", [0, 0, 0])?;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "far"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    space.create_in("osaka", "pods", &pod)?;
    let daemon = daemon("holder-pod").start()?;
    let (client, path) = (daemon.client()?, space.path("pods/far"));
    client.get(&path)?.success()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let answer = client.send("DELETE", &path, None)?;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().contains("osaka"), "{answer:?}");
    Ok(())
}

#[test]
fn nothing_is_written_elsewhere_while_own_is_dead() -> Result<()> {
    let space = filled("holder-own", [1, 0, 0])?;
    let daemon = daemon("holder-own").start()?;
    // Such as the lease of a scheduler: every cluster has one.
    space.create_in("osaka", "configmaps", &config_map("tokyo-0", "2"))?;
    let path = format!("{}/tokyo-0", space.path("configmaps"));
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    let answer = daemon.client()?.send("DELETE", &path, None)?;
    assert_eq!(answer.status, 503, "{answer:?}");
    let left: Vec<bool> = space.copies("configmaps/tokyo-0")?.iter().map(Option::is_some).collect();
    assert_eq!(left, [true, true, false]);
    Ok(())
}

#[test]
fn nor_is_an_object_of_a_member_that_fell_silent() -> Result<()> {
    let (_space, daemon, path) = seen("holder-ill")?;
    daemon.shim("osaka")?.set(Mode::Silent)?;
    let answer = daemon.client()?.get(&path)?;
    assert_eq!(answer.status, 503, "{answer:?}");
    Ok(())
}

#[test]
fn what_was_deleted_before_its_member_died_is_gone() -> Result<()> {
    let (space, daemon, path) = seen("holder-gone")?;
    let client = daemon.client()?;
    super::FLEET.cluster("osaka")?.client()?.send("DELETE", &path, None)?.success()?;
    assert_eq!(client.get(&path)?.status, 404);
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    assert_eq!(client.get(&path)?.status, 404);
    drop(space);
    Ok(())
}

#[test]
fn pods_of_a_node_of_a_dead_member_are_not_said_to_be_gone() -> Result<()> {
    let space = Space::new(&super::FLEET, "holder-node")?;
    let daemon = daemon("holder-node").start()?;
    let pod = space.create_pod_in("osaka", "web")?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or("osaka-n0").to_owned();
    let path = format!("{}?fieldSelector=spec.nodeName%3D{node}", space.path("pods"));
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let cache = daemon.client()?.get(&format!("{path}&resourceVersion=0"))?;
    assert_eq!(cache.status, 503, "{cache:?}");
    let person = daemon.client()?.header("Accept", TABLE).get(&path)?.success()?;
    assert!(warnings(&person).contains("osaka"), "{person:?}");
    assert_eq!(names(&person.json()?)?, [""; 0]);
    Ok(())
}
