//! What the configuration says of peers: by what trust they are reached, and who may come.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tenbin_fleet::access::{self, AccessSource, Endpoint, PeerSource, Trust};
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{MemberSpec, Registry, Reopen, TrustRules};
use tenbin_gateway::peers::{Answers, Original, PeersPort};
use tenbin_gateway::tls::{Certificates, ClientCa, TlsFiles};
use tenbin_kernel::{Clock, Slot};
use tenbin_model::config::{Config, Peer};
use tenbin_model::identity::Caller;
use tenbin_model::score::ScoreBoard;
use tenbin_score::cluster_score::{self, Group, Own};
use tenbin_score::{Estimator, estimator};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::exit::Exit;

/// How often the peers' files are looked at.
const CHECK: Duration = Duration::from_secs(10);
const REOPEN_LIMIT: Duration = Duration::from_secs(30);

/// The peers that are members without a `ClusterScore`, and the trust of those that have one.
pub(crate) fn rules(config: &Config) -> anyhow::Result<(Vec<MemberSpec>, TrustRules)> {
    let general = config.peers.as_ref().map(|peers| Trust::Mutual {
        ca: peers.ca.clone(),
        cert: peers.identity.cert.clone(),
        key: peers.identity.key.clone(),
    });
    let (mut members, mut by_endpoint) = (Vec::new(), BTreeMap::new());
    for peer in &config.peer {
        let endpoint = Endpoint::new(&peer.endpoint)
            .with_context(|| format!("peer {}", peer.endpoint))
            .context(Exit::Config)?;
        let Some(trust) = trust(config, peer) else { continue };
        by_endpoint.insert(endpoint.clone(), trust.clone());
        members.extend(peer.name.as_ref().map(|name| MemberSpec {
            name: Some(name.clone()),
            own: false,
            region: None,
            source: AccessSource::Peer(PeerSource { endpoint, trust }),
        }));
    }
    Ok((members, TrustRules { general, by_endpoint }))
}

/// What is said of one peer, completed by what is said of all; the configuration is refused where
/// that is not enough.
fn trust(config: &Config, peer: &Peer) -> Option<Trust> {
    let general = config.peers.as_ref();
    let ca = peer.ca.clone().or_else(|| Some(general?.ca.clone()));
    if let Some(basic) = &peer.basic {
        let (username, password_file) = (basic.username.clone(), basic.password_file.clone());
        return Some(Trust::Basic { ca, username, password_file });
    }
    let identity = peer.identity.clone().or_else(|| Some(general?.identity.clone()))?;
    Some(Trust::Mutual { ca: ca?, cert: identity.cert, key: identity.key })
}

/// The peers port, if somebody may come to it.
pub(crate) async fn port(
    config: &Config,
    tellers: Tellers,
) -> anyhow::Result<Option<Arc<PeersPort>>> {
    if !is_served(config) {
        return Ok(None);
    }
    let certificates = Certificates::load(tls_files(config)).context(Exit::Config)?;
    let originals = originals(config).await?;
    Ok(Some(Arc::new(PeersPort {
        certificates: Arc::new(certificates),
        originals: ArcSwap::from_pointee(originals),
        answers: tellers.answers(),
    })))
}

/// Whether there is anybody whom the peers port would let in.
pub(crate) fn is_served(config: &Config) -> bool {
    config.peers.is_some() || !config.peer.is_empty()
}

/// The files of the peers port.
pub(crate) fn tls_files(config: &Config) -> TlsFiles {
    let general = config.peers.iter().map(|peers| ClientCa { path: peers.ca.clone(), only: None });
    let single = config.peer.iter().filter(|peer| peer.basic.is_none()).filter_map(|peer| {
        // Whoever is trusted at one endpoint is not trusted under every name.
        let only = peer.name.as_ref().map(ToString::to_string);
        Some(ClientCa { path: peer.ca.clone()?, only })
    });
    TlsFiles {
        cert: config.tls.cert.clone(),
        key: config.tls.key.clone(),
        client_cas: general.chain(single).collect(),
    }
}

/// The original programs, with their passwords of this moment.
pub(crate) async fn originals(config: &Config) -> anyhow::Result<Vec<Original>> {
    let mut originals = Vec::new();
    for peer in &config.peer {
        let Some(basic) = &peer.basic else { continue };
        let password =
            access::password(&basic.password_file).await.context("peer").context(Exit::Config)?;
        let act_as = basic.act_as.clone().map(|user| {
            Caller::new(user, None, Vec::new(), BTreeMap::new())
                .context("peer.act_as")
                .context(Exit::Config)
        });
        let name = peer.name.as_ref().map_or_else(|| peer.endpoint.clone(), ToString::to_string);
        originals.push(Original::new(name, &basic.username, &password, act_as.transpose()?));
    }
    Ok(originals)
}

/// What the peers port's answers are made of.
pub(crate) struct Tellers {
    pub(crate) fleet: watch::Receiver<Arc<Fleet>>,
    pub(crate) board: Arc<ArcSwap<ScoreBoard>>,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(crate) estimator: Slot<Estimator>,
    pub(crate) clock: Clock,
}

// === impl Tellers ===

impl Tellers {
    fn answers(self) -> Answers {
        let (fleet, estimator) = (self.fleet.clone(), self.estimator.clone());
        Answers {
            scores: Arc::new(move |group, namespace| self.scores(group, namespace)),
            estimate: Arc::new(move |question| {
                let own = fleet.borrow().own().map(|own| own.name.clone());
                let estimator = estimator.clone();
                Box::pin(async move {
                    match own {
                        Some(own) => estimator::answer(&estimator, own, &question.body).await,
                        None => (503, json!({"code": "503", "message": "own is not known yet"})),
                    }
                })
            }),
        }
    }

    /// The score of own in a group that has ClusterScores.
    fn scores(&self, group: &str, namespace: &str) -> Value {
        let max_age = self.config.borrow().score.max_age;
        let own = Own::of(&self.fleet.borrow());
        let (Some(group), Some(own)) = (Group::named(group), own) else {
            return Value::Null;
        };
        cluster_score::list(group, namespace, &own, &self.board.load(), self.clock.now(), max_age)
    }
}

/// Takes certificates and passwords of peers over when their files change.
pub(crate) async fn renew(
    port: Option<Arc<PeersPort>>,
    registry: Slot<Registry>,
    config: watch::Receiver<Arc<Config>>,
    clock: Clock,
) {
    let mut seen = modified(&config.borrow());
    loop {
        clock.sleep(CHECK).await;
        let config = Arc::clone(&config.borrow());
        let present = modified(&config);
        if present == seen {
            continue;
        }
        match take_over(port.as_deref(), &registry, &config).await {
            Ok(()) => {
                info!("certificates and passwords of peers reread");
                seen = present;
            }
            Err(error) => {
                let error = format!("{error:#}");
                warn!(error, "files of peers changed and cannot be used: the old ones stay");
            }
        }
    }
}

async fn take_over(
    port: Option<&PeersPort>,
    registry: &Slot<Registry>,
    config: &Config,
) -> anyhow::Result<()> {
    if let Some(port) = port {
        let originals = originals(config).await?;
        if let Some(certificates) = port.certificates.changed(&tls_files(config))? {
            port.certificates.install(certificates);
        }
        port.originals.store(Arc::new(originals));
    }
    registry.ask(Reopen, REOPEN_LIMIT).await.context("the registry does not answer")??;
    Ok(())
}

/// The files of all peers, each with the time of its last change.
fn modified(config: &Config) -> Vec<(PathBuf, Option<SystemTime>)> {
    let identities = config.peers.iter().map(|peers| &peers.identity);
    let own = config.peer.iter().filter_map(|peer| peer.identity.as_ref());
    let pairs = identities.chain(own).flat_map(|pair| [&pair.cert, &pair.key]);
    let passwords = config.peer.iter().filter_map(|peer| Some(&peer.basic.as_ref()?.password_file));
    let cas = config.peer.iter().filter_map(|peer| peer.ca.as_ref());
    let general = config.peers.iter().map(|peers| &peers.ca);
    let all =
        pairs.chain(passwords).chain(cas).chain(general).chain([&config.tls.cert, &config.tls.key]);
    all.map(|path| {
        let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
        (path.clone(), modified)
    })
    .collect()
}
