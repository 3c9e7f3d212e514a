//! Three times two thousand pods, as people and programs list them while clusters restart.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::eventually::patience;
use tenbin_integration::{Cluster, Daemon, Fleet, FleetBuilder, Mode, Response, Table, eventually};

use super::{CROSS, NAMES, all_pages, names, person, requests, rest};

const PODS: usize = 2000;
const PATH: &str = "/api/v1/namespaces/default/pods";

/// One test, since it takes a fleet that it can restart, and its pods take most of the time.
#[test]
fn six_thousand_pods_are_listed_once_each_also_while_a_cluster_restarts() -> Result<()> {
    let mut fleet = FleetBuilder::new("reads-6000").clusters(NAMES).start()?;
    populate(&fleet)?;
    let daemon = fleet.daemon().config(CROSS).start()?;
    kubectl_shows_all(&daemon)?;
    machines_read_all(&daemon)?;
    a_cluster_restarts_between_two_pages(&mut fleet, &daemon)?;
    a_cluster_restarts_under_kubectl(&mut fleet, &daemon)?;
    a_cluster_forgets_the_state_of_a_list(&mut fleet, &daemon)
}

fn populate(fleet: &Fleet) -> Result<()> {
    const WRITERS: usize = 4;
    let write = |cluster: &Cluster, writer: usize| -> Result<()> {
        let client = cluster.client()?;
        for n in (writer..PODS).step_by(WRITERS) {
            let pod = json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{}-{n:04}", cluster.name())},
                "spec": {"containers": [{"name": "c", "image": "i"}]}});
            client.send_json("POST", PATH, &pod)?.success()?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let writers = fleet.clusters().iter().flat_map(|it| (0..WRITERS).map(move |n| (it, n)));
        let threads: Vec<_> =
            writers.map(|(cluster, n)| scope.spawn(move || write(cluster, n))).collect();
        threads.into_iter().try_for_each(|it| it.join().ok().context("a writer panicked")?)
    })
}

/// All pods in the order of the fleet.
fn all() -> Vec<String> {
    let of = |cluster: &'static str| (0..PODS).map(move |n| format!("{cluster}-{n:04}"));
    NAMES.into_iter().flat_map(of).collect()
}

fn assert_all(shown: &[String]) {
    let distinct: BTreeSet<_> = shown.iter().collect();
    assert_eq!((shown.len(), distinct.len()), (3 * PODS, 3 * PODS), "rows, and different ones");
    assert!(shown == all(), "in the order of the fleet");
}

fn kubectl_shows_all(daemon: &Daemon) -> Result<()> {
    for (flags, pages) in [(&["-v=6"][..], 12), (&["-v=6", "--chunk-size=1999"], 4)] {
        let get = [&["get", "pods"], flags].concat();
        let said = daemon.kubectl()?.run(get)?;
        assert_eq!(said.code, 0, "{}", said.stderr);
        let table = Table::read(&said.stdout)?;
        let shown: Vec<_> = table.column("NAME")?.into_iter().map(str::to_owned).collect();
        assert_all(&shown);
        assert_eq!(requests(&said.stderr, PATH), pages, "{flags:?}");
        let clusters = table.column("CLUSTER")?;
        assert!(shown.iter().zip(clusters).all(|(name, cluster)| name.starts_with(cluster)));
    }
    Ok(())
}

fn machines_read_all(daemon: &Daemon) -> Result<()> {
    let page = |client| -> Result<Vec<Value>> { all_pages(&client, PATH, 500) };
    let tables = page(person(daemon)?)?;
    assert_all(&tables.iter().map(names).collect::<Result<Vec<_>>>()?.concat());
    assert!(tables.iter().all(|it| names(it).is_ok_and(|names| names.len() == 500)), "full pages");
    let whole = page(daemon.client()?)?;
    assert_eq!(whole.len(), 1, "a JSON list holds each key once and is whole");
    assert_all(&names(&whole[0])?);
    let json = daemon.kubectl()?.ok(["get", "pods", "-o", "json"])?;
    assert_all(&names(&serde_json::from_str(&json)?)?);
    let partial = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert_all(&names(&page(daemon.client()?.header("Accept", partial))?[0])?);
    Ok(())
}

fn a_cluster_restarts_between_two_pages(fleet: &mut Fleet, daemon: &Daemon) -> Result<()> {
    let client = person(daemon)?;
    let mut shown = Vec::new();
    let mut page = client.json(&format!("{PATH}?limit=500"))?;
    loop {
        shown.extend(names(&page)?);
        let Some(token) = rest(&page) else { break };
        let next = format!("{PATH}?limit=500&continue={token}");
        if shown.len() == 5 * 500 {
            let osaka = fleet.cluster_mut("osaka")?;
            osaka.kill_apiserver()?;
            let dead = client.get(&next)?;
            assert_eq!(dead.status, 503, "{}", dead.text());
            assert!(dead.header("retry-after").is_some(), "{dead:?}");
            osaka.restart_apiserver()?;
        }
        let retried = eventually!(client.get(&next).and_then(Response::success));
        page = retried.json()?;
    }
    assert_all(&shown);
    Ok(())
}

/// kubectl itself waits as the `Retry-After` of a 503 says.
fn a_cluster_restarts_under_kubectl(fleet: &mut Fleet, daemon: &Daemon) -> Result<()> {
    let log = daemon.folder().join("kubectl.log");
    daemon.shim("osaka")?.set(Mode::Delay(std::time::Duration::from_millis(300)))?;
    let mut kubectl = daemon.kubectl()?.start(["get", "pods", "-v=6"], &log)?;
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually!(requests(&read(), PATH) >= 6);
    let osaka = fleet.cluster_mut("osaka")?;
    osaka.kill_apiserver()?;
    eventually!(read().contains("503"));
    osaka.restart_apiserver()?;
    daemon.shim("osaka")?.set(Mode::Pass)?;
    let ended = kubectl.wait(patience())?;
    let text = read();
    ensure!(ended.success(), "{text}");
    let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let is_pod = |line: &&str| NAMES.iter().any(|name| line.starts_with(&format!("{name}-")));
    assert_all(&text.lines().filter(is_pod).map(first).collect::<Vec<_>>());
    Ok(())
}

/// Whoever comes back after etcd was compacted may start anew, or go on with newer states.
fn a_cluster_forgets_the_state_of_a_list(fleet: &mut Fleet, daemon: &Daemon) -> Result<()> {
    let client = person(daemon)?;
    // tokyo was begun; osaka and nagoya are only pinned.
    let page = client.json(&format!("{PATH}?limit=500"))?;
    let token = rest(&page).context("one page")?;
    for name in ["tokyo", "osaka"] {
        compact(fleet.cluster_mut(name)?)?;
    }
    let mut shown = names(&page)?;
    let mut next = format!("{PATH}?limit=500&continue={token}");
    let mut expired = 0;
    loop {
        // Tenbin may not know yet that the clusters are back.
        let answer = eventually!(client.get(&next), |answer| answer.status != 503);
        let page = answer.json()?;
        if answer.status == 410 {
            assert_eq!(page["reason"], "Expired", "{page:#}");
            expired += 1;
        } else {
            ensure!(answer.status == 200, "{}", answer.text());
            shown.extend(names(&page)?);
        }
        let Some(token) = rest(&page) else { break };
        next = format!("{PATH}?limit=500&continue={token}");
    }
    assert_eq!(expired, 1, "who goes on is not asked again for each cluster");
    let late = |name: &&String| name.ends_with("late");
    assert_eq!(shown.iter().filter(late).count(), 2, "what is newer is shown");
    assert_all(&shown.into_iter().filter(|name| !late(&name)).collect::<Vec<_>>());
    Ok(())
}

/// Makes a cluster forget all states but the newest: etcd drops them, a new API server has no
/// snapshots.
fn compact(cluster: &mut Cluster) -> Result<()> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{}-late", cluster.name())},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let made = cluster.client()?.send_json("POST", PATH, &pod)?.success()?.json()?;
    let revision = made["metadata"]["resourceVersion"].as_str().context("no version")?.to_owned();
    cluster.etcd().compact(&revision)?;
    cluster.kill_apiserver()?;
    cluster.restart_apiserver()
}
