//! What is measured: three control planes with something in them, nginx, and tenbin.

use std::thread;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::http::Kept;
use tenbin_integration::pki::Pair;
use tenbin_integration::{Client, Cluster, Daemon, Fleet, FleetBuilder, config_map};

use crate::nginx::Nginx;

/// The clusters; the first is own.
pub(crate) const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];
/// Namespaces and how many pods each member has in them.
pub(crate) const PODS: [(&str, usize); 2] = [("pods-1000", 1_000), MOST_PODS];
/// The longest lists.
pub(crate) const MOST_PODS: (&str, usize) = ("pods-5000", 5_000);
/// The namespace of the small lists, two ConfigMaps in each member, and of the single object.
const SMALL: &str = "small";
const FILLERS: usize = 3;
/// Who asks, everywhere: tenbin does not impersonate members of `system:masters` elsewhere.
pub(crate) const USER: &str = "bench";

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) daemon: Daemon,
    pub(crate) nginx: Nginx,
    pub(crate) fleet: Fleet,
}

/// The path of the list of pods in a namespace.
pub(crate) fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// The path of the small list.
pub(crate) fn small_list() -> String {
    format!("/api/v1/namespaces/{SMALL}/configmaps")
}

/// The path of the single object of a member.
pub(crate) fn object(member: &str) -> String {
    format!("/api/v1/namespaces/{SMALL}/configmaps/{member}-0")
}

impl Rig {
    /// Starts and fills everything: about a minute.
    pub(crate) fn start() -> Result<Self> {
        eprintln!("starting three control planes");
        let fleet = FleetBuilder::new("bench").clusters(NAMES).start()?;
        eprintln!("making {} pods", 3 * PODS.iter().map(|(_, pods)| pods).sum::<usize>());
        thread::scope(|scope| {
            let fillers: Vec<_> = fleet
                .clusters()
                .iter()
                .flat_map(|cluster| (0..FILLERS).map(move |part| (cluster, part)))
                .map(|(cluster, part)| scope.spawn(move || fill(cluster, part)))
                .collect();
            fillers.into_iter().try_for_each(join)
        })?;
        let nginx = Nginx::start(&fleet.folder().join("nginx"), fleet.clusters())?;
        let daemon = fleet.daemon().without_shims().start()?;
        Ok(Self { daemon, nginx, fleet })
    }

    /// A kept connection to the API server with this number.
    pub(crate) fn direct(&self, index: usize) -> Result<Kept> {
        let cluster = self.fleet.clusters().get(index).context("no such cluster")?;
        cluster.client_of(&user(cluster)?)?.keep()
    }

    /// A kept connection to each API server.
    pub(crate) fn all_direct(&self) -> Result<Vec<Kept>> {
        (0..NAMES.len()).map(|index| self.direct(index)).collect()
    }

    /// A kept connection to each API server by way of nginx.
    pub(crate) fn all_nginx(&self) -> Result<Vec<Kept>> {
        (0..NAMES.len()).map(|index| self.nginx.client(index)?.keep()).collect()
    }

    /// A kept connection to tenbin.
    pub(crate) fn tenbin(&self) -> Result<Kept> {
        self.by_way_of(&self.daemon)
    }

    /// A kept connection to any tenbin of the first cluster.
    pub(crate) fn by_way_of(&self, daemon: &Daemon) -> Result<Kept> {
        self.client_of(daemon)?.keep()
    }

    /// A client of tenbin.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_of(&self.daemon)
    }

    /// A client of any tenbin of the first cluster.
    pub(crate) fn client_of(&self, daemon: &Daemon) -> Result<Client> {
        let own = self.fleet.clusters().first().context("no cluster")?;
        daemon.client_of(Some(&user(own)?))
    }
}

/// The certificate of whoever asks.
pub(crate) fn user(cluster: &Cluster) -> Result<Pair> {
    cluster.user(USER, &[])
}

/// What a thread of the load came to.
pub(crate) fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread of the load panicked")))
}

fn fill(cluster: &Cluster, part: usize) -> Result<()> {
    let mut wire = cluster.client()?.keep()?;
    let mut post = |path: &str, body: &Value| -> Result<()> {
        let answer = wire.request("POST", path, body.to_string().as_bytes())?;
        // Another part may have made the namespace.
        if answer.status == 409 { Ok(()) } else { answer.success().map(drop) }
    };
    let namespaces = PODS.iter().map(|(name, _)| *name).chain([SMALL]);
    for name in namespaces {
        post("/api/v1/namespaces", &namespace(name))?;
    }
    if part == 0 {
        post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding())?;
        for n in 0..2 {
            post(&small_list(), &config_map(&format!("{}-{n}", cluster.name()), "value"))?;
        }
    }
    for (namespace, count) in PODS {
        for n in (part..count).step_by(FILLERS) {
            post(&pods(namespace), &pod(cluster.name(), n))?;
        }
    }
    Ok(())
}

/// A namespace to be made.
pub(crate) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// Lets the user who asks do everything.
pub(crate) fn binding() -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": USER},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        },
    })
}

/// About 3 KB once the API server has set its defaults and `managedFields`, as a pod of a Deployment.
pub(crate) fn pod(cluster: &str, n: usize) -> Value {
    let env =
        |n: i32| json!({"name": format!("VARIABLE_{n}"), "value": "http://backend:8080/path"});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("web-7d4b9c6f5d-{cluster}-{n}"),
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5d", "tier": "frontend"},
            "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-21T08:00:00Z"},
        },
        "spec": {"containers": [{
            "name": "web",
            "image": "registry.example.com/team/web:1.2.3",
            "args": ["--listen", "0.0.0.0:8080"],
            "ports": [{"containerPort": 8080, "name": "http"}],
            "env": (0..4).map(env).collect::<Vec<_>>(),
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
        }]},
    })
}
