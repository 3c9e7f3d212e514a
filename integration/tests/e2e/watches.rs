//! Watches show the changes of every cluster as one stream.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Shim, Streaming, config_map, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, kubectl, space, text};

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

/// The version of an event.
fn version(event: &Value) -> Result<String> {
    Ok(text(event, "/object/metadata/resourceVersion")?.to_owned())
}

/// The next event of an object of this name, `TYPE cluster`; others are passed over.
fn next(watch: &mut Streaming, name: &str) -> Result<(String, Value)> {
    loop {
        let event = watch.event()?.context("the watch ended")?;
        if event.pointer("/object/metadata/name") == Some(&json!(name)) {
            let cluster = &event["object"]["metadata"]["annotations"]["tenbin/cluster"];
            let told = format!("{} {}", text(&event, "/type")?, cluster.as_str().unwrap_or("?"));
            return Ok((told, event));
        }
    }
}

/// The next event of what the test made: whoever comes back is told once more of the first copy of
/// what every cluster has (`kube-root-ca.crt`), when another copy changes.
fn next_made(watch: &mut Streaming) -> Result<Value> {
    loop {
        let event = watch.event()?.context("the watch ended")?;
        if event["object"]["metadata"]["name"] != "kube-root-ca.crt" {
            return Ok(event);
        }
    }
}

#[test]
fn a_watch_shows_every_cluster_and_goes_on_where_it_ended() -> Result<()> {
    let space = space("watch-all")?;
    let path = space.path("configmaps");
    let list = DAEMON.client()?.json(&path)?;
    let from = text(&list, "/metadata/resourceVersion")?.to_owned();
    let open = |from: &str| {
        DAEMON.client()?.open("GET", &format!("{path}?watch=true&resourceVersion={from}"), None)
    };
    let mut watch = open(&from)?;
    let mut last = String::new();
    for name in NAMES {
        space.create_in(name, "configmaps", &config_map(&format!("in-{name}"), "1"))?;
        let (told, event) = next(&mut watch, &format!("in-{name}"))?;
        assert_eq!(told, format!("ADDED {name}"));
        assert_eq!(event["object"]["kind"], "ConfigMap");
        last = version(&event)?;
    }
    drop(watch);
    space.create_in("osaka", "configmaps", &config_map("later", "1"))?;
    let mut again = open(&last)?;
    let event = next_made(&mut again)?;
    assert_eq!(event["object"]["metadata"]["name"], "later", "nothing comes twice: {event}");
    // From where the first one began, all of it comes again.
    let mut first = open(&from)?;
    let mut missing = vec!["in-tokyo", "in-osaka", "in-nagoya", "later"];
    while !missing.is_empty() {
        let event = next_made(&mut first)?;
        assert_eq!(event["type"], "ADDED");
        missing.retain(|name| event["object"]["metadata"]["name"] != *name);
    }
    Ok(())
}

#[test]
fn a_watch_that_sends_what_exists_ends_it_with_one_bookmark() -> Result<()> {
    let space = space("watch-list")?;
    for name in NAMES {
        space.create_in(name, "configmaps", &config_map("same", name))?;
        space.create_in(name, "configmaps", &config_map(&format!("in-{name}"), "1"))?;
    }
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch =
        DAEMON.client()?.open("GET", &format!("{}?{query}", space.path("configmaps")), None)?;
    let mut names = Vec::new();
    let end = loop {
        let event = watch.event()?.context("no event")?;
        if event["type"] == "BOOKMARK" {
            break event;
        }
        assert_eq!(event["type"], "ADDED");
        names.push(text(&event, "/object/metadata/name")?.to_owned());
    };
    names.retain(|name| name != "kube-root-ca.crt");
    names.sort();
    assert_eq!(names, ["in-nagoya", "in-osaka", "in-tokyo", "same"]);
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(end["object"]["kind"], "ConfigMap");
    // The first of the copies goes: the object lives on in another cluster.
    let remove = |name: &str| {
        let client = FLEET.cluster(name)?.client()?;
        client.send("DELETE", &space.path("configmaps/same"), None)?.success()
    };
    remove("osaka")?;
    remove("tokyo")?;
    let (told, event) = next(&mut watch, "same")?;
    assert_eq!(
        (told.as_str(), &event["object"]["data"]["key"]),
        ("MODIFIED nagoya", &json!("nagoya"))
    );
    remove("nagoya")?;
    assert_eq!(next(&mut watch, "same")?.0, "DELETED nagoya");
    Ok(())
}

#[test]
fn a_watch_shows_a_divided_workload_as_one() -> Result<()> {
    let space = space("watch-fold")?;
    let path = space.path("deployments");
    let list = DAEMON.client()?.json(&path)?;
    let from = text(&list, "/metadata/resourceVersion")?.to_owned();
    DAEMON.client()?.send_json("POST", &path, &deployment("web", 6))?.success()?;
    let mut watch =
        DAEMON.client()?.open("GET", &format!("{path}?watch=true&resourceVersion={from}"), None)?;
    let whole = |event: &Value| {
        let status = &event["object"]["status"];
        event["object"]["spec"]["replicas"] == 6 && status["readyReplicas"] == 6
    };
    while !whole(&next(&mut watch, "web")?.1) {}
    DAEMON.client()?.send("DELETE", &space.path("deployments/web"), None)?.success()?;
    while next(&mut watch, "web")?.1["type"] != "DELETED" {}
    Ok(())
}

#[test]
fn people_see_the_cluster_of_every_row_that_changes() -> Result<()> {
    let space = space("watch-rows")?;
    let path = format!("{}?watch=true", space.path("configmaps"));
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut watch = DAEMON.client()?.header("Accept", table).open("GET", &path, None)?;
    space.create_in("nagoya", "configmaps", &config_map("far", "1"))?;
    let mut columns = 0;
    loop {
        let event = watch.event()?.context("no event")?;
        columns = event["object"]["columnDefinitions"].as_array().map_or(columns, Vec::len);
        let cells = event["object"]["rows"][0]["cells"].as_array().context("no cells")?;
        assert_eq!(cells.len(), columns);
        if cells[0] == "far" {
            assert_eq!(cells.last(), Some(&json!("nagoya")));
            return Ok(());
        }
    }
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
fn whoever_has_too_many_watches_open_is_told_to_come_back() -> Result<()> {
    let space = space("watch-limit")?;
    let limits = "[auth]\ncross = ['system:masters']\n[limits]\nstreams_per_user = 2";
    let daemon = FLEET.daemon().name("watch-limit").config(limits).start()?;
    let path = format!("{}?watch=true", space.path("configmaps"));
    let open = || daemon.client()?.open("GET", &path, None);
    let (first, _second) = (open()?, open()?);
    let third = open()?;
    assert_eq!((third.status, third.header("retry-after")), (429, Some("1")));
    daemon.client()?.json(&space.path("configmaps"))?;
    drop(first);
    eventually!(open().map(|watch| watch.status), |status| *status == 200);
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
