//! What people do to machines: cordon, taint, drain; and what they use.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::power::MetricsServer;
use tenbin_integration::{Cluster, Kubelet, Table, Usage, eventually, kwok};

use super::{FLEET, NAMES, kubectl, kubectls, quiet, space};

/// Two clusters have a node of this name; no other test has pods there.
#[test]
fn a_drain_empties_one_machine_and_not_its_namesakes() -> Result<()> {
    let space = space("drain")?;
    let shared = "shared-machine";
    for cluster in ["osaka", "nagoya"] {
        FLEET.cluster(cluster)?.add_node(shared)?;
    }
    for (version, kubectl) in kubectls(&space)? {
        for cluster in ["osaka", "nagoya"] {
            for (name, node) in [("on", shared.to_owned()), ("beside", format!("{cluster}-n0"))] {
                let pod = serde_json::json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": format!("{version}-{name}-{cluster}")},
                    "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
                });
                space.create_in(cluster, "pods", &pod)?;
            }
        }
        let drain = kubectl.run(["drain", shared, "--force", "--timeout=60s"])?;
        let namesake = "Warning: an object of this name in nagoya is not shown";
        assert!(drain.code == 0 && drain.stderr.contains(namesake), "{version}: {drain:?}");
        let drained = drain.stdout;
        assert!(
            drained.contains(&format!("pod/{version}-on-osaka evicted")),
            "{version}: {drained}"
        );
        assert_eq!(drained.matches(" evicted").count(), 1, "{version}: {drained}");
        let left = quiet(&kubectl, &["get", "pods", "-o", "name"])?;
        let ours: Vec<&str> = left.lines().filter(|it| it.contains(version)).collect();
        assert_eq!(ours.len(), 3, "{version}: {ours:?}");
        assert!(ours.contains(&format!("pod/{version}-on-nagoya").as_str()), "{version}: {ours:?}");
        assert_eq!(unschedulable(shared)?, [("osaka", true), ("nagoya", false)], "{version}");
        kubectl.ok(["uncordon", shared])?;
        assert_eq!(unschedulable(shared)?, [("osaka", false), ("nagoya", false)], "{version}");
    }
    Ok(())
}

/// Whether the two machines of this name take no more pods.
fn unschedulable(node: &str) -> Result<[(&'static str, bool); 2]> {
    let of = |cluster: &'static str| -> Result<(&str, bool)> {
        let node: Value =
            FLEET.cluster(cluster)?.client()?.json(&format!("/api/v1/nodes/{node}"))?;
        Ok((cluster, node["spec"]["unschedulable"] == true))
    };
    Ok([of("osaka")?, of("nagoya")?])
}

#[test]
fn taints_and_labels_reach_the_machine() -> Result<()> {
    let space = space("taint")?;
    FLEET.cluster("nagoya")?.add_node("far-machine")?;
    for (version, kubectl) in kubectls(&space)? {
        let taint = format!("by={version}:PreferNoSchedule");
        quiet(&kubectl, &["taint", "node", "far-machine", &taint])?;
        quiet(
            &kubectl,
            &["label", "node", "far-machine", &format!("by={version}"), "--overwrite"],
        )?;
        let table =
            Table::read(&quiet(&kubectl, &["get", "nodes", "-l", &format!("by={version}")])?)?;
        assert_eq!(table.column("CLUSTER")?, ["nagoya"], "{version}");
        let node = quiet(&kubectl, &["describe", "node", "far-machine"])?;
        assert!(node.contains(&taint), "{version}: {node}");
        quiet(&kubectl, &["taint", "node", "far-machine", "by-"])?;
    }
    Ok(())
}

#[test]
fn top_shows_what_the_machines_of_all_clusters_use() -> Result<()> {
    let space = space("top")?;
    let folder = FLEET.folder().join("top");
    let kubelet = Kubelet::start(&folder)?;
    let _servers = metered(&kubelet)?;
    let machine = |cluster: &&str| format!("{cluster}-metered");
    kubelet.set(NAMES.iter().map(machine).zip([1.6, 3.2, 4.8].map(Usage::cores)))?;
    let kubectl = kubectl(&space)?;
    // metrics-server knows a machine after its second look.
    eventually!(kubectl.ok(["top", "nodes"]), |text: &String| {
        NAMES.iter().all(|cluster| text.contains(&format!("{cluster}-metered ")))
            && ["1600m", "3200m", "4800m"].iter().all(|cores| text.contains(cores))
    });
    for (version, kubectl) in kubectls(&space)? {
        let table = Table::read(&kubectl.ok(["top", "nodes", "--sort-by=cpu"])?)?;
        for (cluster, cores) in NAMES.iter().zip(["1600m", "3200m", "4800m"]) {
            assert_eq!(table.cell(&machine(cluster), "CPU(cores)")?, cores, "{version}");
        }
        assert_eq!(table.column("NAME")?.first(), Some(&"nagoya-metered"), "{version}");
    }
    Ok(())
}

/// A machine in each cluster whose kubelet answers, and a metrics-server that asks it.
fn metered(kubelet: &Kubelet) -> Result<Vec<MetricsServer>> {
    let metered = |cluster: &'static Cluster| {
        let node = kwok::node(
            &format!("{}-metered", cluster.name()),
            cluster.name(),
            Some(kubelet.port()),
        );
        cluster.client()?.send_json("POST", "/api/v1/nodes", &node)?.success()?;
        MetricsServer::start(cluster, kubelet)
    };
    FLEET.clusters().iter().map(metered).collect()
}
