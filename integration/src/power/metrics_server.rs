//! metrics-server, which scrapes the kubelet stand-in each 10 s, the least it allows.

use anyhow::Result;

use super::aggregated::{self, Identity};
use crate::cluster::Cluster;
use crate::kubelet::Kubelet;
use crate::ports::Port;
use crate::process::{Process, Spec};

const IDENTITY: Identity = Identity {
    program: "metrics-server",
    namespace: "kube-system",
    service: "metrics-server",
    group: "metrics.k8s.io",
    versions: &["v1beta1"],
};

/// A running metrics-server of one cluster.
#[derive(Debug)]
pub struct MetricsServer {
    spec: Spec,
    process: Process,
    _port: Port,
}

impl MetricsServer {
    /// Starts it and waits until the cluster serves `metrics.k8s.io`. Its nodes should be there:
    /// it has values of those that it saw in two scrapes, 10 s after it started at the earliest.
    pub fn start(cluster: &Cluster, kubelet: &Kubelet) -> Result<Self> {
        let port = Port::reserve()?;
        let spec = aggregated::spec(IDENTITY, cluster, &port)?
            .path("--kubeconfig", &cluster.kubeconfig())
            .args(["--metric-resolution=10s", "--kubelet-request-timeout=9s"])
            .args(["--kubelet-use-node-status-port"])
            .args(["--kubelet-preferred-address-types=InternalIP"])
            .path("--kubelet-certificate-authority", kubelet.ca());
        let mut process = spec.start(&aggregated::log(IDENTITY, cluster.folder()))?;
        aggregated::wait(&mut process, cluster, &port)?;
        aggregated::register(IDENTITY, cluster, &port)?;
        Ok(Self { spec, process, _port: port })
    }

    /// Its process, to look at and signal.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again where it was, after its end. It lives as long as what this returns.
    pub fn start_again(&self) -> Result<Process> {
        self.spec.start(self.process.log())
    }
}
