//! Who starts actors, restarts them after a death, shows their state and drains them in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::channel::channel;
use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture,
    ResponseFuture, WrapFuture,
};
use futures_util::future::{self, BoxFuture};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::lifeline::{Died, Lifeline};
use crate::slot::{AskError, Slot};

mod drain;
mod handle;
mod life;
mod restarts;
mod spec;

pub use drain::{DrainReport, DrainStep, Outcome};
pub use handle::GuardianHandle;
pub use restarts::Intensity;
pub use spec::{ChildReport, ChildSpec, Drain, Failure, Observe, SpawnError, Supervised};

use drain::Parting;
use life::Life;
use restarts::Restarts;

/// How long the Guardian waits for an actor's state.
const OBSERVE_PATIENCE: Duration = Duration::from_secs(1);
/// Questions that wait in the Guardian's own mailbox; beyond that they are refused.
const MAILBOX: usize = 256;

/// Owns the factories of all actors; see [`GuardianHandle`] for what can be asked of it.
pub struct Guardian {
    clock: Clock,
    intensity: Intensity,
    children: BTreeMap<String, Child>,
    lives: u64,
    draining: bool,
    failure: watch::Sender<Option<Failure>>,
}

struct Child {
    order: u8,
    mailbox: usize,
    life: Arc<dyn Life>,
    restarts: Restarts,
    phase: Phase,
}

enum Phase {
    Running {
        life: u64,
        kill: oneshot::Sender<()>,
        ended: oneshot::Receiver<()>,
    },
    /// Dead: restarted after the pause that belongs to the life that ended.
    Dead {
        life: u64,
    },
    /// Died too often; stays dead.
    Failed,
    /// Ends because it was asked to.
    Stopping,
}

#[derive(Message)]
#[rtype(result = "Result<(), SpawnError>")]
struct Spawn {
    name: String,
    order: u8,
    mailbox: usize,
    life: Arc<dyn Life>,
}

#[derive(Message)]
#[rtype(result = "Option<DrainStep>")]
struct Stop {
    name: String,
    deadline: Duration,
}

#[derive(Message)]
#[rtype(result = "DrainReport")]
struct DrainAll {
    deadline: Duration,
}

#[derive(Message)]
#[rtype(result = "Vec<ChildReport>")]
struct ObserveAll;

// === impl Guardian ===

impl Guardian {
    /// Starts a Guardian on the present arbiter.
    pub fn start(clock: Clock, intensity: Intensity) -> GuardianHandle {
        let (sender, receiver) = channel(MAILBOX);
        let (failure, failed) = watch::channel(None);
        let slot = Slot::empty();
        slot.fill(sender);
        let children = BTreeMap::new();
        let guardian = Self { clock, intensity, children, lives: 0, draining: false, failure };
        Context::with_receiver(receiver).run(guardian);
        GuardianHandle::new(slot, failed)
    }

    fn begin(&mut self, name: &str, context: &Context<Self>) -> bool {
        let Some(child) = self.children.get_mut(name) else {
            return false;
        };
        self.lives += 1;
        let (kill, killed) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        let guardian = context.address().recipient();
        let lifeline = Lifeline::new(name.to_owned(), self.lives, guardian);
        child.phase = Phase::Running { life: self.lives, kill, ended };
        child.life.start(lifeline, killed, ending)
    }

    fn restart(&mut self, name: &str, life: u64, context: &Context<Self>) {
        let Some(child) = self.children.get_mut(name) else {
            return;
        };
        if !matches!(child.phase, Phase::Dead { life: dead } if dead == life) {
            return;
        }
        child.restarts.restarted();
        if self.begin(name, context) {
            info!(actor = name, "actor restarted");
        } else {
            self.fail(name, 0);
        }
    }

    fn fail(&mut self, name: &str, deaths: usize) {
        error!(actor = name, deaths, "actor cannot be restarted");
        if let Some(child) = self.children.get_mut(name) {
            child.life.clear();
            child.phase = Phase::Failed;
        }
        self.failure.send_replace(Some(Failure { child: name.to_owned(), deaths }));
    }

    /// Takes the child's life into the hands of one who ends it; no death of it counts any more.
    fn part(&mut self, name: &str) -> Option<Parting> {
        let child = self.children.get_mut(name)?;
        let (kill, ended) = match std::mem::replace(&mut child.phase, Phase::Stopping) {
            Phase::Running { kill, ended, .. } => (Some(kill), Some(ended)),
            Phase::Dead { .. } | Phase::Failed => (None, None),
            Phase::Stopping => return None,
        };
        let life = Arc::clone(&child.life);
        Some(Parting { name: name.to_owned(), order: child.order, life, kill, ended })
    }
}

impl Actor for Guardian {
    type Context = Context<Self>;
}

impl Handler<Spawn> for Guardian {
    type Result = Result<(), SpawnError>;

    fn handle(&mut self, spawn: Spawn, context: &mut Context<Self>) -> Self::Result {
        let Spawn { name, order, mailbox, life } = spawn;
        if self.draining {
            return Err(SpawnError::Draining);
        }
        if self.children.contains_key(&name) {
            return Err(SpawnError::NameTaken(name));
        }
        let restarts = Restarts::default();
        let child = Child { order, mailbox, life, restarts, phase: Phase::Stopping };
        self.children.insert(name.clone(), child);
        if self.begin(&name, context) {
            return Ok(());
        }
        self.children.remove(&name);
        Err(SpawnError::ArbiterGone(name))
    }
}

impl Handler<Died> for Guardian {
    type Result = ();

    fn handle(&mut self, died: Died, context: &mut Context<Self>) {
        let Died { child: name, life, panicked } = died;
        let Some(child) = self.children.get_mut(&name) else {
            return;
        };
        if !matches!(child.phase, Phase::Running { life: running, .. } if running == life) {
            return;
        }
        child.life.clear();
        child.phase = Phase::Dead { life };
        match child.restarts.died(self.clock.elapsed(), self.intensity) {
            Ok(pause) => {
                warn!(actor = name, panicked, pause_ms = pause.as_millis(), "actor died");
                let clock = self.clock.clone();
                let restart = async move { clock.sleep(pause).await }
                    .into_actor(self)
                    .map(move |(), this, context| this.restart(&name, life, context));
                context.spawn(restart);
            }
            Err(deaths) => self.fail(&name, deaths),
        }
    }
}

impl Handler<Stop> for Guardian {
    type Result = ResponseActFuture<Self, Option<DrainStep>>;

    fn handle(&mut self, stop: Stop, _context: &mut Context<Self>) -> Self::Result {
        let Some(parting) = self.part(&stop.name) else {
            return Box::pin(future::ready(None).into_actor(self));
        };
        let clock = self.clock.clone();
        let end = async move { parting.end(&clock, stop.deadline).await };
        Box::pin(end.into_actor(self).map(|step, this, _| {
            this.children.remove(&step.name);
            Some(step)
        }))
    }
}

impl Handler<DrainAll> for Guardian {
    type Result = ResponseFuture<DrainReport>;

    fn handle(&mut self, all: DrainAll, _context: &mut Context<Self>) -> Self::Result {
        self.draining = true;
        let names: Vec<_> = self.children.keys().cloned().collect();
        let partings = names.iter().filter_map(|name| self.part(name)).collect();
        let clock = self.clock.clone();
        Box::pin(async move { drain::all(partings, &clock, all.deadline).await })
    }
}

impl Handler<ObserveAll> for Guardian {
    type Result = ResponseFuture<Vec<ChildReport>>;

    fn handle(&mut self, _: ObserveAll, _context: &mut Context<Self>) -> Self::Result {
        let reports = self.children.iter().map(|(name, child)| {
            let clock = self.clock.clone();
            let patience = Box::pin(async move { clock.sleep(OBSERVE_PATIENCE).await });
            child.report(name.clone(), patience)
        });
        Box::pin(future::join_all(reports.collect::<Vec<_>>()))
    }
}

// === impl Child ===

impl Child {
    fn report(
        &self,
        name: String,
        patience: BoxFuture<'static, ()>,
    ) -> impl Future<Output = ChildReport> + use<> {
        let running = matches!(self.phase, Phase::Running { .. });
        let (restarts, mailbox) = (self.restarts.count(), self.mailbox);
        let answer = self.life.observe(patience);
        async move {
            let state = answer.await.unwrap_or_else(|error| match error {
                AskError::Full | AskError::TimedOut => Value::from("busy"),
                AskError::NotRunning | AskError::Stopped => Value::Null,
            });
            ChildReport { name, running, restarts, mailbox, state }
        }
    }
}

#[cfg(test)]
mod tests;
