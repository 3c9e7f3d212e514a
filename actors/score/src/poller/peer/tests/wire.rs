//! A registry, and a peer at the other end of real TLS.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use arc_swap::ArcSwap;
use rcgen::{CertificateParams, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tempfile::TempDir;
use tenbin_fleet::access::{AccessSource, Endpoint, Trust};
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{Enrol, MemberSpec, Parts, Registry, TrustRules};
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Clock, Guardian, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::super::PeerSource;
use super::list;
use crate::poller::{Measured, PollError, Source as _};
use crate::tests::{PATIENCE, until};

/// What the peer answers, by path: a status line and a body.
type Pages = Arc<ArcSwap<Vec<(String, &'static str, Vec<u8>)>>>;

/// This tenbin is osaka; the peer is kyoto.
struct Rig {
    source: PeerSource,
    fleet: watch::Receiver<Arc<Fleet>>,
    pages: Pages,
    _folder: TempDir,
    _data: Arbiter,
}

fn path(group: &str) -> String {
    format!("/apis/{group}/v1beta1/namespaces/wao-system/clusterscores")
}

const TENBIN: &str = "waoendpointproxy.bitmedia.co.jp";
const ORIGINAL: &str = "multicluster-endpoint-proxy.waok8s.github.io";

// === impl Rig ===

impl Rig {
    async fn new(original: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let pages = Pages::default();
        let address = serve(folder.path(), Arc::clone(&pages)).await;
        let file = |name: &str| folder.path().join(name);
        let (ca, cert, key) = (file("cert"), file("cert"), file("key"));
        let trust = if original {
            std::fs::write(file("password"), "secret\n").unwrap();
            let (username, password_file) = ("wao".to_owned(), file("password"));
            Trust::Basic { ca: Some(ca), username, password_file }
        } else {
            Trust::Mutual { ca, cert, key }
        };
        let endpoint = Endpoint::new(&format!("https://{address}")).unwrap();
        let kyoto = AccessSource::Peer(tenbin_fleet::access::PeerSource { endpoint, trust });
        std::fs::write(file("own"), KUBECONFIG).unwrap();
        let own = AccessSource::Kubeconfig { path: file("own"), context: None };

        let (clock, data) = (Clock::system(), Arbiter::new());
        let (registry, fleet) = registry(&clock, &data).await;
        let member = |text: &str, source: AccessSource| MemberSpec {
            name: Some(ClusterName::new(text).unwrap()),
            own: text == "osaka",
            region: None,
            source,
        };
        let members = vec![member("osaka", own), member("kyoto", kyoto)];
        let enrol = Enrol { members, trust: TrustRules::default() };
        registry.ask(enrol, PATIENCE).await.unwrap().unwrap();
        let cluster = ClusterName::new("kyoto").unwrap();
        let source =
            PeerSource::new(cluster, fleet.clone(), registry, "wao-system".to_owned(), clock);
        Self { source, fleet, pages, _folder: folder, _data: data }
    }

    fn answers(&self, pages: &[(&str, &'static str, Vec<u8>)]) {
        let pages = pages.iter().map(|(group, status, body)| (path(group), *status, body.clone()));
        self.pages.store(Arc::new(pages.collect()));
    }

    async fn sample(&self) -> Result<Measured, PollError> {
        self.source.sample(PATIENCE).await
    }

    fn region(&self) -> String {
        self.fleet.borrow().get("kyoto").unwrap().region.clone()
    }

    /// The region that the member has told.
    fn told(&self) -> Option<String> {
        self.fleet.borrow().regions.get(&ClusterName::new("kyoto").unwrap()).cloned()
    }
}

const KUBECONFIG: &str = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
    "clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:9"}}],"users":[{"name":"c","user":{}}],
    "contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}"#;

async fn registry(clock: &Clock, data: &Arbiter) -> (Slot<Registry>, watch::Receiver<Arc<Fleet>>) {
    let space = VersionSpace::new(NonZeroU64::MIN, Vec::new()).unwrap();
    let fleet = Fleet::new(Vec::new(), Arc::new(space), Arc::default());
    let (publisher, fleet) = watch::channel(Arc::new(fleet));
    let guardian = Guardian::start(clock.clone(), Intensity::default());
    let parts = Parts {
        guardian: guardian.clone(),
        data: data.handle(),
        clock: clock.clone(),
        fleet: Arc::new(publisher),
        own: None,
        wanted: Arc::default(),
    };
    let slot = Slot::empty();
    let spec = ChildSpec {
        name: "registry".to_owned(),
        order: 1,
        arbiter: Arbiter::current(),
        slot: slot.clone(),
        mailbox: 8,
        factory: Box::new(move |lifeline| Registry::new(parts.clone(), lifeline)),
    };
    guardian.spawn(spec).await.unwrap();
    (slot, fleet)
}

/// A peers port with a certificate of its own, which is also its authority.
async fn serve(folder: &Path, pages: Pages) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
    let (cert, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
    std::fs::write(folder.join("cert"), &cert).unwrap();
    std::fs::write(folder.join("key"), &key).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    actix::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, pages) = (acceptor.clone(), Arc::clone(&pages));
            actix::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut head = [0; 4096];
                while let length @ 1.. = stream.read(&mut head).await? {
                    let head = String::from_utf8_lossy(&head[..length]);
                    let path = head.split(' ').nth(1).unwrap_or_default();
                    stream.write_all(&answer(path, &pages.load())).await?;
                    // TLS keeps back what the socket did not take.
                    stream.flush().await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

fn answer(path: &str, pages: &[(String, &'static str, Vec<u8>)]) -> Vec<u8> {
    let page = pages.iter().find(|(known, _, _)| known == path);
    let (status, body) = match page {
        Some((_, status, body)) => (*status, body.as_slice()),
        None if path == "/livez" => ("200 OK", b"ok".as_slice()),
        None => ("404 Not Found", b"no such page".as_slice()),
    };
    let length = body.len();
    // A clock that is a day behind.
    let date = "Mon, 13 Nov 2023 22:13:30 GMT";
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nDate: {date}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn page() -> Vec<u8> {
    let status = json!({"score": 123, "watts": 123.5, "updateTimestamp": "2023-11-13T22:13:20Z"});
    list("kinki", &status)
}

#[actix::test]
async fn a_peer_tells_its_score_with_its_age_and_its_region() {
    let rig = Rig::new(false).await;
    rig.answers(&[(TENBIN, "200 OK", page())]);
    let before = Clock::system().now();
    let sample = rig.sample().await.unwrap().sample;
    assert_eq!(sample.watts.to_bits(), 123.5_f64.to_bits());
    // Ten seconds by the peer's clock, whatever day it has.
    let age = Clock::system().now().duration_since(sample.sampled_at).unsigned_abs();
    assert!(age >= Duration::from_secs(10), "{age:?}");
    assert!(sample.sampled_at >= before - Duration::from_secs(10));
    until(|| rig.region() == "kinki").await;
    // The time stands still: the sample is as old as before, and a little older.
    assert!(rig.sample().await.unwrap().sample.sampled_at <= sample.sampled_at);
}

#[actix::test]
async fn a_region_that_is_the_members_name_is_told_as_any_other() {
    let rig = Rig::new(false).await;
    rig.answers(&[(TENBIN, "200 OK", list("kyoto", &json!({"score": 123})))]);
    assert_eq!((rig.region().as_str(), rig.told()), ("kyoto", None));
    rig.sample().await.unwrap();
    until(|| rig.told().as_deref() == Some("kyoto")).await;
}

#[actix::test]
async fn a_peer_without_a_score_is_no_sample() {
    let rig = Rig::new(false).await;
    let told = rig.sample().await.unwrap_err();
    assert_eq!(told, PollError::NoScore("the peer answers 404 Not Found".to_owned()));
    // Only an original program is asked in its group.
    rig.answers(&[(ORIGINAL, "200 OK", page())]);
    assert_eq!(rig.sample().await.unwrap_err(), told);
    rig.answers(&[(TENBIN, "200 OK", list("kinki", &json!({})))]);
    let told = rig.sample().await.unwrap_err();
    assert_eq!(told, PollError::NoScore("the peer does not know its score".to_owned()));
    rig.answers(&[(TENBIN, "200 OK", vec![b' '; (4 << 20) + 1])]);
    let told = rig.sample().await.unwrap_err();
    assert_eq!(told.to_string(), "no answer: kyoto answered with more than 4194304 bytes");
}

#[actix::test]
async fn an_original_program_is_asked_in_the_group_that_it_has() {
    let rig = Rig::new(true).await;
    rig.answers(&[(ORIGINAL, "200 OK", page())]);
    rig.sample().await.unwrap();
    // It is remembered, and another release of it is found again.
    rig.answers(&[(ORIGINAL, "200 OK", page()), (TENBIN, "500 Internal Server Error", page())]);
    rig.sample().await.unwrap();
    rig.answers(&[(TENBIN, "200 OK", page())]);
    rig.sample().await.unwrap();
    rig.answers(&[]);
    let told = rig.sample().await.unwrap_err();
    assert_eq!(told, PollError::NoScore("the peer answers 404 Not Found".to_owned()));
}
