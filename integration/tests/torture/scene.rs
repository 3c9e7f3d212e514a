//! Three real control planes, a daemon, and a network between it and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tenbin_integration::eventually::{now, until};
use tenbin_integration::{Client, ClusterSpec, Daemon, Fleet, FleetBuilder, Random, Shim};

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

    /// The daemon by way of the front.
    pub(crate) fn through(&self) -> Result<Client> {
        let admin = self.fleet.cluster("tokyo")?.user("admin", &["system:masters"])?;
        Client::tls(self.front.address(), self.daemon.serving_ca(), Some(&admin))
    }
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
