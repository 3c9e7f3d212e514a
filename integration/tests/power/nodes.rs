//! Nodes that are not ready, cordoned, gone, or labelled with no region or several.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Cluster, FaultyPredictor, Model, eventually};

use super::rig::{Rig, daemon, linear, sum};
use super::{FLEET, condition};

const MERGE: &str = "application/merge-patch+json";

fn patch(cluster: &Cluster, node: &str, subresource: &str, kind: &str, body: &Value) -> Result<()> {
    let path = format!("/api/v1/nodes/{node}{subresource}");
    let body = body.to_string();
    let body = Some((kind, body.as_bytes()));
    cluster.client()?.send("PATCH", &path, body)?.success().context(path)?;
    Ok(())
}

/// kwok plays the node's kubelet, or does not any more.
fn play(cluster: &Cluster, node: &str, played: bool) -> Result<()> {
    let fake = if played { json!("fake") } else { Value::Null };
    let body = json!({"metadata": {"annotations": {"kwok.x-k8s.io/node": fake}}});
    patch(cluster, node, "", MERGE, &body)
}

fn say_ready(cluster: &Cluster, node: &str, ready: bool) -> Result<()> {
    let status = if ready { "True" } else { "Unknown" };
    let body = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    patch(cluster, node, "/status", "application/strategic-merge-patch+json", &body)
}

fn cordon(cluster: &Cluster, node: &str, cordoned: bool) -> Result<()> {
    patch(cluster, node, "", MERGE, &json!({"spec": {"unschedulable": cordoned}}))
}

/// One test, as they are all of the nodes of one cluster.
#[test]
fn a_node_that_is_not_ready_is_counted_as_before_and_one_that_is_cordoned_is_not() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let rig = Rig::start("calm", "nodes", &linear(&fake))?;
    let (watts, node) = (sum(&Model::Linear), rig.node(2));
    let stop = || {
        play(rig.cluster, &node, false)?;
        say_ready(rig.cluster, &node, false)
    };
    let go_on = || {
        say_ready(rig.cluster, &node, true)?;
        play(rig.cluster, &node, true)
    };
    rig.survives(watts, &[2], "NotReady", stop, go_on)?;

    // Somebody has decided that it takes no work: it is no part of the choice, and no failure.
    cordon(rig.cluster, &node, true)?;
    let row = rig.reaches(watts - condition(2).watts(&Model::Linear));
    assert_eq!(row["nodes"].as_array().map(Vec::len), Some(2), "{row:#}");
    cordon(rig.cluster, &node, false)?;
    rig.reaches(watts);
    Ok(())
}

fn label(cluster: &Cluster, n: u32, region: &Value) -> Result<()> {
    let body = json!({"metadata": {"labels": {"topology.kubernetes.io/region": region}}});
    patch(cluster, &format!("{}-n{n}", cluster.name()), "", MERGE, &body)
}

#[test]
fn nodes_without_a_region_or_with_several_are_told_of_and_stop_nothing() -> Result<()> {
    let cluster = FLEET.cluster("shaky")?;
    let region = |name: &str| -> Result<(Value, String)> {
        let daemon = daemon("shaky", name).start()?;
        let page = eventually!(daemon.scores());
        Ok((page["clusters"][0]["region"].clone(), daemon.log()))
    };
    for n in 0..3 {
        label(cluster, n, &Value::Null)?;
    }
    let (none, _) = region("no-region")?;
    assert_eq!(none, "shaky", "the name stands in");
    label(cluster, 0, &json!("west"))?;
    label(cluster, 1, &json!("east"))?;
    let (first, log) = region("two-regions")?;
    assert_eq!(first, "east", "the first by name, whoever is asked");
    assert!(log.contains("nodes disagree about their region"), "{log}");
    Ok(())
}
