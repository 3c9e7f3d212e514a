//! Merge patches (RFC 7396) and strategic merge patches, divided among members.
//!
//! A patch is left as the user wrote it, but for two things. What it says of tenbin's label and
//! state is taken out, and what it says of replicas becomes the member's share. A patch that drops
//! what tenbin keeps in the object (by `$patch`, `$retainKeys`, or a null over all labels) gets it
//! back, so that the object stays managed and its pods keep their label.
//!
//! A null over `metadata`, `spec`, `spec.template` or the template's metadata or labels is passed
//! on: the API server refuses an object without its name, or whose selector does not match its
//! template.

use serde_json::{Map, Value};

use super::stamp::{Stamp, share_annotations};
use super::summary::has_items;
use super::tree::{self, int, object, ordinals_start, string, strip_marks, strip_metadata};
use super::{BodyError, BodyKind, Encoded, Encoding, essence};
use crate::managed::is_state;

use self::node::{Node, forgets};

mod node;
#[cfg(test)]
mod tests;

/// The kinds of patches of the Kubernetes API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/json-patch+json`.
    Json,
    /// `application/merge-patch+json`.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
    /// `application/apply-patch+yaml`: server-side apply.
    Apply,
}

/// What a patch does to replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplicasChange {
    /// Nothing.
    Untouched,
    /// The total becomes this.
    Set(u32),
    /// The total becomes the default: 1.
    Reset,
}

/// What the writer has to know of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchSummary {
    /// What happens to spec.replicas; always untouched on kinds that are not split.
    pub replicas: ReplicasChange,
    /// metadata.uid: the uid that the object must have.
    pub uid: Option<String>,
    /// metadata.resourceVersion: the version that the object must have; a composite.
    pub resource_version: Option<String>,
    /// Whether metadata.ownerReferences is not empty: it stays in home only.
    pub has_owner_references: bool,
}

/// A user's patch, read once and written anew for each member.
#[derive(Debug, Clone)]
pub struct Patch {
    kind: PatchKind,
    body: BodyKind,
    tree: Map<String, Value>,
    summary: PatchSummary,
}

/// Applies a JSON patch (RFC 6902) to the fleet view of an object; the result is then replaced.
pub fn apply_json_patch(view: &mut Value, patch: &[u8]) -> Result<(), BodyError> {
    let patch: json_patch::Patch = serde_json::from_slice(patch).map_err(BodyError::Json)?;
    json_patch::patch(view, &patch).map_err(BodyError::PatchDoesNotFit)
}

// === impl PatchKind ===

impl PatchKind {
    /// Reads the `Content-Type` of a PATCH.
    pub fn of(content_type: Option<&str>) -> Result<Self, BodyError> {
        let essence = essence(content_type);
        [Self::Json, Self::Merge, Self::Strategic, Self::Apply]
            .into_iter()
            .find(|kind| kind.media_type() == essence)
            .ok_or(BodyError::MediaType {
                accepted: "application/json-patch+json, application/merge-patch+json, \
                           application/strategic-merge-patch+json, application/apply-patch+yaml",
            })
    }

    /// The media type of the kind.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }

    /// Refuses the kinds that are not divided yet.
    pub(super) fn divided(self) -> Result<Self, BodyError> {
        match self {
            Self::Merge | Self::Strategic => Ok(self),
            Self::Apply => Err(BodyError::NotYet {
                what: "a server-side apply",
                instead: "apply without --server-side",
            }),
            Self::Json => Err(BodyError::NotYet {
                what: "a JSON patch of this resource",
                instead: "patch with --type=merge",
            }),
        }
    }
}

// === impl ReplicasChange ===

impl ReplicasChange {
    /// The new total; `None` where it stays.
    pub fn total(self) -> Option<u32> {
        match self {
            Self::Untouched => None,
            Self::Set(total) => Some(total),
            Self::Reset => Some(1),
        }
    }
}

// === impl Patch ===

impl Patch {
    /// Reads a patch of at most [`super::MAX_BODY`] bytes of an object of kind `body`.
    ///
    /// JSON patches are applied to the fleet view by [`apply_json_patch`]; server-side applies are
    /// refused with [`BodyError::NotYet`].
    pub fn parse(kind: PatchKind, body: BodyKind, bytes: &[u8]) -> Result<Self, BodyError> {
        let kind = kind.divided()?;
        let tree = tree::decode(Encoding::Json, bytes)?;
        let replicas = read_replicas(&tree, kind == PatchKind::Strategic, body)?;
        let mut summary = PatchSummary {
            replicas,
            uid: None,
            resource_version: None,
            has_owner_references: false,
        };
        if let Some(metadata) = object(&tree, "metadata", "metadata")? {
            summary.uid = string(metadata, "uid", "metadata.uid")?;
            summary.resource_version =
                string(metadata, "resourceVersion", "metadata.resourceVersion")?;
            summary.has_owner_references = has_items(metadata, "ownerReferences");
        }
        Ok(Self { kind, body, tree, summary })
    }

    /// What the writer has to know of the patch.
    pub fn summary(&self) -> &PatchSummary {
        &self.summary
    }

    /// Writes the patch for one member.
    ///
    /// `live` is the member's copy (home's where it has not been read): of it only the keys of
    /// labels and annotations are read, where the patch clears them all. `stamp.shares` are the new
    /// shares where [`PatchSummary::replicas`] changes, else the present ones; `stamp.name` is not
    /// read.
    pub fn for_member(&self, stamp: &Stamp, live: &Value) -> Result<Encoded, BodyError> {
        let mut tree = self.tree.clone();
        if !stamp.is_home() {
            tree.shift_remove("status");
        }
        let mut root = Node::root(&mut tree, self.is_strategic());
        self.edit_metadata(&mut root, stamp, live);
        if self.body.is_split() {
            self.edit_spec(&mut root, stamp)?;
        }
        if let Some(version) = &stamp.resource_version
            && let Some(mut metadata) = root.make("metadata")
        {
            metadata.put("resourceVersion", version.as_str().into());
        }
        Ok(Encoded { content_type: self.kind.media_type(), ..Encoded::json(tree) })
    }

    fn is_strategic(&self) -> bool {
        self.kind == PatchKind::Strategic
    }

    fn edit_metadata(&self, root: &mut Node<'_>, stamp: &Stamp, live: &Value) {
        let Some(mut metadata) = root.child("metadata") else {
            return;
        };
        strip_metadata(metadata.map, stamp);
        if !stamp.is_home() {
            metadata.map.shift_remove("$setElementOrder/ownerReferences");
        }
        let live = live.get("metadata");
        metadata.spell_out_clearing("labels", live, |key| key == stamp.label_key);
        metadata.spell_out_clearing("annotations", live, is_state);
        if let Some(mut labels) = metadata.child("labels") {
            labels.restore(&stamp.label_key, &stamp.label_value);
        }
        if let Some(mut annotations) = metadata.child("annotations") {
            for (key, value) in stamp.annotations(self.body.is_split()) {
                annotations.restore(key, &value);
            }
        }
    }

    fn edit_spec(&self, root: &mut Node<'_>, stamp: &Stamp) -> Result<(), BodyError> {
        let Some(mut spec) = root.child("spec") else {
            return Ok(());
        };
        if let Some(own) = self.own_ordinals_start(&spec)?
            && let Some(start) = ordinals_start(self.body, own, stamp)?
        {
            // A null clears the user's own start; the member's base stays.
            spec.map.retain(|key, value| key != "ordinals" || !value.is_null());
            if let Some(mut ordinals) = spec.make("ordinals") {
                ordinals.put("start", start.into());
            }
        }
        if let Some(mut template) = spec.child("template")
            && let Some(mut metadata) = template.child("metadata")
        {
            strip_marks(metadata.map, stamp);
            if let Some(mut labels) = metadata.child("labels") {
                labels.restore(&stamp.label_key, &stamp.label_value);
            }
        }
        if self.summary.replicas != ReplicasChange::Untouched
            && let Some(shares) = &stamp.shares
        {
            spec.put("replicas", shares.of(&stamp.member).into());
            if let Some(mut metadata) = root.make("metadata")
                && let Some(mut annotations) = metadata.make("annotations")
            {
                for (key, value) in share_annotations(shares) {
                    annotations.put(key, value.into());
                }
            }
        }
        Ok(())
    }

    /// The user's own start of ordinals after the patch; `None` where the patch does not change it.
    fn own_ordinals_start(&self, spec: &Node<'_>) -> Result<Option<u32>, BodyError> {
        if self.body != BodyKind::StatefulSet {
            return Ok(None);
        }
        let path = "spec.ordinals.start";
        let Some(ordinals) = object(spec.map, "ordinals", "spec.ordinals")? else {
            let changed = spec.forgets("ordinals") || spec.map.contains_key("ordinals");
            return Ok(changed.then_some(0));
        };
        if let Some(start) = int(ordinals, "start", path)? {
            return self.body.count("", path, start).map(Some);
        }
        let lost = spec.forgets("ordinals")
            || ordinals.contains_key("start")
            || forgets(ordinals, self.is_strategic(), "start");
        Ok(lost.then_some(0))
    }
}

fn read_replicas(
    tree: &Map<String, Value>,
    strategic: bool,
    body: BodyKind,
) -> Result<ReplicasChange, BodyError> {
    if !body.is_split() {
        return Ok(ReplicasChange::Untouched);
    }
    let lost = forgets(tree, strategic, "spec");
    let Some(spec) = object(tree, "spec", "spec")? else {
        return Ok(if lost { ReplicasChange::Reset } else { ReplicasChange::Untouched });
    };
    if let Some(replicas) = int(spec, "replicas", "spec.replicas")? {
        return body.count("", "spec.replicas", replicas).map(ReplicasChange::Set);
    }
    let reset = lost || spec.contains_key("replicas") || forgets(spec, strategic, "replicas");
    Ok(if reset { ReplicasChange::Reset } else { ReplicasChange::Untouched })
}
