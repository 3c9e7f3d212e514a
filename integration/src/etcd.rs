//! One etcd, which forgets what fsync is for.

use std::path::Path;

use anyhow::Result;

use crate::eventually::patience;
use crate::http::Client;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// A running etcd.
#[derive(Debug)]
pub struct Etcd {
    process: Process,
    client: Port,
    _peer: Port,
}

impl Etcd {
    /// Starts etcd with its data and log in `folder`, and waits until it is healthy.
    pub fn start(folder: &Path) -> Result<Self> {
        let (client, peer) = (Port::reserve()?, Port::reserve()?);
        let client_url = format!("http://{}", client.address());
        let peer_url = format!("http://{}", peer.address());
        let process = Spec::new("etcd", tools::program("etcd")?)
            .args(["--name=default", "--unsafe-no-fsync", "--log-level=warn"])
            .path("--data-dir", &folder.join("etcd"))
            .arg(format!("--listen-client-urls={client_url}"))
            .arg(format!("--advertise-client-urls={client_url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster=default={peer_url}"))
            .start(&folder.join("etcd.log"))?;
        let mut etcd = Self { process, client, _peer: peer };
        let health = Client::plain(etcd.client.address());
        etcd.process.wait_until(patience(), || health.get("/health")?.success())?;
        Ok(etcd)
    }

    /// The URL of its clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.client.address())
    }

    /// Forgets all states before `revision`.
    pub fn compact(&self, revision: &str) -> Result<()> {
        let body = serde_json::json!({"revision": revision, "physical": true});
        let client = Client::plain(self.client.address());
        client.send_json("POST", "/v3/kv/compaction", &body)?.success()?;
        Ok(())
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
