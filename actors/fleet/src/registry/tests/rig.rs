//! A registry with real forwarders, and peers ports that speak real TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use actix_rt::Arbiter;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tenbin_kernel::Guardian;
use tenbin_kernel::guardian::Intensity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::*;
use crate::access::{AccessSource, Endpoint, Trust};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A fleet whose own API server is dead, and a folder of certificates.
pub(super) struct Rig {
    pub(super) registry: Slot<Registry>,
    pub(super) parts: Parts,
    pub(super) folder: TempDir,
    _data: Arbiter,
}

/// A certificate authority in a folder.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// What a peers port does with a request.
#[derive(Clone)]
pub(super) enum Manner {
    /// Answers with the code of the moment.
    Answer(Arc<AtomicU16>),
    /// Refuses every client certificate in the handshake.
    Alert,
    /// Answers `/livez`, and begins any other answer that it never goes on with.
    Stream,
    /// Answers `/livez`, and refuses anything else.
    Application,
    /// Answers `/livez`, `/readyz` with the first code of the moment, and anything else with 403 as
    /// often as the second says.
    Starts(Arc<[AtomicU16; 2]>),
}

// === impl Rig ===

impl Rig {
    pub(super) async fn new() -> Self {
        Self::with_own(None).await
    }

    pub(super) async fn with_own(own: Option<&str>) -> Self {
        let clock = Clock::system();
        let guardian = Guardian::start(clock.clone(), Intensity::default());
        let data = Arbiter::new();
        let space = VersionSpace::new(NonZeroU64::MIN, Vec::new()).unwrap();
        let fleet = Fleet::new(Vec::new(), Arc::new(space), Arc::default());
        let parts = Parts {
            guardian,
            data: data.handle(),
            clock,
            fleet: Arc::new(watch::channel(Arc::new(fleet)).0),
            own: own.map(name),
            wanted: Arc::default(),
        };
        let registry = registry(&parts, "registry").await;
        let rig = Self { registry, parts, folder: TempDir::new().unwrap(), _data: data };
        let kubeconfig = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
            "clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:9"}}],
            "users":[{"name":"c","user":{}}],
            "contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}"#;
        rig.write("own.kubeconfig", kubeconfig);
        let ca = Authority::new();
        rig.identity(&ca, "tokyo");
        rig
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes the files of [`trust`].
    pub(super) fn identity(&self, ca: &Authority, common_name: &str) {
        let (cert, key) = ca.issue(common_name);
        self.write("ca.crt", &ca.pem);
        self.write("peer.crt", &cert);
        self.write("peer.key", &key);
    }

    pub(super) fn own(&self, name: Option<&str>) -> MemberSpec {
        let path = self.folder.path().join("own.kubeconfig");
        MemberSpec {
            name: name.map(super::rig::name),
            own: true,
            region: None,
            source: AccessSource::Kubeconfig { path, context: None },
        }
    }

    pub(super) async fn enrol(&self, members: Vec<MemberSpec>) -> Result<(), EnrolError> {
        let trust =
            TrustRules { general: Some(trust(self.folder.path())), by_endpoint: BTreeMap::new() };
        self.registry.ask(Enrol { members, trust }, PATIENCE).await.unwrap()
    }

    /// Joins peers; tells who was refused.
    pub(super) async fn join(&self, peers: &[PeerSpec]) -> Vec<String> {
        let joined = self.registry.ask(JoinPeers(peers.to_vec()), PATIENCE).await.unwrap();
        let refused = joined.unwrap().into_iter();
        refused.map(|one| format!("{}: {}", one.name, one.reason)).collect()
    }

    pub(super) fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.parts.fleet.borrow())
    }

    pub(super) fn member(&self, name: &str) -> Arc<Member> {
        Arc::clone(self.fleet().get(name).unwrap())
    }

    /// The members and their generations.
    pub(super) fn members(&self) -> Vec<(String, u64)> {
        let fleet = self.fleet();
        fleet.members().iter().map(|one| (one.name.to_string(), one.generation)).collect()
    }

    /// What the member's forwarder finds out first.
    pub(super) async fn health(&self, name: &str) -> Health {
        let member = self.member(name);
        let alive = member.forwarder.ask(forwarder::Doubt::default(), PATIENCE).await.unwrap();
        let health = Health::clone(&member.health.load());
        assert_eq!(alive, health == Health::Up);
        health
    }
}

/// Answers with `code`.
pub(super) fn always(code: u16) -> Manner {
    Manner::Answer(Arc::new(AtomicU16::new(code)))
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn answer(code: u16) -> String {
    format!("HTTP/1.1 {code} As Told\r\nContent-Length: 0\r\n\r\n")
}

/// Takes one, if there is one.
fn less(count: &AtomicU16) -> bool {
    let one_less = |count: u16| count.checked_sub(1);
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
}

pub(super) async fn registry(parts: &Parts, called: &str) -> Slot<Registry> {
    let (slot, parts) = (Slot::empty(), parts.clone());
    let spec = ChildSpec {
        name: called.to_owned(),
        order: 1,
        arbiter: Arbiter::current(),
        slot: slot.clone(),
        mailbox: 8,
        factory: {
            let parts = parts.clone();
            Box::new(move |lifeline| Registry::new(parts.clone(), lifeline))
        },
    };
    parts.guardian.spawn(spec).await.unwrap();
    slot
}

pub(super) fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

pub(super) fn trust(folder: &Path) -> Trust {
    let [ca, cert, key] = ["ca.crt", "peer.crt", "peer.key"].map(|file| folder.join(file));
    Trust::Mutual { ca, cert, key }
}

/// A peer at a port where nobody listens.
pub(super) fn dead(text: &str, port: u16) -> PeerSpec {
    peer(text, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

pub(super) fn peer(text: &str, address: SocketAddr) -> PeerSpec {
    PeerSpec { name: name(text), endpoint: format!("https://{address}"), region: None }
}

pub(super) fn source(address: SocketAddr, trust: Trust) -> AccessSource {
    let endpoint = Endpoint::new(&format!("https://{address}")).unwrap();
    AccessSource::Peer(crate::access::PeerSource { endpoint, trust })
}

// === impl Authority ===

impl Authority {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
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

    /// A peers port with a certificate of this authority.
    pub(super) async fn serve(&self, manner: Manner) -> SocketAddr {
        let (cert, key) = self.issue("peer");
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let builder = ServerConfig::builder();
        let builder = if matches!(manner, Manner::Alert) {
            let mut roots = RootCertStore::empty();
            let other = Authority::new().pem;
            roots.add(CertificateDer::from_pem_slice(other.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        actix_rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, manner) = (acceptor.clone(), manner.clone());
                actix_rt::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut head = [0; 4096];
                    while let length @ 1.. = stream.read(&mut head).await? {
                        let lives = head[..length].starts_with(b"GET /livez");
                        let ready = head[..length].starts_with(b"GET /readyz");
                        let answer = match &manner {
                            Manner::Stream if !lives => STREAM.to_owned(),
                            Manner::Application if !lives => answer(401),
                            Manner::Starts(codes) if ready => {
                                answer(codes[0].load(Ordering::SeqCst))
                            }
                            Manner::Starts(codes) if !lives && less(&codes[1]) => answer(403),
                            Manner::Stream
                            | Manner::Application
                            | Manner::Alert
                            | Manner::Starts(_) => answer(200),
                            Manner::Answer(code) => answer(code.load(Ordering::SeqCst)),
                        };
                        stream.write_all(answer.as_bytes()).await?;
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        address
    }
}
