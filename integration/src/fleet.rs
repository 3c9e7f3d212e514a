//! Several clusters in one call.

use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use anyhow::{Context, Result, bail};

use crate::cluster::{Cluster, ClusterSpec};
use crate::daemon::DaemonBuilder;
use crate::kubelet::Kubelet;
use crate::pki::Ca;
use crate::power::Power;
use crate::workdir;

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct FleetBuilder {
    name: String,
    clusters: Vec<ClusterSpec>,
    folder: Option<PathBuf>,
    kubelet: bool,
    power: bool,
}

impl FleetBuilder {
    /// A fleet whose files go to `build/fleets/<name>-<pid>-<n>/`.
    pub fn new(name: &str) -> Self {
        let (name, clusters) = (name.to_owned(), Vec::new());
        Self { name, clusters, folder: None, kubelet: false, power: false }
    }

    /// Adds clusters by name; the first is where the daemon's own will be unless told otherwise.
    #[must_use]
    pub fn clusters<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.clusters.extend(names.into_iter().map(ClusterSpec::new));
        self
    }

    /// Adds a cluster with a description of its own.
    #[must_use]
    pub fn cluster(mut self, spec: ClusterSpec) -> Self {
        self.clusters.push(spec);
        self
    }

    /// Every cluster so far gets (or loses) controllers and a scheduler.
    #[must_use]
    pub fn controllers(self, controllers: bool) -> Self {
        self.each(|spec| spec.controllers(controllers))
    }

    /// Every cluster so far gets this many kwok nodes.
    #[must_use]
    pub fn nodes(self, nodes: u32) -> Self {
        self.each(|spec| spec.nodes(nodes))
    }

    /// This cluster behaves as an older server, without streaming lists.
    #[must_use]
    pub fn without_watch_list(self, name: &str) -> Self {
        self.each(|spec| if spec.name() == name { spec.without_watch_list() } else { spec })
    }

    /// With the stand-in for kubelets, so that pods have logs and exec.
    #[must_use]
    pub fn kubelet(mut self) -> Self {
        self.kubelet = true;
        self
    }

    /// With everything that power scores come from: see [`crate::power`].
    #[must_use]
    pub fn power(mut self) -> Self {
        self.kubelet = true;
        self.power = true;
        self
    }

    /// The files go here instead.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// [`FleetBuilder::start`] for a `static LazyLock<Fleet>` that all tests of a binary share.
    ///
    /// # Panics
    /// When the fleet does not start.
    #[expect(clippy::panic, reason = "a static of tests has nobody to return an error to")]
    pub fn shared(self) -> Fleet {
        self.start().unwrap_or_else(|error| panic!("starting a fleet: {error:#}"))
    }

    fn each(mut self, change: impl Fn(ClusterSpec) -> ClusterSpec) -> Self {
        self.clusters = self.clusters.into_iter().map(change).collect();
        self
    }

    /// Starts every cluster at once and waits until all are ready.
    pub fn start(self) -> Result<Fleet> {
        let folder = match self.folder {
            Some(folder) => folder,
            None => workdir::create(&self.name)?,
        };
        let parts = folder.join("power");
        let kubelet = self.kubelet.then(|| Kubelet::start(&parts)).transpose()?;
        let with_power = self.power;
        let (clusters, power) = std::thread::scope(|scope| {
            let kubelet = kubelet.as_ref();
            let parts = &parts;
            let power = scope.spawn(move || with_power.then(|| Power::start(parts)).transpose());
            let start = |spec| {
                let folder = folder.join(ClusterSpec::name(spec));
                scope.spawn(move || start_cluster(spec, &folder, kubelet, with_power))
            };
            let threads: Vec<_> = self.clusters.iter().map(start).collect();
            let clusters: Result<Vec<_>> = threads.into_iter().map(join).collect();
            (clusters, join(power))
        });
        let peers_ca = Ca::new("fleet-ca")?;
        Ok(Fleet { clusters: clusters?, kubelet, power: power?, peers_ca, folder })
    }
}

fn start_cluster(
    spec: &ClusterSpec,
    folder: &Path,
    kubelet: Option<&Kubelet>,
    power: bool,
) -> Result<Cluster> {
    std::fs::create_dir_all(folder).context("making a cluster's folder")?;
    Cluster::start(spec, folder, kubelet, power)
        .with_context(|| format!("starting {} in {}", spec.name(), folder.display()))
}

fn join<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| bail!("a starting thread panicked"))
}

/// Running clusters. Dropping them kills their processes and removes etcd's data; logs stay.
#[derive(Debug)]
pub struct Fleet {
    clusters: Vec<Cluster>,
    kubelet: Option<Kubelet>,
    power: Option<Power>,
    peers_ca: Ca,
    folder: PathBuf,
}

impl Fleet {
    /// All clusters in the order in which they were named.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// A cluster by name.
    pub fn cluster(&self, name: &str) -> Result<&Cluster> {
        let found = self.clusters.iter().find(|cluster| cluster.name() == name);
        found.with_context(|| format!("no cluster {name} in this fleet"))
    }

    /// A cluster by name, to kill or restart its API server.
    pub fn cluster_mut(&mut self, name: &str) -> Result<&mut Cluster> {
        let found = self.clusters.iter_mut().find(|cluster| cluster.name() == name);
        found.with_context(|| format!("no cluster {name} in this fleet"))
    }

    /// The stand-in for all nodes' kubelets, when built with it or with power.
    pub fn kubelet(&self) -> Result<&Kubelet> {
        self.kubelet.as_ref().context("a fleet without kubelets")
    }

    /// The predictor and the BMC, when built with [`FleetBuilder::power`].
    pub fn power(&self) -> Result<&Power> {
        self.power.as_ref().context("a fleet without the parts of power")
    }

    /// The authority of the fleet's tenbins, when they are peers of each other.
    pub fn peers_ca(&self) -> &Ca {
        &self.peers_ca
    }

    /// Starts every API server again that has ended.
    pub fn heal(&mut self) -> Result<()> {
        self.clusters.iter_mut().try_for_each(Cluster::heal)
    }

    /// Where logs and files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A daemon of the first cluster that has all the others as members, by way of shims of its own.
    pub fn daemon(&self) -> DaemonBuilder<'_> {
        DaemonBuilder::new(self)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.clusters.clear();
        workdir::drop_data(&self.folder);
    }
}
