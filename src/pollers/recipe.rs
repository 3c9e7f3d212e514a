//! How the watts of one member become known, and the actors that it takes.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenbin_fleet::forwarder::Doubt;
use tenbin_fleet::member::{Member, Reach};
use tenbin_kernel::{ChildSpec, Slot};
use tenbin_model::config::{Config, Scheduler};
use tenbin_score::Poller;
use tenbin_score::measure::{
    MeasureParts, MeasureSettings, MeasuredSource, Stock, Stocktaker, StocktakerParts,
    predictor_tls,
};
use tenbin_score::poller::{PeerSource, Probe, Rhythm, Source, StatedSource};
use tokio::sync::watch;

use super::Surroundings;

const MAILBOX: usize = 16;
/// Pollers end first: what they would bring is not needed any more.
const DRAIN_ORDER: u8 = 1;
/// How long a member may take to show that it lives.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

/// What a poller is made of; another value is another poller.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    interval: Duration,
    generation: u64,
    way: Way,
}

#[derive(Debug, Clone, PartialEq)]
enum Way {
    /// The operator states it.
    Stated(f64),
    /// Its nodes are measured through its API server.
    Measured { settings: MeasureSettings, predictor_ca: Option<PathBuf> },
    /// Its own tenbin tells it.
    Told { namespace: String },
}

// === impl Recipe ===

impl Recipe {
    /// What the configuration says of a member.
    pub(super) fn of(config: &Config, member: &Member) -> Self {
        let score = &config.score;
        let namespace = score.namespace.clone();
        let (watts, scheduler) = stated(config, member);
        let way = match (member.reach, watts) {
            (Reach::Peer | Reach::Original, _) => Way::Told { namespace },
            (Reach::Direct, Some(watts)) => Way::Stated(watts),
            (Reach::Direct, None) => Way::Measured {
                settings: MeasureSettings {
                    namespace,
                    stuck_after: score.stuck_after,
                    max_age: score.max_age,
                    scheduler,
                },
                predictor_ca: score.predictor_ca.clone(),
            },
        };
        Self { interval: score.interval, generation: member.generation, way }
    }

    /// Starts the actors.
    pub(super) async fn start(
        &self,
        here: &Surroundings,
        member: &Arc<Member>,
    ) -> anyhow::Result<()> {
        match &self.way {
            Way::Stated(watts) => {
                let (watts, probe, clock) = (*watts, probe(member), here.clock.clone());
                let source = move || StatedSource::new(watts, Arc::clone(&probe), clock.clone());
                self.poll(here, member, source).await
            }
            Way::Measured { settings, predictor_ca } => {
                let tls = predictor_tls(predictor_ca.as_deref()).context("score.predictor_ca")?;
                let stock = take_stock(here, member, settings).await?;
                let parts = MeasureParts {
                    cluster: member.name.clone(),
                    access: member.access.clone(),
                    stock,
                    board: Arc::clone(&here.board),
                    tls,
                    settings: settings.clone(),
                    clock: here.clock.clone(),
                };
                self.poll(here, member, move || MeasuredSource::new(parts.clone())).await
            }
            Way::Told { namespace } => {
                let (cluster, namespace) = (member.name.clone(), namespace.clone());
                let (fleet, registry) = (here.fleet.clone(), here.registry.clone());
                let clock = here.clock.clone();
                let source = move || {
                    let (fleet, registry) = (fleet.clone(), registry.clone());
                    PeerSource::new(
                        cluster.clone(),
                        fleet,
                        registry,
                        namespace.clone(),
                        clock.clone(),
                    )
                };
                self.poll(here, member, source).await
            }
        }
    }

    async fn poll<S: Source>(
        &self,
        here: &Surroundings,
        member: &Member,
        source: impl Fn() -> S + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let (cluster, interval) = (member.name.clone(), self.interval);
        let rhythm = Rhythm { interval, lead: interval.mul_f64(0.5 * chance()) };
        let (scorer, clock) = (here.scorer.clone(), here.clock.clone());
        let spec = ChildSpec {
            name: poller_name(member.name.as_str()),
            order: DRAIN_ORDER,
            // Measuring decodes some thousand numbers.
            arbiter: if let Way::Measured { .. } = self.way { &here.kube } else { &here.control }
                .clone(),
            slot: Slot::empty(),
            mailbox: MAILBOX,
            factory: Box::new(move |lifeline| {
                let (cluster, source) = (cluster.clone(), Box::new(source()));
                Poller::new(cluster, source, rhythm, scorer.clone(), clock.clone(), lifeline)
            }),
        };
        here.guardian.spawn(spec).await.context("cannot start a poller")
    }

    /// Ends the actors.
    pub(super) async fn stop(&self, here: &Surroundings, cluster: &str) -> anyhow::Result<()> {
        here.guardian.stop(&poller_name(cluster)).await.context("cannot stop a poller")?;
        if let Way::Measured { .. } = self.way {
            here.guardian
                .stop(&stocktaker_name(cluster))
                .await
                .context("cannot stop a stocktaker")?;
        }
        Ok(())
    }
}

/// A number from 0 to 1 that another daemon does not have.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

fn poller_name(cluster: &str) -> String {
    format!("poller/{cluster}")
}

fn stocktaker_name(cluster: &str) -> String {
    format!("stocktaker/{cluster}")
}

/// The stated watts of a member, and how its scheduler spreads pods.
fn stated(config: &Config, member: &Member) -> (Option<f64>, Scheduler) {
    if member.own {
        return (config.own.watts, config.own.scheduler);
    }
    let configured = config.members.iter().find(|configured| configured.name == member.name);
    configured.map_or((None, Scheduler::Default), |it| (it.watts, it.scheduler))
}

/// Starts to watch what a cluster has.
async fn take_stock(
    here: &Surroundings,
    member: &Member,
    settings: &MeasureSettings,
) -> anyhow::Result<watch::Receiver<Arc<Stock>>> {
    let (publisher, stock) = watch::channel(Arc::default());
    let parts = StocktakerParts {
        cluster: member.name.clone(),
        config: member.access.config.clone(),
        namespace: settings.namespace.clone(),
        stock: Arc::new(publisher),
        clock: here.clock.clone(),
    };
    let spec = ChildSpec {
        name: stocktaker_name(member.name.as_str()),
        order: DRAIN_ORDER,
        arbiter: here.kube.clone(),
        slot: Slot::empty(),
        mailbox: MAILBOX,
        factory: Box::new(move |lifeline| Stocktaker::new(parts.clone(), lifeline)),
    };
    here.guardian.spawn(spec).await.context("cannot start a stocktaker")?;
    Ok(stock)
}

/// Asks the member's forwarder for a sign of life: watts are stated of a cluster that runs.
fn probe(member: &Member) -> Probe {
    let forwarder = member.forwarder.clone();
    Arc::new(move || {
        let forwarder = forwarder.clone();
        Box::pin(async move {
            match forwarder.ask(Doubt::default(), PROBE_LIMIT).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("the member does not answer /livez".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
    })
}
