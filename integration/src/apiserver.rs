//! One kube-apiserver with real authentication, RBAC, admission and aggregation.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::eventually::patience;
use crate::http::Client;
use crate::kubeconfig::write;
use crate::pki::{self, Ca};
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// What may differ between two API servers.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `WatchList` off, as an older server would answer.
    pub without_watch_list: bool,
    /// Admission gives pods a service account, which only a controller-manager makes.
    pub service_accounts: bool,
    /// Further flags, which win over ours.
    pub flags: Vec<String>,
}

/// A kube-apiserver on a port of its own, which survives restarts.
#[derive(Debug)]
pub struct ApiServer {
    process: Process,
    port: Port,
    folder: PathBuf,
    etcd: String,
    options: Options,
}

impl ApiServer {
    /// Starts it with its files in `folder`; the caller waits with [`ApiServer::wait`].
    pub fn start(folder: &Path, ca: &Ca, etcd: &str, options: Options) -> Result<Self> {
        let (folder, etcd) = (folder.to_owned(), etcd.to_owned());
        write_pki(&folder.join("pki"), ca)?;
        let port = Port::reserve()?;
        let process = run(&folder, &port, &etcd, &options)?;
        Ok(Self { process, port, folder, etcd, options })
    }

    /// Waits for `/readyz`, as `admin`.
    pub fn wait(&mut self, admin: &Client) -> Result<()> {
        self.process.wait_until(patience(), || admin.get("/readyz")?.success())?;
        Ok(())
    }

    /// Starts it again on the same port, after it was killed.
    pub fn start_again(&mut self) -> Result<()> {
        self.process = run(&self.folder, &self.port, &self.etcd, &self.options)?;
        Ok(())
    }

    /// Where it listens.
    pub fn port(&self) -> &Port {
        &self.port
    }

    /// Its process, to kill, stop (`Signal::STOP`) and continue.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its process, to look at and signal.
    pub fn running(&self) -> &Process {
        &self.process
    }
}

/// The files that the flags below name; the controller-manager shares some.
fn write_pki(pki: &Path, ca: &Ca) -> Result<()> {
    let front = Ca::new("front-proxy-ca")?;
    let serving = ca.server(
        "kube-apiserver",
        &["kubernetes", "kubernetes.default", "kubernetes.default.svc"],
    )?;
    let kubelet = ca.client("kube-apiserver-kubelet-client", &["system:masters"])?;
    let proxy = front.client("front-proxy-client", &[])?;
    let accounts = pki::signing_key()?;
    for (file, text) in [
        ("ca.crt", ca.cert()),
        ("ca.key", &ca.pair().key),
        ("apiserver.crt", &serving.cert),
        ("apiserver.key", &serving.key),
        ("kubelet-client.crt", &kubelet.cert),
        ("kubelet-client.key", &kubelet.key),
        ("front-proxy-ca.crt", front.cert()),
        ("front-proxy.crt", &proxy.cert),
        ("front-proxy.key", &proxy.key),
        ("sa.pub", &accounts.cert),
        ("sa.key", &accounts.key),
    ] {
        write(&pki.join(file), text)?;
    }
    Ok(())
}

fn run(folder: &Path, port: &Port, etcd: &str, options: &Options) -> Result<Process> {
    let pki = folder.join("pki");
    let mut spec = Spec::new("kube-apiserver", tools::program("kube-apiserver")?)
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .args(["--authorization-mode=RBAC", "--allow-privileged=true"])
        .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16"])
        .args(["--service-account-issuer=https://kubernetes.default.svc"])
        .args(["--requestheader-username-headers=X-Remote-User"])
        .args(["--requestheader-group-headers=X-Remote-Group"])
        .args(["--requestheader-extra-headers-prefix=X-Remote-Extra-"])
        .args(["--requestheader-allowed-names=front-proxy-client"])
        .args(["--profiling=false", "--kubelet-preferred-address-types=InternalIP"])
        .arg(format!("--secure-port={}", port.number()))
        .arg(format!("--etcd-servers={etcd}"));
    for (flag, file) in [
        ("--client-ca-file", "ca.crt"),
        ("--tls-cert-file", "apiserver.crt"),
        ("--tls-private-key-file", "apiserver.key"),
        ("--kubelet-client-certificate", "kubelet-client.crt"),
        ("--kubelet-client-key", "kubelet-client.key"),
        ("--requestheader-client-ca-file", "front-proxy-ca.crt"),
        ("--proxy-client-cert-file", "front-proxy.crt"),
        ("--proxy-client-key-file", "front-proxy.key"),
        ("--service-account-key-file", "sa.pub"),
        ("--service-account-signing-key-file", "sa.key"),
    ] {
        spec = spec.path(flag, &pki.join(file));
    }
    if !options.service_accounts {
        spec = spec.arg("--disable-admission-plugins=ServiceAccount");
    }
    if options.without_watch_list {
        spec = spec.arg("--feature-gates=WatchList=false");
    }
    spec.args(&options.flags).start(&folder.join("kube-apiserver.log"))
}
