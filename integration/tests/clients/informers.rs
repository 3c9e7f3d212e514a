//! The shared informer of client-go, with streaming lists and without.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::informer::{Store, Watched};
use tenbin_integration::{Daemon, Informer, Space, config_map, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, kubectl, quiet, space};

fn start(daemon: &Daemon, space: &Space, resource: &str, watch_list: bool) -> Result<Informer> {
    let group = if resource == "deployments" { "apps" } else { "" };
    let watched = Watched { group, resource, namespace: space.name(), watch_list };
    let log = FLEET.folder().join(format!("informer-{}-{resource}-{watch_list}.log", space.name()));
    let informer = Informer::start(&daemon.kubeconfig()?, watched, &log)?;
    eventually!(informer.store(), |store: &Store| store.synced);
    Ok(informer)
}

/// uid and version of each object by its key: the first cluster's where several have it.
fn truth(space: &Space, resource: &str) -> Result<BTreeMap<String, (String, String)>> {
    let mut truth = BTreeMap::new();
    for cluster in FLEET.clusters().iter().rev() {
        let list = cluster.client()?.json(&space.path(resource))?;
        for item in list["items"].as_array().context("no items")? {
            let text = |key: &str| item["metadata"][key].as_str().unwrap_or_default().to_owned();
            let key = format!("{}/{}", text("namespace"), text("name"));
            truth.insert(key, (text("uid"), text("resourceVersion")));
        }
    }
    Ok(truth)
}

/// Waits until the store holds the truth: keys and uids (versions of events are those of the stream).
fn agrees(informer: &Informer, space: &Space, resource: &str) -> Result<Store> {
    let uids = |items: &BTreeMap<String, (String, String)>| -> BTreeMap<String, String> {
        items.iter().map(|(key, (uid, _))| (key.clone(), uid.clone())).collect()
    };
    let truth = uids(&truth(space, resource)?);
    Ok(eventually!(informer.store(), |store: &Store| uids(&store.items) == truth))
}

#[test]
fn its_store_is_what_the_clusters_have() -> Result<()> {
    for (name, watch_list) in [("informer-list", false), ("informer-stream", true)] {
        let space = space(name)?;
        for cluster in NAMES {
            space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
        }
        let informer = start(&DAEMON, &space, "configmaps", watch_list)?;
        let store = agrees(&informer, &space, "configmaps")?;
        assert_eq!((store.count("added"), store.count("deleted")), (4, 0), "{name}: {store:?}");
        let (lists, streams) = if watch_list { (0, 1) } else { (1, 0) };
        assert_eq!((store.count("list"), store.count("watch-list")), (lists, streams), "{name}");

        for cluster in NAMES {
            let client = FLEET.cluster(cluster)?.client()?;
            let late = format!("{cluster}-late");
            space.create_in(cluster, "configmaps", &config_map(&late, "1"))?;
            let path = space.path(&format!("configmaps/{cluster}"));
            client.send_json("PUT", &path, &config_map(cluster, "2"))?.success()?;
            let path = space.path(&format!("configmaps/{late}"));
            let store = agrees(&informer, &space, "configmaps")?;
            assert!(store.keys().contains(&format!("{name}/{late}").as_str()));
            client.send("DELETE", &path, None)?.success()?;
            agrees(&informer, &space, "configmaps")?;
        }
        let store = eventually!(informer.store(), |store: &Store| store.count("modified") == 3);
        assert_eq!((store.count("added"), store.count("deleted")), (7, 3), "{name}: {store:?}");
        assert_eq!(store.count("list") + store.count("watch-list"), 1, "{name}: no relist");
    }
    Ok(())
}

/// client-go keys by namespace and name: of several copies it holds the first cluster's.
#[test]
fn a_lost_copy_is_replaced_by_the_next_clusters_without_a_deletion() -> Result<()> {
    let space = space("informer-copies")?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map("everywhere", cluster))?;
    }
    let informer = start(&DAEMON, &space, "configmaps", true)?;
    agrees(&informer, &space, "configmaps")?;
    let path = space.path("configmaps/everywhere");
    for cluster in ["tokyo", "osaka"] {
        FLEET.cluster(cluster)?.client()?.send("DELETE", &path, None)?.success()?;
        let store = agrees(&informer, &space, "configmaps")?;
        assert_eq!(store.count("deleted"), 0, "{cluster}: one of them is still there");
    }
    FLEET.cluster("nagoya")?.client()?.send("DELETE", &path, None)?.success()?;
    let store = agrees(&informer, &space, "configmaps")?;
    assert_eq!(store.count("deleted"), 1);
    Ok(())
}

#[test]
fn a_folded_deployment_is_one_object_that_changes_and_goes() -> Result<()> {
    let space = space("informer-fold")?;
    let path = space.path("deployments");
    DAEMON.client()?.send_json("POST", &path, &deployment("web", 10))?.success()?;
    let informers =
        [false, true].map(|watch_list| start(&DAEMON, &space, "deployments", watch_list));
    let kubectl = kubectl(&space)?;
    quiet(&kubectl, &["scale", "deployment", "web", "--replicas=20"])?;
    let home: Value = FLEET.cluster("tokyo")?.client()?.json(&format!("{path}/web"))?;
    for informer in &informers {
        let informer = informer.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        let store = eventually!(informer.store(), |store: &Store| store.count("modified") > 0);
        assert_eq!((store.keys(), store.count("added")), (vec!["informer-fold/web"], 1));
        let (uid, version) = &store.items["informer-fold/web"];
        assert_eq!(Some(uid.as_str()), home["metadata"]["uid"].as_str(), "home's uid");
        assert!(version.len() > 20, "a composite: {version}");
    }
    quiet(&kubectl, &["delete", "deployment", "web", "--timeout=60s"])?;
    for informer in informers {
        let store = eventually!(
            informer.as_ref().ok().map(Informer::store).context("none")?,
            |store: &Store| { store.items.is_empty() }
        );
        assert_eq!(store.count("deleted"), 1, "{store:?}");
    }
    Ok(())
}

#[test]
fn pods_of_all_clusters_are_in_one_store() -> Result<()> {
    let space = space("informer-pods")?;
    let informer = start(&DAEMON, &space, "pods", true)?;
    let path = space.path("deployments");
    DAEMON.client()?.send_json("POST", &path, &deployment("web", 10))?.success()?;
    eventually!(informer.store(), |store: &Store| store.items.len() == 10);
    let store = agrees(&informer, &space, "pods")?;
    assert_eq!((store.count("added"), store.count("deleted")), (10, 0), "{store:?}");
    quiet(&kubectl(&space)?, &["delete", "deployment", "web", "--timeout=60s"])?;
    let store = eventually!(informer.store(), |store: &Store| store.items.is_empty());
    assert_eq!(store.count("deleted"), 10, "{store:?}");
    Ok(())
}

#[test]
fn a_restart_of_tenbin_is_no_relist_and_loses_nothing() -> Result<()> {
    let space = space("informer-restart")?;
    let cross = "[auth]\ncross = ['system:masters']";
    let mut daemon = FLEET.daemon().name("informer-restart").config(cross).start()?;
    let name = |cluster: &str, round: u64| format!("{cluster}-{round}");
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(&name(cluster, 0), "1"))?;
    }
    let informers =
        [start(&daemon, &space, "configmaps", false)?, start(&daemon, &space, "configmaps", true)?];
    // client-go takes a watch that ends at once and without an event for a broken one, and relists.
    space.create_in("osaka", "configmaps", &config_map("event", "1"))?;
    for informer in &informers {
        agrees(informer, &space, "configmaps")?;
    }
    for (round, signal) in (0..).zip(["SIGTERM", "SIGKILL"]) {
        match signal {
            "SIGTERM" => assert!(daemon.stop()?.success()),
            _ => daemon.kill()?,
        }
        for cluster in NAMES {
            // While nobody watches.
            let client = FLEET.cluster(cluster)?.client()?;
            let path = space.path(&format!("configmaps/{}", name(cluster, round)));
            client.send("DELETE", &path, None)?.success()?;
            let next = config_map(&name(cluster, round + 1), "1");
            space.create_in(cluster, "configmaps", &next)?;
        }
        daemon.start()?;
        for informer in &informers {
            let store = agrees(informer, &space, "configmaps")?;
            let told = (store.count("added"), store.count("deleted"));
            assert_eq!(told, (8 + 3 * round, 3 + 3 * round), "{signal}: {store:?}");
            let lists = store.count("list") + store.count("watch-list");
            assert_eq!(lists, 1, "{signal} is no relist: {store:?}");
        }
    }
    Ok(())
}
