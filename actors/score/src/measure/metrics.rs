//! What the cluster's metrics APIs say of its nodes (`wao.md` 5.2 and 5.3).

use std::cell::Cell;
use std::collections::HashMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use tenbin_model::quantity::Quantity;

use super::api::ApiServer;
use super::budget::Budget;
use super::web::{PLACES, Refusal};

const CPU: &str = "metrics.k8s.io";
const CUSTOM: &str = "custom.metrics.k8s.io";
/// The versions of custom metrics, the preferred one first.
const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// The value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) value: f64,
    /// When it was measured, as the metrics API has it.
    pub(super) at: Option<Timestamp>,
}

/// A metric by node; an error is the reason.
pub(super) type Readings = HashMap<String, Result<Reading, String>>;

/// The custom metrics API, in the version that is served.
#[derive(Default)]
pub(super) struct CustomMetrics {
    version: Cell<Option<&'static str>>,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct NodeMetrics {
    metadata: Named,
    timestamp: Option<Timestamp>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Usage {
    cpu: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricValue {
    described_object: Named,
    timestamp: Option<Timestamp>,
    value: String,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Group {
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// The cores that are in use on each node, in one request; an error holds for all nodes.
pub(super) async fn cpu(api: &ApiServer, budget: &Budget) -> Result<Readings, String> {
    let path = format!("/apis/{CPU}/v1beta1/nodes");
    let list: List<NodeMetrics> =
        api.get(&path, budget).await.map_err(|refusal| format!("{CPU} {refusal}"))?;
    let item = |item: NodeMetrics| (item.metadata.name, reading(&item.usage.cpu, item.timestamp));
    Ok(list.items.into_iter().map(item).collect())
}

fn reading(text: &str, at: Option<Timestamp>) -> Result<Reading, String> {
    let value = Quantity::parse(text).map_err(|error| error.to_string())?.as_f64();
    Ok(Reading { value, at })
}

// === impl CustomMetrics ===

impl CustomMetrics {
    /// Reads some metrics of some nodes, each metric in one request where the adapter allows it.
    pub(super) async fn read<const N: usize>(
        &self,
        api: &ApiServer,
        metrics: [&str; N],
        nodes: &[&str],
        budget: &Budget,
    ) -> [Readings; N] {
        if nodes.is_empty() {
            return metrics.map(|_| Readings::new());
        }
        let version = match self.version(api, budget).await {
            Ok(version) => version,
            Err(reason) => return metrics.map(|_| all(nodes, &reason)),
        };
        let reads = metrics.map(|metric| self.metric(api, version, metric, nodes, budget));
        let mut reads = join_all(reads).await.into_iter();
        metrics.map(|_| reads.next().unwrap_or_default())
    }

    /// The version that is served; it is remembered until something fails.
    async fn version(&self, api: &ApiServer, budget: &Budget) -> Result<&'static str, String> {
        if let Some(version) = self.version.get() {
            return Ok(version);
        }
        let group: Group = match api.get(&format!("/apis/{CUSTOM}"), budget).await {
            Ok(group) => group,
            Err(refusal) => return Err(format!("{CUSTOM} {refusal}")),
        };
        let served = |version: &&&str| group.versions.iter().any(|it| it.version == **version);
        let version = VERSIONS.iter().find(served);
        self.version.set(version.copied());
        version.copied().ok_or_else(|| format!("{CUSTOM} serves no version of {VERSIONS:?}"))
    }

    async fn metric(
        &self,
        api: &ApiServer,
        version: &str,
        metric: &str,
        nodes: &[&str],
        budget: &Budget,
    ) -> Readings {
        let mut readings = match ask(api, version, "*", metric, budget).await {
            Ok(readings) => readings,
            Err(refusal) => {
                self.version.set(None);
                if refusal.is_silence() {
                    return all(nodes, &format!("{CUSTOM} {refusal}"));
                }
                // The adapter has no selectors, or one node lacks the metric.
                Readings::new()
            }
        };
        let lacking: Vec<_> =
            nodes.iter().filter(|node| !readings.contains_key(**node)).copied().collect();
        let (first, others) = lacking.split_at(lacking.len().min(PLACES));
        let single = |node| async move {
            let answer = ask(api, version, node, metric, budget).await;
            let answer = answer.map(|mut readings| readings.remove(node));
            (node, answer)
        };
        let mut answers = join_all(first.iter().copied().map(single)).await;
        let hopeless = answers.iter().all(|(_, answer)| !tells(answer));
        if let (true, Some((_, Err(refusal)))) = (hopeless, answers.first()) {
            let reason = format!("{CUSTOM} {refusal}");
            readings.extend(all(&lacking, &reason));
            return readings;
        }
        answers.extend(join_all(others.iter().copied().map(single)).await);
        readings.extend(answers.into_iter().map(|(node, answer)| {
            let reading = match answer {
                Ok(Some(reading)) => reading,
                Ok(None) => Err(format!("{CUSTOM} does not name the node")),
                Err(refusal) => Err(format!("{CUSTOM} {refusal}")),
            };
            (node.to_owned(), reading)
        }));
        readings
    }
}

/// Whether an answer says something of one node, be it that it lacks the metric.
fn tells<T>(answer: &Result<T, Refusal>) -> bool {
    match answer {
        Ok(_) => true,
        Err(Refusal::Status(status)) => status.as_u16() == 404,
        Err(Refusal::Silent(_) | Refusal::Late | Refusal::Unusable(_)) => false,
    }
}

fn all(nodes: &[&str], reason: &str) -> Readings {
    nodes.iter().map(|node| ((*node).to_owned(), Err(reason.to_owned()))).collect()
}

async fn ask(
    api: &ApiServer,
    version: &str,
    node: &str,
    metric: &str,
    budget: &Budget,
) -> Result<Readings, Refusal> {
    let path = format!("/apis/{CUSTOM}/{version}/nodes/{node}/{metric}");
    let list: List<MetricValue> = api.get(&path, budget).await?;
    let item =
        |item: MetricValue| (item.described_object.name, reading(&item.value, item.timestamp));
    Ok(list.items.into_iter().map(item).collect())
}
