//! Bodies as trees: decoding JSON and YAML, and stamping an object.

use serde_json::{Map, Value};

use super::stamp::Stamp;
use super::{BodyError, BodyKind, Encoding, MAX_BODY, Summary};
use crate::managed::is_state;

/// Outside home, what an API server wrote into home's metadata, or what names home's objects.
pub(super) const NOT_COPIED: [&str; 6] = [
    "ownerReferences",
    "managedFields",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// The most bytes that the aliases of a YAML body may add.
const MAX_EXPANSION: usize = 64 * 1024 * 1024;

/// Reads a JSON or YAML body, whose root is an object.
///
/// JSON stops at 128 levels, YAML at 64. In YAML every event that an alias replays brings at most the
/// whole body once more, so bounding their number by the body's length bounds the memory.
pub(super) fn decode(encoding: Encoding, bytes: &[u8]) -> Result<Map<String, Value>, BodyError> {
    if bytes.len() > MAX_BODY {
        return Err(BodyError::TooLarge);
    }
    let value = if encoding == Encoding::Yaml {
        let options = serde_saphyr::options! {
            with_snippet: false,
            legacy_octal_numbers: true,
            alias_limits: serde_saphyr::alias_limits! {
                max_total_replayed_events: MAX_EXPANSION / bytes.len().max(64),
            },
        };
        serde_saphyr::from_slice_with_options(bytes, options)
            .map_err(|error| BodyError::Yaml(Box::new(error)))?
    } else {
        serde_json::from_slice(bytes).map_err(BodyError::Json)?
    };
    match value {
        Value::Object(tree) => Ok(tree),
        _ => Err(BodyError::WrongType { path: "the root", expected: "an object" }),
    }
}

/// Writes tenbin's marks and the member's share into an object.
pub(super) fn stamp(
    tree: &mut Map<String, Value>,
    kind: BodyKind,
    summary: &Summary,
    stamp: &Stamp,
) -> Result<(), BodyError> {
    stamp_metadata(tree, kind, stamp)?;
    if !stamp.is_home() {
        tree.shift_remove("status");
    }
    if kind.is_split() {
        stamp_workload(make(tree, "spec", "spec")?, kind, summary, stamp)?;
    }
    if kind == BodyKind::PersistentVolume
        && !stamp.is_home()
        && let Some(claim) = tree.get_mut("spec").and_then(|spec| spec.get_mut("claimRef"))
        && let Some(claim) = claim.as_object_mut()
    {
        claim.shift_remove("uid");
        claim.shift_remove("resourceVersion");
    }
    Ok(())
}

fn stamp_metadata(
    tree: &mut Map<String, Value>,
    kind: BodyKind,
    stamp: &Stamp,
) -> Result<(), BodyError> {
    let metadata = make(tree, "metadata", "metadata")?;
    strip_metadata(metadata, stamp);
    if let Some(name) = &stamp.name {
        metadata.insert("name".to_owned(), name.as_str().into());
    }
    if let Some(version) = &stamp.resource_version {
        metadata.insert("resourceVersion".to_owned(), version.as_str().into());
    }
    let labels = make(metadata, "labels", "metadata.labels")?;
    labels.insert(stamp.label_key.clone(), stamp.label_value.as_str().into());
    let annotations = make(metadata, "annotations", "metadata.annotations")?;
    for (key, value) in stamp.annotations(kind.is_split()) {
        annotations.insert(key.to_owned(), value.into());
    }
    Ok(())
}

fn stamp_workload(
    spec: &mut Map<String, Value>,
    kind: BodyKind,
    summary: &Summary,
    stamp: &Stamp,
) -> Result<(), BodyError> {
    if let Some(share) = stamp.share() {
        spec.insert("replicas".to_owned(), share.into());
    }
    if let Some(start) = ordinals_start(kind, summary.ordinals_start, stamp)? {
        make(spec, "ordinals", "spec.ordinals")?.insert("start".to_owned(), start.into());
    }
    let template = make(spec, "template", "spec.template")?;
    let metadata = make(template, "metadata", "spec.template.metadata")?;
    strip_marks(metadata, stamp);
    let labels = make(metadata, "labels", "spec.template.metadata.labels")?;
    labels.insert(stamp.label_key.clone(), stamp.label_value.as_str().into());
    Ok(())
}

/// The start of a member's ordinals, where it differs from the user's own.
pub(super) fn ordinals_start(
    kind: BodyKind,
    own: u32,
    stamp: &Stamp,
) -> Result<Option<u32>, BodyError> {
    if kind != BodyKind::StatefulSet || stamp.ordinals_base == 0 {
        return Ok(None);
    }
    let start = stamp.ordinals_base.saturating_add(i64::from(own));
    let name = stamp.name.as_deref().unwrap_or_default();
    kind.count(name, "spec.ordinals.start", start).map(Some)
}

/// Takes out of an object's metadata what must not reach the member.
pub(super) fn strip_metadata(metadata: &mut Map<String, Value>, stamp: &Stamp) {
    metadata.shift_remove("uid");
    metadata.shift_remove("resourceVersion");
    if !stamp.is_home() {
        for field in NOT_COPIED {
            metadata.shift_remove(field);
        }
    }
    strip_marks(metadata, stamp);
}

/// Takes a user's own idea of tenbin's label and state out of metadata.
pub(super) fn strip_marks(metadata: &mut Map<String, Value>, stamp: &Stamp) {
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.shift_remove(&stamp.label_key);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !is_state(key));
    }
}

/// The object under `key`, made where it is absent or null.
fn make<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
    path: &'static str,
) -> Result<&'a mut Map<String, Value>, BodyError> {
    let value = map.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().ok_or(BodyError::WrongType { path, expected: "an object" })
}

/// The object under `key`; `None` where it is absent or null.
pub(super) fn object<'a>(
    map: &'a Map<String, Value>,
    key: &str,
    path: &'static str,
) -> Result<Option<&'a Map<String, Value>>, BodyError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(BodyError::WrongType { path, expected: "an object" }),
    }
}

/// The text under `key`; `None` where it is absent, null or empty.
pub(super) fn string(
    map: &Map<String, Value>,
    key: &str,
    path: &'static str,
) -> Result<Option<String>, BodyError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(BodyError::WrongType { path, expected: "a string" }),
    }
}

/// The integer under `key`; `None` where it is absent or null.
pub(super) fn int(
    map: &Map<String, Value>,
    key: &str,
    path: &'static str,
) -> Result<Option<i64>, BodyError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64() {
            Some(int) => Ok(Some(int)),
            None => Err(BodyError::WrongType { path, expected: "a 32-bit integer" }),
        },
    }
}
