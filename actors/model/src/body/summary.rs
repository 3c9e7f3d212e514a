//! What the writer has to know of a body.

use serde_json::{Map, Value};

use super::tree::{int, object, string};
use super::{BodyError, BodyKind, pod};
use crate::managed::is_input;
use crate::power::PodShape;

/// What the writer has to know of a body; absent, null and empty texts are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// metadata.name.
    pub name: Option<String>,
    /// metadata.generateName.
    pub generate_name: Option<String>,
    /// metadata.namespace.
    pub namespace: Option<String>,
    /// metadata.uid: the uid that the object must have.
    pub uid: Option<String>,
    /// metadata.resourceVersion: the version that the object must have; a composite.
    pub resource_version: Option<String>,
    /// Whether metadata.ownerReferences is not empty: it stays in home only.
    pub has_owner_references: bool,
    /// spec.replicas of split kinds; absent means one.
    pub replicas: Option<u32>,
    /// The user's own spec.ordinals.start of a StatefulSet.
    pub ordinals_start: u32,
    /// What one pod asks for, on split kinds.
    pub pod: PodShape,
    /// The user's inputs to tenbin, as `tenbin/min`; never tenbin's own state.
    pub inputs: Vec<(String, String)>,
}

// === impl Summary ===

impl Summary {
    /// The replicas that the user asked for.
    pub fn total(&self) -> u32 {
        self.replicas.unwrap_or(1)
    }

    /// The value of an input annotation.
    pub fn input(&self, key: &str) -> Option<&str> {
        self.inputs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn of_tree(kind: BodyKind, tree: &Map<String, Value>) -> Result<Self, BodyError> {
        let mut summary = Self::default();
        if let Some(metadata) = object(tree, "metadata", "metadata")? {
            summary.read_metadata(metadata)?;
        }
        if kind.is_split()
            && let Some(spec) = object(tree, "spec", "spec")?
        {
            summary.read_spec(kind, spec)?;
            summary.pod = pod::shape_of(spec);
        }
        Ok(summary)
    }

    fn read_metadata(&mut self, metadata: &Map<String, Value>) -> Result<(), BodyError> {
        self.name = string(metadata, "name", "metadata.name")?;
        self.generate_name = string(metadata, "generateName", "metadata.generateName")?;
        self.namespace = string(metadata, "namespace", "metadata.namespace")?;
        self.uid = string(metadata, "uid", "metadata.uid")?;
        self.resource_version = string(metadata, "resourceVersion", "metadata.resourceVersion")?;
        self.has_owner_references = has_items(metadata, "ownerReferences");
        if let Some(annotations) = object(metadata, "annotations", "metadata.annotations")? {
            let inputs = annotations.iter().filter(|(key, _)| is_input(key));
            self.inputs = inputs
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect();
        }
        Ok(())
    }

    fn read_spec(&mut self, kind: BodyKind, spec: &Map<String, Value>) -> Result<(), BodyError> {
        let name = self.name.clone().unwrap_or_default();
        if let Some(replicas) = int(spec, "replicas", "spec.replicas")? {
            self.replicas = Some(kind.count(&name, "spec.replicas", replicas)?);
        }
        if kind == BodyKind::StatefulSet
            && let Some(ordinals) = object(spec, "ordinals", "spec.ordinals")?
            && let Some(start) = int(ordinals, "start", "spec.ordinals.start")?
        {
            self.ordinals_start = kind.count(&name, "spec.ordinals.start", start)?;
        }
        Ok(())
    }
}

/// Whether a field is a list that is not empty.
pub(super) fn has_items(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_array).is_some_and(|items| !items.is_empty())
}
