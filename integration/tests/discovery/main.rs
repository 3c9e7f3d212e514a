//! What there is, as clients discover it: own's API, and kinds that only other clusters serve.
//! API servers alone; each test has API groups and, where it kills somebody, a daemon of its own.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod deaths;
mod documents;
mod elsewhere;
mod versions;

use std::sync::LazyLock;

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Client, Daemon, Fleet, FleetBuilder, Kubectl, eventually};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("discovery").clusters(["tokyo", "osaka", "nagoya"]).shared()
});

const CROSS: &str = "[auth]\ncross = ['system:masters']";

/// A daemon of tokyo whose administrators may act in the other clusters too.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| FLEET.daemon().config(CROSS).shared());

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// kubectl 1.36 and 1.32 through a daemon, each knowing nothing yet.
fn both(daemon: &Daemon) -> Result<[Kubectl; 2]> {
    Ok([daemon.kubectl()?, Kubectl::v1_32(daemon.kubeconfig()?)?])
}

/// A client that accepts this and nothing else.
fn accepting(client: Client, accept: &str) -> Client {
    client.header("Accept", accept)
}

/// Defines the kind Scale of `group` in a cluster, and waits until its API server serves it and says
/// so everywhere.
fn define(cluster: &str, group: &str, version: &str) -> Result<()> {
    let client = FLEET.cluster(cluster)?.client()?;
    let grams = json!({"type": "integer", "description": "What lies on it."});
    let spec = json!({"type": "object", "properties": {"grams": grams}});
    let schema = json!({"type": "object", "description": "Weighs in this cluster.",
        "properties": {"spec": spec}});
    let body = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("scales.{group}")},
        "spec": {"group": group, "scope": "Namespaced",
            "names": {"plural": "scales", "singular": "scale", "kind": "Scale"},
            "versions": [{"name": version, "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]},
    });
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    client.send_json("POST", crds, &body)?.success()?;
    let path = format!("/apis/{group}/{version}");
    eventually!(client.json(&path), |list: &Value| list["resources"][0]["name"] == "scales");
    // For a moment the objects of a new kind are answered with 429.
    eventually!(client.json(&self::path(group, version)));
    let schema = format!("apis/{group}/{version}");
    eventually!(client.json("/openapi/v3"), |index: &Value| index["paths"][&schema].is_object());
    let aggregated = accepting(client, V2);
    eventually!(aggregated.json("/apis"), |list: &Value| groups(list).contains(&group));
    Ok(())
}

/// The names of the groups of an aggregated document.
fn groups(list: &Value) -> Vec<&str> {
    let groups = list["items"].as_array().into_iter().flatten();
    groups.filter_map(|group| group["metadata"]["name"].as_str()).collect()
}

/// An object of the kind.
fn scale(group: &str, version: &str, name: &str, grams: u64) -> Value {
    json!({"apiVersion": format!("{group}/{version}"), "kind": "Scale",
        "metadata": {"name": name, "namespace": "default"}, "spec": {"grams": grams}})
}

/// The path of the objects in the namespace of all tests.
fn path(group: &str, version: &str) -> String {
    format!("/apis/{group}/{version}/namespaces/default/scales")
}
