//! The watts of nodes over their load, sampled from the models and remembered.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tenbin_kernel::Clock;
use tenbin_model::power::{Features, GRID, PowerTable};

use super::budget::Budget;
use super::inventory::Stocked;
use super::models::{Model, Secrets};
use super::predictor::Predictor;

/// Conditions that no node has had for so many rounds are forgotten.
const IDLE_ROUNDS: u64 = 20;
/// A model may be trained anew behind its URL.
const RENEWED_AFTER: Duration = Duration::from_mins(30);
/// When a table that could not be had is asked for again.
const RETRIED_AFTER: Duration = Duration::from_mins(2);
/// Tables a round of a model that is asked row by row.
const SLOW_TABLES: usize = 4;

/// A model under one condition of the air, in steps of half a degree and half a pascal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Condition {
    model: Model,
    half_celsius: i64,
    half_pascal: i64,
}

/// The tables of a cluster.
pub(super) struct Tables {
    clock: Clock,
    known: RefCell<HashMap<Condition, Entry>>,
    /// The last table of each node.
    last: RefCell<HashMap<String, Arc<PowerTable>>>,
    round: Cell<u64>,
}

struct Entry {
    /// `None` where the model gave none.
    table: Option<Arc<PowerTable>>,
    due: Duration,
    used: u64,
}

// === impl Condition ===

impl Condition {
    #[expect(clippy::cast_possible_truncation, reason = "degrees and pascals are small")]
    pub(super) fn of(model: &Model, features: &Features) -> Self {
        let halves = |value: f64| (value * 2.0).round() as i64;
        Self {
            model: model.clone(),
            half_celsius: halves(features.inlet_celsius),
            half_pascal: halves(features.delta_p_pascal),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "degrees and pascals are small")]
    fn rows(&self) -> impl Iterator<Item = Features> + use<> {
        let inlet_celsius = self.half_celsius as f64 / 2.0;
        let delta_p_pascal = self.half_pascal as f64 / 2.0;
        GRID.into_iter().map(move |cpu_percent| Features {
            cpu_percent,
            inlet_celsius,
            delta_p_pascal,
        })
    }
}

// === impl Tables ===

impl Tables {
    pub(super) fn new(clock: Clock) -> Self {
        let (known, last) = (RefCell::default(), RefCell::default());
        Self { clock, known, last, round: Cell::new(0) }
    }

    /// Asks for the tables of these conditions that are not known or too old, within the budget.
    pub(super) async fn renew(
        &self,
        conditions: &BTreeSet<Condition>,
        predictor: &Predictor,
        secrets: &Secrets,
        budget: &Budget,
    ) {
        let due = self.due(conditions, predictor);
        if due.is_empty() {
            return;
        }
        let mut rows: BTreeMap<Model, Vec<Features>> = BTreeMap::new();
        for condition in &due {
            rows.entry(condition.model.clone()).or_default().extend(condition.rows());
        }
        let mut watts: BTreeMap<Model, _> = predictor
            .predict(rows, secrets, budget)
            .await
            .into_iter()
            .map(|(model, predictions)| (model, predictions.into_iter()))
            .collect();
        for condition in due {
            let Some(watts) = watts.get_mut(&condition.model) else { continue };
            let samples = GRID.map(|_| watts.next().and_then(Result::ok).unwrap_or(f64::NAN));
            self.keep(condition, PowerTable::new(samples).map(Arc::new));
        }
    }

    /// The conditions to ask for, in order; those in use are marked as such.
    fn due(&self, conditions: &BTreeSet<Condition>, predictor: &Predictor) -> Vec<Condition> {
        let (round, now) = (self.round.get() + 1, self.clock.elapsed());
        self.round.set(round);
        let mut known = self.known.borrow_mut();
        for condition in conditions {
            if let Some(entry) = known.get_mut(condition) {
                entry.used = round;
            }
        }
        known.retain(|_, entry| round - entry.used < IDLE_ROUNDS);
        let mut slow: HashMap<&Model, usize> = HashMap::new();
        let due = conditions.iter().filter(|it| known.get(it).is_none_or(|entry| entry.due <= now));
        let due = due.filter(|condition| {
            let model = &condition.model;
            let asked = slow.entry(model).or_default();
            *asked += 1;
            *asked <= SLOW_TABLES || !predictor.is_slow(model)
        });
        due.cloned().collect()
    }

    /// A table that could not be had anew leaves the old one.
    fn keep(&self, condition: Condition, table: Option<Arc<PowerTable>>) {
        let now = self.clock.elapsed();
        let pause = if table.is_some() { RENEWED_AFTER } else { RETRIED_AFTER };
        let (due, used) = (now.saturating_add(pause), self.round.get());
        let mut known = self.known.borrow_mut();
        let entry = known.entry(condition).or_insert(Entry { table: None, due, used });
        entry.due = due;
        entry.table = table.or(entry.table.take());
    }

    /// The table of each node, in their order: that of its condition, else its last one, else one
    /// of a node that it is like.
    pub(super) fn of(
        &self,
        nodes: &[(&Stocked, Option<Condition>)],
    ) -> Vec<Option<Arc<PowerTable>>> {
        let known = self.known.borrow();
        let mut last = self.last.borrow_mut();
        let names: HashSet<&str> = nodes.iter().map(|(node, _)| node.facts.name.as_str()).collect();
        last.retain(|name, _| names.contains(name.as_str()));
        let mut groups: HashMap<String, Arc<PowerTable>> = HashMap::new();
        for (node, condition) in nodes {
            let entry = condition.as_ref().and_then(|condition| known.get(condition));
            if let Some(table) = entry.and_then(|entry| entry.table.as_ref()) {
                last.insert(node.facts.name.clone(), Arc::clone(table));
            }
            if let Some(table) = last.get(&node.facts.name) {
                for group in node.like() {
                    groups.entry(group).or_insert_with(|| Arc::clone(table));
                }
            }
        }
        let table = |(node, _): &(&Stocked, _)| {
            let like = || node.like().iter().find_map(|group| groups.get(group));
            last.get(&node.facts.name).or_else(like).map(Arc::clone)
        };
        nodes.iter().map(table).collect()
    }

    /// Conditions whose table is known.
    pub(super) fn count(&self) -> usize {
        self.known.borrow().values().filter(|entry| entry.table.is_some()).count()
    }
}

#[cfg(test)]
mod tests;
