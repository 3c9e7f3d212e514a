//! One poller for each member whose watts are known from somewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use anyhow::Context as _;
use tenbin_fleet::forwarder::Doubt;
use tenbin_fleet::member::{Fleet, Member};
use tenbin_kernel::{Arbiters, ChildSpec, Clock, GuardianHandle, Slot};
use tenbin_model::config::Config;
use tenbin_model::ids::ClusterName;
use tenbin_score::poller::{Probe, StatedSource};
use tenbin_score::scorer::Forget;
use tenbin_score::{Poller, Scorer};
use tokio::sync::watch;
use tracing::warn;

use crate::wiring;

const MAILBOX: usize = 16;
/// Pollers end first: what they would bring is not needed any more.
const DRAIN_ORDER: u8 = 1;
/// When pollers that could not be started are tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How long a member may take to show that it lives.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// The pollers that run, with what they were made of.
pub(crate) struct Pollers {
    guardian: GuardianHandle,
    control: ArbiterHandle,
    scorer: Slot<Scorer>,
    clock: Clock,
    running: BTreeMap<ClusterName, Recipe>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Recipe {
    watts: f64,
    interval: Duration,
    generation: u64,
}

// === impl Pollers ===

impl Pollers {
    pub(crate) fn new(
        guardian: GuardianHandle,
        arbiters: &Arbiters,
        scorer: Slot<Scorer>,
        clock: Clock,
    ) -> Self {
        let control = arbiters.control();
        Self { guardian, control, scorer, clock, running: BTreeMap::new() }
    }

    /// Keeps the pollers in step with the fleet and the configuration, as long as both are
    /// published.
    pub(crate) async fn keep(
        mut self,
        mut fleet: watch::Receiver<Arc<Fleet>>,
        mut config: watch::Receiver<Arc<Config>>,
    ) {
        loop {
            let members = Arc::clone(&fleet.borrow_and_update());
            let settings = Arc::clone(&config.borrow_and_update());
            let clock = self.clock.clone();
            let later = match self.arrange(&settings, &members).await {
                Ok(()) => None,
                Err(error) => {
                    warn!(error = format!("{error:#}"), "pollers are not arranged");
                    Some(RETRY)
                }
            };
            let changed = tokio::select! {
                changed = fleet.changed() => changed,
                changed = config.changed() => changed,
                () = async { clock.sleep(later.unwrap_or_default()).await }, if later.is_some() => Ok(()),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Starts, restarts and stops pollers so that they are those of `config` and `fleet`.
    async fn arrange(&mut self, config: &Config, fleet: &Fleet) -> anyhow::Result<()> {
        let wanted: BTreeMap<ClusterName, (Recipe, &Arc<Member>)> = fleet
            .members()
            .iter()
            .filter_map(|member| {
                let watts = wiring::watts(config, &member.name, member.own)?;
                let (interval, generation) = (config.score.interval, member.generation);
                Some((member.name.clone(), (Recipe { watts, interval, generation }, member)))
            })
            .collect();
        let stale = self
            .running
            .iter()
            .filter(|(name, recipe)| wanted.get(*name).is_none_or(|(fresh, _)| fresh != *recipe));
        let stale: Vec<ClusterName> = stale.map(|(name, _)| name.clone()).collect();
        for name in stale {
            self.running.remove(&name);
            self.guardian.stop(&poller_name(&name)).await.context("cannot stop a poller")?;
            if fleet.get(name.as_str()).is_none()
                && let Err(error) = self.scorer.tell(Forget { cluster: name.clone() })
            {
                warn!(cluster = %name, %error, "score is not forgotten");
            }
        }
        for (name, (recipe, member)) in wanted {
            if self.running.contains_key(&name) {
                continue;
            }
            self.start(&name, recipe, member).await?;
            self.running.insert(name, recipe);
        }
        Ok(())
    }

    async fn start(
        &self,
        name: &ClusterName,
        recipe: Recipe,
        member: &Arc<Member>,
    ) -> anyhow::Result<()> {
        let (cluster, clock, scorer) = (name.clone(), self.clock.clone(), self.scorer.clone());
        let probe = probe(member);
        let spec = ChildSpec {
            name: poller_name(name),
            order: DRAIN_ORDER,
            arbiter: self.control.clone(),
            slot: Slot::empty(),
            mailbox: MAILBOX,
            factory: Box::new(move |lifeline| {
                let source = StatedSource::new(recipe.watts, Arc::clone(&probe), clock.clone());
                let (cluster, scorer) = (cluster.clone(), scorer.clone());
                Poller::new(
                    cluster,
                    Box::new(source),
                    recipe.interval,
                    scorer,
                    clock.clone(),
                    lifeline,
                )
            }),
        };
        self.guardian.spawn(spec).await.context("cannot start a poller")
    }
}

fn poller_name(name: &ClusterName) -> String {
    format!("poller/{name}")
}

/// Asks the member's forwarder for a sign of life: watts are stated of a cluster that runs.
fn probe(member: &Member) -> Probe {
    let forwarder = member.forwarder.clone();
    Arc::new(move || {
        let forwarder = forwarder.clone();
        Box::pin(async move {
            match forwarder.ask(Doubt, PROBE_LIMIT).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("the member does not answer /livez".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    })
}
