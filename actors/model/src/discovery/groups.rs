//! Aggregated discovery (KEP-3352): one document for all groups, versions and resources.

use serde_json::Value;

use super::UnreadableDocument;
use crate::request::path::Resource;

const KIND: &str = "APIGroupDiscoveryList";

/// What `/api` or `/apis` says, of one member or of several.
///
/// The same shape in `v2` and `v2beta1`; fields that tenbin does not know stay.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups(Value);

// === impl Groups ===

impl Groups {
    /// Reads a document of either version.
    pub fn parse(body: &[u8]) -> Result<Self, UnreadableDocument> {
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| UnreadableDocument::Parse(error.to_string()))?;
        let is_list = text(&document, "kind") == KIND;
        if !is_list || document.get("items").is_none_or(|items| !items.is_array()) {
            return Err(UnreadableDocument::Kind(KIND));
        }
        Ok(Self(document))
    }

    /// What `self` serves, unchanged, and behind it what only the others serve, in their order.
    ///
    /// So the preferred versions of `self`, which stand first, stay. A version that it calls stale
    /// stays as it is: what is served of it is not known. Among the others a version that is known
    /// wins over a stale one.
    #[must_use]
    pub fn joined<'g>(&self, others: impl IntoIterator<Item = &'g Self>) -> Self {
        let mut rest = Self(serde_json::json!({"items": []}));
        for other in others {
            rest.add(other, true);
        }
        let mut all = self.clone();
        all.add(&rest, false);
        all
    }

    /// The document with this `apiVersion`.
    pub fn to_json(&self, api_version: &str) -> String {
        if text(&self.0, "apiVersion") == api_version {
            return self.0.to_string();
        }
        let mut document = self.0.clone();
        if let Value::Object(fields) = &mut document {
            fields.insert("apiVersion".to_owned(), api_version.into());
        }
        document.to_string()
    }

    /// Whether a version of a group is served.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.versions(group).any(|it| text(it, "version") == version)
    }

    /// Whether a resource is served in the version that is asked for.
    pub fn serves(&self, resource: &Resource) -> bool {
        let Resource { group, version, plural } = resource;
        self.versions_with(group, plural).any(|it| it == version)
    }

    /// Whether a verb is among those of a resource; `None` where it is not served.
    pub fn has_verb(
        &self,
        Resource { group, version, plural }: &Resource,
        verb: &str,
    ) -> Option<bool> {
        let version = self.versions(group).find(|it| text(it, "version") == version)?;
        let found = list(version, "resources").iter().find(|it| text(it, "resource") == plural)?;
        Some(list(found, "verbs").iter().any(|it| it == verb))
    }

    /// The versions in which a resource is served, the preferred one first.
    pub fn versions_with(&self, group: &str, plural: &str) -> impl Iterator<Item = &str> {
        self.versions(group)
            .filter(move |version| {
                list(version, "resources").iter().any(|it| text(it, "resource") == plural)
            })
            .map(|version| text(version, "version"))
    }

    /// The groups as they stand in the document.
    pub(super) fn groups(&self) -> &[Value] {
        list(&self.0, "items")
    }

    fn versions(&self, group: &str) -> impl Iterator<Item = &Value> {
        let found = self.groups().iter().find(|it| group_name(it) == group);
        found.into_iter().flat_map(|group| list(group, "versions"))
    }

    fn add(&mut self, other: &Self, over_stale: bool) {
        let Some(groups) = room_for(other.groups(), &mut self.0, "items") else { return };
        for new in other.groups() {
            match groups.iter_mut().find(|old| group_name(old) == group_name(new)) {
                Some(old) => add_versions(old, new, over_stale),
                None => groups.push(new.clone()),
            }
        }
    }
}

fn add_versions(group: &mut Value, other: &Value, over_stale: bool) {
    let others = list(other, "versions");
    let Some(versions) = room_for(others, group, "versions") else { return };
    for new in others {
        let found = versions.iter_mut().find(|old| text(old, "version") == text(new, "version"));
        match found {
            None => versions.push(new.clone()),
            Some(_) if is_stale(new) => {}
            Some(old) if !is_stale(old) => add_resources(old, new),
            Some(old) if over_stale => *old = new.clone(),
            Some(_) => {}
        }
    }
}

fn add_resources(version: &mut Value, other: &Value) {
    let others = list(other, "resources");
    let Some(resources) = room_for(others, version, "resources") else { return };
    for new in others {
        if !resources.iter().any(|old| text(old, "resource") == text(new, "resource")) {
            resources.push(new.clone());
        }
    }
}

/// The name of a group; empty for the core group.
pub(super) fn group_name(group: &Value) -> &str {
    group.get("metadata").map_or("", |metadata| text(metadata, "name"))
}

/// Whether the API server could not ask who serves this version (an aggregated API that is down).
pub(super) fn is_stale(version: &Value) -> bool {
    text(version, "freshness") == "Stale"
}

/// A string of an object; empty where there is none.
pub(super) fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// An array of an object; empty where there is none.
pub(super) fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The array that `new` values may be added to; an empty one may be left out of a document, and stays
/// so where there is nothing new.
fn room_for<'v>(new: &[Value], value: &'v mut Value, key: &str) -> Option<&'v mut Vec<Value>> {
    if new.is_empty() {
        return None;
    }
    let field = value.as_object_mut()?.entry(key).or_insert(Value::Null);
    if field.is_null() {
        *field = Value::Array(Vec::new());
    }
    field.as_array_mut()
}

#[cfg(test)]
mod tests;
