//! What of a Node counts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use tenbin_model::power::Resources;
use tenbin_model::quantity::Quantity;

/// Labels that tell nodes apart which are alike otherwise.
const OWN_LABELS: [&str; 2] = ["kubernetes.io/hostname", "topology."];
const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

/// A node, as far as watts and room for pods go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeFacts {
    pub(crate) name: String,
    /// Its kubelet says that it is well.
    pub(crate) ready: bool,
    /// Cordoned, or being deleted: somebody wants it to be left alone.
    pub(crate) withdrawn: bool,
    /// A taint keeps pods away that say nothing of it.
    pub(crate) tainted: bool,
    /// The cores that 100 % of CPU are, in thousandths.
    pub(crate) capacity_milli: u64,
    pub(crate) allocatable: Resources,
    /// The groups of nodes with like labels, the closest first.
    pub(crate) like: Vec<String>,
}

// === impl NodeFacts ===

impl NodeFacts {
    /// Reads a Node; one that says nothing of its resources has none.
    pub(super) fn of(node: Node) -> Self {
        let name = node.metadata.name.unwrap_or_default();
        let spec = node.spec.unwrap_or_default();
        let status = node.status.unwrap_or_default();
        let allocatable = status.allocatable.unwrap_or_default();
        let mut conditions = status.conditions.unwrap_or_default().into_iter();
        let keeps_away = |effect: &str| matches!(effect, "NoSchedule" | "NoExecute");
        Self {
            ready: conditions.any(|it| it.type_ == "Ready" && it.status == "True"),
            withdrawn: spec.unschedulable.unwrap_or(false)
                || node.metadata.deletion_timestamp.is_some(),
            tainted: spec.taints.unwrap_or_default().iter().any(|taint| keeps_away(&taint.effect)),
            capacity_milli: milli(&status.capacity.unwrap_or_default(), "cpu"),
            allocatable: Resources {
                cpu_milli: milli(&allocatable, "cpu"),
                memory_bytes: units(&allocatable, "memory"),
                pods: units(&allocatable, "pods"),
            },
            like: like(&name, &node.metadata.labels.unwrap_or_default()),
            name,
        }
    }
}

fn like(name: &str, labels: &BTreeMap<String, String>) -> Vec<String> {
    let of_type = labels.get(INSTANCE_TYPE).map(|value| format!("instance type {value}"));
    let shared = labels.iter().filter(|(key, value)| {
        *value != name && !OWN_LABELS.iter().any(|own| key.starts_with(own))
    });
    let shared: Vec<String> = shared.map(|(key, value)| format!("{key}={value}")).collect();
    let labelled = (!shared.is_empty()).then(|| format!("labels {}", shared.join(",")));
    of_type.into_iter().chain(labelled).collect()
}

fn parsed(resources: &BTreeMap<String, Text>, name: &str) -> Option<Quantity> {
    Quantity::parse(&resources.get(name)?.0).ok()
}

fn milli(resources: &BTreeMap<String, Text>, name: &str) -> u64 {
    parsed(resources, name).and_then(Quantity::milli).unwrap_or(0)
}

fn units(resources: &BTreeMap<String, Text>, name: &str) -> u64 {
    parsed(resources, name).and_then(Quantity::units).unwrap_or(0)
}
