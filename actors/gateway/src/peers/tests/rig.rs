//! A peers port over real TLS, before a server that shows what reaches own's API server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accept;
use crate::discoverer::Discovery;
use crate::peers::{Answers, Original, PeersPort};
use crate::router::{RouteTable, Rules};
use crate::tls::{Certificates, ClientCa, TlsFiles};
use crate::worker::Shared;
use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use tempfile::TempDir;
use tenbin_fleet::access::AccessSource;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{Enrol, MemberSpec, Parts, Registry, TrustRules};
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Clock, Guardian, Slot};
use tenbin_model::config::{Limits, Partial};
use tenbin_model::identity::Caller;
use tenbin_model::ids::ClusterName;
use tenbin_model::request::kinds::Kinds;
use tenbin_model::request::route::RoutePolicy;
use tenbin_model::resource_version::VersionSpace;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Rig {
    pub(super) port: Arc<PeersPort>,
    pub(super) fleet_ca: Authority,
    pub(super) kobe_ca: Authority,
    serving: Authority,
    folder: TempDir,
    address: SocketAddr,
    _data: Arbiter,
}

pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

pub(super) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// An answer: code, and body or message.
pub(super) type Answer = (u16, String);

impl Rig {
    /// A port before a server that answers every request with what it read.
    pub(super) async fn new() -> Self {
        let cluster = Authority::new("cluster");
        let own = echo(&cluster).await;
        Self::before(&cluster, own).await
    }

    /// A port whose own API server nobody hears.
    pub(super) async fn before_nobody() -> Self {
        Self::before(&Authority::new("cluster"), SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).await
    }

    async fn before(cluster: &Authority, own: SocketAddr) -> Self {
        let folder = TempDir::new().unwrap();
        let [serving, fleet_ca, kobe_ca] = ["serving", "fleet", "kobe"].map(Authority::new);
        let (cert, key) = serving.issue("tenbin");
        for (name, text) in [
            ("tls.crt", &cert),
            ("tls.key", &key),
            ("fleet-ca.crt", &fleet_ca.pem),
            ("kobe-ca.crt", &kobe_ca.pem),
            ("cluster-ca.crt", &cluster.pem),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let data = Arbiter::new();
        let shared = shared(fleet(&folder, &data, own).await, Clock::system(), &folder);
        let port = Arc::new(PeersPort {
            certificates: Arc::new(Certificates::load(files(&folder, true)).unwrap()),
            originals: ArcSwap::from_pointee(originals()),
            answers: answers(),
        });
        let bind = || std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (users, peers) = (bind(), bind());
        let address = peers.local_addr().unwrap();
        let peers = Some((peers, Arc::clone(&port)));
        let server = accept::serve(users, peers, &shared, 1, Duration::from_secs(1)).unwrap();
        actix_rt::spawn(server);
        Self { port, fleet_ca, kobe_ca, serving, folder, address, _data: data }
    }

    /// Trusts nobody's certificate any more.
    pub(super) fn distrust(&self) {
        let files = files(&self.folder, false);
        self.port.certificates.install(self.port.certificates.changed(&files).unwrap().unwrap());
    }

    /// Sends `head` and `body` on a connection of its own.
    pub(super) async fn send(&self, identity: Option<&Identity>, head: &str, body: &str) -> Answer {
        let mut connection = self.connect(identity).await;
        let head = head.replace('\n', "\r\n");
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: tenbin\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        // A server that closes without TLS's goodbye has answered as well.
        connection.read_to_end(&mut all).await.ok();
        answer(&String::from_utf8(all).unwrap())
    }

    /// Sends texts on one connection, each after the first byte of the answer to the one before;
    /// returns all that was answered until the end.
    pub(super) async fn exchange(&self, identity: &Identity, texts: &[&str]) -> String {
        let mut connection = self.connect(Some(identity)).await;
        let mut all = Vec::new();
        for text in texts {
            connection.write_all(text.replace('\n', "\r\n").as_bytes()).await.unwrap();
            connection.read_buf(&mut all).await.unwrap();
        }
        connection.read_to_end(&mut all).await.ok();
        String::from_utf8(all).unwrap()
    }

    pub(super) async fn connect(
        &self,
        identity: Option<&Identity>,
    ) -> impl AsyncRead + AsyncWrite + Unpin + use<> {
        let mut roots = RootCertStore::empty();
        roots.add(self.serving.der()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let config = match identity {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::from(self.address.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()
    }

    fn issue(&self, common_name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    pub(super) fn identity(&self, common_name: &str) -> Identity {
        let (cert, key) = self.issue(common_name);
        Identity {
            chain: vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        }
    }
}

fn files(folder: &TempDir, trusting: bool) -> TlsFiles {
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let fleet = ClientCa { path: path("fleet-ca.crt"), only: None };
    let kobe = ClientCa { path: path("kobe-ca.crt"), only: Some("kobe".to_owned()) };
    let client_cas = if trusting { vec![fleet, kobe] } else { Vec::new() };
    TlsFiles { cert: path("tls.crt"), key: path("tls.key"), client_cas }
}

fn originals() -> Vec<Original> {
    let act_as = Caller::new("wao-peer".to_owned(), None, Vec::new(), BTreeMap::new()).unwrap();
    vec![
        Original::new("nara".to_owned(), "nara", "pass", Some(act_as)),
        Original::new("gifu".to_owned(), "gifu", "pa:ss", None),
    ]
}

fn answers() -> Answers {
    Answers {
        scores: Arc::new(|group, namespace| {
            json!({"kind": "ClusterScoreList", "from": [group, namespace], "items": [
                {"metadata": {"name": "tokyo"}, "status": {"score": 7}},
            ]})
        }),
        estimate: Arc::new(|question| {
            let body = String::from_utf8_lossy(&question.body).into_owned();
            let body = json!([question.namespace, question.estimator, body]);
            Box::pin(async move { (200, body) })
        }),
    }
}

/// A fleet of own alone, with its real forwarder.
async fn fleet(folder: &TempDir, data: &Arbiter, own: SocketAddr) -> Arc<Fleet> {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster":
            {"server": format!("https://{own}"), "certificate-authority": "cluster-ca.crt"}}],
        "users": [{"name": "c", "user": {"token": "the-daemons"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    let path = folder.path().join("own.kubeconfig");
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let clock = Clock::system();
    let guardian = Guardian::start(clock.clone(), Intensity::default());
    let space = VersionSpace::new(NonZeroU64::MIN, Vec::new()).unwrap();
    let nobody = Arc::new(Fleet::new(Vec::new(), Arc::new(space), Arc::default()));
    let publisher = Arc::new(watch::channel(nobody).0);
    let parts = Parts {
        guardian: guardian.clone(),
        data: data.handle(),
        clock,
        fleet: Arc::clone(&publisher),
        own: None,
        wanted: Arc::default(),
    };
    let registry = Slot::empty();
    let spec = ChildSpec {
        name: "registry".to_owned(),
        order: 1,
        arbiter: Arbiter::current(),
        slot: registry.clone(),
        mailbox: 8,
        factory: Box::new(move |lifeline| Registry::new(parts.clone(), lifeline)),
    };
    guardian.spawn(spec).await.unwrap();
    let own = MemberSpec {
        name: Some(ClusterName::new("tokyo").unwrap()),
        own: true,
        region: Some("tokyo".to_owned()),
        source: AccessSource::Kubeconfig { path, context: None },
    };
    let enrol = Enrol { members: vec![own], trust: TrustRules::default() };
    registry.ask(enrol, PATIENCE).await.unwrap().unwrap();
    Arc::clone(&publisher.borrow())
}

fn shared(fleet: Arc<Fleet>, clock: Clock, folder: &TempDir) -> Arc<Shared> {
    let rules = Rules {
        policy: RoutePolicy::new(Kinds::new([]).unwrap(), Vec::new()),
        cross: vec!["system:masters".to_owned()],
        tokens: false,
        label_key: "tenbin".to_owned(),
        own_value: "local".to_owned(),
        partial: Partial::People,
        limits: Limits { requests_per_user: 10, streams_per_user: 10 },
        unmanaged_everywhere: false,
    };
    let published = watch::channel(Arc::clone(&fleet)).1;
    let table = Arc::new(ArcSwap::from_pointee(RouteTable::new(fleet, Arc::new(rules))));
    let certificates = Certificates::load(files(folder, true)).unwrap();
    let discovery = Discovery { catalogue: Arc::default(), discoverer: Slot::empty() };
    Arc::new(Shared::new(table, published, discovery, certificates, Slot::empty(), clock))
}

/// An API server that answers with the request as it read it.
async fn echo(cluster: &Authority) -> SocketAddr {
    let identity = cluster.identity("apiserver");
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(identity.chain, identity.key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            actix_rt::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                while let Some(request) = read_request(&mut stream).await? {
                    if request.contains("upgrade: parrot") {
                        return parrot(stream).await;
                    }
                    let length = request.len();
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await?;
                    stream.write_all(request.as_bytes()).await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

/// Agrees, speaks first, repeats what it hears, and has a last word after the end of that.
async fn parrot(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
    let agreed = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: parrot\r\n";
    stream.write_all(format!("{agreed}X-Said: yes\r\n\r\nfirst ").as_bytes()).await?;
    let (mut from, mut to) = tokio::io::split(stream);
    tokio::io::copy(&mut from, &mut to).await?;
    to.write_all(b" last").await?;
    to.shutdown().await
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
        });
        if body.len() >= length.unwrap_or(0) {
            return Ok(Some(text.into_owned()));
        }
    }
}

fn answer(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body) } else { body.to_owned() };
    let message = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|status| Some(status.get("message")?.as_str()?.to_owned()));
    (code, message.unwrap_or(body))
}

/// The chunks of a body without their lengths.
fn joined(mut chunks: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    whole
}
