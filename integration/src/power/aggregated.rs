//! An API server behind the API server: its certificate, its Service, its `APIService`s.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::cluster::Cluster;
use crate::eventually::{patience, until};
use crate::http::Client;
use crate::kubeconfig::write;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// What makes one such server what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    /// The program of `control-plane/build.sh`.
    pub program: &'static str,
    /// The namespace of its Service.
    pub namespace: &'static str,
    /// The name of its Service.
    pub service: &'static str,
    /// The API group it serves.
    pub group: &'static str,
    /// The versions it serves, the preferred one first.
    pub versions: &'static [&'static str],
}

/// The flags that every API server shares, with its files in the cluster's folder.
pub(super) fn spec(identity: Identity, cluster: &Cluster, port: &Port) -> Result<Spec> {
    let Identity { program, namespace, service, .. } = identity;
    let name = format!("{service}.{namespace}.svc");
    let serving = cluster.ca().server(service, &[&name])?;
    let file = |end: &str| -> PathBuf { cluster.folder().join(format!("pki/{program}.{end}")) };
    write(&file("crt"), &serving.cert)?;
    write(&file("key"), &serving.key)?;
    let kubeconfig = cluster.kubeconfig();
    Ok(Spec::new(program, tools::program(program)?)
        .arg("--bind-address=127.0.0.1")
        .arg(format!("--secure-port={}", port.number()))
        .path("--authentication-kubeconfig", &kubeconfig)
        .path("--authorization-kubeconfig", &kubeconfig)
        .path("--tls-cert-file", &file("crt"))
        .path("--tls-private-key-file", &file("key")))
}

/// Waits until the server answers by itself.
pub(super) fn wait(process: &mut Process, cluster: &Cluster, port: &Port) -> Result<()> {
    let client = Client::tls(port.address(), cluster.ca().cert(), None)?;
    process.wait_until(patience(), || client.get("/livez")?.success())?;
    Ok(())
}

/// Registers the server and waits until the cluster's API server answers for it.
///
/// Nothing routes to a Service's address here, as there is no kube-proxy: a Service of type
/// `ExternalName` is one that the API server connects to by name.
pub(super) fn register(identity: Identity, cluster: &Cluster, port: &Port) -> Result<()> {
    let Identity { namespace, service, group, versions, .. } = identity;
    let client = cluster.client()?;
    cluster.ensure_namespace(namespace)?;
    let body = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service},
        "spec": {"type": "ExternalName", "externalName": "localhost"}});
    let path = format!("/api/v1/namespaces/{namespace}/services");
    client.send_json("POST", &path, &body)?.success().context("making a Service")?;
    for (place, version) in versions.iter().enumerate() {
        let body = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{version}.{group}")},
            "spec": {"group": group, "version": version, "groupPriorityMinimum": 100,
                     "versionPriority": 200 - 100 * place,
                     "caBundle": STANDARD.encode(cluster.ca().cert()),
                     "service": {"name": service, "namespace": namespace,
                                 "port": port.number()}}});
        let path = "/apis/apiregistration.k8s.io/v1/apiservices";
        client.send_json("POST", path, &body)?.success().context("making an APIService")?;
    }
    for version in versions {
        until(patience(), || client.json(&format!("/apis/{group}/{version}")))
            .with_context(|| format!("waiting for {version}.{group} in {}", cluster.name()))?;
    }
    Ok(())
}

/// The log of such a server.
pub(super) fn log(identity: Identity, folder: &Path) -> PathBuf {
    folder.join(format!("{}.log", identity.program))
}
