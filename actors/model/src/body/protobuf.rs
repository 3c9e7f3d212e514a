//! Protobuf bodies: `k8s\0`, then a `runtime.Unknown` whose `raw` is the object.
//!
//! An object is never decoded and encoded again. What must not reach a member is left out on the
//! wire (an entry of a map cannot be taken back by appending), with every other field's bytes
//! copied, known or not; then one partial message with tenbin's own values is appended, which the
//! API server merges into the first (the last scalar wins, entries of maps are added) [M].
//! Field numbers are those of `generated.proto` of `k8s.io/api` and `k8s.io/apimachinery` v0.36.3.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::{DecodeError, Message};

use super::stamp::Stamp;
use super::tree::ordinals_start;
use super::wire::{self, Edit};
use super::{BodyError, BodyKind, Encoded, MAX_BODY, Summary};
use crate::managed::{is_input, is_state};

mod pod;

pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";
const RAW: u32 = 2;

/// A `runtime.Unknown`, opened.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    /// Every field but `raw`.
    pub(super) others: Vec<u8>,
    /// The object, as last said.
    pub(super) raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Object {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

#[derive(Clone, PartialEq, Message)]
struct Workload {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<WorkloadSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct WorkloadSpec {
    #[prost(int32, optional, tag = "1")]
    replicas: Option<i32>,
    #[prost(message, optional, tag = "3")]
    template: Option<Template>,
    /// Of StatefulSets; Deployments have no field 11.
    #[prost(message, optional, tag = "11")]
    ordinals: Option<Ordinals>,
}

#[derive(Clone, PartialEq, Message)]
struct Template {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    /// A `PodSpec`, read apart: a wrong one is the API server's to refuse.
    #[prost(bytes = "vec", optional, tag = "2")]
    spec: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct Ordinals {
    #[prost(int32, optional, tag = "1")]
    start: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ObjectMeta {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    generate_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    namespace: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) uid: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(super) resource_version: Option<String>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<Unread>,
}

/// A message of which only the presence is read; also an entry of a map without its value.
#[derive(Clone, PartialEq, Message)]
struct Unread {}

#[derive(Clone, PartialEq, Message)]
struct MapKey {
    #[prost(string, tag = "1")]
    key: String,
}

// === impl Envelope ===

impl Envelope {
    pub(super) fn open(bytes: &[u8]) -> Result<Self, BodyError> {
        if bytes.len() > MAX_BODY {
            return Err(BodyError::TooLarge);
        }
        let unknown = bytes.strip_prefix(MAGIC).ok_or(BodyError::Magic)?;
        let mut raw = Vec::new();
        let others = wire::rewrite(unknown, |field, content| {
            if field != RAW {
                return Ok(Edit::Keep);
            }
            raw = wire::content(content)?.to_vec();
            Ok(Edit::Drop)
        });
        Ok(Self { others: others.map_err(BodyError::Protobuf)?, raw })
    }

    pub(super) fn summary(&self, kind: BodyKind) -> Result<Summary, BodyError> {
        let raw = self.raw.as_slice();
        // The second field of another kind may be of any type.
        let workload = if kind.is_split() {
            Workload::decode(raw).map_err(BodyError::Protobuf)?
        } else {
            let object = Object::decode(raw).map_err(BodyError::Protobuf)?;
            Workload { metadata: object.metadata, spec: None }
        };
        let metadata = workload.metadata.unwrap_or_default();
        let name = metadata.name.clone().unwrap_or_default();
        let spec = workload.spec.unwrap_or_default();
        let start = spec.ordinals.and_then(|ordinals| ordinals.start).unwrap_or_default();
        let pod = spec.template.and_then(|template| pod::read(&template.spec?));
        let count = |path, value| kind.count(&name, path, i64::from(value));
        Ok(Summary {
            name: filled(metadata.name),
            generate_name: filled(metadata.generate_name),
            namespace: filled(metadata.namespace),
            uid: filled(metadata.uid),
            resource_version: filled(metadata.resource_version),
            has_owner_references: !metadata.owner_references.is_empty(),
            replicas: spec.replicas.map(|value| count("spec.replicas", value)).transpose()?,
            ordinals_start: count("spec.ordinals.start", start)?,
            pod: pod.map(|pod| pod.shape()).unwrap_or_default(),
            inputs: metadata.annotations.into_iter().filter(|(key, _)| is_input(key)).collect(),
        })
    }

    pub(super) fn for_member(
        &self,
        kind: BodyKind,
        summary: &Summary,
        stamp: &Stamp,
    ) -> Result<Encoded, BodyError> {
        let mut raw = strip(&self.raw, kind, stamp).map_err(BodyError::Protobuf)?;
        raw.extend(addition(kind, summary, stamp)?.encode_to_vec());
        Ok(self.seal(&raw))
    }

    /// Closes the envelope around another object.
    pub(super) fn seal(&self, raw: &[u8]) -> Encoded {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.others);
        wire::append(&mut bytes, RAW, raw);
        Encoded { content_type: MEDIA_TYPE, bytes: Bytes::from(bytes) }
    }
}

/// Takes tenbin's own annotations out of an object; `None` where it says nothing of them.
pub(super) fn strip_state(bytes: &[u8]) -> Option<Bytes> {
    memchr::memmem::find(bytes, b"tenbin/")?;
    let envelope = Envelope::open(bytes).ok()?;
    let raw = within(&envelope.raw, 1, |metadata| {
        wire::rewrite(metadata, |field, content| {
            let entry = content.filter(|_| field == 12).map(MapKey::decode);
            let ours = matches!(entry, Some(Ok(entry)) if is_state(&entry.key));
            Ok(if ours { Edit::Drop } else { Edit::Keep })
        })
    });
    Some(envelope.seal(&raw.ok()?).bytes)
}

/// The partial message that is appended.
fn addition(kind: BodyKind, summary: &Summary, stamp: &Stamp) -> Result<Workload, BodyError> {
    let label = || BTreeMap::from([(stamp.label_key.clone(), stamp.label_value.clone())]);
    let state = stamp.annotations(kind.is_split()).into_iter();
    let metadata = ObjectMeta {
        name: stamp.name.clone(),
        resource_version: stamp.resource_version.clone(),
        labels: label(),
        annotations: state.map(|(key, value)| (key.to_owned(), value)).collect(),
        ..ObjectMeta::default()
    };
    let template = ObjectMeta { labels: label(), ..ObjectMeta::default() };
    let start = ordinals_start(kind, summary.ordinals_start, stamp)?;
    let spec = kind.is_split().then(|| WorkloadSpec {
        replicas: stamp.share().map(u32::cast_signed),
        template: Some(Template { metadata: Some(template), spec: None }),
        ordinals: start.map(|start| Ordinals { start: Some(start.cast_signed()) }),
    });
    Ok(Workload { metadata: Some(metadata), spec })
}

fn strip(raw: &[u8], kind: BodyKind, stamp: &Stamp) -> Result<Vec<u8>, DecodeError> {
    wire::rewrite(raw, |field, content| match (field, kind) {
        (1, _) => strip_metadata(wire::content(content)?, stamp).map(Edit::Become),
        (2, BodyKind::Deployment | BodyKind::StatefulSet) => {
            strip_template(wire::content(content)?, stamp).map(Edit::Become)
        }
        (2, BodyKind::PersistentVolume) if !stamp.is_home() => {
            strip_claim(wire::content(content)?).map(Edit::Become)
        }
        // Status; in a kind that we do not know, field 3 may be anything.
        (3, BodyKind::Other) => Ok(Edit::Keep),
        (3, _) if !stamp.is_home() => Ok(Edit::Drop),
        _ => Ok(Edit::Keep),
    })
}

/// Leaves out uid, resourceVersion and tenbin's marks, outside home also what is home's alone.
fn strip_metadata(metadata: &[u8], stamp: &Stamp) -> Result<Vec<u8>, DecodeError> {
    wire::rewrite(metadata, |field, content| match field {
        5 | 6 => Ok(Edit::Drop),
        // generation, the two timestamps, deletionGracePeriodSeconds, owners, managedFields
        7..=10 | 13 | 17 if !stamp.is_home() => Ok(Edit::Drop),
        _ => strip_mark(field, content, stamp),
    })
}

/// prost reads an entry of a map whatever its wire type is, and would so see other fields than an
/// API server does.
fn strip_mark(field: u32, content: Option<&[u8]>, stamp: &Stamp) -> Result<Edit, DecodeError> {
    let ours = match field {
        11 => MapKey::decode(wire::content(content)?)?.key == stamp.label_key,
        12 => is_state(&MapKey::decode(wire::content(content)?)?.key),
        _ => false,
    };
    Ok(if ours { Edit::Drop } else { Edit::Keep })
}

/// Leaves tenbin's marks out of spec.template.metadata.
fn strip_template(spec: &[u8], stamp: &Stamp) -> Result<Vec<u8>, DecodeError> {
    within(spec, 3, |template| {
        within(template, 1, |metadata| {
            wire::rewrite(metadata, |field, content| strip_mark(field, content, stamp))
        })
    })
}

/// Leaves uid and resourceVersion out of spec.claimRef.
fn strip_claim(spec: &[u8]) -> Result<Vec<u8>, DecodeError> {
    within(spec, 4, |claim| {
        wire::rewrite(claim, |field, _| {
            Ok(if matches!(field, 4 | 6) { Edit::Drop } else { Edit::Keep })
        })
    })
}

/// Rewrites one field of a message and keeps the others.
fn within(
    message: &[u8],
    number: u32,
    mut edit: impl FnMut(&[u8]) -> Result<Vec<u8>, DecodeError>,
) -> Result<Vec<u8>, DecodeError> {
    wire::rewrite(message, |field, content| {
        if field == number {
            edit(wire::content(content)?).map(Edit::Become)
        } else {
            Ok(Edit::Keep)
        }
    })
}

/// An empty text in protobuf is an absent one.
pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}
