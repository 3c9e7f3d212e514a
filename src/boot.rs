//! Builds the actor tree, in order; the only place that knows all of it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{JoinPeers, Parts, PeerSpec, Refused, Registry};
use tenbin_gateway::peers::PeersPort;
use tenbin_gateway::router::{RouteTable, Router};
use tenbin_gateway::tls::Certificates;
use tenbin_gateway::worker::Shared;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{Arbiters, ChildSpec, Clock, Guardian, GuardianHandle, Slot, Supervised};
use tenbin_model::config::Config;
use tenbin_model::ids::ClusterName;
use tenbin_model::power::PowerBoard;
use tenbin_model::resource_version::VersionSpace;
use tenbin_model::score::ScoreBoard;
use tenbin_placement::{Placer, placer};
use tenbin_score::ledger::{KnownFleet, LoadScores, StateLock};
use tenbin_score::{Estimator, Ledger, Scorer, estimator};
use tenbin_writes::turns::Turns;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::exit::Exit;
use crate::pollers::Surroundings;
use crate::{peers, pollers, wiring};

/// Later orders end later: see `style.md`, shutdown order.
const SCORER_ORDER: u8 = 5;
const CONTROL_ORDER: u8 = 8;
const LEDGER_ORDER: u8 = 30;
const MAILBOX: usize = 64;
const LOAD_LIMIT: Duration = Duration::from_secs(15);
const ENROL_LIMIT: Duration = Duration::from_secs(30);
/// How long users wait for the first scores of a daemon without a ledger.
const FIRST_ROUND: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(20);

/// The actors of a running daemon and what they publish.
pub(crate) struct Tree {
    pub(crate) guardian: GuardianHandle,
    /// The actors' threads end when this is dropped.
    pub(crate) arbiters: Arbiters,
    pub(crate) clock: Clock,
    pub(crate) registry: Slot<Registry>,
    pub(crate) router: Slot<Router>,
    pub(crate) ledger: Slot<Ledger>,
    pub(crate) estimator: Slot<Estimator>,
    pub(crate) fleet: watch::Receiver<Arc<Fleet>>,
    pub(crate) board: Arc<ArcSwap<ScoreBoard>>,
    pub(crate) max_age: Arc<ArcSwap<Duration>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) peers: Option<Arc<PeersPort>>,
    pub(crate) config: watch::Sender<Arc<Config>>,
}

/// Starts all actors but the gateway's listeners.
pub(crate) async fn boot(config: &Config) -> anyhow::Result<Tree> {
    let clock = Clock::system();
    let guardian = Guardian::start(clock.clone(), Intensity::default());
    let arbiters = Arbiters::start(&clock).context("cannot start the threads")?;
    let rules = wiring::rules(config)?;
    let certificates = Certificates::load(wiring::tls_files(config)).context(Exit::Config)?;
    let port = peers::port(config).await?;
    let lock = StateLock::take(&config.state_dir).context(Exit::CannotCreate)?;
    let (ledger, board, known) = remember(&guardian, &arbiters, &clock, lock).await?;
    let (own, peers) = known.as_ref().map(last_known).unwrap_or_default();
    let former = former(known, &clock)?;
    let power = Arc::default();
    let scorer = score(&guardian, &arbiters, &clock, &ledger, (&board, &power)).await?;
    let (registry, fleet) = enrol(&guardian, &arbiters, &clock, (former, own), config).await?;
    rejoin(&registry, peers).await;
    let table = RouteTable::new(Arc::clone(&fleet.borrow()), rules);
    let table = Arc::new(ArcSwap::from_pointee(table));
    let router = route(&guardian, &arbiters, &fleet, &table).await?;
    let estimator = estimate(&guardian, &arbiters, &clock, &fleet, power, config).await?;
    let placer = place(&guardian, &arbiters, &clock, &fleet, &board, &estimator, config).await?;
    let (publisher, configured) = watch::channel(Arc::new(config.clone()));
    let polling = Surroundings {
        guardian: guardian.clone(),
        control: arbiters.control(),
        kube: arbiters.kube(),
        scorer,
        board: Arc::clone(&board),
        clock: clock.clone(),
    };
    actix::spawn(pollers::keep(polling, fleet.clone(), configured.clone()));
    actix::spawn(peers::renew(port.clone(), registry.clone(), configured, clock.clone()));
    let shared = Arc::new(Shared {
        table,
        certificates: Arc::new(certificates),
        placer,
        clock: clock.clone(),
        writes: TaskTracker::new(),
        turns: Turns::default(),
        draining: CancellationToken::new(),
    });
    let max_age = Arc::new(ArcSwap::from_pointee(config.score.max_age));
    Ok(Tree {
        guardian,
        arbiters,
        clock,
        registry,
        router,
        ledger,
        estimator,
        fleet,
        board,
        max_age,
        shared,
        peers: port,
        config: publisher,
    })
}

// === impl Tree ===

impl Tree {
    /// Waits until each member's watts are known, or are known not to be had, so that the first
    /// workload is not divided blindly; at most [`FIRST_ROUND`].
    pub(crate) async fn first_round(&self) {
        let told = async {
            loop {
                let (fleet, board) = (Arc::clone(&self.fleet.borrow()), self.board.load_full());
                let mut names = fleet.members().iter().map(|member| &member.name);
                if names.all(|name| board.get(name).is_some() || board.failure(name).is_some()) {
                    return;
                }
                self.clock.sleep(GLANCE).await;
            }
        };
        tokio::select! {
            () = told => {}
            () = self.clock.sleep(FIRST_ROUND) => info!("the first scores are not waited for any longer"),
        }
    }
}

/// Opens the ledger, and knows again what was known before.
async fn remember(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    clock: &Clock,
    lock: StateLock,
) -> anyhow::Result<(Slot<Ledger>, Arc<ArcSwap<ScoreBoard>>, Option<KnownFleet>)> {
    let (slot, lock, clock) = (Slot::empty(), Arc::new(lock), clock.clone());
    let spec = child("ledger", LEDGER_ORDER, arbiters.ledger(), &slot, move |lifeline| {
        Ledger::new(Arc::clone(&lock), clock.clone(), lifeline)
    });
    guardian.spawn(spec).await.context("cannot start the ledger")?;
    let recovered = slot.ask(LoadScores, LOAD_LIMIT).await.context("the ledger does not answer")?;
    info!(scores = recovered.scores.iter().count(), "last known scores recovered");
    Ok((slot, Arc::new(ArcSwap::from_pointee(recovered.scores)), recovered.fleet))
}

/// The fleet before its first member has spoken: what is known of before, or a new epoch.
fn former(known: Option<KnownFleet>, clock: &Clock) -> anyhow::Result<Fleet> {
    let known = known.unwrap_or_else(|| KnownFleet {
        // Seconds: a state folder that was lost begins a later epoch than before.
        epoch: u64::try_from(clock.now().as_second()).unwrap_or(1),
        slots: Vec::new(),
        regions: BTreeMap::new(),
        own: None,
        peers: Vec::new(),
    });
    let epoch = NonZeroU64::new(known.epoch).unwrap_or(NonZeroU64::MIN);
    let space = VersionSpace::new(epoch, known.slots)
        .context("the ledger's version slots are not usable")?;
    Ok(Fleet::new(Vec::new(), Arc::new(space), Arc::new(known.regions)))
}

async fn score(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    clock: &Clock,
    ledger: &Slot<Ledger>,
    (board, power): (&Arc<ArcSwap<ScoreBoard>>, &Arc<ArcSwap<PowerBoard>>),
) -> anyhow::Result<Slot<Scorer>> {
    let slot = Slot::empty();
    let (board, power) = (Arc::clone(board), Arc::clone(power));
    let (ledger, clock) = (ledger.clone(), clock.clone());
    let spec = child("scorer", SCORER_ORDER, arbiters.control(), &slot, move |lifeline| {
        Scorer::new(Arc::clone(&board), Arc::clone(&power), ledger.clone(), clock.clone(), lifeline)
    });
    guardian.spawn(spec).await.context("cannot start the scorer")?;
    Ok(slot)
}

type Enrolled = (Slot<Registry>, watch::Receiver<Arc<Fleet>>);

async fn enrol(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    clock: &Clock,
    (former, own): (Fleet, Option<ClusterName>),
    config: &Config,
) -> anyhow::Result<Enrolled> {
    let (publisher, fleet) = watch::channel(Arc::new(former));
    let parts = Parts {
        guardian: guardian.clone(),
        data: arbiters.data(),
        clock: clock.clone(),
        fleet: Arc::new(publisher),
        own,
        wanted: Arc::default(),
    };
    let slot = Slot::empty();
    let spec = child("registry", CONTROL_ORDER, arbiters.control(), &slot, move |lifeline| {
        Registry::new(parts.clone(), lifeline)
    });
    guardian.spawn(spec).await.context("cannot start the registry")?;
    slot.ask(wiring::enrol(config)?, ENROL_LIMIT)
        .await
        .context("the registry does not answer")?
        .context(Exit::Config)?;
    Ok((slot, fleet))
}

/// The name of own and the peers, as they were the last time.
fn last_known(known: &KnownFleet) -> (Option<ClusterName>, Vec<PeerSpec>) {
    let peers = known.peers.iter().map(|peer| PeerSpec {
        name: peer.name.clone(),
        endpoint: peer.endpoint.clone(),
        region: peer.region.clone(),
    });
    (known.own.clone(), peers.collect())
}

/// Lets the peers of the last time be members until own's ClusterScores tell who they are now.
async fn rejoin(registry: &Slot<Registry>, peers: Vec<PeerSpec>) {
    match registry.ask(JoinPeers(peers), ENROL_LIMIT).await {
        Ok(Ok(refused)) => {
            for Refused { name, reason } in refused {
                warn!(cluster = %name, reason, "peer of the last time is no member");
            }
        }
        Ok(Err(error)) => warn!(%error, "peers of the last time are not members"),
        Err(error) => warn!(%error, "peers of the last time are not members"),
    }
}

async fn route(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    fleet: &watch::Receiver<Arc<Fleet>>,
    table: &Arc<ArcSwap<RouteTable>>,
) -> anyhow::Result<Slot<Router>> {
    let slot = Slot::empty();
    let (fleet, table) = (fleet.clone(), Arc::clone(table));
    let spec = child("router", CONTROL_ORDER, arbiters.control(), &slot, move |lifeline| {
        Router::new(fleet.clone(), Arc::clone(&table), lifeline)
    });
    guardian.spawn(spec).await.context("cannot start the router")?;
    Ok(slot)
}

async fn estimate(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    clock: &Clock,
    fleet: &watch::Receiver<Arc<Fleet>>,
    power: Arc<ArcSwap<PowerBoard>>,
    config: &Config,
) -> anyhow::Result<Slot<Estimator>> {
    let slot = Slot::empty();
    let (fleet, clock) = (fleet.clone(), clock.clone());
    let settings = wiring::estimates(config);
    let mut spec = child("estimator", CONTROL_ORDER, arbiters.control(), &slot, move |lifeline| {
        Estimator::new(fleet.clone(), Arc::clone(&power), clock.clone(), settings, lifeline)
    });
    spec.mailbox = estimator::MAILBOX;
    guardian.spawn(spec).await.context("cannot start the estimator")?;
    Ok(slot)
}

async fn place(
    guardian: &GuardianHandle,
    arbiters: &Arbiters,
    clock: &Clock,
    fleet: &watch::Receiver<Arc<Fleet>>,
    board: &Arc<ArcSwap<ScoreBoard>>,
    estimator: &Slot<Estimator>,
    config: &Config,
) -> anyhow::Result<Slot<Placer>> {
    let slot = Slot::empty();
    let (fleet, board, clock) = (fleet.clone(), Arc::clone(board), clock.clone());
    let estimator = estimator.clone();
    let settings = wiring::placement(config);
    let mut spec = child("placer", CONTROL_ORDER, arbiters.control(), &slot, move |lifeline| {
        let (fleet, board) = (fleet.clone(), Arc::clone(&board));
        Placer::new(fleet, board, estimator.clone(), clock.clone(), settings, lifeline)
    });
    spec.mailbox = placer::MAILBOX;
    guardian.spawn(spec).await.context("cannot start the placer")?;
    Ok(slot)
}

fn child<A: Supervised>(
    name: &str,
    order: u8,
    arbiter: actix::ArbiterHandle,
    slot: &Slot<A>,
    factory: impl Fn(tenbin_kernel::Lifeline) -> A + Send + Sync + 'static,
) -> ChildSpec<A> {
    ChildSpec {
        name: name.to_owned(),
        order,
        arbiter,
        slot: slot.clone(),
        mailbox: MAILBOX,
        factory: Box::new(factory),
    }
}
