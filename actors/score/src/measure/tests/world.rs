//! A cluster and its predictor for one source: servers on real sockets, a stock as it is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenbin_kernel::{Clock, ManualClock};
use tenbin_model::config::Scheduler;
use tenbin_model::ids::ClusterName;
use tenbin_model::power::Resources;
use tenbin_model::score::ScoreBoard;
use tokio::sync::watch;

use super::{Reply, Served, kubeconfig, predicted, serve, serve_tls};
use crate::measure::inventory::{NodeConfig, NodeFacts, Stocked, Term};
use crate::measure::*;
use crate::poller::{Measured, PollError, Source as _};

pub(super) const WITHIN: Duration = Duration::from_secs(10);
pub(super) const STUCK_AFTER: Duration = Duration::from_mins(2);
pub(super) const MAX_AGE: Duration = Duration::from_hours(1);

/// What one test changes while it runs.
#[derive(Default)]
pub(super) struct Weather {
    /// The timestamps of all metrics stand still.
    pub(super) still: AtomicBool,
    /// The adapter says nothing.
    pub(super) silent: AtomicBool,
    /// There is no metrics-server.
    pub(super) gone: AtomicBool,
}

pub(super) struct World {
    pub(super) source: MeasuredSource,
    pub(super) stock: watch::Sender<Arc<Stock>>,
    pub(super) board: Arc<ArcSwap<ScoreBoard>>,
    pub(super) weather: Arc<Weather>,
    pub(super) predictor: String,
    pub(super) hand: ManualClock,
    _folder: TempDir,
}

/// A node of 4 cores that takes pods, whose power is predicted at `endpoint`.
pub(super) fn node(name: &str, endpoint: &str) -> Stocked {
    let facts = NodeFacts {
        name: name.to_owned(),
        ready: true,
        withdrawn: false,
        tainted: false,
        capacity_milli: 4000,
        allocatable: Resources { cpu_milli: 3900, memory_bytes: 1 << 33, pods: 110 },
        like: vec!["labels a=b".to_owned()],
    };
    let power = Term {
        kind: if endpoint.is_empty() { "Fake" } else { "V2InferenceProtocol" }.to_owned(),
        endpoint: endpoint.to_owned(),
        secret: None,
    };
    let config = NodeConfig {
        node: name.to_owned(),
        template: None,
        fake_inlet: false,
        fake_delta_p: false,
        power: Some(power),
        provider: None,
    };
    let requested = Resources { cpu_milli: 1000, memory_bytes: 1 << 30, pods: 3 };
    Stocked { facts: Arc::new(facts), config: Some(Arc::new(config)), requested }
}

/// Changes the facts of a node.
pub(super) fn facts(mut node: Stocked, change: impl Fn(&mut NodeFacts)) -> Stocked {
    change(Arc::make_mut(&mut node.facts));
    node
}

/// Changes the NodeConfig of a node.
pub(super) fn config(mut node: Stocked, change: impl Fn(&mut NodeConfig)) -> Stocked {
    change(Arc::make_mut(node.config.as_mut().unwrap()));
    node
}

pub(super) fn path(served: &Served) -> Vec<&str> {
    served.path.trim_matches('/').split('/').collect()
}

/// Node `nK` uses K tenths of a core, and draws in air of 20 + K °C at 5 Pa.
pub(super) fn metrics(nodes: u32, stamp: i64) -> impl Fn(&Served) -> Reply {
    let stamp = Timestamp::from_second(stamp).unwrap();
    move |served| {
        assert_eq!(served.authorization, "Bearer secret-token");
        let value = |metric: &str, node: u32| match metric {
            "inlet_temp" => format!("{}m", 20_000 + 1000 * node),
            _ => "5".to_owned(),
        };
        let item = |metric: &str, node: u32| {
            json!({"describedObject": {"kind": "Node", "name": format!("n{node}")},
                "metric": {"name": metric}, "timestamp": stamp, "value": value(metric, node)})
        };
        let list = |items: Vec<Value>| Reply::Json(json!({"kind": "List", "items": items}));
        match path(served).as_slice() {
            ["apis", "metrics.k8s.io", "v1beta1", "nodes"] => {
                let usage = |node: u32| {
                    json!({"metadata": {"name": format!("n{node}")}, "timestamp": stamp,
                        "window": "10s", "usage": {"cpu": format!("{}n", u64::from(node) * 100_000_000)}})
                };
                list((0..nodes).map(usage).collect())
            }
            ["apis", "custom.metrics.k8s.io"] => {
                Reply::Json(json!({"versions": [{"version": "v1beta1"}, {"version": "v1beta2"}]}))
            }
            ["apis", "custom.metrics.k8s.io", "v1beta2", "nodes", "*", metric] => {
                list((0..nodes).map(|node| item(metric, node)).collect())
            }
            ["apis", "custom.metrics.k8s.io", _, "nodes", node, metric] => {
                let number = node.trim_start_matches('n').parse().unwrap();
                list(vec![item(metric, number)])
            }
            _ => Reply::Status(404),
        }
    }
}

/// The watts that node `nK` of [`metrics`] costs by the formula of the predictor.
pub(super) fn watts_of(node: u32) -> f64 {
    100.0 + f64::from(node) * 2.5 + 20.0 + f64::from(node) + 5.0
}

impl World {
    /// An API server that answers as the test wants, and where it says nothing, as [`metrics`] of
    /// some nodes.
    pub(super) async fn new(
        nodes: u32,
        api: impl Fn(&Served) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        Self::with(nodes, api, predicted, None).await
    }

    pub(super) async fn with(
        nodes: u32,
        api: impl Fn(&Served) -> Option<Reply> + Send + Sync + 'static,
        predictor: impl Fn(&Served) -> Reply + Send + Sync + 'static,
        real: Option<Clock>,
    ) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_second(1_000_000).unwrap());
        let clock = real.unwrap_or(clock);
        let (weather, now) = (Arc::new(Weather::default()), clock.clone());
        let seen = Arc::clone(&weather);
        let server = serve_tls(move |served| {
            let second = if seen.still.load(Ordering::SeqCst) { 7 } else { now.now().as_second() };
            let custom = served.path.contains("/custom.metrics.k8s.io");
            if custom && seen.silent.load(Ordering::SeqCst) {
                return Reply::Never;
            }
            if served.path.contains("/metrics.k8s.io") && seen.gone.load(Ordering::SeqCst) {
                return Reply::Status(503);
            }
            api(served).unwrap_or_else(|| metrics(nodes, second)(served))
        });
        let folder = tempfile::tempdir().unwrap();
        let access = kubeconfig(folder.path(), &server).await;
        let (stock, known) = watch::channel(Arc::new(Stock::default()));
        let board = Arc::new(ArcSwap::default());
        let source = MeasuredSource::new(MeasureParts {
            cluster: Self::cluster(),
            access,
            stock: known,
            board: Arc::clone(&board),
            tls: predictor_tls(None).unwrap(),
            settings: MeasureSettings {
                namespace: "wao-system".to_owned(),
                stuck_after: STUCK_AFTER,
                max_age: MAX_AGE,
                scheduler: Scheduler::Default,
            },
            clock,
        });
        let predictor = format!("{}/v2/models/m/infer", serve(predictor));
        Self { source, stock, board, weather, predictor, hand, _folder: folder }
    }

    pub(super) fn cluster() -> ClusterName {
        ClusterName::new("osaka").unwrap()
    }

    pub(super) fn publish(&self, nodes: Vec<Stocked>) {
        let unconfigured = "no NodeConfig".to_owned();
        let inventory = Inventory { nodes, unconfigured, broken: None };
        self.stock.send_replace(Arc::new(Stock::Known(inventory)));
    }

    /// Publishes nodes `n0` and on, all of the predictor's model.
    pub(super) fn publish_plain(&self, nodes: u32) {
        self.publish((0..nodes).map(|it| node(&format!("n{it}"), &self.predictor)).collect());
    }

    /// One round, whose sample goes to the board as the Scorer would put it there.
    pub(super) async fn sample(&self) -> Result<Measured, PollError> {
        let measured = self.source.sample(WITHIN).await?;
        let board = self.board.load();
        let board = board.with_sample(Self::cluster(), measured.sample.clone()).unwrap();
        self.board.store(Arc::new(board));
        Ok(measured)
    }

    pub(super) fn count(&self, what: &str) -> u64 {
        self.source.observe()[what].as_u64().unwrap()
    }
}

/// The reason of each missing node.
pub(super) fn reasons(measured: &Measured) -> Vec<(&str, &str)> {
    let missing = &measured.sample.missing;
    missing.iter().map(|it| (it.node.as_str(), it.reason.as_str())).collect()
}
