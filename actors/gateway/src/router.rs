//! The actor that decides where requests go, and publishes it as a table.

use std::sync::Arc;

use actix::prelude::*;
use arc_swap::ArcSwap;
use serde_json::json;
use tenbin_fleet::member::Fleet;
use tenbin_kernel::{Drain, Lifeline, Observe};
use tenbin_model::config::{Limits, Partial};
use tenbin_model::identity::Crossing;
use tenbin_model::request::route::RoutePolicy;
use tokio::sync::watch;
use tracing::info;

/// Where requests go, at one moment.
#[derive(Debug)]
pub struct RouteTable {
    /// The members.
    pub fleet: Arc<Fleet>,
    /// Who may act beyond own; `None` before own is known.
    pub crossing: Option<Crossing>,
    /// What an operator configured.
    pub rules: Arc<Rules>,
}

/// What an operator configured of routing.
#[derive(Debug)]
pub struct Rules {
    /// Kinds and excluded namespaces.
    pub policy: RoutePolicy,
    /// Privileged identities that may act beyond own.
    pub cross: Vec<String>,
    /// Whether bearer tokens are accepted.
    pub tokens: bool,
    /// The label of managed objects.
    pub label_key: String,
    /// Its value in home.
    pub own_value: String,
    /// When an answer may come without a dead member.
    pub partial: Partial,
    /// What one user may have under way.
    pub limits: Limits,
    /// Whether PATCH and DELETE of unmanaged objects touch every member.
    pub unmanaged_everywhere: bool,
}

/// New rules, after a reload. When the mailbox is full the sender waits.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rule(pub Arc<Rules>);

#[derive(Message)]
#[rtype(result = "()")]
struct FleetChanged(Arc<Fleet>);

/// Joins the registry's fleet and the operator's rules.
pub struct Router {
    rules: Arc<Rules>,
    fleet: watch::Receiver<Arc<Fleet>>,
    table: Arc<ArcSwap<RouteTable>>,
    published: u64,
    _lifeline: Lifeline,
}

// === impl RouteTable ===

impl RouteTable {
    /// Joins a fleet and rules; who crosses depends on who is own.
    pub fn new(fleet: Arc<Fleet>, rules: Arc<Rules>) -> Self {
        let own = fleet.own().map(|own| own.name.clone());
        let crossing = own.map(|own| Crossing::new(own, rules.cross.clone()));
        Self { fleet, crossing, rules }
    }
}

// === impl Router ===

impl Router {
    /// Makes a router that publishes in `table`, beginning with the rules found there.
    pub fn new(
        fleet: watch::Receiver<Arc<Fleet>>,
        table: Arc<ArcSwap<RouteTable>>,
        lifeline: Lifeline,
    ) -> Self {
        let rules = Arc::clone(&table.load().rules);
        Self { rules, fleet, table, published: 0, _lifeline: lifeline }
    }

    fn publish(&mut self, fleet: Arc<Fleet>) {
        self.published += 1;
        info!(members = fleet.members().len(), "routes published");
        self.table.store(Arc::new(RouteTable::new(fleet, Arc::clone(&self.rules))));
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let changes = futures_util::stream::unfold(self.fleet.clone(), |mut fleet| async move {
            fleet.changed().await.ok()?;
            let current = Arc::clone(&fleet.borrow_and_update());
            Some((FleetChanged(current), fleet))
        });
        let current = Arc::clone(&self.fleet.borrow());
        self.publish(current);
        ctx.add_message_stream(changes);
    }
}

impl Handler<FleetChanged> for Router {
    type Result = ();

    fn handle(&mut self, changed: FleetChanged, _: &mut Self::Context) {
        self.publish(changed.0);
    }
}

impl Handler<Rule> for Router {
    type Result = ();

    fn handle(&mut self, rule: Rule, _: &mut Self::Context) {
        self.rules = rule.0;
        let current = Arc::clone(&self.fleet.borrow());
        self.publish(current);
    }
}

impl Handler<Observe> for Router {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let members: Vec<_> =
            self.fleet.borrow().members().iter().map(|member| member.name.clone()).collect();
        MessageResult(json!({"members": members, "published": self.published}))
    }
}

impl Handler<Drain> for Router {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}
