//! The discovery of old, one document for each group and version, made from the aggregated one.
//!
//! As client-go's `discovery/aggregated_discovery.go` converts it. `storageVersionHash` is lost on
//! this way: it is of use to who migrates the storage of one cluster only.

use serde_json::{Map, Value, json};

use super::groups::{Groups, group_name, is_stale, list, text};

/// `/api`: the versions of the core group.
pub(super) fn core_versions(core: &Groups) -> Value {
    let versions: Vec<&str> = versions(core).map(|(_, version)| text(version, "version")).collect();
    json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []})
}

/// `/apis`: the groups.
pub(super) fn group_list(groups: &Groups) -> Value {
    let groups: Vec<Value> = groups.groups().iter().map(group).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`, each with its name.
pub(super) fn each_group(groups: &Groups) -> impl Iterator<Item = (&str, Value)> {
    groups.groups().iter().map(|it| {
        let mut document = Map::new();
        document.insert("kind".to_owned(), "APIGroup".into());
        document.insert("apiVersion".to_owned(), "v1".into());
        if let Value::Object(fields) = group(it) {
            document.extend(fields);
        }
        (group_name(it), Value::Object(document))
    })
}

/// `/api/VERSION` or `/apis/GROUP/VERSION`, each with group and version.
///
/// None for a version that is stale: who serves it is to say what is wrong.
pub(super) fn each_version(groups: &Groups) -> impl Iterator<Item = (&str, &str, Value)> {
    versions(groups).filter(|(_, version)| !is_stale(version)).map(|(group, version)| {
        let (group, name) = (group_name(group), text(version, "version"));
        let mut document = Map::new();
        document.insert("kind".to_owned(), "APIResourceList".into());
        if !group.is_empty() {
            document.insert("apiVersion".to_owned(), "v1".into());
        }
        document.insert("groupVersion".to_owned(), group_version(group, name).into());
        document.insert("resources".to_owned(), resources(group, version).into());
        (group, name, Value::Object(document))
    })
}

fn versions(groups: &Groups) -> impl Iterator<Item = (&Value, &Value)> {
    let versions = |group| list(group, "versions").iter().map(move |version| (group, version));
    groups.groups().iter().flat_map(versions)
}

fn group(group: &Value) -> Value {
    let name = group_name(group);
    let versions: Vec<Value> = list(group, "versions")
        .iter()
        .map(|version| {
            let version = text(version, "version");
            json!({"groupVersion": group_version(name, version), "version": version})
        })
        .collect();
    let preferred = versions.first().cloned();
    json!({"name": name, "versions": versions, "preferredVersion": preferred})
}

fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The resources, each followed by its subresources.
fn resources(group: &str, version: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let own = (group, text(version, "version"));
    for resource in list(version, "resources") {
        let name = text(resource, "resource");
        let is_namespaced = text(resource, "scope") == "Namespaced";
        let singular = text(resource, "singularResource");
        all.extend(entry(resource, own, name.to_owned(), singular, is_namespaced));
        for part in list(resource, "subresources") {
            let name = format!("{name}/{}", text(part, "subresource"));
            all.extend(entry(part, own, name, "", is_namespaced));
        }
    }
    all
}

/// `None` for what has no kind: a resource of which only subresources are served.
fn entry(
    resource: &Value,
    (group, version): (&str, &str),
    name: String,
    singular: &str,
    is_namespaced: bool,
) -> Option<Value> {
    let kind = resource.get("responseKind").filter(|kind| !text(kind, "kind").is_empty())?;
    let mut fields = Map::new();
    fields.insert("name".to_owned(), name.into());
    fields.insert("singularName".to_owned(), singular.into());
    fields.insert("namespaced".to_owned(), is_namespaced.into());
    let (kind_group, kind_version) = (text(kind, "group"), text(kind, "version"));
    let is_foreign = !kind_version.is_empty() && (kind_group, kind_version) != (group, version);
    if is_foreign {
        if !kind_group.is_empty() {
            fields.insert("group".to_owned(), kind_group.into());
        }
        fields.insert("version".to_owned(), kind_version.into());
    }
    fields.insert("kind".to_owned(), text(kind, "kind").into());
    fields.insert("verbs".to_owned(), list(resource, "verbs").into());
    for key in ["shortNames", "categories"] {
        if let Some(value) = resource.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    Some(Value::Object(fields))
}
