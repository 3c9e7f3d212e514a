//! ClusterScores: who the peers of a cluster's tenbin are, and what it says of them.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::power::wao::NAMESPACE;
use crate::tools;

/// The group of tenbin's ClusterScores, which is also that of the original program until 1.29.
pub const GROUP: &str = "waoendpointproxy.bitmedia.co.jp";

/// The group of the original program since 1.30.
pub const ORIGINAL_GROUP: &str = "multicluster-endpoint-proxy.waok8s.github.io";

/// Makes the CRD of a group, as `tenbin crds` prints it, and the namespace.
///
/// Both groups in one cluster make `kubectl get clusterscores` ambiguous, and kubectl takes
/// [`ORIGINAL_GROUP`]: a test that needs that one installs it beside and names the group.
pub fn install(cluster: &Cluster, group: &str) -> Result<()> {
    let mut command = Command::new(tools::tenbin()?);
    command.arg("crds").args((group == ORIGINAL_GROUP).then_some("--original"));
    let asked = command.output().context("running tenbin")?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(asked.status.success(), "tenbin crds: {}", said(&asked.stderr));
    cluster.ensure_crds(&said(&asked.stdout))?;
    cluster.ensure_namespace(NAMESPACE)?;
    cluster.wait_for(&format!("/apis/{group}/v1beta1/clusterscores"))
}

/// Makes the ClusterScore `name` with this endpoint: a peer's peers port.
pub fn add_peer(cluster: &Cluster, name: &str, endpoint: &str) -> Result<()> {
    let body = json!({"apiVersion": format!("{GROUP}/v1beta1"), "kind": "ClusterScore",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"endpoint": endpoint}});
    let answer = cluster.client()?.send_json("POST", &path(""), &body)?;
    answer.success().with_context(|| format!("making {name} a peer of {}", cluster.name()))?;
    Ok(())
}

/// Deletes a ClusterScore.
pub fn remove_peer(cluster: &Cluster, name: &str) -> Result<()> {
    cluster.client()?.send("DELETE", &path(name), None)?.success()?;
    Ok(())
}

/// The ClusterScore of this name.
pub fn get(cluster: &Cluster, name: &str) -> Result<Value> {
    cluster.client()?.json(&path(name))
}

/// All ClusterScores of a cluster.
pub fn list(cluster: &Cluster) -> Result<Vec<Value>> {
    let list = cluster.client()?.json(&path(""))?;
    Ok(list.get("items").and_then(Value::as_array).context("no items")?.clone())
}

fn path(name: &str) -> String {
    let slash = if name.is_empty() { "" } else { "/" };
    format!("/apis/{GROUP}/v1beta1/namespaces/{NAMESPACE}/clusterscores{slash}{name}")
}
