//! An estimator with real forwarders, and peers ports that speak real TLS.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;

use actix::Arbiter;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tenbin_fleet::access::{AccessSource, Endpoint, PeerSource, Trust};
use tenbin_fleet::forwarder::Forwarder;
use tenbin_fleet::health::Health;
use tenbin_fleet::places::Places;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Guardian, GuardianHandle, ManualClock, Slot, Supervised};
use tenbin_model::config::Scheduler;
use tenbin_model::power::{GRID, NodePower, PowerTable, Resources};
use tenbin_model::resource_version::VersionSpace;

use super::super::*;
use crate::tests::PATIENCE;

pub(super) const INTERVAL: Duration = Duration::from_secs(30);
pub(super) const SHAPE: PodShape = PodShape { cpu_milli: 1000, memory_bytes: 1 << 30 };

/// The estimator of one tenbin.
pub(super) struct Rig {
    pub(super) estimator: Slot<Estimator>,
    pub(super) hand: ManualClock,
    guardian: GuardianHandle,
    clock: Clock,
    fleet: watch::Sender<Arc<Fleet>>,
    power: Arc<ArcSwap<PowerBoard>>,
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What a peers port says to a question.
#[derive(Clone)]
pub(super) enum Manner {
    /// What this estimator says of this member.
    Estimates(Slot<Estimator>, ClusterName),
    /// This code and body.
    Says(u16, String),
    /// Nothing.
    Hangs,
}

// === impl Rig ===

impl Rig {
    pub(super) async fn new() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_second(1000).unwrap());
        let guardian = Guardian::start(clock.clone(), Intensity::default());
        let space = VersionSpace::new(NonZeroU64::MIN, Vec::new()).unwrap();
        let none = Fleet::new(Vec::new(), Arc::new(space), Arc::default());
        let (fleet, published) = watch::channel(Arc::new(none));
        let power: Arc<ArcSwap<PowerBoard>> = Arc::default();
        let (folder, issuer) = authority();
        let estimator = Slot::empty();
        let rig = Self { estimator, hand, guardian, clock, fleet, power, folder, issuer };
        let (power, clock) = (Arc::clone(&rig.power), rig.clock.clone());
        rig.start("estimator", &rig.estimator, move |lifeline| {
            let settings = Configure { interval: INTERVAL };
            let (fleet, power) = (published.clone(), Arc::clone(&power));
            Estimator::new(fleet, power, clock.clone(), settings, lifeline)
        })
        .await;
        rig
    }

    async fn start<A: Supervised>(
        &self,
        name: &str,
        slot: &Slot<A>,
        factory: impl Fn(Lifeline) -> A + Send + Sync + 'static,
    ) {
        let spec = ChildSpec {
            name: name.to_owned(),
            order: 1,
            arbiter: Arbiter::current(),
            slot: slot.clone(),
            mailbox: 1024,
            factory: Box::new(factory),
        };
        self.guardian.spawn(spec).await.unwrap();
    }

    /// Makes a member that is reached at `address`.
    pub(super) async fn join(&self, text: &str, reach: Reach, address: SocketAddr) {
        let [ca, cert, key] =
            ["ca.crt", "peer.crt", "peer.key"].map(|it| self.folder.path().join(it));
        let endpoint = Endpoint::new(&format!("https://{address}")).unwrap();
        let trust = Trust::Mutual { ca, cert, key };
        let member = Arc::new(Member {
            name: name(text),
            own: false,
            region: text.to_owned(),
            reach,
            access: AccessSource::Peer(PeerSource { endpoint, trust }).open().await.unwrap(),
            generation: 1,
            health: Arc::new(ArcSwap::from_pointee(Health::Unknown)),
            places: Places::default(),
            forwarder: Slot::empty(),
        });
        let (forwarded, clock) = (Arc::clone(&member), self.clock.clone());
        self.start(&format!("forwarder {text}"), &member.forwarder, move |lifeline| {
            Forwarder::new(&forwarded, clock.clone(), lifeline)
        })
        .await;
        let fleet = Arc::clone(&self.fleet.borrow());
        let members = fleet.members().iter().cloned().chain([member]).collect();
        let fleet = Fleet::new(members, Arc::clone(&fleet.space), Arc::default());
        self.fleet.send_replace(Arc::new(fleet));
    }

    /// Publishes what was measured of a member now: a node with room for `room` pods of [`SHAPE`].
    pub(super) fn measure(&self, text: &str, room: u64) -> Power {
        let power = Power { measured_at: self.clock.now(), ..power(room) };
        let board = BTreeMap::from([(name(text), Arc::new(power.clone()))]);
        self.power.store(Arc::new(board));
        power
    }

    pub(super) async fn estimate(&self, text: &str, pods: u32) -> Result<Curve, EstimateError> {
        let estimate = Estimate { cluster: name(text), shape: SHAPE, pods };
        self.estimator.ask(estimate, PATIENCE).await.unwrap()
    }

    pub(super) async fn state(&self, key: &str) -> serde_json::Value {
        self.estimator.ask(Observe, PATIENCE).await.unwrap()[key].clone()
    }

    /// Waits until so many estimates are under way.
    pub(super) async fn under_way(&self, count: usize) {
        let look = async { while self.state("in_flight").await != count {} };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    /// Opens a peers port.
    pub(super) fn serve(&self, manner: Manner) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let tls = rustls::ServerConfig::builder().with_no_client_auth();
        let tls = tls.with_single_cert(vec![cert.der().clone()], key).unwrap();
        let server = HttpServer::new(move || {
            let manner = manner.clone();
            let estimate = move |body: Bytes| manner.clone().answer(body);
            let path = "/namespaces/{ns}/estimators/{name}/values/powerconsumption";
            App::new()
                .route(path, web::post().to(estimate))
                .route("/livez", web::get().to(HttpResponse::Ok))
        });
        let server = server.workers(1).disable_signals();
        let server = server.bind_rustls_0_23((Ipv4Addr::LOCALHOST, 0), tls).unwrap();
        let address = server.addrs()[0];
        actix::spawn(server.run());
        address
    }
}

// === impl Manner ===

impl Manner {
    async fn answer(self, body: Bytes) -> HttpResponse {
        let (code, body) = match self {
            Self::Estimates(estimator, own) => {
                let (code, body) = answer(&estimator, own, &body).await;
                (code, body.to_string())
            }
            Self::Says(code, body) => (code, body),
            Self::Hangs => std::future::pending().await,
        };
        HttpResponse::build(code.try_into().unwrap()).body(body)
    }
}

pub(super) fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn power(room: u64) -> Power {
    let node = NodePower {
        name: "n0".to_owned(),
        capacity_milli: 64_000,
        cpu_percent: 10.0,
        allocatable: Resources { cpu_milli: room * 1000, memory_bytes: 1 << 40, pods: 110 },
        requested: Resources::default(),
        table: Arc::new(PowerTable::new(GRID.map(|load| 100.0 + load * load)).unwrap()),
    };
    let measured_at = Timestamp::UNIX_EPOCH;
    Power { measured_at, scheduler: Scheduler::Default, nodes: vec![node] }
}

/// An authority, and a folder of its certificate and one that it gave this tenbin.
fn authority() -> (TempDir, Issuer<'static, KeyPair>) {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::default().signed_by(&key, &issuer).unwrap().pem();
    for (file, text) in [("ca.crt", ca), ("peer.crt", cert), ("peer.key", key.serialize_pem())] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    (folder, issuer)
}
