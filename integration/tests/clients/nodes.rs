//! What people do to machines: cordon, taint, drain; and what they use.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::kubelet::Metered;
use tenbin_integration::power::MetricsServer;
use tenbin_integration::{Cluster, Kubectl, Kubelet, Table, Usage, eventually, kwok};

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
                let pod = json!({
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
fn top_shows_what_machines_and_pods_of_all_clusters_use() -> Result<()> {
    let space = space("top")?;
    let kubelet = Kubelet::start(&FLEET.folder().join("top"))?;
    let _servers = metered(&kubelet)?;
    for (cluster, cores) in NAMES.iter().zip([1.6, 3.2, 4.8]) {
        let (machine, pod) = (format!("{cluster}-metered"), format!("web-{cluster}"));
        let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod},
            "spec": {"nodeName": machine, "containers": [{"name": "web", "image": "nginx"}]}});
        space.create_in(cluster, "pods", &body)?;
        let usage = Usage::cores(cores / 2.0);
        let pod = Metered { namespace: space.name(), name: &pod, container: "web", usage };
        kubelet.set_with_pods(&machine, Usage::cores(cores), &[pod])?;
    }
    let kubectl = kubectl(&space)?;
    let column = |kubectl: &Kubectl, what: &str, title: &str| -> Result<Vec<String>> {
        let table = Table::read(&kubectl.ok(["top", what, "--sort-by=cpu"])?)?;
        Ok(table.column(title)?.into_iter().take(3).map(str::to_owned).collect())
    };
    // metrics-server knows a machine after its second look.
    eventually!(column(&kubectl, "nodes", "CPU(cores)"), |it: &Vec<String>| {
        *it == ["4800m", "3200m", "1600m"]
    });
    eventually!(column(&kubectl, "pods", "CPU(cores)"), |it: &Vec<String>| {
        *it == ["2400m", "1600m", "800m"]
    });
    for (version, kubectl) in kubectls(&space)? {
        let machines = ["nagoya-metered", "osaka-metered", "tokyo-metered"];
        assert_eq!(column(&kubectl, "nodes", "NAME")?, machines, "{version}");
        let pods = ["web-nagoya", "web-osaka", "web-tokyo"];
        assert_eq!(column(&kubectl, "pods", "NAME")?, pods, "{version}");
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
