//! What a ledger knew of the fleet, and what it means for the one that begins.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{JoinPeers, PeerSpec, Refused, Registry};
use tenbin_kernel::{Clock, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;
use tenbin_score::ledger::KnownFleet;
use tracing::warn;

const JOIN_LIMIT: Duration = Duration::from_secs(30);

/// The fleet before its first member has spoken: what is known of before, or a new epoch.
pub(super) fn former(known: Option<KnownFleet>, clock: &Clock) -> anyhow::Result<Fleet> {
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
