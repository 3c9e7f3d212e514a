//! The daemon under test: the real binary, as a child process, on free ports.

mod builder;
mod config;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use toml::Table;

pub use builder::DaemonBuilder;

use crate::cluster::Cluster;
use crate::eventually::patience;
use crate::http::Client;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::pki::Pair;
use crate::ports::Port;
use crate::process::{Process, Signal, Spec};
use crate::shim::Shim;
use crate::tools;

/// The three listeners.
#[derive(Debug)]
struct Ports {
    users: Port,
    peers: Port,
    admin: Port,
}

/// A daemon with its files; running unless it was stopped. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    process: Option<Process>,
    ports: Ports,
    serving_ca: String,
    admin: Pair,
    shims: Vec<(String, Shim)>,
    env: Vec<(String, String)>,
    folder: PathBuf,
    written: std::sync::atomic::AtomicU32,
}

impl Daemon {
    /// Starts it (again) with the files as they are and waits for `/readyz`.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.wait_ready()
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        let mut spec = Spec::new(&self.name, tools::tenbin()?)
            .arg("run")
            .arg("--config")
            .arg(self.config_path())
            .folder(&self.folder)
            .env("RUST_BACKTRACE", "1");
        for (key, value) in &self.env {
            spec = spec.env(key, value);
        }
        self.process = Some(spec.start(&self.folder.join("tenbin.log"))?);
        Ok(())
    }

    /// Waits until `/readyz` answers 200, failing at once when the daemon ends first.
    pub fn wait_ready(&mut self) -> Result<()> {
        let admin = self.admin();
        let process = self.process.as_mut().context("the daemon is stopped")?;
        process.wait_until(patience(), || admin.get("/readyz")?.success())?;
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("the daemon is stopped")?;
        process.terminate(patience())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the daemon is stopped")?.kill()
    }

    /// Stops, starts and waits: state in `state_dir` and the ports stay.
    pub fn restart(&mut self) -> Result<()> {
        let ended = self.stop()?;
        ensure!(ended.success(), "{} ended with {ended}", self.name);
        self.start()
    }

    /// Starts it again if it has ended.
    pub fn heal(&mut self) -> Result<()> {
        match self.process.as_mut().map(Process::ended).transpose()?.flatten() {
            Some(_) => self.start(),
            None => Ok(()),
        }
    }

    /// SIGHUP, which rereads the configuration.
    pub fn reload(&self) -> Result<()> {
        self.process()?.signal(Signal::HUP)
    }

    /// Changes the configuration file by a function of its table; [`Daemon::reload`] applies it.
    pub fn edit_config(&self, edit: impl FnOnce(&mut Table)) -> Result<()> {
        let text = std::fs::read_to_string(self.config_path()).context("reading config.toml")?;
        let mut table = text.parse::<Table>().context("parsing config.toml")?;
        edit(&mut table);
        self.write_config(&table)
    }

    /// Its process.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the daemon is stopped")
    }

    /// The network between this daemon, and it alone, and a cluster.
    pub fn shim(&self, cluster: &str) -> Result<&Shim> {
        let found = self.shims.iter().find(|(name, _)| name == cluster);
        let (_, shim) = found.with_context(|| format!("no shim before {cluster}"))?;
        Ok(shim)
    }

    /// `config.toml`.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// Where its files, its log and (in `state/`) its ledger are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything it logged, over restarts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("tenbin.log")).unwrap_or_default()
    }

    /// The users port.
    pub fn users(&self) -> SocketAddr {
        self.ports.users.address()
    }

    /// The peers port.
    pub fn peers(&self) -> SocketAddr {
        self.ports.peers.address()
    }

    /// Its peers port as `spec.endpoint` of a ClusterScore has it.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.peers())
    }

    /// The peers port with a certificate of [`Fleet::peers_ca`](crate::Fleet::peers_ca), or none.
    pub fn peers_client(&self, peer: Option<&Pair>) -> Result<Client> {
        Client::tls(self.peers(), &self.serving_ca, peer)
    }

    /// The authority (PEM) of its serving certificate.
    pub fn serving_ca(&self) -> &str {
        &self.serving_ca
    }

    /// The admin listener.
    pub fn admin(&self) -> Client {
        Client::plain(self.ports.admin.address())
    }

    /// Where the admin listener is.
    pub fn admin_address(&self) -> SocketAddr {
        self.ports.admin.address()
    }

    /// `GET /scores`.
    pub fn scores(&self) -> Result<Value> {
        self.admin().json("/scores")
    }

    /// The users port as administrator of own.
    pub fn client(&self) -> Result<Client> {
        self.client_of(Some(&self.admin))
    }

    /// The users port with any client certificate (of [`Cluster::user`] on own), or none.
    pub fn client_of(&self, user: Option<&Pair>) -> Result<Client> {
        Client::tls(self.users(), &self.serving_ca, user)
    }

    /// kubectl at the users port as administrator of own.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Kubectl::new(self.kubeconfig()?)
    }

    /// A kubeconfig of the users port for the administrator of own.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.kubeconfig_with("", Credential::Certificate(&self.admin))
    }

    /// A kubeconfig of the users port for any user of `own`.
    pub fn kubeconfig_for(&self, own: &Cluster, user: &str, groups: &[&str]) -> Result<PathBuf> {
        self.kubeconfig_with("", Credential::Certificate(&own.user(user, groups)?))
    }

    /// A kubeconfig with any credential and a path after the server, as `/clusters/osaka`.
    pub fn kubeconfig_with(&self, path: &str, credential: Credential<'_>) -> Result<PathBuf> {
        let n = self.written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = self.folder.join(format!("user-{n}.kubeconfig"));
        let server = format!("https://{}{path}", self.users());
        let text = kubeconfig::text("tenbin", &server, &self.serving_ca, credential);
        kubeconfig::write(&file, &text)?;
        Ok(file)
    }

    fn write_config(&self, table: &Table) -> Result<()> {
        let text = toml::to_string_pretty(table).context("writing TOML")?;
        kubeconfig::write(&self.config_path(), &text)
    }
}
