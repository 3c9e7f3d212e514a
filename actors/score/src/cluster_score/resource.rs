//! The custom resource: its Rust type, and the CRDs that are derived from it.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::ApiResource;
use kube::{CustomResource, CustomResourceExt as _};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// The version of both groups.
pub(crate) const VERSION: &str = "v1beta1";
/// The resource as it stands in paths.
pub(crate) const PLURAL: &str = "clusterscores";
/// The kind.
pub(crate) const KIND: &str = "ClusterScore";

/// Where ClusterScores are kept; the schema is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// tenbin's, which was that of the original program up to its v1.29.
    Tenbin,
    /// That of the original program since its v1.30.
    Original,
}

/// A member of the fleet and what it costs. Create one to add a cluster: its name is the member's,
/// and all that must be said is `spec.endpoint`. tenbin keeps the rest.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "waoendpointproxy.bitmedia.co.jp",
    version = "v1beta1",
    kind = "ClusterScore",
    plural = "clusterscores",
    namespaced,
    doc = "A member of the fleet and what it costs. Create one to add a cluster: its name is the member's, and all that must be said is `spec.endpoint`. tenbin keeps the rest.",
    status = "ClusterScoreStatus",
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.region"}"#,
    printcolumn = r#"{"name":"Score","type":"integer","jsonPath":".status.score"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status","priority":1}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason","priority":1}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScoreSpec {
    /// URL of the member's peers port; of own, that of its API server.
    pub endpoint: String,
    /// Whether this is the cluster in which the object stands. Kept by tenbin.
    #[serde(default)]
    pub owncluster: bool,
    /// The member's region, as it tells it itself. Kept by tenbin.
    #[serde(default)]
    pub region: String,
}

/// What is known of the member. Kept by tenbin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterScoreStatus {
    /// Predicted power in whole watts; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// Predicted power in watts, of which the score is rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
    /// The nodes that were measured.
    // The original program needs a list where there is none.
    #[serde(deserialize_with = "null_as_default")]
    pub nodes: Vec<NodeStatus>,
    /// When the score was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub update_timestamp: Option<Timestamp>,
    /// Ready, Stale, Unreachable and Untrusted.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// One node's part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// The node's name.
    pub name: String,
    /// Predicted power in whole watts.
    pub score: i64,
    /// Predicted power in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
}

/// The CRDs of both groups.
pub fn crd(group: Group) -> CustomResourceDefinition {
    let mut crd = ClusterScore::crd();
    crd.metadata.name = Some(format!("{PLURAL}.{}", group.as_str()));
    group.as_str().clone_into(&mut crd.spec.group);
    crd
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `metav1.Condition` as Kubernetes' own resources have it.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Ready, Stale, Unreachable and Untrusted.",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "message": {"type": "string", "maxLength": 32768},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "type": {"type": "string", "maxLength": 316},
            },
        },
        "x-kubernetes-list-map-keys": ["type"],
        "x-kubernetes-list-type": "map",
    })
}

// === impl Group ===

impl Group {
    /// The groups in which ClusterScores are kept; `original` as `[score] original_group` says.
    pub fn kept(original: bool) -> &'static [Self] {
        if original { &[Self::Tenbin, Self::Original] } else { &[Self::Tenbin] }
    }

    /// The group's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenbin => "waoendpointproxy.bitmedia.co.jp",
            Self::Original => "multicluster-endpoint-proxy.waok8s.github.io",
        }
    }

    /// The group of that name, if ClusterScores can be asked for in it.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Tenbin, Self::Original].into_iter().find(|group| group.as_str() == name)
    }

    /// The group that is not this one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Tenbin => Self::Original,
            Self::Original => Self::Tenbin,
        }
    }

    /// The path of the list in a namespace.
    pub(crate) fn list_path(self, namespace: &str) -> String {
        format!("/apis/{}/namespaces/{namespace}/{PLURAL}", self.api_version())
    }

    /// `group/version`.
    pub(crate) fn api_version(self) -> String {
        format!("{}/{VERSION}", self.as_str())
    }

    /// What requests of this group are made with.
    pub(crate) fn api_resource(self) -> ApiResource {
        ApiResource {
            group: self.as_str().to_owned(),
            api_version: self.api_version(),
            ..ClusterScore::api_resource()
        }
    }
}
