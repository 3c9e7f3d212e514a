//! Builds the actor tree, in order; the only place that knows all of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{Parts, Registry};
use tenbin_fleet::slots;
use tenbin_gateway::discoverer::{self, Discoverer, Discovery};
use tenbin_gateway::peers::PeersPort;
use tenbin_gateway::router::{RouteTable, Router, Rules};
use tenbin_gateway::tls::Certificates;
use tenbin_gateway::worker::Shared;
use tenbin_kernel::Slot;
use tenbin_model::config::Config;
use tenbin_model::ids::ClusterName;
use tenbin_model::power::PowerBoard;
use tenbin_model::score::ScoreBoard;
use tenbin_placement::{Placer, placer};
use tenbin_score::cluster_score::{self, Keeper};
use tenbin_score::ledger::{KnownFleet, LoadScores, StateLock};
use tenbin_score::{Estimator, Ledger, Scorer, estimator};
use tokio::sync::watch;
use tracing::info;

use crate::exit::Exit;
use crate::peers::Tellers;
use crate::pollers::Surroundings;
use crate::{peers, pollers, wiring};

mod base;
mod known;

pub(crate) use base::Base;

/// Later orders end later: see `style.md`, shutdown order.
const KEEPER_ORDER: u8 = 1;
const SCORER_ORDER: u8 = 5;
const CONTROL_ORDER: u8 = 8;
const LEDGER_ORDER: u8 = 30;
const LOAD_LIMIT: Duration = Duration::from_secs(15);
const ENROL_LIMIT: Duration = Duration::from_secs(30);
/// How long users wait for the first scores of a daemon without a ledger.
const FIRST_ROUND: Duration = Duration::from_secs(2);
const GLANCE: Duration = Duration::from_millis(20);

type Board = Arc<ArcSwap<ScoreBoard>>;
type PublishedFleet = watch::Receiver<Arc<Fleet>>;

/// The actors of a running daemon and what they publish.
pub(crate) struct Tree {
    pub(crate) base: Base,
    pub(crate) registry: Slot<Registry>,
    pub(crate) router: Slot<Router>,
    pub(crate) ledger: Slot<Ledger>,
    pub(crate) estimator: Slot<Estimator>,
    pub(crate) fleet: PublishedFleet,
    pub(crate) board: Board,
    pub(crate) max_age: Arc<ArcSwap<Duration>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) peers: Option<Arc<PeersPort>>,
    pub(crate) config: watch::Sender<Arc<Config>>,
}

/// Starts all actors but the gateway's listeners.
pub(crate) async fn boot(config: &Config) -> anyhow::Result<Tree> {
    let base = Base::start()?;
    let rules = wiring::rules(config)?;
    let certificates = Certificates::load(wiring::tls_files(config)).context(Exit::Config)?;
    let lock = StateLock::take(&config.state_dir).context(Exit::CannotCreate)?;
    let (ledger, board, known) = remember(&base, lock).await?;
    let (own, peers) = known.as_ref().map(known::last_time).unwrap_or_default();
    let former = known::former(known)?;
    let power = Arc::default();
    let scorer = score(&base, &ledger, &board, &power).await?;
    let (registry, fleet) = enrol(&base, former, own, config).await?;
    known::rejoin(&registry, peers).await;
    known::places(&fleet, &config.score.namespace, &registry, &base.clock).await?;
    let (router, table) = route(&base, &fleet, rules).await?;
    let discovery = discover(&base, &fleet).await?;
    let estimator = estimate(&base, &fleet, power, config).await?;
    let placer = place(&base, &fleet, &board, &estimator, config).await?;
    let (publisher, configured) = watch::channel(Arc::new(config.clone()));
    keep(&base, &fleet, &board, &registry, &configured).await?;
    let polling = Surroundings {
        guardian: base.guardian.clone(),
        control: base.arbiters.control(),
        kube: base.arbiters.kube(),
        scorer,
        registry: registry.clone(),
        fleet: fleet.clone(),
        board: Arc::clone(&board),
        clock: base.clock.clone(),
    };
    actix::spawn(pollers::keep(polling, configured.clone()));
    let (namespace, clock) = (config.score.namespace.clone(), base.clock.clone());
    actix::spawn(slots::keep(fleet.clone(), namespace, registry.clone(), clock));
    let tellers = tellers(&base, &fleet, &board, &configured, &estimator);
    let port = peers::port(config, tellers).await?;
    actix::spawn(peers::renew(port.clone(), registry.clone(), configured, base.clock.clone()));
    let clock = base.clock.clone();
    let shared = Shared::new(table, fleet.clone(), discovery, certificates, placer, clock);
    Ok(Tree {
        base,
        registry,
        router,
        ledger,
        estimator,
        fleet,
        board,
        max_age: Arc::new(ArcSwap::from_pointee(config.score.max_age)),
        shared: Arc::new(shared),
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
                self.base.clock.sleep(GLANCE).await;
            }
        };
        tokio::select! {
            () = told => {}
            () = self.base.clock.sleep(FIRST_ROUND) => {
                info!("the first scores are not waited for any longer");
            }
        }
    }
}

/// Opens the ledger, and knows again what was known before.
async fn remember(
    base: &Base,
    lock: StateLock,
) -> anyhow::Result<(Slot<Ledger>, Board, Option<KnownFleet>)> {
    let (lock, clock) = (Arc::new(lock), base.clock.clone());
    let arbiter = base.arbiters.ledger();
    let make = move |lifeline| Ledger::new(Arc::clone(&lock), clock.clone(), lifeline);
    let slot = base.spawn("ledger", LEDGER_ORDER, arbiter, make).await?;
    let recovered = slot.ask(LoadScores, LOAD_LIMIT).await.context("the ledger does not answer")?;
    info!(scores = recovered.scores.iter().count(), "last known scores recovered");
    Ok((slot, Arc::new(ArcSwap::from_pointee(recovered.scores)), recovered.fleet))
}

async fn score(
    base: &Base,
    ledger: &Slot<Ledger>,
    board: &Board,
    power: &Arc<ArcSwap<PowerBoard>>,
) -> anyhow::Result<Slot<Scorer>> {
    let (board, power) = (Arc::clone(board), Arc::clone(power));
    let (ledger, clock) = (ledger.clone(), base.clock.clone());
    base.spawn("scorer", SCORER_ORDER, base.arbiters.control(), move |lifeline| {
        let (board, power) = (Arc::clone(&board), Arc::clone(&power));
        Scorer::new(board, power, ledger.clone(), clock.clone(), lifeline)
    })
    .await
}

async fn enrol(
    base: &Base,
    former: Fleet,
    own: Option<ClusterName>,
    config: &Config,
) -> anyhow::Result<(Slot<Registry>, PublishedFleet)> {
    let (publisher, fleet) = watch::channel(Arc::new(former));
    let parts = Parts {
        guardian: base.guardian.clone(),
        data: base.arbiters.data(),
        clock: base.clock.clone(),
        fleet: Arc::new(publisher),
        own,
        wanted: Arc::default(),
    };
    let make = move |lifeline| Registry::new(parts.clone(), lifeline);
    let slot = base.spawn("registry", CONTROL_ORDER, base.arbiters.control(), make).await?;
    slot.ask(wiring::enrol(config)?, ENROL_LIMIT)
        .await
        .context("the registry does not answer")?
        .context(Exit::Config)?;
    Ok((slot, fleet))
}

async fn route(
    base: &Base,
    fleet: &PublishedFleet,
    rules: Arc<Rules>,
) -> anyhow::Result<(Slot<Router>, Arc<ArcSwap<RouteTable>>)> {
    let table = RouteTable::new(Arc::clone(&fleet.borrow()), rules);
    let table = Arc::new(ArcSwap::from_pointee(table));
    let (fleet, published) = (fleet.clone(), Arc::clone(&table));
    let make = move |lifeline| Router::new(fleet.clone(), Arc::clone(&published), lifeline);
    let slot = base.spawn("router", CONTROL_ORDER, base.arbiters.control(), make).await?;
    Ok((slot, table))
}

/// What peers are answered from.
fn tellers(
    base: &Base,
    fleet: &PublishedFleet,
    board: &Board,
    config: &watch::Receiver<Arc<Config>>,
    estimator: &Slot<Estimator>,
) -> Tellers {
    Tellers {
        fleet: fleet.clone(),
        board: Arc::clone(board),
        config: config.clone(),
        estimator: estimator.clone(),
        clock: base.clock.clone(),
    }
}

/// Asks the members what they serve; nobody waits for it.
async fn discover(base: &Base, fleet: &PublishedFleet) -> anyhow::Result<Discovery> {
    let parts = discoverer::Parts {
        fleet: fleet.clone(),
        catalogue: Arc::default(),
        clock: base.clock.clone(),
    };
    let catalogue = Arc::clone(&parts.catalogue);
    let make = move |lifeline| Discoverer::new(parts.clone(), lifeline);
    let discoverer = base.spawn("discoverer", CONTROL_ORDER, base.arbiters.kube(), make).await?;
    Ok(Discovery { catalogue, discoverer })
}

async fn estimate(
    base: &Base,
    fleet: &PublishedFleet,
    power: Arc<ArcSwap<PowerBoard>>,
    config: &Config,
) -> anyhow::Result<Slot<Estimator>> {
    let (fleet, clock) = (fleet.clone(), base.clock.clone());
    let settings = wiring::estimates(config);
    let control = base.arbiters.control();
    base.spawn_with("estimator", CONTROL_ORDER, control, estimator::MAILBOX, move |lifeline| {
        Estimator::new(fleet.clone(), Arc::clone(&power), clock.clone(), settings, lifeline)
    })
    .await
}

async fn place(
    base: &Base,
    fleet: &PublishedFleet,
    board: &Board,
    estimator: &Slot<Estimator>,
    config: &Config,
) -> anyhow::Result<Slot<Placer>> {
    let (fleet, board, clock) = (fleet.clone(), Arc::clone(board), base.clock.clone());
    let (estimator, settings) = (estimator.clone(), wiring::placement(config));
    let control = base.arbiters.control();
    base.spawn_with("placer", CONTROL_ORDER, control, placer::MAILBOX, move |lifeline| {
        let (fleet, board) = (fleet.clone(), Arc::clone(&board));
        Placer::new(fleet, board, estimator.clone(), clock.clone(), settings, lifeline)
    })
    .await
}

/// Keeps own's ClusterScores, and lets those of users be peers.
async fn keep(
    base: &Base,
    fleet: &PublishedFleet,
    board: &Board,
    registry: &Slot<Registry>,
    config: &watch::Receiver<Arc<Config>>,
) -> anyhow::Result<Slot<Keeper>> {
    let parts = cluster_score::Parts {
        fleet: fleet.clone(),
        config: config.clone(),
        board: Arc::clone(board),
        registry: registry.clone(),
        clock: base.clock.clone(),
    };
    let make = move |lifeline| Keeper::new(parts.clone(), lifeline);
    base.spawn("cluster_scores", KEEPER_ORDER, base.arbiters.kube(), make).await
}
