//! A namespace of one test, in every cluster of a fleet.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::fleet::Fleet;

/// A namespace in every cluster, made behind the daemon's back.
#[derive(Debug, Clone)]
pub struct Space {
    fleet: &'static Fleet,
    name: String,
}

impl Space {
    /// Makes the namespace in every cluster.
    pub fn new(fleet: &'static Fleet, name: &str) -> Result<Self> {
        let names: Vec<&str> = fleet.clusters().iter().map(Cluster::name).collect();
        Self::only_in(fleet, name, &names)
    }

    /// Makes the namespace in some clusters.
    pub fn only_in(fleet: &'static Fleet, name: &str, clusters: &[&str]) -> Result<Self> {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        for cluster in clusters {
            let client = fleet.cluster(cluster)?.client()?;
            client
                .send_json("POST", "/api/v1/namespaces", &body)?
                .success()
                .with_context(|| format!("making namespace {name} in {cluster}"))?;
        }
        let name = name.to_owned();
        Ok(Self { fleet, name })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of a resource in it: `deployments`, `configmaps/x`.
    pub fn path(&self, resource: &str) -> String {
        let plural = resource.split('/').next().unwrap_or_default();
        let group = match plural {
            "deployments" | "statefulsets" | "replicasets" => "apis/apps/v1",
            _ => "api/v1",
        };
        format!("/{group}/namespaces/{}/{resource}", self.name)
    }

    /// The object at [`Space::path`] as each cluster itself has it, in the order of the fleet.
    pub fn copies(&self, resource: &str) -> Result<Vec<Option<Value>>> {
        copies(self.fleet, &self.path(resource))
    }

    /// `spec.replicas` of a workload in each cluster, in the order of the fleet.
    pub fn shares(&self, resource: &str) -> Result<Vec<Option<u64>>> {
        let copies = self.copies(resource)?;
        let share = |copy: Option<Value>| copy?.pointer("/spec/replicas")?.as_u64();
        Ok(copies.into_iter().map(share).collect())
    }

    /// The sum of [`Space::shares`]; an error that shows them unless every cluster has a copy.
    pub fn total(&self, resource: &str) -> Result<u64> {
        let shares = self.shares(resource)?;
        ensure!(shares.iter().all(Option::is_some), "{resource}: {shares:?}");
        Ok(shares.into_iter().flatten().sum())
    }

    /// Creates an object in one cluster alone, behind the daemon's back.
    pub fn create_in(&self, cluster: &str, resource: &str, body: &Value) -> Result<Value> {
        let client = self.fleet.cluster(cluster)?.client()?;
        let answer = client.send_json("POST", &self.path(resource), body)?;
        answer.success()?.json()
    }

    /// Creates a pod without a service account in one cluster alone.
    pub fn create_pod_in(&self, cluster: &str, name: &str) -> Result<Value> {
        let node = format!("{cluster}-n0");
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": node, "containers": [{"name": "web", "image": "nginx"}]}});
        let account = self.path("serviceaccounts/default");
        let cluster = self.fleet.cluster(cluster)?;
        if cluster.has_controllers() {
            cluster.wait_for(&account)?;
        }
        self.create_in(cluster.name(), "pods", &pod)
    }
}

/// The object at this path as each cluster itself has it, in the order of the fleet.
pub fn copies(fleet: &Fleet, path: &str) -> Result<Vec<Option<Value>>> {
    let copy = |client: crate::http::Client| -> Result<Option<Value>> {
        let answer = client.get(path)?;
        match answer.status {
            200 => Ok(Some(answer.json()?)),
            404 => Ok(None),
            status => bail!("GET {path}: {status} {}", answer.text()),
        }
    };
    let clusters = fleet.clusters().iter();
    clusters.map(|cluster| copy(cluster.client()?)).collect()
}

/// A Deployment of small pods; without replicas, the API server says one.
pub fn deployment(name: &str, replicas: impl Into<Option<i64>>) -> Value {
    workload("Deployment", name, &spec(name, replicas.into()))
}

/// A StatefulSet of small pods.
pub fn stateful_set(name: &str, replicas: i64) -> Value {
    let mut spec = spec(name, Some(replicas));
    spec.insert("serviceName".to_owned(), json!(name));
    spec.insert("podManagementPolicy".to_owned(), json!("Parallel"));
    workload("StatefulSet", name, &spec)
}

fn workload(kind: &str, name: &str, spec: &Map<String, Value>) -> Value {
    json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn spec(name: &str, replicas: Option<i64>) -> Map<String, Value> {
    let containers = json!([{"name": "web", "image": "nginx"}]);
    let labels = json!({"app": name});
    let mut spec = Map::new();
    spec.insert("selector".to_owned(), json!({"matchLabels": labels}));
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": containers}});
    spec.insert("template".to_owned(), template);
    if let Some(replicas) = replicas {
        spec.insert("replicas".to_owned(), json!(replicas));
    }
    spec
}

/// A ConfigMap with one entry.
pub fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
           "data": {"key": value}})
}
