//! One round: the stock, its metrics, the models' predictions, and what follows from them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};
use tenbin_model::power::round::{NodeOutcome, NodeReading, settle};
use tenbin_model::power::{Features, Power};
use tracing::debug;

use super::MeasureParts;
use super::api::ApiServer;
use super::budget::Budget;
use super::curve::{self, Loads};
use super::features::{Believer, Metrics};
use super::inventory::{Inventory, Stock, Stocked};
use super::metrics::{self, CustomMetrics};
use super::models::{Model, Models, Secrets};
use super::predictor::Predictor;
use super::reasons::Reasons;
use super::tables::{Condition, Tables};
use super::web::Web;
use crate::poller::{Measured, PollError, Source};

/// The shares of a round's time after which its stages end, so that none costs another its turn.
const STOCK_ENDS: f64 = 0.3;
const METRICS_END: f64 = 0.45;
const PREDICTIONS_END: f64 = 0.8;
const TABLES_END: f64 = 0.92;
/// The share of a round's time that a score may wait for tables.
const TABLES_TAKE: u32 = 5;

/// Measures the nodes of one cluster.
pub struct MeasuredSource(Rc<Meter>);

/// What rounds remember of each other.
struct Meter {
    parts: MeasureParts,
    api: ApiServer,
    custom: CustomMetrics,
    models: Models,
    predictor: Predictor,
    tables: Tables,
    believer: RefCell<Believer>,
    loads: RefCell<Loads>,
    reasons: RefCell<Reasons>,
    last: Cell<Last>,
}

/// The last round, to be shown.
#[derive(Clone, Copy, Default)]
struct Last {
    rounds: u64,
    nodes: usize,
    failing: usize,
    took: Duration,
}

/// A node whose power can be asked for.
type Asked = Result<(Model, Features), String>;

// === impl MeasuredSource ===

impl MeasuredSource {
    /// Makes a source that belongs to this thread; it asks nothing before its first sample.
    pub fn new(parts: MeasureParts) -> Self {
        let clock = &parts.clock;
        let web = Web::outward(Arc::clone(&parts.tls));
        Self(Rc::new(Meter {
            api: ApiServer::new(parts.access.clone()),
            custom: CustomMetrics::default(),
            models: Models::new(parts.settings.namespace.clone(), clock.clone()),
            predictor: Predictor::new(web, clock.clone()),
            tables: Tables::new(clock.clone()),
            believer: RefCell::new(Believer::new(parts.settings.stuck_after)),
            loads: RefCell::new(Loads::new(parts.settings.max_age)),
            reasons: RefCell::default(),
            last: Cell::default(),
            parts,
        }))
    }
}

impl Source for MeasuredSource {
    fn sample(&self, within: Duration) -> LocalBoxFuture<'static, Result<Measured, PollError>> {
        let meter = Rc::clone(&self.0);
        Box::pin(async move { meter.round(within).await })
    }

    fn observe(&self) -> Value {
        let (meter, last) = (&self.0, self.0.last.get());
        json!({
            "rounds": last.rounds,
            "nodes": last.nodes,
            "failing": last.failing,
            "last_round_ms": u64::try_from(last.took.as_millis()).unwrap_or(u64::MAX),
            "api_requests": meter.api.requests(),
            "predictor_requests": meter.predictor.web().requests(),
            "predictor_rows": meter.predictor.rows(),
            "tables": meter.tables.count(),
        })
    }
}

// === impl Meter ===

impl Meter {
    async fn round(&self, within: Duration) -> Result<Measured, PollError> {
        let clock = &self.parts.clock;
        let budget = Budget::new(clock, within);
        let stock = self.stock(&budget.until(STOCK_ENDS)).await?;
        let Stock::Known(inventory) = &*stock else {
            return Err(PollError::NoAnswer("the cluster's nodes are not known".to_owned()));
        };
        let nodes: Vec<&Stocked> =
            inventory.nodes.iter().filter(|node| !node.facts.withdrawn).collect();
        let (asked, secrets) = self.ask(inventory, &nodes, &budget.until(METRICS_END)).await;
        let outcomes = self.predict(&nodes, &asked, &secrets, &budget.until(PREDICTIONS_END)).await;
        self.tell(&outcomes, &budget);
        let conditions = conditions(&nodes, &asked, &outcomes);
        let (now, settings) = (clock.now(), &self.parts.settings);
        let sample = {
            let board = self.parts.board.load();
            let previous = board.get(&self.parts.cluster).map(Arc::as_ref);
            settle(outcomes, previous, now, settings.max_age)
                .map_err(|error| PollError::NoAnswer(error.to_string()))?
        };
        let tables = budget.until(TABLES_END).left().min(within / TABLES_TAKE);
        let wanted = conditions.iter().flatten().cloned().collect();
        let tables = Budget::new(clock, tables);
        self.tables.renew(&wanted, &self.predictor, &secrets, &tables).await;
        let power = self.power(inventory, &nodes, conditions, sample.sampled_at);
        Ok(Measured { sample, power: power.map(Arc::new) })
    }

    fn power(
        &self,
        inventory: &Inventory,
        nodes: &[&Stocked],
        conditions: Vec<Option<Condition>>,
        measured_at: Timestamp,
    ) -> Option<Power> {
        let settings = &self.parts.settings;
        let now = self.parts.clock.now();
        if let Some(reason) = inventory.outdated(now, settings.stuck_after) {
            debug!(cluster = %self.parts.cluster, reason, "stock is too old for a curve");
            return None;
        }
        let nodes = nodes.iter().copied().zip(conditions);
        let nodes: Vec<_> = nodes.filter(|(node, _)| node.takes_pods()).collect();
        let loads = self.loads.borrow();
        curve::power(&nodes, &self.tables, &loads, settings.scheduler, measured_at)
    }

    /// The stock, waited for only while it has never been known.
    async fn stock(&self, budget: &Budget) -> Result<Arc<Stock>, PollError> {
        let mut stock = self.parts.stock.clone();
        let known = stock.wait_for(|stock| matches!(**stock, Stock::Known(_)));
        if let Some(Ok(known)) = budget.limit(budget.left(), known).await {
            return Ok(Arc::clone(&known));
        }
        match &**self.parts.stock.borrow() {
            Stock::Unknown { reason } => Err(PollError::NoAnswer(reason.clone())),
            Stock::Known(_) => Ok(Arc::clone(&self.parts.stock.borrow())),
        }
    }

    /// Reads what the models are asked with, of each node in their order.
    async fn ask(
        &self,
        inventory: &Inventory,
        nodes: &[&Stocked],
        budget: &Budget,
    ) -> (Vec<Asked>, Secrets) {
        let configured = nodes.iter().filter(|node| node.facts.ready && node.config.is_some());
        let names: Vec<&str> = configured.map(|node| node.facts.name.as_str()).collect();
        let configs = nodes.iter().filter_map(|node| node.config.as_deref());
        let (cpu, [inlet, delta_p], (models, secrets)) = tokio::join!(
            metrics::cpu(&self.api, budget),
            self.custom.read(&self.api, ["inlet_temp", "delta_p"], &names, budget),
            self.models.of(configs, &self.api, self.predictor.web(), budget),
        );
        let metrics = Metrics { cpu, inlet, delta_p };
        let mut models = models.into_iter();
        let now = self.parts.clock.elapsed();
        let mut believer = self.believer.borrow_mut();
        let mut loads = self.loads.borrow_mut();
        let asked = nodes.iter().map(|node| {
            let facts = &node.facts;
            let model = node.config.as_ref().and_then(|_| models.next());
            let load = believer.load(&metrics, facts, now);
            if let Ok(percent) = load {
                loads.note(&facts.name, percent, now);
            }
            if !facts.ready {
                return Err("NotReady".to_owned());
            }
            let (Some(config), Some(model)) = (&node.config, model) else {
                return Err(inventory.unconfigured.clone());
            };
            let cpu_percent = load?;
            let (inlet_celsius, delta_p_pascal) = believer.air(&metrics, facts, config, now)?;
            Ok((model?, Features { cpu_percent, inlet_celsius, delta_p_pascal }))
        });
        let asked = asked.collect();
        let names: HashSet<&str> =
            inventory.nodes.iter().map(|node| node.facts.name.as_str()).collect();
        believer.retain(|name| names.contains(name));
        loads.retain(|name| names.contains(name), now);
        (asked, secrets)
    }

    async fn predict(
        &self,
        nodes: &[&Stocked],
        asked: &[Asked],
        secrets: &Secrets,
        budget: &Budget,
    ) -> Vec<NodeOutcome> {
        let mut rows: BTreeMap<Model, Vec<Features>> = BTreeMap::new();
        for (model, features) in asked.iter().flatten() {
            rows.entry(model.clone()).or_default().push(*features);
        }
        let predictions = self.predictor.predict(rows, secrets, budget).await;
        let mut predictions: BTreeMap<Model, _> = predictions
            .into_iter()
            .map(|(model, predictions)| (model, predictions.into_iter()))
            .collect();
        let mut outcome = |asked: &Asked| {
            let (model, features) = asked.as_ref().map_err(Clone::clone)?;
            let watts = predictions.get_mut(model).and_then(Iterator::next);
            let watts = watts.unwrap_or_else(|| Err("the model was not asked".to_owned()))?;
            Ok(NodeReading { features: *features, watts })
        };
        let outcomes = nodes.iter().zip(asked).map(|(node, asked)| NodeOutcome {
            name: node.facts.name.clone(),
            like: node.like(),
            outcome: outcome(asked),
        });
        outcomes.collect()
    }

    fn tell(&self, outcomes: &[NodeOutcome], budget: &Budget) {
        let failing = outcomes
            .iter()
            .filter_map(|node| Some((node.name.clone(), node.outcome.as_ref().err()?.clone())));
        let failing: BTreeMap<String, String> = failing.collect();
        let last = Last {
            rounds: self.last.get().rounds + 1,
            nodes: outcomes.len(),
            failing: failing.len(),
            took: budget.used(),
        };
        self.last.set(last);
        debug!(cluster = %self.parts.cluster, nodes = last.nodes, failing = last.failing, elapsed_ms = last.took.as_millis(), "nodes measured");
        self.reasons.borrow_mut().tell(&self.parts.cluster, failing);
    }
}

/// The condition of each node that takes pods and whose model has just answered, in their order.
fn conditions(
    nodes: &[&Stocked],
    asked: &[Asked],
    outcomes: &[NodeOutcome],
) -> Vec<Option<Condition>> {
    let all = nodes.iter().zip(asked).zip(outcomes);
    all.map(|((node, asked), outcome)| {
        let (model, features) = asked.as_ref().ok()?;
        let counts = node.takes_pods() && outcome.outcome.is_ok();
        counts.then(|| Condition::of(model, features))
    })
    .collect()
}
