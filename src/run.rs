//! The daemon's life: boot, serve, reload, drain.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenbin_fleet::member::{Fleet, Reach};
use tenbin_gateway::accept;
use tenbin_gateway::admin::{self, Admin};
use tenbin_kernel::{Clock, Slot};
use tenbin_model::config::Config;
use tenbin_score::Ledger;
use tenbin_score::ledger::{KnownFleet, KnownPeer, SaveFleet};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::boot::{self, Tree};
use crate::exit::Exit;
use crate::{cli, notify, peers, reload, telemetry, wiring};

/// How long requests in flight may take when the daemon ends.
const DRAIN_REQUESTS: Duration = Duration::from_secs(10);
/// How long the actors may take after that.
const DRAIN_ACTORS: Duration = Duration::from_secs(8);
/// How often certificate files are looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(10);
const SAVE_LIMIT: Duration = Duration::from_secs(5);

/// Runs the daemon until it is told to end.
pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let config = cli::load(path)?;
    telemetry::begin();
    actix::System::new().block_on(live(path, config))
}

async fn live(path: &Path, config: Config) -> anyhow::Result<()> {
    let users = listen(config.listen.users)?;
    let peers = peers::is_served(&config).then(|| listen(config.listen.peers)).transpose()?;
    let admin = listen(config.listen.admin)?;
    let mut tree = boot::boot(&config).await?;
    actix::spawn(save_fleet(tree.fleet.clone(), tree.ledger.clone(), tree.base.clock.clone()));
    tree.first_round().await;
    let workers = std::thread::available_parallelism().map_or(2, Into::into);
    let peers_address = peers.as_ref().map(TcpListener::local_addr).transpose()?;
    let peers_address = peers_address.map(tracing::field::display);
    info!(users = %users.local_addr()?, peers = peers_address, admin = %admin.local_addr()?, workers, "serving");
    let pages =
        admin::serve(admin, pages(&tree, &config)).context("cannot serve the admin port")?;
    let users =
        accept::serve(users, peers.zip(tree.peers.clone()), &tree.shared, workers, DRAIN_REQUESTS)
            .context("cannot serve the users and peers ports")?;
    let (users_handle, pages_handle) = (users.handle(), pages.handle());
    actix::spawn(users);
    actix::spawn(pages);
    notify::ready();
    let (control, data) = (tree.base.arbiters.control(), tree.base.arbiters.data());
    actix::spawn(notify::watchdog(control, data, tree.base.clock.clone()));
    let ended = until_told(&mut tree, path, config).await;
    notify::stopping();
    info!("draining");
    tree.shared.draining.cancel();
    users_handle.pause().await;
    // Writes whose clients have left are nobody's connection, and end before the workers do.
    tree.shared.writes.close();
    tokio::time::timeout(DRAIN_REQUESTS, tree.shared.writes.wait()).await.ok();
    users_handle.stop(true).await;
    match tree.base.guardian.drain(DRAIN_ACTORS).await {
        Ok(report) => info!(actors = report.steps.len(), "drained"),
        Err(error) => warn!(%error, "actors are not drained"),
    }
    pages_handle.stop(false).await;
    ended
}

/// Waits for a signal to end, and reloads meanwhile.
async fn until_told(tree: &mut Tree, path: &Path, mut config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let guardian = tree.base.guardian.clone();
    let failed = guardian.failed();
    tokio::pin!(failed);
    let clock = tree.base.clock.clone();
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            failure = &mut failed => {
                error!(actor = failure.child, deaths = failure.deaths, "an actor keeps dying");
                return Err(anyhow::anyhow!("{} keeps dying", failure.child)).context(Exit::Software);
            }
            _ = hangup.recv() => {
                notify::reloading();
                tokio::select! {
                    () = reload::reload(tree, path, &mut config) => notify::ready(),
                    _ = terminate.recv() => return Ok(()),
                }
            }
            () = clock.sleep(CERTIFICATE_CHECK) => refresh(tree, &config),
        }
    }
}

fn refresh(tree: &Tree, config: &Config) {
    match tree.shared.certificates.changed(&wiring::tls_files(config)) {
        Ok(Some(certificates)) => {
            tree.shared.certificates.install(certificates);
            info!("certificates reread");
        }
        Ok(None) => {}
        Err(error) => warn!(%error, "certificates changed and cannot be used: the old ones stay"),
    }
}

fn known(fleet: &Fleet) -> KnownFleet {
    let peers = fleet.members().iter().filter(|member| member.reach != Reach::Direct);
    let peers = peers.map(|member| KnownPeer {
        name: member.name.clone(),
        endpoint: member.access.base.clone(),
        region: Some(member.region.clone()),
    });
    KnownFleet {
        epoch: fleet.space.epoch(),
        slots: fleet.space.slots().to_vec(),
        regions: (*fleet.regions).clone(),
        own: fleet.own().map(|own| own.name.clone()),
        peers: peers.collect(),
    }
}

/// Keeps what is known of each fleet that is published.
async fn save_fleet(mut fleet: watch::Receiver<Arc<Fleet>>, ledger: Slot<Ledger>, clock: Clock) {
    loop {
        let known = known(&fleet.borrow_and_update());
        let saved = ledger.ask(SaveFleet(known), SAVE_LIMIT).await;
        if !matches!(saved, Ok(Ok(()))) {
            warn!(result = ?saved, "the fleet is not kept yet");
            clock.sleep(SAVE_LIMIT).await;
            continue;
        }
        if fleet.changed().await.is_err() {
            return;
        }
    }
}

fn pages(tree: &Tree, config: &Config) -> Admin {
    Admin {
        table: Arc::clone(&tree.shared.table),
        board: Arc::clone(&tree.board),
        max_age: Arc::clone(&tree.max_age),
        guardian: tree.base.guardian.clone(),
        clock: tree.base.clock.clone(),
        draining: tree.shared.draining.clone(),
        loopback: config.listen.admin.ip().is_loopback(),
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}"))
        .context(Exit::CannotCreate)
}
