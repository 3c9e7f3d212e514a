//! Objects of a cluster that tests make and wait for.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Cluster;
use crate::eventually::{patience, until};
use crate::http::Response;
use crate::kwok;

impl Cluster {
    /// A token of a service account (made by the `TokenRequest` API), for an hour.
    pub fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                             "spec": {"expirationSeconds": 3600}});
        let answer = self.client()?.send_json("POST", &path, &request)?.success()?.json()?;
        let token = answer.pointer("/status/token").and_then(|token| token.as_str());
        Ok(token.context("a TokenRequest without a token")?.to_owned())
    }

    /// Adds a node in this cluster's region; kwok, when there, makes it ready.
    pub fn add_node(&self, name: &str) -> Result<()> {
        let node = kwok::node(name, &self.name, self.kubelet);
        self.client()?.send_json("POST", "/api/v1/nodes", &node)?.success()?;
        Ok(())
    }

    /// Waits until at least `count` nodes are ready.
    pub fn wait_for_nodes(&self, count: usize) -> Result<()> {
        let client = self.client()?;
        until(patience(), || {
            let nodes = client.json("/api/v1/nodes")?;
            let items = nodes.get("items").and_then(|items| items.as_array());
            let ready = items.into_iter().flatten().filter(|node| is_ready(node)).count();
            (ready >= count).then_some(()).with_context(|| format!("{ready} of {count} ready"))
        })
    }

    /// Waits until a GET of this path answers 200.
    pub fn wait_for(&self, path: &str) -> Result<()> {
        let client = self.client()?;
        until(patience(), || client.json(path)).map(drop)
    }

    /// Makes a namespace unless it is there.
    pub fn ensure_namespace(&self, name: &str) -> Result<()> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        made(&self.client()?.send_json("POST", "/api/v1/namespaces", &body)?)
    }

    /// Makes the CRDs of a YAML text unless they are there.
    pub fn ensure_crds(&self, yaml: &str) -> Result<()> {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for document in yaml.split("\n---\n") {
            let body = Some(("application/yaml", document.as_bytes()));
            made(&self.client()?.send("POST", path, body)?).context("making a CRD")?;
        }
        Ok(())
    }
}

/// Whether the object is there now.
fn made(answer: &Response) -> Result<()> {
    match answer.status {
        201 | 409 => Ok(()),
        status => bail!("status {status}: {}", answer.text()),
    }
}

fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(|them| them.as_array());
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|it| it == "Ready")
            && condition.get("status").is_some_and(|it| it == "True")
    })
}
