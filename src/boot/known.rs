//! What a ledger knew of the fleet, and what it means for the one that begins.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{JoinPeers, PeerSpec, Refused, Registry, Settle};
use tenbin_fleet::slots;
use tenbin_kernel::{Clock, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;
use tenbin_score::ledger::KnownFleet;
use tokio::sync::watch;
use tracing::warn;

const JOIN_LIMIT: Duration = Duration::from_secs(30);
/// How long the start waits for own to say which places members had.
const PLACES_LIMIT: Duration = Duration::from_secs(1);
/// The epoch of who does not know one: any other is later.
const UNKNOWN: NonZeroU64 = NonZeroU64::MIN;

/// The fleet before its first member has spoken: what is known of before.
pub(super) fn former(known: Option<KnownFleet>) -> anyhow::Result<Fleet> {
    let known = known.unwrap_or_else(|| KnownFleet {
        epoch: UNKNOWN.get(),
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

/// Lets the fleet go on with the places in versions that own's cluster keeps. Where nobody knows any,
/// an epoch begins that is later than all before: it is the time in seconds.
pub(super) async fn places(
    fleet: &watch::Receiver<Arc<Fleet>>,
    namespace: &str,
    registry: &Slot<Registry>,
    clock: &Clock,
) -> anyhow::Result<()> {
    if let Err(error) = slots::remember(fleet, namespace, registry, PLACES_LIMIT).await {
        warn!(%error, "places in versions are those of the ledger");
    }
    if fleet.borrow().space.epoch() == UNKNOWN.get() {
        let now = u64::try_from(clock.now().as_second()).unwrap_or_default();
        let epoch = NonZeroU64::new(now).unwrap_or(UNKNOWN);
        let space = VersionSpace::new(epoch, Vec::new()).context("the time is no epoch")?;
        registry.ask(Settle(space), JOIN_LIMIT).await.context("the registry does not answer")??;
    }
    Ok(())
}

/// The name of own and the peers, as they were the last time.
pub(super) fn last_time(known: &KnownFleet) -> (Option<ClusterName>, Vec<PeerSpec>) {
    let peers = known.peers.iter().map(|peer| PeerSpec {
        name: peer.name.clone(),
        endpoint: peer.endpoint.clone(),
        region: peer.region.clone(),
    });
    (known.own.clone(), peers.collect())
}

/// Lets the peers of the last time be members until own's ClusterScores tell who they are now.
pub(super) async fn rejoin(registry: &Slot<Registry>, peers: Vec<PeerSpec>) {
    match registry.ask(JoinPeers(peers), JOIN_LIMIT).await {
        Ok(Ok(refused)) => {
            for Refused { name, reason } in refused {
                warn!(cluster = %name, reason, "peer of the last time is no member");
            }
        }
        Ok(Err(error)) => warn!(%error, "peers of the last time are not members"),
        Err(error) => warn!(%error, "peers of the last time are not members"),
    }
}
