//! What paths of the Kubernetes API name, and the paths of what is named.

mod parse;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::ids::ClusterName;

/// What may stand in a path segment as it is: RFC 3986 `pchar`.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// A resource of the API, as paths name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version in the group.
    pub version: String,
    /// The plural, lower-case name.
    pub plural: String,
}

/// All objects of a resource, in one namespace or in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Collection {
    /// The resource.
    pub resource: Resource,
    /// The namespace; absent for all namespaces and for resources without one.
    pub namespace: Option<String>,
}

/// One object, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    /// The collection that holds the object.
    pub collection: Collection,
    /// The object's name.
    pub name: String,
    /// The part that is asked for; absent for the object itself.
    pub subresource: Option<Subresource>,
}

/// A part of an object, and what follows it in the path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subresource {
    /// The name, such as `scale` or `proxy`.
    pub name: String,
    /// The raw rest of the path: empty, or from its leading `/` on, still percent-encoded.
    pub rest: String,
}

/// A path, told apart by what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestPath {
    /// `/clusters/{name}` and below: one member alone.
    Member {
        /// The member.
        name: ClusterName,
        /// The raw path on that member; it begins with `/`.
        rest: String,
    },
    /// `/api`, `/apis`, their groups and versions, `/openapi` and `/version`.
    Discovery,
    /// Any other path outside of the API, such as `/healthz`.
    NonResource,
    /// The objects of a resource.
    Collection(Collection),
    /// One object.
    Object(Object),
    /// The objects of a resource by the deprecated `/watch/` prefix.
    WatchCollection(Collection),
    /// One object by the deprecated `/watch/` prefix; it has no subresource.
    WatchObject(Object),
}

// === impl Resource ===

impl Resource {
    /// Tells whether this is `plural` of `group` in any version.
    pub fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }
}

// === impl Collection ===

impl Collection {
    /// The percent-encoded path of the collection.
    pub fn path(&self) -> String {
        let Resource { group, version, plural } = &self.resource;
        let mut path = String::new();
        let root: &[&str] = if group.is_empty() { &["api"] } else { &["apis", group] };
        let namespace = self.namespace.iter().flat_map(|name| ["namespaces", name.as_str()]);
        for segment in root.iter().copied().chain([version.as_str()]).chain(namespace) {
            push(&mut path, segment);
        }
        push(&mut path, plural);
        path
    }
}

// === impl Object ===

impl Object {
    /// A node.
    pub fn node(name: String) -> Self {
        let resource =
            Resource { group: String::new(), version: "v1".to_owned(), plural: "nodes".to_owned() };
        Self { collection: Collection { resource, namespace: None }, name, subresource: None }
    }

    /// The percent-encoded path of the object, or of its part.
    pub fn path(&self) -> String {
        let mut path = self.collection.path();
        push(&mut path, &self.name);
        if let Some(subresource) = &self.subresource {
            push(&mut path, &subresource.name);
            path.push_str(&subresource.rest);
        }
        path
    }

    /// The object itself, without the part that was asked for.
    ///
    /// In `pods/https:web:8443/proxy` the name is `web`, between scheme and port (apimachinery
    /// `SplitSchemeNamePort`).
    #[must_use]
    pub fn whole(&self) -> Self {
        let is_proxy = self.subresource.as_ref().is_some_and(|part| part.name == "proxy");
        let name = match self.name.split(':').collect::<Vec<_>>().as_slice() {
            [name, _] | [_, name, _] if is_proxy => (*name).to_owned(),
            _ => self.name.clone(),
        };
        Self { collection: self.collection.clone(), name, subresource: None }
    }
}

fn push(path: &mut String, segment: &str) {
    path.push('/');
    path.extend(utf8_percent_encode(segment, SEGMENT));
}

#[cfg(test)]
mod tests;
