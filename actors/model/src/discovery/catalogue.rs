//! What all members said that they serve, and the documents that come of it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::classic;
use super::form::Form;
use super::groups::Groups;
use super::schemas::Schemas;
use crate::ids::ClusterName;
use crate::request::path::Resource;

/// What a member last said; what it never said is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// `/api`.
    pub core: Option<Arc<Groups>>,
    /// `/apis`.
    pub groups: Option<Arc<Groups>>,
    /// `/openapi/v3`.
    pub schemas: Option<Arc<Schemas>>,
}

/// What the members serve, at one moment.
///
/// There is a document only where own has said its part: without it nobody could tell what is
/// missing, and a client would take it for gone.
#[derive(Debug, Default)]
pub struct Catalogue {
    members: Vec<(ClusterName, Known)>,
    documents: HashMap<(Form, String), Document>,
}

/// A document, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The JSON.
    pub body: Bytes,
    /// The value of its `ETag` header: a quoted hash of the body.
    pub etag: String,
}

// === impl Catalogue ===

impl Catalogue {
    /// Joins what the members said; own is the first.
    pub fn new(members: Vec<(ClusterName, Known)>) -> Self {
        let documents = documents(&members);
        Self { members, documents }
    }

    /// The document at a path such as `/apis/apps/v1`.
    pub fn document(&self, form: Form, path: &str) -> Option<&Document> {
        self.documents.get(&(form, path.to_owned()))
    }

    /// What each member said, own first.
    pub fn members(&self) -> &[(ClusterName, Known)] {
        &self.members
    }

    /// What a member said.
    pub fn known(&self, member: &ClusterName) -> Option<&Known> {
        self.members.iter().find(|(name, _)| name == member).map(|(_, known)| known)
    }

    /// The members for which something holds, own first.
    pub fn having(&self, holds: impl Fn(&Known) -> bool) -> impl Iterator<Item = &ClusterName> {
        self.members.iter().filter(move |(_, known)| holds(known)).map(|(name, _)| name)
    }

    /// Whether a resource is served, and by nobody in a way that can be watched.
    pub fn is_unwatchable(&self, resource: &Resource) -> bool {
        let verbs =
            |(_, known): &(_, Known)| known.part(&resource.group)?.has_verb(resource, "watch");
        let mut said = self.members.iter().filter_map(verbs).peekable();
        said.peek().is_some() && !said.any(|watches| watches)
    }

    /// The version in which a member serves a resource, where that is not the one asked for.
    pub fn other_version(&self, member: &ClusterName, resource: &Resource) -> Option<&str> {
        let Resource { group, plural, .. } = resource;
        let groups = self.known(member)?.part(group)?;
        let mut versions = groups.versions_with(group, plural).peekable();
        let preferred = versions.peek().copied();
        if versions.any(|version| version == resource.version) { None } else { preferred }
    }
}

// === impl Known ===

impl Known {
    /// Whether a resource is served in the version that is asked for.
    pub fn serves(&self, resource: &Resource) -> bool {
        self.part(&resource.group).is_some_and(|groups| groups.serves(resource))
    }

    /// Whether a version of a group is served.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.part(group).is_some_and(|groups| groups.has_version(group, version))
    }

    /// The document in which a group stands.
    fn part(&self, group: &str) -> Option<&Groups> {
        if group.is_empty() { self.core.as_deref() } else { self.groups.as_deref() }
    }
}

// === impl Document ===

impl Document {
    /// API servers end their JSON with a line break.
    fn new(mut body: String) -> Self {
        body.push('\n');
        let mut etag = String::from("\"");
        for byte in Sha256::digest(&body) {
            // Writing to a string cannot fail.
            write!(etag, "{byte:02X}").ok();
        }
        etag.push('"');
        Self { body: body.into(), etag }
    }
}

fn documents(members: &[(ClusterName, Known)]) -> HashMap<(Form, String), Document> {
    let mut documents = HashMap::new();
    let mut add = |form: Form, path: String, body: String| {
        documents.insert((form, path), Document::new(body));
    };
    let mut add_aggregated = |path: &str, all: &Groups| {
        add(Form::V2, path.to_owned(), all.to_json("apidiscovery.k8s.io/v2"));
        add(Form::V2Beta1, path.to_owned(), all.to_json("apidiscovery.k8s.io/v2beta1"));
    };
    let mut plain: Vec<(String, Value)> = Vec::new();
    if let Some(core) = joined(members, |known| known.core.as_deref(), Groups::joined) {
        add_aggregated("/api", &core);
        plain.push(("/api".to_owned(), classic::core_versions(&core)));
        for (_, version, document) in classic::each_version(&core) {
            plain.push((format!("/api/{version}"), document));
        }
    }
    if let Some(groups) = joined(members, |known| known.groups.as_deref(), Groups::joined) {
        add_aggregated("/apis", &groups);
        plain.push(("/apis".to_owned(), classic::group_list(&groups)));
        for (group, document) in classic::each_group(&groups) {
            plain.push((format!("/apis/{group}"), document));
        }
        for (group, version, document) in classic::each_version(&groups) {
            plain.push((format!("/apis/{group}/{version}"), document));
        }
    }
    for (path, document) in plain {
        add(Form::Classic, path, document.to_string());
    }
    if let Some(schemas) = joined(members, |known| known.schemas.as_deref(), Schemas::joined) {
        add(Form::Classic, "/openapi/v3".to_owned(), schemas.to_json());
    }
    documents
}

/// Own's part joined with that of the others; `None` where own's is not known.
fn joined<'m, T: 'm>(
    members: &'m [(ClusterName, Known)],
    part: impl Fn(&'m Known) -> Option<&'m T>,
    join: impl Fn(&T, Vec<&'m T>) -> T,
) -> Option<T> {
    let (own, others) = members.split_first()?;
    let own = part(&own.1)?;
    Some(join(own, others.iter().filter_map(|(_, known)| part(known)).collect()))
}

#[cfg(test)]
mod tests;
