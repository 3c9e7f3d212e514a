//! What of a Pod counts: a few words, since there are many.

use std::borrow::Cow;
use std::collections::HashMap;

use k8s_openapi::NamespaceResourceScope;
use kube::api::ObjectMeta;
use serde::{Deserialize, Deserializer};
use tenbin_model::quantity::Quantity;

/// Pods that are on a node and not finished; the API server leaves out the others.
pub(super) const SELECTOR: &str = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";

/// What one pod asks of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) node: Box<str>,
    pub(super) cpu_milli: u64,
    pub(super) memory_bytes: u64,
}

/// A Pod, read without most of it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct LeanPod {
    #[serde(deserialize_with = "lean_metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    node_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    overhead: Amounts,
    resources: Requirements,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    resources: Requirements,
    restart_policy: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Requirements {
    requests: Amounts,
}

type Amounts = HashMap<String, String>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

fn lean_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Metadata { name, namespace, uid, resource_version } = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() })
}

// === impl LeanPod ===

impl LeanPod {
    /// Its uid, and what it asks of its node, if it is on one and not finished.
    pub(super) fn share(self) -> (String, Option<Share>) {
        let here = !self.spec.node_name.is_empty()
            && !matches!(self.status.phase.as_str(), "Succeeded" | "Failed");
        let share = here.then(|| Share {
            cpu_milli: self.spec.requests("cpu", Quantity::milli),
            memory_bytes: self.spec.requests("memory", Quantity::units),
            node: self.spec.node_name.into(),
        });
        (self.metadata.uid.unwrap_or_default(), share)
    }
}

// === impl Spec ===

impl Spec {
    /// What kube-scheduler reckons for the pod (`PodRequests` of `k8s.io/component-helpers`):
    /// containers and sidecars together, or the largest moment of the start, and the overhead.
    fn requests(&self, name: &str, unit: fn(Quantity) -> Option<u64>) -> u64 {
        let read = |text: &String| Quantity::parse(text).ok().and_then(unit);
        let amount = |amounts: &Amounts| amounts.get(name).and_then(read);
        let of = |container: &Container| amount(&container.resources.requests).unwrap_or(0);
        let (mut sidecars, mut start) = (0_u64, 0);
        for container in &self.init_containers {
            let moment = sidecars.saturating_add(of(container));
            if container.restart_policy == "Always" {
                sidecars = moment;
            }
            start = moment.max(start);
        }
        let running = self.containers.iter().map(of).fold(sidecars, u64::saturating_add);
        let stated = amount(&self.resources.requests);
        let overhead = amount(&self.overhead).unwrap_or(0);
        stated.unwrap_or(running.max(start)).saturating_add(overhead)
    }
}

impl kube::Resource for LeanPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
