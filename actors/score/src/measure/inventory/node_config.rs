//! NodeConfigs of WAO: how the power of a node is predicted (`wao.md` 5.1).

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Deserialize;

/// The groups that serve NodeConfigs, with one schema; the newer one is preferred.
pub(super) const GROUPS: [&str; 2] = ["node.waok8s.github.io", "wao.bitmedia.co.jp"];
const VERSION: &str = "v1beta1";
const KIND: &str = "NodeConfig";
const TEMPLATE: &str = "NodeConfigTemplate";

/// What a NodeConfig says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeConfig {
    /// The node's name.
    pub(crate) node: String,
    /// `template NAME`, where a NodeConfigTemplate made it.
    pub(crate) template: Option<String>,
    /// Whether the inlet temperature is made up.
    pub(crate) fake_inlet: bool,
    /// Whether the pressure difference is made up.
    pub(crate) fake_delta_p: bool,
    /// What predicts its power.
    pub(crate) power: Option<Term>,
    /// Who tells what predicts its power; it wins.
    pub(crate) provider: Option<Term>,
}

/// An endpoint and how to speak to it (`EndpointTerm`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Term {
    /// Such as `V2InferenceProtocol` or `Fake`.
    pub(crate) kind: String,
    pub(crate) endpoint: String,
    /// The Secret with its credentials, in the NodeConfig's namespace.
    pub(crate) secret: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: String,
    #[serde(default)]
    metrics_collector: Collector,
    #[serde(default)]
    predictor: Predictor,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collector {
    inlet_temp: Option<EndpointTerm>,
    delta_p: Option<EndpointTerm>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Predictor {
    power_consumption: Option<EndpointTerm>,
    power_consumption_endpoint_provider: Option<EndpointTerm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EndpointTerm {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    endpoint: String,
    basic_auth_secret: Option<SecretName>,
}

#[derive(Deserialize)]
struct SecretName {
    #[serde(default)]
    name: String,
}

/// How the kind is asked for in one group.
pub(super) fn resource(group: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, VERSION, KIND))
}

// === impl NodeConfig ===

impl NodeConfig {
    /// Reads an object; `None` for one that names no node.
    pub(super) fn of(object: &DynamicObject) -> Option<Self> {
        let spec = Spec::deserialize(object.data.get("spec")?).ok()?;
        let owners = object.metadata.owner_references.iter().flatten();
        let template =
            owners.filter(|owner| owner.kind == TEMPLATE).map(|owner| &owner.name).next();
        let fake = |term: Option<EndpointTerm>| term.is_some_and(|term| term.kind == "Fake");
        Some(Self {
            node: spec.node_name,
            template: template.map(|name| format!("template {name}")),
            fake_inlet: fake(spec.metrics_collector.inlet_temp),
            fake_delta_p: fake(spec.metrics_collector.delta_p),
            power: spec.predictor.power_consumption.map(Term::of),
            provider: spec.predictor.power_consumption_endpoint_provider.map(Term::of),
        })
    }
}

impl Term {
    fn of(term: EndpointTerm) -> Self {
        let secret = term.basic_auth_secret.map(|secret| secret.name);
        let secret = secret.filter(|name| !name.is_empty());
        Self { kind: term.kind, endpoint: term.endpoint, secret }
    }
}
