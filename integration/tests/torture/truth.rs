//! What there is, from the members themselves, and as a list of the daemon shows it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::Client;

use super::scene::MEMBERS;

/// Names, and what of each object has to be right.
pub(crate) type Store = BTreeMap<String, Value>;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Unmanaged, of the same few names in all members.
    ConfigMaps,
    /// Managed.
    Deployments,
}

pub(crate) struct Truth {
    members: Vec<Client>,
    daemon: Client,
}

impl Kind {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::ConfigMaps => "/api/v1/namespaces/default/configmaps",
            Self::Deployments => "/apis/apps/v1/namespaces/default/deployments",
        }
    }
}

impl Truth {
    pub(crate) fn new(members: &[Client], daemon: Client) -> Self {
        Self { members: members.to_vec(), daemon }
    }

    /// A list of the daemon; of what is unmanaged it must be the overlay of the members.
    pub(crate) fn look(&self, kind: Kind) -> Result<Store> {
        let listed = store(&self.daemon.json(&format!("{}?resourceVersion=", kind.path()))?)?;
        if kind == Kind::ConfigMaps {
            let mut overlay = Store::new();
            for (client, name) in self.members.iter().zip(MEMBERS) {
                for item in items(&client.json(kind.path())?)? {
                    let mut item = item.clone();
                    item["metadata"]["annotations"] = json!({"tenbin/cluster": name});
                    overlay.entry(name_of(&item)?).or_insert_with(|| essence(&item));
                }
            }
            ensure!(listed == overlay, "the list is not the overlay: {listed:#?} {overlay:#?}");
        }
        Ok(listed)
    }
}

pub(crate) fn store(list: &Value) -> Result<Store> {
    items(list)?.iter().map(|item| Ok((name_of(item)?, essence(item)))).collect()
}

fn items(list: &Value) -> Result<&Vec<Value>> {
    list["items"].as_array().with_context(|| format!("no items in {list}"))
}

pub(crate) fn name_of(object: &Value) -> Result<String> {
    let name = object["metadata"]["name"].as_str();
    Ok(name.with_context(|| format!("no name in {object}"))?.to_owned())
}

/// Who it is, where it is, and what it says.
pub(crate) fn essence(object: &Value) -> Value {
    json!([
        object["metadata"]["uid"],
        object["metadata"]["annotations"]["tenbin/cluster"],
        object["data"]["key"],
        object["spec"]["replicas"],
    ])
}
