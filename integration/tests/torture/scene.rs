//! Three real control planes, a daemon, and a network between it and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tenbin_integration::eventually::{now, until};
use tenbin_integration::{
    Client, Cluster, ClusterSpec, Daemon, Fleet, FleetBuilder, Random, Shim, eventually,
};

/// A user who may all by a role, which an API server that starts has not read yet.
const READER: &str = "reader";

pub(crate) const MEMBERS: [&str; 3] = ["tokyo", "osaka", "nagoya"];

/// All that runs.
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) began: Instant,
    pub(crate) daemon: Daemon,
    /// Between the informers and the daemon.
    pub(crate) front: Shim,
    pub(crate) fleet: Fleet,
}

/// Whether threads go on.
#[derive(Clone)]
pub(crate) struct Running(Arc<AtomicBool>);

impl Scene {
    /// Starts it with the seed of `TENBIN_SEED`, or 1. Nagoya has no watch cache: there compactions
    /// of etcd are felt.
    pub(crate) fn start() -> Result<Self> {
        let seed = std::env::var("TENBIN_SEED").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
        let fleet = FleetBuilder::new("torture")
            .clusters(["tokyo", "osaka"])
            .cluster(ClusterSpec::new("nagoya").flag("--watch-cache=false"))
            .start()?;
        fleet.clusters().iter().try_for_each(may_read)?;
        let daemon = fleet.daemon().config("[auth]\ncross = ['system:masters']").start()?;
        let front = Shim::start(daemon.users())?;
        Ok(Self { seed, began: now(), daemon, front, fleet })
    }

    /// Numbers for one of the threads.
    pub(crate) fn random(&self, thread: usize) -> Random {
        Random::new(self.seed.wrapping_mul(1000).wrapping_add(thread as u64))
    }

    /// Each member's API server itself.
    pub(crate) fn members(&self) -> Result<Vec<Client>> {
        let client =
            |name| Ok(self.fleet.cluster(name)?.client()?.patience(Duration::from_secs(5)));
        MEMBERS.into_iter().map(client).collect()
    }

    /// The daemon by way of the front, as the reader.
    pub(crate) fn through(&self) -> Result<Client> {
        let reader = self.fleet.cluster("tokyo")?.user(READER, &[])?;
        Client::tls(self.front.address(), self.daemon.serving_ca(), Some(&reader))
    }
}

/// Gives the reader its role.
fn may_read(cluster: &Cluster) -> Result<()> {
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": {"name": READER},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": READER}]});
    let client = cluster.client()?;
    client
        .send_json("POST", &format!("/apis/{group}/v1/clusterrolebindings"), &binding)?
        .success()?;
    let reader = client.clone().header("Impersonate-User", READER);
    eventually!(reader.json("/apis/apps/v1/namespaces/default/deployments"));
    Ok(())
}

impl Running {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Waits for a time, or for the end.
    pub(crate) fn pause(&self, time: Duration) {
        let ended = || -> Result<()> {
            ensure!(!self.goes_on());
            Ok(())
        };
        drop(until(time, ended));
    }
}
