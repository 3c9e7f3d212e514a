//! One actor a member: it admits requests, keeps the breaker, and probes a member that is in doubt.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use awc::http::StatusCode;
use serde_json::json;
use tenbin_kernel::{Clock, Drain, Lifeline, Observe};
use tenbin_model::breaker::Breaker;
use tenbin_model::ids::ClusterName;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use crate::access::Access;
use crate::connect;
use crate::fault::Fault;
use crate::health::Health;
use crate::member::{Member, Reach};
use crate::places::{Kind, Places, Ticket};

/// Forwarders end after the gateway and before the ledger.
pub const DRAIN_ORDER: u8 = 20;
/// Capacity of a forwarder's mailbox; when it is full the caller gets 429.
pub const MAILBOX: usize = 1024;
/// How long `/livez` on a fresh connection may take, credentials and connection included.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// A probe that fails sooner is made again at once.
const HASTY: Duration = Duration::from_millis(500);
/// How often the breaker is asked whether a probe is due.
const TICK: Duration = Duration::from_millis(250);

/// Asks whether a request may be sent now to a member that is not known to answer. When the mailbox
/// is full, the caller answers 429.
#[derive(Message)]
#[rtype(result = "Result<Ticket, Fault>")]
pub struct Admit(pub Kind);

/// Tells that the member sent the head of an answer. When the mailbox is full it is dropped: the next
/// one will tell.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct Answered;

/// Why a member counts as dead.
struct Cause {
    /// What was seen.
    reason: String,
    /// Whether one side does not trust the other.
    untrusted: bool,
}

/// A request has waited too long, or could not be sent: asks whether the member is alive.
///
/// The answer is that of one `/livez` on a fresh connection, or two, shared by all who ask meanwhile.
#[derive(Debug, Default, Clone, Copy, Message)]
#[rtype(result = "bool")]
pub struct Doubt {
    /// An earlier probe that was answered will do if it is younger than this.
    pub age: Duration,
}

/// Admission, breaker and probes of one member.
pub struct Forwarder {
    member: ClusterName,
    reach: Reach,
    access: Access,
    health: Arc<ArcSwap<Health>>,
    clock: Clock,
    breaker: Breaker,
    places: Places,
    probe: Option<Vec<oneshot::Sender<bool>>>,
    /// When the last probe was answered, unless the member has failed since.
    alive: Option<Duration>,
    client: Option<awc::Client>,
    _lifeline: Lifeline,
}

// === impl Forwarder ===

impl Forwarder {
    /// Makes the forwarder of `member`; it probes as soon as it starts.
    pub fn new(member: &Member, clock: Clock, lifeline: Lifeline) -> Self {
        Self {
            member: member.name.clone(),
            reach: member.reach,
            access: member.access.clone(),
            health: Arc::clone(&member.health),
            clock,
            breaker: Breaker::default(),
            places: member.places.clone(),
            probe: None,
            alive: None,
            client: None,
            _lifeline: lifeline,
        }
    }

    fn answered(&mut self) {
        self.breaker.succeeded();
        if **self.health.load() != Health::Up {
            info!(cluster = %self.member, "member answers");
            self.health.store(Arc::new(Health::Up));
        }
    }

    fn failed(&mut self, cause: Cause) {
        let Cause { reason, untrusted } = cause;
        self.alive = None;
        self.breaker.failed(self.clock.elapsed(), reason.clone());
        let since = match &**self.health.load() {
            Health::Down { since, .. } => *since,
            Health::Unknown | Health::Up => {
                warn!(cluster = %self.member, %reason, untrusted, "member is dead");
                self.clock.now()
            }
        };
        self.health.store(Arc::new(Health::Down { since, reason, untrusted }));
    }

    fn start_probe(&mut self, ctx: &mut Context<Self>) {
        let Some(client) = self.client.clone() else { return };
        self.probe = Some(Vec::new());
        let (access, reach, clock) = (self.access.clone(), self.reach, self.clock.clone());
        let probing = async move {
            let probing = probe(&client, &access, reach, &clock);
            let probing = tokio::time::timeout(PROBE_LIMIT, probing);
            probing.await.unwrap_or_else(|_| Err("silent".to_owned().into()))
        };
        ctx.spawn(probing.into_actor(self).map(|result, actor, _ctx| {
            debug!(cluster = %actor.member, alive = result.is_ok(), "probe ended");
            let alive = result.is_ok();
            match result {
                Ok(()) => {
                    actor.alive = Some(actor.clock.elapsed());
                    actor.answered();
                }
                Err(cause) => actor.failed(cause),
            }
            for waiter in actor.probe.take().into_iter().flatten() {
                // A waiter that has left needs no answer.
                waiter.send(alive).ok();
            }
        }));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.probe.is_none() && self.breaker.probe_due(self.clock.elapsed()) {
            self.start_probe(ctx);
        }
        ctx.run_later(TICK, Self::tick);
    }
}

impl Actor for Forwarder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.client = Some(connect::client(&self.access));
        self.start_probe(ctx);
        self.tick(ctx);
    }
}

impl Handler<Admit> for Forwarder {
    type Result = Result<Ticket, Fault>;

    fn handle(&mut self, admit: Admit, _: &mut Self::Context) -> Self::Result {
        if let Some((since, reason)) = self.breaker.open_for(self.clock.elapsed()) {
            let (member, reason) = (self.member.clone(), reason.to_owned());
            return Err(Fault::Down { member, since, reason });
        }
        self.places.take(admit.0).ok_or_else(|| Fault::Overloaded { member: self.member.clone() })
    }
}

impl Handler<Answered> for Forwarder {
    type Result = ();

    fn handle(&mut self, _: Answered, _: &mut Self::Context) {
        self.answered();
    }
}

impl Handler<Doubt> for Forwarder {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, doubt: Doubt, ctx: &mut Self::Context) -> Self::Result {
        let now = self.clock.elapsed();
        if self.alive.is_some_and(|alive| now.saturating_sub(alive) < doubt.age) {
            return Box::pin(std::future::ready(true));
        }
        if self.probe.is_none() {
            self.start_probe(ctx);
        }
        let (sender, receiver) = oneshot::channel();
        // Bounded: whoever doubts holds a ticket.
        if let Some(waiters) = &mut self.probe {
            waiters.push(sender);
        }
        Box::pin(async move { receiver.await.unwrap_or(false) })
    }
}

impl Handler<Observe> for Forwarder {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let health = match &**self.health.load() {
            Health::Unknown => json!("unknown"),
            Health::Up => json!("up"),
            Health::Down { since, reason, untrusted } => {
                json!({"down_since": since, "reason": reason, "untrusted": untrusted})
            }
        };
        MessageResult(json!({
            "cluster": self.member.as_str(),
            "health": health,
            "probing": self.probe.is_some(),
            "in_flight": self.places.taken(Kind::Request),
            "streams": self.places.taken(Kind::Stream),
        }))
    }
}

impl Handler<Drain> for Forwarder {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}

// === impl Cause ===

impl From<String> for Cause {
    fn from(reason: String) -> Self {
        Self { reason, untrusted: false }
    }
}

/// Asks `/livez`, and once more where that failed at once, as a connection that a balancer cut.
async fn probe(
    client: &awc::Client,
    access: &Access,
    reach: Reach,
    clock: &Clock,
) -> Result<(), Cause> {
    let began = clock.elapsed();
    match livez(client, access, reach).await {
        Err(_) if clock.elapsed().saturating_sub(began) < HASTY => {
            livez(client, access, reach).await
        }
        result => result,
    }
}

/// Asks `/livez` on a connection of its own; `Err` says what was seen instead of a living server.
async fn livez(client: &awc::Client, access: &Access, reach: Reach) -> Result<(), Cause> {
    let authorization =
        access.credentials.authorization().await.map_err(|error| error.to_string())?;
    // `force_close` keeps the pool empty, so that each probe dials anew.
    let mut request = client.get(format!("{}/livez", access.base)).force_close();
    if let Some(value) = authorization {
        request = request.insert_header(("authorization", value.as_bytes()));
    }
    match request.send().await {
        Err(error) => {
            Err(Cause { reason: error.to_string(), untrusted: connect::is_untrusted(&error) })
        }
        Ok(answer) if answer.status().is_server_error() => {
            Err(format!("/livez answers {}", answer.status().as_u16()).into())
        }
        // An API server may hide /livez from strangers and be well; a peers port does not know us.
        Ok(answer) if reach != Reach::Direct && answer.status() == StatusCode::UNAUTHORIZED => {
            let reason = "it does not accept this tenbin's certificate or password".to_owned();
            Err(Cause { reason, untrusted: true })
        }
        Ok(_) => Ok(()),
    }
}
