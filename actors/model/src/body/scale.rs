//! Writes of `/scale`: they become patches of the workload.

use prost::Message;
use serde_json::{Map, Value, json};

use super::protobuf::{Envelope, ObjectMeta, filled};
use super::stamp::share_annotations;
use super::tree::{self, int, object, string};
use super::{BodyError, BodyKind, Encoded, Encoding, PatchKind};
use crate::ids::ClusterName;
use crate::managed::Shares;

/// What a PUT or PATCH of `/scale` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScaleBody {
    /// The new total; `None` where a patch does not change it.
    pub replicas: Option<u32>,
    /// metadata.uid: the uid that the object must have.
    pub uid: Option<String>,
    /// metadata.resourceVersion: the version that the object must have; a composite.
    pub resource_version: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Scale {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<ScaleSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct ScaleSpec {
    #[prost(int32, tag = "1")]
    replicas: i32,
}

// === impl ScaleBody ===

impl ScaleBody {
    /// Reads the body of a PUT (`autoscaling/v1 Scale`); absent replicas are 0, as to an API server.
    pub fn parse(encoding: Encoding, bytes: &[u8]) -> Result<Self, BodyError> {
        if encoding != Encoding::Protobuf {
            let scale = Self::of_tree(&tree::decode(encoding, bytes)?)?;
            return Ok(Self { replicas: scale.replicas.or(Some(0)), ..scale });
        }
        let envelope = Envelope::open(bytes)?;
        let scale = Scale::decode(envelope.raw.as_slice()).map_err(BodyError::Protobuf)?;
        let metadata = scale.metadata.unwrap_or_default();
        let replicas = scale.spec.unwrap_or_default().replicas;
        Ok(Self {
            replicas: Some(BodyKind::Other.count("", "spec.replicas", i64::from(replicas))?),
            uid: filled(metadata.uid),
            resource_version: filled(metadata.resource_version),
        })
    }

    /// Reads a merge or strategic merge patch; replicas of null are 0, as to an API server.
    pub fn parse_patch(kind: PatchKind, bytes: &[u8]) -> Result<Self, BodyError> {
        kind.divided()?;
        Self::of_tree(&tree::decode(Encoding::Json, bytes)?)
    }

    fn of_tree(tree: &Map<String, Value>) -> Result<Self, BodyError> {
        let mut scale = Self::default();
        if let Some(metadata) = object(tree, "metadata", "metadata")? {
            scale.uid = string(metadata, "uid", "metadata.uid")?;
            scale.resource_version =
                string(metadata, "resourceVersion", "metadata.resourceVersion")?;
        }
        if let Some(spec) = object(tree, "spec", "spec")?
            && spec.contains_key("replicas")
        {
            let replicas = int(spec, "replicas", "spec.replicas")?.unwrap_or(0);
            scale.replicas = Some(BodyKind::Other.count("", "spec.replicas", replicas)?);
        }
        Ok(scale)
    }
}

/// The merge patch of the workload itself that gives `member` its share of `shares`.
pub fn scale_patch(
    member: &ClusterName,
    shares: &Shares,
    resource_version: Option<&str>,
) -> Encoded {
    let mut metadata = Map::new();
    if let Some(version) = resource_version {
        metadata.insert("resourceVersion".to_owned(), version.into());
    }
    let annotations = share_annotations(shares).map(|(key, value)| (key.to_owned(), value.into()));
    metadata.insert("annotations".to_owned(), Value::Object(annotations.into_iter().collect()));
    let patch = json!({ "metadata": metadata, "spec": { "replicas": shares.of(member) } });
    Encoded {
        content_type: PatchKind::Merge.media_type(),
        bytes: patch.to_string().into_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::tests::stamp;

    #[test]
    fn a_scale_becomes_a_patch_of_the_workload() {
        let put = br#"{"kind":"Scale","metadata":{"name":"web","resourceVersion":"12"},"spec":{"replicas":5}}"#;
        let scale = ScaleBody::parse(Encoding::of(None).unwrap(), put).unwrap();
        assert_eq!(scale.replicas, Some(5));
        assert_eq!(scale.resource_version.as_deref(), Some("12"));
        let patch =
            ScaleBody::parse_patch(PatchKind::Merge, br#"{"spec":{"replicas":5}}"#).unwrap();
        assert_eq!(patch.replicas, Some(5));
        let none = ScaleBody::parse_patch(PatchKind::Merge, br#"{"metadata":{}}"#).unwrap();
        assert_eq!(none.replicas, None);
        assert_eq!(ScaleBody::parse(Encoding::Json, b"{}").unwrap().replicas, Some(0));

        let stamp = stamp("osaka");
        let encoded = scale_patch(&stamp.member, stamp.shares.as_ref().unwrap(), Some("77"));
        insta::assert_snapshot!(String::from_utf8(encoded.bytes.to_vec()).unwrap(), @r#"{"metadata":{"resourceVersion":"77","annotations":{"tenbin/total":"5","tenbin/shares":"tokyo:3,osaka:2,nagoya:0"}},"spec":{"replicas":2}}"#);
    }
}
