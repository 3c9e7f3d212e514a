//! Watches: one named object's goes to the cluster that has it, the others to own and say so.

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Shim, config_map, eventually};

use super::{DAEMON, FLEET, kubectl, space};

#[test]
fn a_watch_of_one_object_follows_it_in_its_cluster() -> Result<()> {
    let space = space("watch-one")?;
    let made = space.create_in("nagoya", "configmaps", &config_map("far", "1"))?;
    let path = format!("{}?watch=true&fieldSelector=metadata.name%3Dfar", space.path("configmaps"));
    let mut watch = DAEMON.client()?.open("GET", &path, None)?;
    assert_eq!(watch.status, 200);
    let added = watch.event()?.context("no event")?;
    assert_eq!(
        (&added["type"], &added["object"]["metadata"]["uid"]),
        (&json!("ADDED"), &made["metadata"]["uid"])
    );
    let nagoya = FLEET.cluster("nagoya")?.client()?;
    nagoya.send_json("PUT", &space.path("configmaps/far"), &config_map("far", "2"))?.success()?;
    let modified = watch.event()?.context("no event")?;
    assert_eq!(
        (&modified["type"], &modified["object"]["data"]["key"]),
        (&json!("MODIFIED"), &json!("2"))
    );
    Ok(())
}

#[test]
fn other_watches_are_owns_and_say_so() -> Result<()> {
    let space = space("watch-own")?;
    let path = format!("{}?watch=true", space.path("configmaps"));
    space.create_in("tokyo", "configmaps", &config_map("here", "1"))?;
    let mut watch = DAEMON.client()?.open("GET", &path, None)?;
    assert_eq!(watch.status, 200);
    let warning = watch.header("warning").context("no Warning")?;
    assert!(warning.contains("tokyo"), "{warning}");
    let mut names = Vec::new();
    while names.iter().all(|name| name != "here") {
        let event = watch.event()?.context("no event")?;
        names.push(super::text(&event, "/object/metadata/name")?.to_owned());
    }
    Ok(())
}

#[test]
fn a_watch_ends_upstream_when_the_client_leaves() -> Result<()> {
    let space = space("watch-leave")?;
    let daemon =
        FLEET.daemon().name("watch-leave").config("[auth]\ncross = ['system:masters']").start()?;
    let idle = || daemon.shim("tokyo").map(Shim::live);
    let path = format!("{}?watch=true", space.path("configmaps"));
    let open = |_| daemon.client()?.open("GET", &path, None);
    let before = idle()?;
    let watches: Vec<_> = (0..5).map(open).collect::<Result<_>>()?;
    assert!(watches.iter().all(|watch| watch.status == 200));
    assert!(idle()? >= before, "the watches are upstream");
    drop(watches);
    eventually!(idle(), |live| *live <= before);
    Ok(())
}

#[test]
fn kubectl_waits_for_an_object_to_change_and_to_go() -> Result<()> {
    let space = space("watch-wait")?;
    let kubectl = kubectl(&space)?;
    space.create_in("osaka", "configmaps", &config_map("far", "1"))?;
    kubectl.ok(["wait", "configmap/far", "--for=jsonpath={.data.key}=1", "--timeout=10s"])?;
    kubectl.ok(["delete", "configmap", "far", "--timeout=20s"])?;
    let gone = ["wait", "configmap/far", "--for=delete", "--timeout=10s"];
    kubectl.ok(gone)?;
    Ok(())
}
