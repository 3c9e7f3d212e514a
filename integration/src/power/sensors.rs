//! The custom metrics adapter: inlet temperature and differential pressure of nodes.

use anyhow::Result;
use serde_json::Value;

use super::aggregated::{self, Identity};
use crate::cluster::Cluster;
use crate::http::Client;
use crate::ports::Port;
use crate::process::{Process, Spec};

const IDENTITY: Identity = Identity {
    program: "custom-metrics",
    namespace: "custom-metrics",
    service: "wao-metrics-adapter",
    group: "custom.metrics.k8s.io",
    versions: &["v1beta2", "v1beta1"],
};

/// The running adapter of one cluster; `integration/metrics/custom-metrics` says what it can do.
#[derive(Debug)]
pub struct Sensors {
    spec: Spec,
    process: Process,
    _port: Port,
    write: Port,
}

impl Sensors {
    /// Starts it and waits until the cluster serves `custom.metrics.k8s.io`.
    pub fn start(cluster: &Cluster) -> Result<Self> {
        let (port, write) = (Port::reserve()?, Port::reserve()?);
        let spec = aggregated::spec(IDENTITY, cluster, &port)?
            .path("--lister-kubeconfig", &cluster.kubeconfig())
            .args(["--client-qps=500", "--client-burst=1000"])
            .arg(format!("--write-address={}", write.address()));
        let mut process = spec.start(&aggregated::log(IDENTITY, cluster.folder()))?;
        aggregated::wait(&mut process, cluster, &port)?;
        aggregated::register(IDENTITY, cluster, &port)?;
        Ok(Self { spec, process, _port: port, write })
    }

    /// A node's inlet temperature in °C and differential pressure in Pa.
    pub fn set(&self, node: &str, inlet: f64, pressure: f64) -> Result<()> {
        self.write(node, "inlet_temp", &inlet.to_string())?;
        self.write(node, "delta_p", &pressure.to_string())
    }

    /// Any metric of a node as a Quantity: `15500m`, `1e1`, `7.5`.
    pub fn write(&self, node: &str, metric: &str, quantity: &str) -> Result<()> {
        let value = Value::from(quantity);
        self.client().send_json("POST", &path(node, metric), &value)?.success()?;
        Ok(())
    }

    /// The sensor died: 404 until it is written again.
    pub fn forget(&self, node: &str, metric: &str) -> Result<()> {
        self.order("DELETE", &path(node, metric))
    }

    /// Timestamps stand still: each value has the time of its writing, not that of the query.
    pub fn stop_clock(&self, stop: bool) -> Result<()> {
        self.order("PUT", if stop { "/timestamps/written" } else { "/timestamps/queried" })
    }

    /// A query for all nodes fails when one sensor is dead, as in WAO's adapter.
    pub fn strict(&self, strict: bool) -> Result<()> {
        self.order("PUT", if strict { "/selectors/strict" } else { "/selectors/lenient" })
    }

    /// Its process, to look at and signal.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again where it was, after its end. It lives as long as what this returns.
    pub fn start_again(&self) -> Result<Process> {
        self.spec.start(self.process.log())
    }

    fn order(&self, method: &str, path: &str) -> Result<()> {
        self.client().send(method, path, None)?.success()?;
        Ok(())
    }

    fn client(&self) -> Client {
        Client::plain(self.write.address())
    }
}

fn path(node: &str, metric: &str) -> String {
    format!("/write-metrics/nodes/{node}/{metric}")
}
