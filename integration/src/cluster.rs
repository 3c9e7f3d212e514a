//! One cluster: etcd, kube-apiserver and, when asked, controllers, scheduler, kwok and nodes.

mod objects;
mod spec;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::apiserver::{ApiServer, Options};
use crate::etcd::Etcd;
use crate::http::Client;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::kubelet::Kubelet;
use crate::pki::{Ca, Pair};
use crate::power::{Metrics, wao};
use crate::process::Process;
use crate::{controllers, kwok};

pub use spec::ClusterSpec;

/// A running cluster. Dropping it kills its processes.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    controllers: bool,
    wao: wao::Group,
    kubelet: Option<u16>,
    folder: PathBuf,
    ca: Ca,
    admin: Pair,
    // Children in the order in which they end.
    metrics: Option<Metrics>,
    helpers: Vec<Process>,
    apiserver: ApiServer,
    etcd: Etcd,
    written: AtomicU32,
}

impl Cluster {
    /// Starts a cluster with its files in `folder` and waits until it is ready, nodes included;
    /// with a kubelet for its nodes and, since it is asked for load, the parts of power when told.
    pub fn start(
        spec: &ClusterSpec,
        folder: &Path,
        kubelet: Option<&Kubelet>,
        power: bool,
    ) -> Result<Self> {
        let name = &spec.name;
        let ca = Ca::new(&format!("{name}-ca"))?;
        let admin = ca.client("admin", &["system:masters"])?;
        let etcd = Etcd::start(folder)?;
        let options = Options { service_accounts: spec.controllers, ..spec.options.clone() };
        let apiserver = ApiServer::start(folder, &ca, &etcd.url(), options)?;
        let mut cluster = Self {
            name: name.clone(),
            controllers: spec.controllers,
            wao: spec.wao,
            kubelet: kubelet.map(Kubelet::port),
            folder: folder.to_owned(),
            ca,
            admin,
            metrics: None,
            helpers: Vec::new(),
            apiserver,
            etcd,
            written: AtomicU32::new(0),
        };
        cluster.write_admin()?;
        cluster.wait()?;
        let measured = kubelet.filter(|_| power);
        cluster.populate(spec, measured).with_context(|| format!("populating {name}"))?;
        Ok(cluster)
    }

    fn populate(&mut self, spec: &ClusterSpec, kubelet: Option<&Kubelet>) -> Result<()> {
        let kubeconfig = self.kubeconfig();
        if spec.nodes > 0 {
            self.helpers.push(kwok::start(&self.folder, &kubeconfig)?);
        }
        if spec.controllers {
            self.helpers.extend(controllers::start(&self.folder, &kubeconfig)?);
        }
        for n in 0..spec.nodes {
            self.add_node(&format!("{}-n{n}", self.name))?;
        }
        if let Some(kubelet) = kubelet {
            // Now that the nodes are there: metrics-server's first scrape is its first act.
            self.metrics = Some(Metrics::start(self, kubelet, spec.wao)?);
        }
        self.wait_for_nodes(usize::try_from(spec.nodes)?)?;
        if spec.controllers {
            self.wait_for("/api/v1/namespaces/default/serviceaccounts/default")?;
        }
        Ok(())
    }

    /// Its name, which is also its region.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its logs and files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it has a controller-manager, which gives each namespace a service account.
    pub fn has_controllers(&self) -> bool {
        self.controllers
    }

    /// The group of its WAO CRDs.
    pub fn wao(&self) -> wao::Group {
        self.wao
    }

    /// metrics-server and the sensors, of a fleet that was built with the parts of power.
    pub fn metrics(&self) -> Result<&Metrics> {
        self.metrics.as_ref().context("a cluster without the parts of power")
    }

    /// The authority of its API server and of its users.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// The API server's own URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.apiserver.port().address())
    }

    /// A client certificate of this cluster.
    pub fn user(&self, user: &str, groups: &[&str]) -> Result<Pair> {
        self.ca.client(user, groups)
    }

    /// The kubeconfig of an administrator (`admin` in `system:masters`).
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// The administrator's kubeconfig by way of another address, as that of a [`Shim`].
    ///
    /// [`Shim`]: crate::Shim
    pub fn kubeconfig_by_way_of(&self, address: SocketAddr) -> Result<PathBuf> {
        self.write_kubeconfig(
            &self.next_file("through"),
            &format!("https://{address}"),
            Credential::Certificate(&self.admin),
        )
    }

    /// A kubeconfig of any user, with a client certificate.
    pub fn kubeconfig_for(&self, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let pair = self.user(user, groups)?;
        self.write_kubeconfig(&self.next_file("user"), &self.url(), Credential::Certificate(&pair))
    }

    /// A kubeconfig with a bearer token.
    pub fn kubeconfig_with_token(&self, token: &str) -> Result<PathBuf> {
        self.write_kubeconfig(&self.next_file("token"), &self.url(), Credential::Token(token))
    }

    /// An HTTP client of the API server as administrator.
    pub fn client(&self) -> Result<Client> {
        self.client_of(&self.admin)
    }

    /// An HTTP client of the API server with a certificate of [`Cluster::user`].
    pub fn client_of(&self, user: &Pair) -> Result<Client> {
        Client::tls(self.apiserver.port().address(), self.ca.cert(), Some(user))
    }

    /// kubectl as administrator of this cluster alone.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Kubectl::new(self.kubeconfig())
    }

    /// The API server: its process can be signalled.
    pub fn apiserver(&self) -> &ApiServer {
        &self.apiserver
    }

    /// Kills the API server at once; its port refuses connections from now on.
    pub fn kill_apiserver(&mut self) -> Result<()> {
        self.apiserver.process().kill()
    }

    /// Starts the API server again where it was, and waits until it is ready.
    pub fn restart_apiserver(&mut self) -> Result<()> {
        self.apiserver.start_again()?;
        self.wait()
    }

    /// Starts the API server again if it has ended, as [`Cluster::restart_apiserver`].
    pub fn heal(&mut self) -> Result<()> {
        match self.apiserver.process().ended()? {
            Some(_) => self.restart_apiserver(),
            None => Ok(()),
        }
    }

    /// etcd, to break it.
    pub fn etcd(&mut self) -> &mut Etcd {
        &mut self.etcd
    }

    fn wait(&mut self) -> Result<()> {
        let client = self.client()?;
        self.apiserver.wait(&client).with_context(|| format!("waiting for {}", self.name))
    }

    fn write_admin(&self) -> Result<()> {
        let admin = Credential::Certificate(&self.admin);
        self.write_kubeconfig(&self.kubeconfig(), &self.url(), admin)?;
        Ok(())
    }

    fn next_file(&self, what: &str) -> PathBuf {
        let n = self.written.fetch_add(1, Ordering::Relaxed);
        self.folder.join(format!("{what}-{n}.kubeconfig"))
    }

    fn write_kubeconfig(
        &self,
        path: &Path,
        server: &str,
        credential: Credential<'_>,
    ) -> Result<PathBuf> {
        let text = kubeconfig::text(&self.name, server, self.ca.cert(), credential);
        kubeconfig::write(path, &text)?;
        Ok(path.to_owned())
    }
}
