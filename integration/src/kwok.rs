//! kwok: plays the kubelets of nodes that carry its annotation.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::kubelet::Kubelet;
use crate::process::{Process, Spec};
use crate::tools;

/// Starts kwok for the cluster whose files are in `folder`.
pub fn start(folder: &Path, kubeconfig: &Path) -> Result<Process> {
    let mut spec = Spec::new("kwok", tools::program("kwok")?)
        .path("--kubeconfig", kubeconfig)
        .args(["--manage-all-nodes=false", "--cidr=10.0.0.1/16", "--node-ip=127.0.0.1"])
        .args(["--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"])
        .arg("--node-lease-duration-seconds=40")
        // kwok creates a file for its own configuration unless its home is ours.
        .env("HOME", folder);
    for stage in tools::kwok_stages()? {
        spec = spec.path("--config", &stage);
    }
    spec.start(&folder.join("kwok.log"))
}

/// A node that kwok will play: 32 CPUs, 256 GiB, 110 pods; its kubelet, for those who ask, is the
/// stand-in at this port. kwok leaves `daemonEndpoints` alone unless it is told a port itself, and
/// adds the address 127.0.0.1 (`--node-ip`).
pub fn node(name: &str, region: &str, kubelet: Option<u16>) -> Value {
    let capacity = json!({"cpu": "32", "memory": "256Gi", "pods": "110"});
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {
                "kwok.x-k8s.io/node": "fake",
                "metrics.k8s.io/resource-metrics-path": Kubelet::metrics_path(name),
                "node.alpha.kubernetes.io/ttl": "0",
            },
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/role": "agent",
                "topology.kubernetes.io/region": region,
                "type": "kwok",
            },
        },
        "status": {
            "allocatable": capacity,
            "capacity": capacity,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.unwrap_or_default()}},
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "fake", "kubeletVersion": "fake",
                "machineID": "", "operatingSystem": "linux", "osImage": "", "systemUUID": "",
            },
        },
    })
}
