//! The actor that watches what a cluster has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, StreamHandler, WrapFuture,
};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::core::DynamicObject;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;
use tenbin_kernel::{Clock, Drain, Lifeline, Observe};
use tenbin_model::ids::ClusterName;
use tokio::sync::watch;
use tracing::{info, warn};

use super::node_config::{self, NodeConfig};
use super::pod::{self, LeanPod};
use super::{NodeFacts, Stock, Watched};

/// How long changes are gathered before they are published.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// When credentials that could not be used are tried again.
const RETRY: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long a watch lasts at most, and 5 s more in which a silent connection is noticed.
const WATCH_SECONDS: u32 = 60;

/// What a [`Stocktaker`] needs of its surroundings; a restarted one gets the same.
#[derive(Clone)]
pub struct StocktakerParts {
    /// The cluster.
    pub cluster: ClusterName,
    /// How kube reaches its API server.
    pub config: kube::Config,
    /// The namespace of NodeConfigs.
    pub namespace: String,
    /// Where the stock is published; it outlives the actor.
    pub stock: Arc<watch::Sender<Arc<Stock>>>,
    /// Time.
    pub clock: Clock,
}

/// Watches nodes, pods and NodeConfigs of one cluster.
pub struct Stocktaker {
    parts: StocktakerParts,
    watched: Watched,
    /// Whether the stock will be published in a moment.
    publishing: bool,
    /// Whether the last publication said that a watch is broken, to log it once.
    broken: bool,
    events: u64,
    _lifeline: Lifeline,
}

/// The pauses of a watch while it fails. kube's own grow to a minute, in which a server that is
/// back is not noticed.
#[derive(Default)]
struct Pauses(u32);

/// What one of the watches says.
enum Seen {
    Node(Box<watcher::Result<watcher::Event<Node>>>),
    Pod(watcher::Result<watcher::Event<LeanPod>>),
    NodeConfig(usize, watcher::Result<watcher::Event<DynamicObject>>),
}

// === impl Stock ===

impl Default for Stock {
    fn default() -> Self {
        Self::Unknown { reason: "nothing is listed yet".to_owned() }
    }
}

// === impl Stocktaker ===

impl Stocktaker {
    /// Makes the actor; what was published before stays until the new lists are whole.
    pub fn new(parts: StocktakerParts, lifeline: Lifeline) -> Self {
        let watched = Watched::default();
        Self { parts, watched, publishing: false, broken: false, events: 0, _lifeline: lifeline }
    }

    /// Makes the client on a thread that may block: a credential plugin is run to its end.
    fn connect(&mut self, context: &mut Context<Self>) {
        let mut config = self.parts.config.clone();
        config.connect_timeout = Some(CONNECT_LIMIT);
        let client = tokio::task::spawn_blocking(move || kube::Client::try_from(config));
        context.spawn(client.into_actor(self).map(|client, this, context| match client {
            Ok(Ok(client)) => {
                context.add_stream(watches(&client, &this.parts.namespace));
            }
            Ok(Err(error)) => this.retry(error.to_string(), context),
            Err(error) => this.retry(error.to_string(), context),
        }));
    }

    fn retry(&mut self, reason: String, context: &mut Context<Self>) {
        warn!(cluster = %self.parts.cluster, reason, "cluster cannot be watched");
        self.publish(Stock::Unknown { reason });
        let clock = self.parts.clock.clone();
        let wait = async move { clock.sleep(RETRY).await }.into_actor(self);
        context.spawn(wait.map(|(), this, context| this.connect(context)));
    }

    /// Publishes in a moment, with what happens until then.
    fn publish_soon(&mut self, context: &mut Context<Self>) {
        if std::mem::replace(&mut self.publishing, true) {
            return;
        }
        let clock = self.parts.clock.clone();
        let wait = async move { clock.sleep(DEBOUNCE).await }.into_actor(self);
        context.spawn(wait.map(|(), this, _| {
            this.publishing = false;
            let stock = this.watched.stock();
            this.tell_broken();
            this.publish(stock);
        }));
    }

    /// What was known before is better than what is not yet known.
    fn publish(&self, stock: Stock) {
        self.parts.stock.send_if_modified(|present| {
            let better =
                matches!((&stock, &**present), (Stock::Known(_), _) | (_, Stock::Unknown { .. }));
            if better {
                *present = Arc::new(stock);
            }
            better
        });
    }

    fn tell_broken(&mut self) {
        let (cluster, now) = (&self.parts.cluster, self.parts.clock.now());
        let broken = self.watched.broken().filter(|broken| broken.is_still(now));
        // A connection that ended once is followed by another, and by no event in a quiet cluster.
        match broken.filter(|broken| broken.since < broken.last) {
            Some(broken) if !self.broken => {
                warn!(%cluster, reason = broken.reason, "watch is broken");
                self.broken = true;
            }
            None if self.broken => {
                info!(%cluster, "watches are whole again");
                self.broken = false;
            }
            Some(_) | None => {}
        }
    }
}

/// All watches, each with pauses that grow while it fails.
fn watches(client: &kube::Client, namespace: &str) -> BoxStream<'static, Seen> {
    let plain = watcher::Config::default().timeout(WATCH_SECONDS);
    let lean = plain.clone().fields(pod::SELECTOR);
    let nodes = watch(Api::<Node>::all(client.clone()), plain.clone())
        .map(|event| Seen::Node(Box::new(event)));
    let pods = watch(Api::<LeanPod>::all(client.clone()), lean).map(Seen::Pod);
    let configs = node_config::GROUPS.iter().enumerate().map(|(index, group)| {
        let resource = node_config::resource(group);
        let configs = Api::namespaced_with(client.clone(), namespace, &resource);
        watch(configs, plain.clone()).map(move |event| Seen::NodeConfig(index, event)).boxed()
    });
    stream::select_all([nodes.boxed(), pods.boxed()].into_iter().chain(configs)).boxed()
}

fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
) -> BoxStream<'static, watcher::Result<watcher::Event<K>>>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watcher(api, config)
        // The begin of a list is no success: it would end the growth of the pauses.
        .filter(|event| std::future::ready(!matches!(event, Ok(watcher::Event::Init))))
        .backoff(Pauses::default())
        .boxed()
}

// === impl Pauses ===

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.0.min(16)).min(LONGEST_PAUSE);
        self.0 = self.0.saturating_add(1);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = 0;
    }
}

impl Actor for Stocktaker {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.connect(context);
    }
}

impl StreamHandler<Seen> for Stocktaker {
    fn handle(&mut self, seen: Seen, context: &mut Context<Self>) {
        let now = self.parts.clock.now();
        self.events = self.events.wrapping_add(1);
        match seen {
            Seen::Node(event) => self.watched.nodes.take(*event, now, |node| {
                let facts = NodeFacts::of(node);
                (facts.name.clone(), Some(Arc::new(facts)))
            }),
            Seen::Pod(event) => self.watched.pods.take(event, now, LeanPod::share),
            Seen::NodeConfig(group, event) => {
                if let Some(listing) = self.watched.configs.get_mut(group) {
                    listing.take(event, now, |object| {
                        let config = NodeConfig::of(&object).map(Arc::new);
                        (object.metadata.name.unwrap_or_default(), config)
                    });
                }
            }
        }
        self.publish_soon(context);
    }
}

impl Handler<Observe> for Stocktaker {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _context: &mut Context<Self>) -> Self::Result {
        let now = self.parts.clock.now();
        let broken = self.watched.broken().filter(|broken| broken.is_still(now));
        MessageResult(json!({
            "cluster": self.parts.cluster,
            "nodes": self.watched.nodes.listed().map(BTreeMap::len),
            "pods": self.watched.pods.listed().map(BTreeMap::len),
            "node_configs": self.watched.configs.each_ref().map(|it| it.listed().map(BTreeMap::len)),
            "events": self.events,
            "broken_since": broken.as_ref().map(|broken| broken.since),
            "broken": broken.map(|broken| broken.reason),
        }))
    }
}

impl Handler<Drain> for Stocktaker {
    type Result = ();

    fn handle(&mut self, _: Drain, _context: &mut Context<Self>) {}
}
