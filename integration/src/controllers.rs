//! kube-controller-manager and kube-scheduler.

use std::path::Path;

use anyhow::Result;

use crate::process::{Process, Spec};
use crate::tools;

/// Starts both for the cluster whose files are in `folder`. They need no waiting: what they do
/// shows in the API.
pub fn start(folder: &Path, kubeconfig: &Path) -> Result<Vec<Process>> {
    Ok(vec![manager(folder, kubeconfig)?, scheduler(folder, kubeconfig)?])
}

fn manager(folder: &Path, kubeconfig: &Path) -> Result<Process> {
    let pki = folder.join("pki");
    Spec::new("kube-controller-manager", tools::program("kube-controller-manager")?)
        .path("--kubeconfig", kubeconfig)
        .args(["--leader-elect=false", "--secure-port=0", "--profiling=false"])
        .args(["--kube-api-qps=200", "--kube-api-burst=400"])
        .path("--root-ca-file", &pki.join("ca.crt"))
        .path("--service-account-private-key-file", &pki.join("sa.key"))
        .path("--cluster-signing-cert-file", &pki.join("ca.crt"))
        .path("--cluster-signing-key-file", &pki.join("ca.key"))
        .start(&folder.join("kube-controller-manager.log"))
}

fn scheduler(folder: &Path, kubeconfig: &Path) -> Result<Process> {
    Spec::new("kube-scheduler", tools::program("kube-scheduler")?)
        .path("--kubeconfig", kubeconfig)
        .args(["--leader-elect=false", "--secure-port=0", "--profiling=false"])
        .args(["--kube-api-qps=200", "--kube-api-burst=400"])
        .start(&folder.join("kube-scheduler.log"))
}
