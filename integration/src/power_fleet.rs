//! A fleet whose scores are measured: all parts of power, a tenbin for each cluster, peers all.

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::daemon::{Daemon, DaemonBuilder};
use crate::fleet::{Fleet, FleetBuilder};
use crate::kubelet::Usage;
use crate::power::{Model, wao};
use crate::scores;

/// The CPUs of each node ([`crate::kwok::node`]).
const CORES: f64 = 32.0;

/// What a node's sensors say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// CPU used, in percent of the node's 32.
    pub cpu: f64,
    /// Inlet temperature in °C.
    pub inlet: f64,
    /// Differential pressure in Pa.
    pub pressure: f64,
}

impl Condition {
    /// Watts of a node in this condition.
    pub fn watts(self, model: &Model) -> f64 {
        model.watts(self.cpu, self.inlet, self.pressure)
    }
}

/// How nodes are at the start: one function of the cluster's place and the node's number.
type Conditions = fn(usize, u32) -> Condition;

/// A fleet with its daemons, in the order of its clusters.
#[derive(Debug)]
pub struct PowerFleet {
    daemons: Vec<Daemon>,
    fleet: Fleet,
}

impl PowerFleet {
    /// Starts a fleet of `nodes` nodes in each cluster, every node with a `NodeConfig` for `model`
    /// of the predictor and in its condition, and a daemon for each cluster, configured further by
    /// `configure`. Ready daemons have no measured score yet: metrics-server has its first values
    /// 10 s after its start.
    pub fn start(
        builder: FleetBuilder,
        nodes: u32,
        model: &Model,
        conditions: Conditions,
        configure: impl for<'f> Fn(DaemonBuilder<'f>) -> DaemonBuilder<'f> + Sync,
    ) -> Result<Self> {
        let fleet = builder.nodes(nodes).power().start()?;
        for (place, cluster) in fleet.clusters().iter().enumerate() {
            for n in 0..nodes {
                set(&fleet, cluster, n, conditions(place, n))?;
            }
        }
        let endpoint = fleet.power()?.predictor().endpoint(model.name());
        let daemons = each(&fleet, |cluster| {
            let predictor = wao::power_consumption(&wao::v2(&endpoint));
            for n in 0..nodes {
                let node = node(cluster, n);
                wao::node_config(cluster, cluster.wao(), &node, &wao::spec(&node, &predictor))?;
            }
            scores::install(cluster, scores::GROUP)?;
            let name = format!("tenbin-{}", cluster.name());
            let daemon = fleet.daemon().name(&name).own(cluster.name()).peer();
            configure(daemon).start().with_context(|| format!("starting {name}"))
        })?;
        let power = Self { daemons, fleet };
        power.introduce()?;
        Ok(power)
    }

    /// Makes each daemon a peer of all others.
    fn introduce(&self) -> Result<()> {
        each(&self.fleet, |cluster| {
            let others = self.fleet.clusters().iter().zip(&self.daemons);
            let others = others.filter(|(other, _)| other.name() != cluster.name());
            for (other, daemon) in others {
                scores::add_peer(cluster, other.name(), &daemon.endpoint())?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Puts node `<cluster>-n<n>` into a condition. metrics-server sees its load within 10 s.
    pub fn set(&self, cluster: &str, n: u32, condition: Condition) -> Result<()> {
        set(&self.fleet, self.fleet.cluster(cluster)?, n, condition)
    }

    /// The clusters and the parts.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The clusters and the parts, to kill and restart.
    pub fn fleet_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }

    /// The daemon of this cluster.
    pub fn daemon(&self, cluster: &str) -> Result<&Daemon> {
        let named = self.fleet.clusters().iter().zip(&self.daemons);
        let found = named.into_iter().find(|(it, _)| it.name() == cluster);
        Ok(found.with_context(|| format!("no daemon of {cluster}"))?.1)
    }

    /// The daemon of this cluster, to stop and start.
    pub fn daemon_mut(&mut self, cluster: &str) -> Result<&mut Daemon> {
        let named = self.fleet.clusters().iter().zip(&mut self.daemons);
        let found = named.into_iter().find(|(it, _)| it.name() == cluster);
        Ok(found.with_context(|| format!("no daemon of {cluster}"))?.1)
    }

    /// Every daemon, in the order of the clusters.
    pub fn daemons(&self) -> &[Daemon] {
        &self.daemons
    }
}

fn node(cluster: &Cluster, n: u32) -> String {
    format!("{}-n{n}", cluster.name())
}

fn set(fleet: &Fleet, cluster: &Cluster, n: u32, condition: Condition) -> Result<()> {
    let Condition { cpu, inlet, pressure } = condition;
    let node = node(cluster, n);
    let usage = Usage::cores(cpu / 100.0 * CORES);
    fleet.kubelet()?.set([(&node, usage)])?;
    cluster.metrics()?.sensors().set(&node, inlet, pressure)
}

/// What `make` makes of each cluster, all at once.
fn each<T: Send>(fleet: &Fleet, make: impl Fn(&Cluster) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let make = &make;
        let spawn = |cluster| scope.spawn(move || make(cluster));
        let threads: Vec<_> = fleet.clusters().iter().map(spawn).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<T>>| {
            thread.join().unwrap_or_else(|_| bail!("a starting thread panicked"))
        };
        threads.into_iter().map(join).collect()
    })
}
