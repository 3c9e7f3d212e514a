//! WAO's objects in a cluster: its CRDs, `NodeConfig`s, secrets.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// Where WAO keeps everything.
pub const NAMESPACE: &str = "wao-system";

/// The group of the CRDs that a cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// `wao.bitmedia.co.jp`, until wao-core 1.30.2.
    Bitmedia,
    /// `node.waok8s.github.io`, since wao-core 1.30.3.
    Waok8s,
}

impl Group {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bitmedia => "wao.bitmedia.co.jp",
            Self::Waok8s => "node.waok8s.github.io",
        }
    }

    /// `wao.bitmedia.co.jp/v1beta1`.
    pub fn api_version(self) -> String {
        format!("{}/v1beta1", self.name())
    }

    fn path(self, plural: &str) -> String {
        format!("/apis/{}/namespaces/{NAMESPACE}/{plural}", self.api_version())
    }
}

/// An `EndpointTerm`: how to reach a sensor, a predictor or a BMC.
pub fn term(kind: &str, endpoint: &str) -> Value {
    json!({"type": kind, "endpoint": endpoint})
}

/// The same with Basic auth of a Secret.
#[must_use]
pub fn with_secret(mut term: Value, secret: &str) -> Value {
    if let Some(term) = term.as_object_mut() {
        term.insert("basicAuthSecret".to_owned(), json!({"name": secret}));
    }
    term
}

/// A predictor of the V2 protocol.
pub fn v2(endpoint: &str) -> Value {
    term("V2InferenceProtocol", endpoint)
}

/// `spec` of a `NodeConfig` with this `predictor`. Whoever asks the sensors is nobody's business
/// here, since their values are written to the adapter; but they are no fakes, which would need no
/// adapter.
pub fn spec(node: &str, predictor: &Value) -> Value {
    json!({"nodeName": node, "predictor": predictor,
           "metricsCollector": {"inletTemp": term("Redfish", "http://bmc"),
                                "deltaP": term("DifferentialPressureAPI", "http://pressure")}})
}

/// `spec.predictor` with `powerConsumption` alone.
pub fn power_consumption(term: &Value) -> Value {
    json!({"powerConsumption": term})
}

/// Both CRDs of a group, and the namespace, when they are not there yet.
pub fn install(cluster: &Cluster, group: Group) -> Result<()> {
    cluster.ensure_namespace(NAMESPACE)?;
    let text = include_str!("../../wao/crds.yaml").replace(Group::Bitmedia.name(), group.name());
    cluster.ensure_crds(&text)?;
    for plural in ["nodeconfigs", "nodeconfigtemplates"] {
        cluster.wait_for(&group.path(plural))?;
    }
    Ok(())
}

/// Makes the `NodeConfig` `<node>` (or `name`, when a node has several).
pub fn node_config(cluster: &Cluster, group: Group, name: &str, spec: &Value) -> Result<()> {
    create(cluster, group, "nodeconfigs", &object(group, "NodeConfig", name, spec))
}

/// Makes any object of a plural of the group.
pub fn create(cluster: &Cluster, group: Group, plural: &str, object: &Value) -> Result<()> {
    let answer = cluster.client()?.send_json("POST", &group.path(plural), object)?;
    answer.success().with_context(|| format!("making one of {plural} in {}", cluster.name()))?;
    Ok(())
}

/// Puts another `spec` into a `NodeConfig`.
pub fn change(cluster: &Cluster, group: Group, name: &str, spec: &Value) -> Result<()> {
    let path = format!("{}/{name}", group.path("nodeconfigs"));
    let change = json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
    let body = Some(("application/json-patch+json", change.as_bytes()));
    cluster.client()?.send("PATCH", &path, body)?.success()?;
    Ok(())
}

/// Deletes a `NodeConfig`.
pub fn delete(cluster: &Cluster, group: Group, name: &str) -> Result<()> {
    let path = format!("{}/{name}", group.path("nodeconfigs"));
    cluster.client()?.send("DELETE", &path, None)?.success()?;
    Ok(())
}

/// An object of the group.
pub fn object(group: Group, kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": group.api_version(), "kind": kind,
           "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
}

/// A Secret of Basic auth.
pub fn secret(cluster: &Cluster, name: &str, user: &str, password: &str) -> Result<()> {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
        "type": "kubernetes.io/basic-auth",
        "stringData": {"username": user, "password": password}});
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
    cluster.client()?.send_json("POST", &path, &secret)?.success().context("making a Secret")?;
    Ok(())
}
