//! The actor that asks the members what they serve, and publishes it joined.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use futures_util::future::{self, FutureExt as _};
use serde_json::json;
use tenbin_fleet::lane::Lanes;
use tenbin_fleet::member::{Fleet, Member};
use tenbin_kernel::{Clock, Drain, Lifeline, Observe, Slot};
use tenbin_model::discovery::catalogue::{Catalogue, Known};
use tenbin_model::ids::ClusterName;
use tokio::sync::watch;
use tracing::{info, warn};

mod look;
mod rounds;

use look::{Learnt, Looked};
use rounds::Rounds;

/// How often members are asked though no client asks: what they serve says where writes go.
const INTERVAL: Duration = Duration::from_secs(30);

/// How long a client waits to hear what is new; then it gets what is known, and nobody else waits for
/// the members that were silent until they speak.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);
/// The largest document: one of 1,000 custom resources has some 600 KB.
pub(crate) const MAX_DOCUMENT: usize = 16 * 1024 * 1024;

/// What is asked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `/api` and `/apis`.
    Groups,
    /// `/openapi/v3`.
    Schemas,
}

/// Answers when every member has been asked by a look that began after this question, or could not
/// be. When the mailbox is full, or a member is slow ([`PATIENCE`]), the client gets what is known.
///
/// A look is shared by all who ask while it goes on: there is one at a time for each member.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refresh(pub Subject);

#[derive(Message)]
#[rtype(result = "()")]
struct FleetChanged(Arc<Fleet>);

/// What requests need of it.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// What it has published.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Who is asked to look again.
    pub discoverer: Slot<Discoverer>,
}

/// What the discoverer needs of its surroundings; a restarted one gets the same.
#[derive(Clone)]
pub struct Parts {
    /// The members.
    pub fleet: watch::Receiver<Arc<Fleet>>,
    /// What is published; it outlives the actor, which begins with what is there.
    pub catalogue: Arc<ArcSwap<Catalogue>>,
    /// Time.
    pub clock: Clock,
}

/// Asks the members what they serve.
pub struct Discoverer {
    parts: Parts,
    fleet: Arc<Fleet>,
    lanes: Rc<Lanes>,
    learnt: HashMap<ClusterName, Learnt>,
    rounds: HashMap<(ClusterName, Subject), Rounds>,
    /// Whose last look failed, to log a failure once.
    failing: HashSet<(ClusterName, Subject)>,
    published: u64,
    _lifeline: Lifeline,
}

// === impl Discoverer ===

impl Discoverer {
    /// Makes a discoverer; it begins when it is started.
    pub fn new(parts: Parts, lifeline: Lifeline) -> Self {
        let fleet = Arc::clone(&parts.fleet.borrow());
        let former = parts.catalogue.load();
        let learnt = former.members().iter();
        let learnt = learnt.map(|(name, known)| (name.clone(), Learnt::from(known.clone())));
        Self {
            learnt: learnt.collect(),
            fleet,
            lanes: Rc::default(),
            rounds: HashMap::new(),
            failing: HashSet::new(),
            published: 0,
            _lifeline: lifeline,
            parts,
        }
    }

    /// Takes over the members of this moment.
    fn enrol(&mut self, fleet: Arc<Fleet>) {
        self.lanes.retain(&fleet);
        self.learnt.retain(|name, _| fleet.get(name.as_str()).is_some());
        self.rounds.retain(|(name, _), _| fleet.get(name.as_str()).is_some());
        self.failing.retain(|(name, _)| fleet.get(name.as_str()).is_some());
        self.fleet = fleet;
        self.publish();
    }

    /// Asks members though nobody waits for it.
    fn look_at(&mut self, members: &[Arc<Member>], context: &mut Context<Self>) {
        for member in members {
            for subject in [Subject::Groups, Subject::Schemas] {
                drop(self.look(member, subject, context));
            }
        }
    }

    fn look_at_all(&mut self, context: &mut Context<Self>) {
        let fleet = Arc::clone(&self.fleet);
        self.look_at(fleet.members(), context);
        let clock = self.parts.clock.clone();
        let wait = async move { clock.sleep(INTERVAL).await }.into_actor(self);
        context.spawn(wait.map(|(), this, context| this.look_at_all(context)));
    }

    /// Resolves at the end of a look that has not begun yet.
    fn look(
        &mut self,
        member: &Arc<Member>,
        subject: Subject,
        context: &mut Context<Self>,
    ) -> future::BoxFuture<'static, ()> {
        let key = (member.name.clone(), subject);
        let (begins, ended) = self.rounds.entry(key).or_default().want(self.parts.clock.elapsed());
        if begins {
            self.begin(member, subject, context);
        }
        ended.boxed()
    }

    fn is_slow(&self, member: &ClusterName, subject: Subject) -> bool {
        let now = self.parts.clock.elapsed();
        let rounds = self.rounds.get(&(member.clone(), subject));
        rounds.is_some_and(|rounds| rounds.is_slow(now, PATIENCE))
    }

    fn begin(&mut self, member: &Arc<Member>, subject: Subject, context: &mut Context<Self>) {
        let former = self.learnt.get(&member.name).cloned().unwrap_or_default();
        let looking = look::look(Rc::clone(&self.lanes), Arc::clone(member), subject, former);
        let name = member.name.clone();
        context.spawn(looking.into_actor(self).map(move |looked, this, context| {
            let Some(member) = this.fleet.get(name.as_str()).cloned() else { return };
            let key = (name, subject);
            this.looked(&key, looked);
            let now = this.parts.clock.elapsed();
            if this.rounds.get_mut(&key).is_some_and(|rounds| rounds.end(now)) {
                this.begin(&member, subject, context);
            }
        }));
    }

    fn looked(&mut self, key: &(ClusterName, Subject), looked: Looked) {
        match looked.failure {
            Some(reason) => {
                if self.failing.insert(key.clone()) {
                    warn!(cluster = %key.0, reason, "what the member serves is not known anew");
                }
            }
            None => drop(self.failing.remove(key)),
        }
        if looked.changes.is_empty() {
            return;
        }
        let learnt = self.learnt.entry(key.0.clone()).or_default();
        looked.changes.into_iter().for_each(|change| learnt.take(change));
        self.publish();
    }

    fn publish(&mut self) {
        let members = self.fleet.members().iter().map(|member| {
            let learnt = self.learnt.get(&member.name);
            (member.name.clone(), learnt.map(Learnt::known).unwrap_or_default())
        });
        let members: Vec<(ClusterName, Known)> = members.collect();
        if members == self.parts.catalogue.load().members() {
            return;
        }
        self.published += 1;
        info!(members = members.len(), "discovery published");
        self.parts.catalogue.store(Arc::new(Catalogue::new(members)));
    }
}

impl Actor for Discoverer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let fleet = self.parts.fleet.clone();
        let changes = futures_util::stream::unfold(fleet, |mut fleet| async move {
            fleet.changed().await.ok()?;
            let current = Arc::clone(&fleet.borrow_and_update());
            Some((FleetChanged(current), fleet))
        });
        context.add_message_stream(changes);
        self.enrol(Arc::clone(&self.fleet));
        self.look_at_all(context);
    }
}

impl Handler<FleetChanged> for Discoverer {
    type Result = ();

    fn handle(&mut self, changed: FleetChanged, context: &mut Self::Context) {
        self.enrol(changed.0);
        let members = self.fleet.members().iter();
        let strangers = members.filter(|member| !self.learnt.contains_key(&member.name)).cloned();
        self.look_at(&strangers.collect::<Vec<_>>(), context);
    }
}

impl Handler<Refresh> for Discoverer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, refresh: Refresh, context: &mut Self::Context) -> Self::Result {
        let (fleet, subject) = (Arc::clone(&self.fleet), refresh.0);
        let mut looks = Vec::new();
        for member in fleet.members() {
            let is_slow = self.is_slow(&member.name, subject);
            let look = self.look(member, subject, context);
            if !is_slow {
                looks.push(look);
            }
        }
        Box::pin(future::join_all(looks).map(|_| ()))
    }
}

impl Handler<Observe> for Discoverer {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let looks: u64 = self.rounds.values().map(Rounds::begun).sum();
        let members: HashMap<_, _> = self.learnt.iter().map(|it| (it.0, it.1.observe())).collect();
        let failing: Vec<_> = self.failing.iter().map(|(name, _)| name).collect();
        MessageResult(json!({
            "published": self.published,
            "looks": looks,
            "members": members,
            "failing": failing,
        }))
    }
}

impl Handler<Drain> for Discoverer {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}
