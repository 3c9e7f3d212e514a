//! How a daemon is configured before it starts.

use std::sync::atomic::AtomicU32;

use anyhow::{Context, Result};

use super::{Daemon, Ports, config};
use crate::cluster::Cluster;
use crate::fleet::Fleet;
use crate::pki::Ca;
use crate::ports::Port;
use crate::shim::Shim;
use crate::workdir;

/// How a daemon is configured before it starts.
#[derive(Debug)]
pub struct DaemonBuilder<'f> {
    pub(super) fleet: &'f Fleet,
    own: Option<String>,
    pub(super) members: Option<Vec<String>>,
    pub(super) peer: bool,
    pub(super) shims: bool,
    pub(super) watts: Vec<(String, Option<f64>)>,
    pub(super) config: Vec<String>,
    env: Vec<(String, String)>,
    name: String,
}

impl<'f> DaemonBuilder<'f> {
    pub(crate) fn new(fleet: &'f Fleet) -> Self {
        Self {
            fleet,
            own: None,
            members: None,
            peer: false,
            shims: true,
            watts: Vec::new(),
            config: Vec::new(),
            env: Vec::new(),
            name: "tenbin".to_owned(),
        }
    }

    /// The cluster it belongs to (default: the first).
    #[must_use]
    pub fn own(mut self, name: &str) -> Self {
        self.own = Some(name.to_owned());
        self
    }

    /// Its direct members beside own (default: all others).
    #[must_use]
    pub fn members(mut self, names: &[&str]) -> Self {
        self.members = Some(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Is a peer of the fleet's other daemons that are: own alone is a direct member, and measured
    /// unless [`DaemonBuilder::watts`] states it; certificates are the fleet's authority's. Who the
    /// others are is said by [`crate::scores::add_peer`].
    #[must_use]
    pub fn peer(mut self) -> Self {
        self.peer = true;
        self.members(&[])
    }

    /// Reaches every cluster straight instead of by way of a [`Shim`](crate::Shim).
    #[must_use]
    pub fn without_shims(mut self) -> Self {
        self.shims = false;
        self
    }

    /// A stated score; `None` leaves it out. Default: 100, 200, 300… in the order of the fleet.
    #[must_use]
    pub fn watts(mut self, name: &str, watts: impl Into<Option<f64>>) -> Self {
        self.watts.push((name.to_owned(), watts.into()));
        self
    }

    /// Further configuration (TOML), merged key by key over what the harness writes.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config.push(toml.to_owned());
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// The name in messages and of its folder.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Writes configuration and certificates, without starting anything.
    pub fn prepare(self) -> Result<Daemon> {
        let own = match &self.own {
            Some(name) => self.fleet.cluster(name)?,
            None => self.fleet.clusters().first().context("a fleet without clusters")?,
        };
        let folder = workdir::subfolder(self.fleet.folder(), &self.name)?;
        let ports =
            Ports { users: Port::reserve()?, peers: Port::reserve()?, admin: Port::reserve()? };
        let shims = if self.shims { shims(self.fleet)? } else { Vec::new() };
        let table = config::table(&self, own, &folder, &ports, &shims)?;
        let of_its_own = Ca::new(&format!("{}-serving-ca", self.name))?;
        let authority = if self.peer { self.fleet.peers_ca() } else { &of_its_own };
        config::write_files(&folder, authority, own)?;
        if self.peer {
            config::write_peer_files(&folder, authority, own)?;
        }
        let daemon = Daemon {
            name: self.name,
            process: None,
            ports,
            serving_ca: authority.cert().to_owned(),
            admin: own.user("admin", &["system:masters"])?,
            shims,
            env: self.env,
            folder,
            written: AtomicU32::new(0),
        };
        daemon.write_config(&table)?;
        Ok(daemon)
    }

    /// Starts it and waits until its `/readyz` says yes.
    pub fn start(self) -> Result<Daemon> {
        let mut daemon = self.prepare()?;
        daemon.start()?;
        Ok(daemon)
    }

    /// [`DaemonBuilder::start`] for a `static LazyLock<Daemon>` that all tests of a binary share.
    ///
    /// # Panics
    /// When the daemon does not start.
    #[expect(clippy::panic, reason = "a static of tests has nobody to return an error to")]
    pub fn shared(self) -> Daemon {
        self.start().unwrap_or_else(|error| panic!("starting tenbin: {error:#}"))
    }
}

/// A shim before each cluster for this daemon alone, so that a fault is nobody else's.
fn shims(fleet: &Fleet) -> Result<Vec<(String, Shim)>> {
    let shim = |cluster: &Cluster| {
        let shim = Shim::start(cluster.apiserver().port().address())?;
        Ok((cluster.name().to_owned(), shim))
    };
    fleet.clusters().iter().map(shim).collect()
}
