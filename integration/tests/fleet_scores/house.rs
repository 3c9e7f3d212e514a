//! API servers alone, whose watts are stated: each test has daemons and a namespace of its own, in
//! which its ClusterScores count.

use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::scores::{self, GROUP};
use tenbin_integration::{
    Client, Cluster, ClusterSpec, Daemon, DaemonBuilder, Fleet, FleetBuilder, Response, config_map,
    eventually,
};

use super::NAMES;
use super::measured::row;

/// Tokyo has controllers, hence ServiceAccounts.
pub(crate) static HOUSE: LazyLock<Fleet> = LazyLock::new(|| {
    let fleet = FleetBuilder::new("house")
        .cluster(ClusterSpec::new("tokyo").controllers(true))
        .clusters(["osaka", "nagoya"])
        .shared();
    install(&fleet);
    fleet
});

#[expect(clippy::panic, reason = "a static of tests has nobody to return an error to")]
fn install(fleet: &Fleet) {
    for cluster in fleet.clusters() {
        scores::install(cluster, GROUP).unwrap_or_else(|error| panic!("a CRD: {error:#}"));
    }
}

/// A daemon of `own` in the test of this name: 100, 200 and 300 W.
pub(crate) fn daemon<'f>(fleet: &'f Fleet, test: &str, own: &str) -> DaemonBuilder<'f> {
    let place = NAMES.iter().position(|name| *name == own).unwrap_or_default();
    let stated = [100.0, 200.0, 300.0];
    let namespace = format!("[score]\nnamespace = '{test}'");
    let builder = fleet.daemon().name(&format!("{test}-{own}")).own(own).peer();
    builder.watts(own, stated[place]).config(&namespace)
}

/// The ClusterScores of one test in one cluster.
pub(crate) struct Objects<'f> {
    pub(crate) cluster: &'f Cluster,
    namespace: String,
}

impl<'f> Objects<'f> {
    pub(crate) fn new(fleet: &'f Fleet, cluster: &str, namespace: &str) -> Result<Self> {
        let cluster = fleet.cluster(cluster)?;
        cluster.ensure_namespace(namespace)?;
        Ok(Self { cluster, namespace: namespace.to_owned() })
    }

    fn path(&self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        let namespace = &self.namespace;
        format!("/apis/{GROUP}/v1beta1/namespaces/{namespace}/clusterscores{slash}{name}")
    }

    pub(crate) fn client(&self) -> Result<Client> {
        self.cluster.client()
    }

    /// Makes a ClusterScore with this endpoint.
    pub(crate) fn peer(&self, name: &str, endpoint: &str) -> Result<()> {
        self.make(name, &json!({"endpoint": endpoint}))
    }

    pub(crate) fn make(&self, name: &str, spec: &Value) -> Result<()> {
        let body = json!({"apiVersion": format!("{GROUP}/v1beta1"), "kind": "ClusterScore",
                          "metadata": {"name": name}, "spec": spec});
        let answer = self.client()?.send_json("POST", &self.path(""), &body)?;
        answer.success().with_context(|| format!("making {name}"))?;
        Ok(())
    }

    /// A merge patch of an object, or of its `/status`.
    pub(crate) fn patch(&self, path: &str, change: &Value) -> Result<()> {
        let change = change.to_string();
        let body = Some(("application/merge-patch+json", change.as_bytes()));
        self.client()?.send("PATCH", &self.path(path), body)?.success()?;
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Result<Value> {
        self.client()?.json(&self.path(name))
    }

    pub(crate) fn delete(&self, name: &str) -> Result<()> {
        self.client()?.send("DELETE", &self.path(name), None)?.success()?;
        Ok(())
    }

    /// Status, reason and message of a condition: `False Unreachable no answer since…`.
    pub(crate) fn condition(&self, name: &str, kind: &str) -> Result<String> {
        let seen = self.get(name)?;
        let all = seen["status"]["conditions"].as_array().context("no conditions")?;
        let found = all.iter().find(|it| it["type"] == kind).context("no such condition")?;
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        Ok(format!("{} {} {}", text("status"), text("reason"), text("message")))
    }

    /// What `kubectl get events` shows.
    pub(crate) fn events(&self) -> Result<String> {
        let kubectl = self.cluster.kubectl()?.namespace(&self.namespace);
        kubectl.ok(["get", "events"])
    }
}

/// Daemons of all three clusters, each a peer of the others.
pub(crate) struct Trio {
    pub(crate) daemons: Vec<Daemon>,
    path: String,
    pub(crate) test: String,
}

impl Trio {
    /// Starts them, configured further, with a config map named after each cluster in the test's
    /// namespace, and waits until everybody has everybody's score and shows everybody's map.
    pub(crate) fn start(
        fleet: &Fleet,
        test: &str,
        configure: impl for<'f> Fn(DaemonBuilder<'f>) -> DaemonBuilder<'f>,
    ) -> Result<Self> {
        let path = format!("/api/v1/namespaces/{test}/configmaps");
        let mut daemons = Vec::new();
        for name in NAMES {
            let client = Objects::new(fleet, name, test)?.client()?;
            client.send_json("POST", &path, &config_map(name, "1"))?.success()?;
            daemons.push(configure(daemon(fleet, test, name)).start()?);
        }
        for name in NAMES {
            let objects = Objects::new(fleet, name, test)?;
            for (other, daemon) in NAMES.into_iter().zip(&daemons).filter(|it| it.0 != name) {
                objects.peer(other, &daemon.endpoint())?;
            }
        }
        let trio = Self { daemons, path, test: test.to_owned() };
        for daemon in &trio.daemons {
            eventually!(trio.is_whole(daemon));
        }
        Ok(trio)
    }

    fn is_whole(&self, daemon: &Daemon) -> Result<()> {
        for (name, wanted) in NAMES.into_iter().zip([100.0, 200.0, 300.0]) {
            let row = row(daemon, name)?;
            ensure!(row["watts"] == wanted && row["reachable"] == true, "{row:#}");
        }
        let (names, warnings) = names(&daemon.client()?.get(&self.path)?)?;
        ensure!(names.len() == 3 && warnings.is_empty(), "{names:?} {warnings}");
        Ok(())
    }

    /// What a person sees of the config maps through tokyo.
    pub(crate) fn seen(&self) -> Result<(Vec<String>, String)> {
        names(&person(self.tokyo())?.get(&self.path)?)
    }

    pub(crate) fn tokyo(&self) -> &Daemon {
        &self.daemons[0]
    }
}

/// A client that asks for a table, as a person's kubectl does.
pub(crate) fn person(daemon: &Daemon) -> Result<Client> {
    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
    Ok(daemon.client()?.header("Accept", accept))
}

/// The names in a list or table, without the API server's own, and the warnings of the answer.
pub(crate) fn names(answer: &Response) -> Result<(Vec<String>, String)> {
    let warnings = answer.header_all("warning").join("\n");
    let list = answer.clone().success().with_context(|| warnings.clone())?.json()?;
    let items = list["items"].as_array().or_else(|| list["rows"].as_array());
    let name = |item: &Value| {
        let name = item["metadata"]["name"].as_str();
        name.or_else(|| item["object"]["metadata"]["name"].as_str()).map(str::to_owned)
    };
    // Kubernetes' own, and tenbin's.
    let ours = |name: &String| !["kube-root-ca.crt", "tenbin-versions"].contains(&name.as_str());
    let names = items.context("no list")?.iter().filter_map(name);
    Ok((names.filter(ours).collect(), warnings))
}
