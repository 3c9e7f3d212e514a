//! The index of OpenAPI v3: where the schemas of each group's version are, with their hashes.

use serde_json::Value;

use super::UnreadableDocument;
use super::groups::text;

/// What `/openapi/v3` says, of one member or of several.
///
/// A schema's URL has the hash of its content, and clients may keep it for ever: each entry is one
/// member's, as it said it, and the schema itself is asked of a member that names the same hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Schemas(Value);

// === impl Schemas ===

impl Schemas {
    /// Reads a document.
    pub fn parse(body: &[u8]) -> Result<Self, UnreadableDocument> {
        let document: Value = serde_json::from_slice(body)
            .map_err(|error| UnreadableDocument::Parse(error.to_string()))?;
        if document.get("paths").is_none_or(|paths| !paths.is_object()) {
            return Err(UnreadableDocument::Kind("the index of OpenAPI v3"));
        }
        Ok(Self(document))
    }

    /// What `self` has, unchanged, and behind it what only the others have, in their order.
    #[must_use]
    pub fn joined<'s>(&self, others: impl IntoIterator<Item = &'s Self>) -> Self {
        let mut all = self.clone();
        if let Some(Value::Object(paths)) = all.0.get_mut("paths") {
            for (path, entry) in others.into_iter().flat_map(Self::paths) {
                if !paths.contains_key(path) {
                    paths.insert(path.clone(), entry.clone());
                }
            }
        }
        all
    }

    /// The document.
    pub fn to_json(&self) -> String {
        self.0.to_string()
    }

    /// The hash of the schema at a path such as `apis/apps/v1`; empty where it has none, `None`
    /// where there is no such schema.
    pub fn hash(&self, path: &str) -> Option<&str> {
        let entry = self.0.get("paths")?.get(path)?;
        let (_, query) = text(entry, "serverRelativeURL").split_once('?').unwrap_or_default();
        let hash = query.split('&').find_map(|pair| pair.strip_prefix("hash="));
        Some(hash.unwrap_or_default())
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0.get("paths").and_then(Value::as_object).into_iter().flatten()
    }
}
