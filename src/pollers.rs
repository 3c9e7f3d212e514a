//! One poller for each member: its watts are stated, measured, or told by its own tenbin.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use arc_swap::ArcSwap;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::Registry;
use tenbin_kernel::{Clock, GuardianHandle, Slot};
use tenbin_model::config::Config;
use tenbin_model::ids::ClusterName;
use tenbin_model::score::ScoreBoard;
use tenbin_score::Scorer;
use tenbin_score::scorer::Forget;
use tokio::sync::watch;
use tracing::warn;

mod recipe;

use recipe::Recipe;

/// When pollers that could not be started are tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What pollers need of the daemon.
pub(crate) struct Surroundings {
    pub(crate) guardian: GuardianHandle,
    pub(crate) control: ArbiterHandle,
    pub(crate) kube: ArbiterHandle,
    pub(crate) scorer: Slot<Scorer>,
    pub(crate) registry: Slot<Registry>,
    pub(crate) fleet: watch::Receiver<Arc<Fleet>>,
    pub(crate) board: Arc<ArcSwap<ScoreBoard>>,
    pub(crate) clock: Clock,
}

/// Keeps the pollers in step with the fleet and the configuration, as long as both are published.
pub(crate) async fn keep(here: Surroundings, mut config: watch::Receiver<Arc<Config>>) {
    let mut fleet = here.fleet.clone();
    let mut running = BTreeMap::new();
    loop {
        let members = Arc::clone(&fleet.borrow_and_update());
        let settings = Arc::clone(&config.borrow_and_update());
        let whole = arrange(&here, &mut running, &settings, &members).await;
        let changed = tokio::select! {
            changed = fleet.changed() => changed,
            changed = config.changed() => changed,
            () = here.clock.sleep(RETRY), if !whole => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Starts, restarts and stops pollers so that they are those of `config` and `fleet`; false where
/// that did not succeed for all.
async fn arrange(
    here: &Surroundings,
    running: &mut BTreeMap<ClusterName, Recipe>,
    config: &Config,
    fleet: &Fleet,
) -> bool {
    let wanted: BTreeMap<&ClusterName, _> = fleet
        .members()
        .iter()
        .map(|member| (&member.name, (Recipe::of(config, member), member)))
        .collect();
    let is_stale = |(name, recipe): &(&ClusterName, &Recipe)| {
        wanted.get(name).is_none_or(|(fresh, _)| fresh != *recipe)
    };
    let stale: Vec<ClusterName> =
        running.iter().filter(is_stale).map(|(name, _)| name.clone()).collect();
    let mut whole = true;
    for name in stale {
        if let Some(recipe) = running.remove(&name) {
            whole &= went_well(&name, &recipe.stop(here, name.as_str()).await);
        }
        if !wanted.contains_key(&name)
            && let Err(error) = here.scorer.tell(Forget { cluster: name.clone() })
        {
            warn!(cluster = %name, %error, "score is not forgotten");
        }
    }
    for (name, (recipe, member)) in wanted {
        if !running.contains_key(name) && went_well(name, &recipe.start(here, member).await) {
            running.insert(name.clone(), recipe);
        }
        whole &= running.contains_key(name);
    }
    whole
}

fn went_well(cluster: &ClusterName, result: &anyhow::Result<()>) -> bool {
    if let Err(error) = result {
        warn!(%cluster, error = format!("{error:#}"), "poller cannot be arranged");
    }
    result.is_ok()
}
