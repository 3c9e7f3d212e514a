//! The kubelet stand-in (`integration/kubelet`): what kwok's nodes use, as metrics-server sees it,
//! and the streams of their pods, as API servers pass them on.
//!
//! One process answers for all nodes of a fleet. A node that was not spoken of uses no CPU. What is
//! real of a container, and what is not, says `integration/kubelet/main.go`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::eventually::patience;
use crate::http::Client;
use crate::kubeconfig::write;
use crate::pki::Ca;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// What a node uses from now on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    cores: f64,
    memory: u64,
    frozen: bool,
    broken: bool,
}

impl Usage {
    /// This many cores and 1 GiB.
    pub fn cores(cores: f64) -> Self {
        Self { cores, memory: 1 << 30, frozen: false, broken: false }
    }

    /// The last sample stays, with its old timestamp.
    #[must_use]
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// The kubelet answers 500, so that metrics-server has nothing of this node.
    #[must_use]
    pub fn broken(mut self) -> Self {
        self.broken = true;
        self
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cores of a test: few, and not negative"
    )]
    fn nano_cores(self) -> u64 {
        (self.cores * 1e9).round() as u64
    }

    fn json(self, pods: &[Metered<'_>]) -> Value {
        let pods: Vec<Value> = pods.iter().map(Metered::json).collect();
        json!({"cpuNanoCores": self.nano_cores(), "memoryBytes": self.memory,
               "frozen": self.frozen, "broken": self.broken, "pods": pods})
    }
}

/// A pod of one container, and what it uses.
#[derive(Debug, Clone, Copy)]
pub struct Metered<'p> {
    /// The namespace.
    pub namespace: &'p str,
    /// The pod's name.
    pub name: &'p str,
    /// The name of its container.
    pub container: &'p str,
    /// What it uses.
    pub usage: Usage,
}

impl Metered<'_> {
    fn json(&self) -> Value {
        let Self { namespace, name, container, usage } = self;
        json!({"namespace": namespace, "pod": name, "container": container,
               "cpuNanoCores": usage.nano_cores(), "memoryBytes": usage.memory})
    }
}

/// A running stand-in.
#[derive(Debug)]
pub struct Kubelet {
    process: Process,
    port: Port,
    control: Port,
    ca: PathBuf,
}

impl Kubelet {
    /// Starts it with its files in `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let authority = Ca::new("kubelet-ca")?;
        let serving = authority.server("kubelet", &[])?;
        let ca = folder.join("kubelet-ca.crt");
        let (cert, key) = (folder.join("kubelet.crt"), folder.join("kubelet.key"));
        write(&ca, authority.cert())?;
        write(&cert, &serving.cert)?;
        write(&key, &serving.key)?;
        let (port, control) = (Port::reserve()?, Port::reserve()?);
        let process = Spec::new("kubelet", tools::program("kubelet")?)
            .arg(format!("--listen={}", port.address()))
            .arg(format!("--control={}", control.address()))
            .path("--tls-cert", &cert)
            .path("--tls-key", &key)
            .path("--folder", &folder.join("pods"))
            .start(&folder.join("kubelet.log"))?;
        let mut kubelet = Self { process, port, control, ca };
        let health = kubelet.control();
        kubelet.process.wait_until(patience(), || health.get("/healthz")?.success())?;
        Ok(kubelet)
    }

    /// The port that nodes name in `status.daemonEndpoints`.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The authority of its serving certificate.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The path of a node's resource metrics, for its annotation.
    pub fn metrics_path(node: &str) -> String {
        format!("/nodes/{node}/metrics/resource")
    }

    /// Says what nodes use. metrics-server sees it at its next scrape, in at most 10 s and what it
    /// staggers (8 ms a node).
    pub fn set<S: AsRef<str>>(&self, usages: impl IntoIterator<Item = (S, Usage)>) -> Result<()> {
        let named = |(node, usage): (S, Usage)| (node.as_ref().to_owned(), usage.json(&[]));
        let all: Map<String, Value> = usages.into_iter().map(named).collect();
        self.control().send_json("PUT", "/nodes", &Value::Object(all))?.success()?;
        Ok(())
    }

    /// Says what a node and its pods use, with the same delay.
    pub fn set_with_pods(&self, node: &str, usage: Usage, pods: &[Metered<'_>]) -> Result<()> {
        let all = json!({node: usage.json(pods)});
        self.control().send_json("PUT", "/nodes", &all)?.success()?;
        Ok(())
    }

    /// How often a node was asked so far.
    pub fn scrapes(&self, node: &str) -> Result<u64> {
        let all = self.control().json("/nodes")?;
        let scrapes = all.get(node).and_then(|it| it.get("scrapes")).and_then(Value::as_u64);
        scrapes.with_context(|| format!("nobody has asked for or spoken of {node}"))
    }

    /// How many streams of a kind (`exec`, `attach`, `logs`, `portforward`) a pod has open.
    pub fn open(&self, kind: &str, pod: &str) -> Result<u64> {
        let all = self.control().json("/streams")?;
        Ok(all.get(format!("{kind}/{pod}")).and_then(Value::as_u64).unwrap_or_default())
    }

    /// Its process, to look at and signal.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn control(&self) -> Client {
        Client::plain(self.control.address())
    }
}
