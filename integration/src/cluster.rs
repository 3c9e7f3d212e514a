//! One cluster: etcd, kube-apiserver and, when asked, controllers, scheduler, kwok and nodes.

mod spec;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::json;

use crate::apiserver::{ApiServer, Options};
use crate::etcd::Etcd;
use crate::eventually::{patience, until};
use crate::http::Client;
use crate::kubeconfig::{self, Credential};
use crate::kubectl::Kubectl;
use crate::pki::{Ca, Pair};
use crate::process::Process;
use crate::{controllers, kwok};

pub use spec::ClusterSpec;

/// A running cluster. Dropping it kills its processes.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    controllers: bool,
    folder: PathBuf,
    ca: Ca,
    admin: Pair,
    // Children in the order in which they end.
    helpers: Vec<Process>,
    apiserver: ApiServer,
    etcd: Etcd,
    written: AtomicU32,
}

impl Cluster {
    /// Starts a cluster with its files in `folder` and waits until it is ready, nodes included.
    pub fn start(spec: &ClusterSpec, folder: &Path) -> Result<Self> {
        let name = &spec.name;
        let ca = Ca::new(&format!("{name}-ca"))?;
        let admin = ca.client("admin", &["system:masters"])?;
        let etcd = Etcd::start(folder)?;
        let options = Options { service_accounts: spec.controllers, ..spec.options.clone() };
        let apiserver = ApiServer::start(folder, &ca, &etcd.url(), options)?;
        let mut cluster = Self {
            name: name.clone(),
            controllers: spec.controllers,
            folder: folder.to_owned(),
            ca,
            admin,
            helpers: Vec::new(),
            apiserver,
            etcd,
            written: AtomicU32::new(0),
        };
        cluster.write_admin()?;
        cluster.wait()?;
        cluster.populate(spec).with_context(|| format!("populating {name}"))?;
        Ok(cluster)
    }

    fn populate(&mut self, spec: &ClusterSpec) -> Result<()> {
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

    /// A token of a service account (made by the `TokenRequest` API), for an hour.
    pub fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                             "spec": {"expirationSeconds": 3600}});
        let answer = self.client()?.send_json("POST", &path, &request)?.success()?.json()?;
        let token = answer.pointer("/status/token").and_then(|token| token.as_str());
        Ok(token.context("a TokenRequest without a token")?.to_owned())
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

    /// Adds a node in this cluster's region; kwok, when there, makes it ready.
    pub fn add_node(&self, name: &str) -> Result<()> {
        let node = kwok::node(name, &self.name);
        self.client()?.send_json("POST", "/api/v1/nodes", &node)?.success()?;
        Ok(())
    }

    /// Waits until at least `count` nodes are ready.
    pub fn wait_for_nodes(&self, count: usize) -> Result<()> {
        let client = self.client()?;
        until(patience(), || {
            let nodes = client.json("/api/v1/nodes")?;
            let items = nodes.get("items").and_then(|items| items.as_array());
            let ready = items.into_iter().flatten().filter(|node| is_ready(node)).count();
            (ready >= count).then_some(()).with_context(|| format!("{ready} of {count} ready"))
        })
    }

    /// Waits until a GET of this path answers 200.
    pub fn wait_for(&self, path: &str) -> Result<()> {
        let client = self.client()?;
        until(patience(), || client.json(path)).map(drop)
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

fn is_ready(node: &serde_json::Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(|them| them.as_array());
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").is_some_and(|it| it == "Ready")
            && condition.get("status").is_some_and(|it| it == "True")
    })
}
