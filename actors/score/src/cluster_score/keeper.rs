//! The actor that keeps the ClusterScores in own's cluster, and reads from them who the peers are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, MessageResult, SpawnHandle,
    WrapFuture as _,
};
use arc_swap::ArcSwap;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use serde_json::json;
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::{EnrolError, JoinPeers, PeerSpec, Refused, Registry};
use tenbin_kernel::{AskError, Clock, Drain, Lifeline, Observe, Slot};
use tenbin_model::config::Config;
use tenbin_model::ids::ClusterName;
use tenbin_model::score::ScoreBoard;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Own;
use super::plan::Write;
use super::resource::Group;
use super::watched::{Due, Place, Watched};
use super::world::{self, World};
use super::write::WriteError;

/// The longest time between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The time to the next look when own's API server refused something.
const RETRY: Duration = Duration::from_secs(5);
/// Peers that join are told again after this time: what kept one from being a member may be gone.
const REJOIN: Duration = Duration::from_mins(1);
/// How long the registry may take to open all peers.
const JOIN_LIMIT: Duration = Duration::from_secs(30);

/// What the keeper needs of its surroundings; a restarted one gets the same.
#[derive(Clone)]
pub struct Parts {
    /// The fleet, of which own says where the objects are.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// The configuration in force; `[score]` counts.
    pub config: watch::Receiver<Arc<Config>>,
    /// What is known of the members' watts.
    pub board: Arc<ArcSwap<ScoreBoard>>,
    /// Who is told of peers.
    pub registry: Slot<Registry>,
    /// Time.
    pub clock: Clock,
}

/// Keeps the ClusterScores of own's cluster.
pub struct Keeper {
    parts: Parts,
    watched: Option<Watched>,
    joined: Option<Joined>,
    /// Who cannot be a member, and why.
    refused: BTreeMap<ClusterName, String>,
    /// The look that goes on, or the wait for the next one.
    looking: Option<SpawnHandle>,
    counts: Counts,
    /// Whether the last writes failed, to log a failure once.
    failing: bool,
    _lifeline: Lifeline,
}

/// What the registry was told.
struct Joined {
    peers: BTreeMap<ClusterName, PeerSpec>,
    /// The fleet that came of it.
    fleet: Arc<Fleet>,
    at: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    writes: u64,
    failures: u64,
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("own's API server cannot be asked: {0}")]
    Client(#[from] kube::Error),
    #[error("the registry does not answer: {0}")]
    Ask(#[from] AskError),
    #[error("peers cannot join: {0}")]
    Join(#[from] EnrolError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

// === impl Keeper ===

impl Keeper {
    /// Makes a keeper; it begins when it is started.
    pub fn new(parts: Parts, lifeline: Lifeline) -> Self {
        Self {
            parts,
            watched: None,
            joined: None,
            refused: BTreeMap::new(),
            looking: None,
            counts: Counts::default(),
            failing: false,
            _lifeline: lifeline,
        }
    }

    fn look(&mut self, context: &mut Context<Self>) {
        let unwatched = self.watch(context).err();
        let (registry, joining) = (self.parts.registry.clone(), self.joining());
        let join = async move {
            let peers = joining?;
            let specs = peers.values().cloned().collect();
            Some((peers, registry.ask(JoinPeers(specs), JOIN_LIMIT).await))
        };
        let look = join.into_actor(self).then(move |answer, this, _| {
            let unjoined = answer.and_then(|(peers, answer)| this.joined(peers, answer).err());
            carry_out(this.due(), unwatched.or(unjoined)).into_actor(this)
        });
        self.looking = Some(context.spawn(look.map(|(done, failure), this, context| {
            let pause = this.settle(done, failure);
            this.wait(pause, context);
        })));
    }

    fn wait(&mut self, pause: Duration, context: &mut Context<Self>) {
        let clock = self.parts.clock.clone();
        let wait = async move { clock.sleep(pause).await };
        let wait = wait.into_actor(self).map(|(), this, context| this.look(context));
        self.looking = Some(context.spawn(wait));
    }

    /// Begins to watch where own and its ClusterScores are now.
    fn watch(&mut self, context: &mut Context<Self>) -> Result<(), KeepError> {
        let (fleet, config) = (self.fleet(), Arc::clone(&self.parts.config.borrow()));
        let Some((own, place)) = fleet.own().zip(Place::of(&fleet, &config.score)) else {
            return Ok(());
        };
        if self.watched.as_ref().is_some_and(|watched| watched.place == place) {
            return Ok(());
        }
        let client = kube::Client::try_from(own.access.config.clone())?;
        for handle in self.watched.take().into_iter().flat_map(Watched::into_handles) {
            context.cancel_future(handle);
        }
        self.watched = Some(Watched::new(&client, place, context));
        Ok(())
    }

    fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.parts.fleet.borrow())
    }

    pub(super) fn told(&mut self, group: Group, event: watcher::Result<Event<DynamicObject>>) {
        if let Some(watched) = &mut self.watched {
            watched.told(group, event);
        }
    }

    /// Who is to join now; `None` where nothing changed, or where not all objects are known yet.
    fn joining(&self) -> Option<BTreeMap<ClusterName, PeerSpec>> {
        let watched = self.watched.as_ref().filter(|watched| watched.is_complete())?;
        let (peers, now) = (watched.peers(&self.fleet()), self.parts.clock.elapsed());
        match &self.joined {
            Some(joined)
                if joined.peers == peers
                    && Arc::ptr_eq(&joined.fleet, &self.fleet())
                    && now < joined.at + REJOIN =>
            {
                None
            }
            Some(_) | None => Some(peers),
        }
    }

    fn joined(
        &mut self,
        peers: BTreeMap<ClusterName, PeerSpec>,
        answer: Result<Result<Vec<Refused>, EnrolError>, AskError>,
    ) -> Result<(), KeepError> {
        let refused = answer??;
        self.refused = refused.into_iter().map(|one| (one.name, one.reason)).collect();
        let (fleet, at) = (self.fleet(), self.parts.clock.elapsed());
        self.joined = Some(Joined { peers, fleet, at });
        Ok(())
    }

    /// The writes that are due; none while own is known to be dead.
    fn due(&mut self) -> Vec<Due> {
        let (fleet, now) = (self.fleet(), self.parts.clock.now());
        let (elapsed, config) = (self.parts.clock.elapsed(), self.parts.config.borrow());
        let (Some(watched), Some(own)) = (&mut self.watched, Own::of(&fleet)) else {
            return Vec::new();
        };
        if fleet.own().is_none_or(|own| own.fault(now).is_some()) {
            return Vec::new();
        }
        let world = World {
            own: &own,
            members: &world::members(&fleet),
            peers: &watched.peers(&fleet),
            refused: &self.refused,
            board: &self.parts.board.load(),
            now,
            max_age: config.score.max_age,
        };
        watched.due(&world, elapsed, config.score.interval)
    }

    /// Notes what was written, and tells how long to wait.
    fn settle(&mut self, done: Vec<(Group, Write)>, failure: Option<KeepError>) -> Duration {
        let elapsed = self.parts.clock.elapsed();
        for (group, write) in done {
            self.counts.writes += 1;
            if let Some(watched) = &mut self.watched {
                watched.wrote(group, write, elapsed);
            }
        }
        let Some(error) = failure else {
            if std::mem::replace(&mut self.failing, false) {
                info!("cluster scores are kept again");
            }
            return self.parts.config.borrow().score.interval.min(LOOK);
        };
        self.counts.failures += 1;
        if !std::mem::replace(&mut self.failing, true) {
            warn!(%error, "cluster scores are not kept");
        }
        RETRY
    }
}

/// Carries out all writes, as far as own's API server answers; tells which, and the first failure.
async fn carry_out(
    due: Vec<Due>,
    mut failure: Option<KeepError>,
) -> (Vec<(Group, Write)>, Option<KeepError>) {
    let mut done = Vec::new();
    for Due { group, writer, write } in due {
        match writer.carry_out(&write).await {
            Ok(()) => done.push((group, write)),
            Err(error) => {
                let silent = error.is_silence();
                failure.get_or_insert(error.into());
                if silent {
                    break;
                }
            }
        }
    }
    (done, failure)
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.look(context);
    }
}

impl Handler<Observe> for Keeper {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _context: &mut Context<Self>) -> Self::Result {
        MessageResult(json!({
            "groups": self.watched.as_ref().map(Watched::state),
            "peers": self.joined.as_ref().map(|joined| joined.peers.len()),
            "refused": self.refused,
            "writes": self.counts.writes,
            "failures": self.counts.failures,
        }))
    }
}

impl Handler<Drain> for Keeper {
    type Result = ();

    fn handle(&mut self, _: Drain, context: &mut Context<Self>) {
        let watching = self.watched.take().into_iter().flat_map(Watched::into_handles);
        for handle in watching.chain(self.looking.take()) {
            context.cancel_future(handle);
        }
    }
}
