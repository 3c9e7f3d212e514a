//! A daemon that measures one cluster by NodeConfigs of its own, and what every fault is held to.

use std::cell::Cell;
use std::fmt::Debug;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use tenbin_integration::power::wao::{self, Group};
use tenbin_integration::{Cluster, Daemon, DaemonBuilder, FaultyPredictor, Model, eventually};

use super::{FLEET, NODES, condition};

/// How close a score comes to the sum by hand.
const CLOSE: f64 = 0.1;
/// The longest that a sample of a cluster which is measured may be old, at one round a second.
const YOUNG: f64 = 6.0;

/// A daemon that measures its own cluster.
pub(super) struct Rig {
    pub(super) cluster: &'static Cluster,
    pub(super) namespace: String,
    pub(super) daemon: Daemon,
}

/// The daemon of a test in `cluster`, which has no other member and reads NodeConfigs in the
/// namespace `name`.
pub(super) fn daemon(cluster: &str, name: &str) -> DaemonBuilder<'static> {
    let config = format!("[score]\nnamespace = '{name}'\n[auth]\ncross = ['system:masters']");
    FLEET.daemon().name(name).own(cluster).members(&[]).watts(cluster, None).config(&config)
}

/// `spec.predictor` for a model of a fake predictor.
pub(super) fn linear(fake: &FaultyPredictor) -> Value {
    wao::power_consumption(&wao::v2(&fake.endpoint("linear")))
}

/// The sum by hand of all nodes as they are at the start.
pub(super) fn sum(model: &Model) -> f64 {
    (0..NODES).map(|n| condition(n).watts(model)).sum()
}

impl Rig {
    /// Starts a daemon with these NodeConfigs, one for each node.
    pub(super) fn start(cluster: &str, name: &str, predictor: &Value) -> Result<Self> {
        Self::with(daemon(cluster, name), cluster, name, predictor)
    }

    /// The same with a daemon that is configured further.
    pub(super) fn with(
        daemon: DaemonBuilder<'static>,
        cluster: &str,
        name: &str,
        predictor: &Value,
    ) -> Result<Self> {
        let cluster = FLEET.cluster(cluster)?;
        configure(cluster, name, predictor)?;
        Ok(Self { cluster, namespace: name.to_owned(), daemon: daemon.start()? })
    }

    /// The name of the `n`th node.
    pub(super) fn node(&self, n: u32) -> String {
        format!("{}-n{n}", self.cluster.name())
    }

    /// What `/scores` says of a cluster.
    pub(super) fn row_of(&self, cluster: &str) -> Result<Value> {
        let page = self.daemon.scores()?;
        let rows = page["clusters"].as_array().context("no clusters")?;
        let row = rows.iter().find(|row| row["name"] == cluster);
        row.cloned().with_context(|| format!("no {cluster} in {page:#}"))
    }

    /// What `/scores` says of the cluster that is measured.
    pub(super) fn row(&self) -> Result<Value> {
        self.row_of(self.cluster.name())
    }

    /// Waits until every node is measured and the score is this.
    #[track_caller]
    pub(super) fn reaches(&self, watts: f64) -> Value {
        eventually!(self.row(), |row: &Value| is_whole(row) && is_close(row, watts))
    }

    /// What `/actors` says of the cluster's Poller.
    pub(super) fn poller(&self) -> Result<Value> {
        actor(&self.daemon, &format!("poller/{}", self.cluster.name()))
    }

    /// Polls that have ended, well or not.
    pub(super) fn polls(&self) -> Result<u64> {
        let poller = self.poller()?;
        let count = |key: &str| poller[key].as_u64().with_context(|| format!("{poller:#}"));
        Ok(count("samples")? + count("failures")?)
    }

    /// Breaks something in a healthy cluster whose score is `watts`, and heals it again.
    ///
    /// While it is broken `reason` is told of these nodes, or of the whole when there are none; the
    /// score is never better than before, rounds go on, and the sample of what is measured is young.
    #[track_caller]
    pub(super) fn survives(
        &self,
        watts: f64,
        nodes: &[u32],
        reason: &str,
        fault: impl FnOnce() -> Result<()>,
        heal: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.reaches(watts);
        let least = Cell::new(f64::INFINITY);
        // Unknown is worse than any score: only what is lower is better.
        let look = || -> Result<Value> {
            let row = self.row()?;
            least.set(least.get().min(row["watts"].as_f64().unwrap_or(f64::INFINITY)));
            Ok(row)
        };
        let told = |row: &Value| match nodes {
            [] => row["failure"].as_str().is_some_and(|it| it.contains(reason)),
            nodes => nodes.iter().all(|n| told_of(row, &self.node(*n), reason)),
        };
        fault()?;
        eventually!(look(), told);
        let polls = self.polls()?;
        eventually!(look().and_then(|_| self.polls()), |now: &u64| *now >= polls + 2);
        // Still told, and of no other node; where the machine is busy, a round may fail otherwise.
        let row = eventually!(look(), |row: &Value| {
            let missing = row["missing"].as_array().map_or(0, Vec::len);
            told(row) && (nodes.is_empty() || missing == nodes.len())
        });
        let age = row["age_seconds"].as_f64();
        if nodes.len() < NODES as usize && !nodes.is_empty() {
            ensure!(age.is_some_and(|age| age < YOUNG), "an old sample: {row:#}");
        }
        heal()?;
        eventually!(look(), |row: &Value| is_whole(row) && is_close(row, watts));
        ensure!(least.get() >= watts - CLOSE, "it got better: {} W of {watts} W", least.get());
        ensure!(self.row()?["failure"].is_null(), "a failure that is over: {:#}", self.row()?);
        Ok(())
    }
}

/// A NodeConfig for each node of a cluster in a namespace of its own.
pub(super) fn configure(cluster: &Cluster, namespace: &str, predictor: &Value) -> Result<()> {
    cluster.ensure_namespace(namespace)?;
    for n in 0..NODES {
        node_config(cluster, namespace, n, predictor)?;
    }
    Ok(())
}

/// The NodeConfig of the `n`th node.
pub(super) fn node_config(
    cluster: &Cluster,
    namespace: &str,
    n: u32,
    predictor: &Value,
) -> Result<()> {
    let node = format!("{}-n{n}", cluster.name());
    let group = cluster.wao();
    let mut object = wao::object(group, "NodeConfig", &node, &wao::spec(&node, predictor));
    object["metadata"]["namespace"] = json!(namespace);
    let path = path(group, namespace);
    cluster.client()?.send_json("POST", &path, &object)?.success()?;
    Ok(())
}

/// Where NodeConfigs are.
pub(super) fn path(group: Group, namespace: &str) -> String {
    format!("/apis/{}/namespaces/{namespace}/nodeconfigs", group.api_version())
}

/// What `/actors` says of one actor.
pub(super) fn actor(daemon: &Daemon, name: &str) -> Result<Value> {
    let page = daemon.admin().json("/actors")?;
    let actors = page.as_array().context("no list of actors")?;
    let found = actors.iter().find(|actor| actor["name"] == name);
    Ok(found.with_context(|| format!("no {name} in {page:#}"))?["state"].clone())
}

/// Whether every node is measured.
pub(super) fn is_whole(row: &Value) -> bool {
    row["provenance"] == "measured" && row["missing"].as_array().is_some_and(Vec::is_empty)
}

/// Whether the score is the sum by hand.
pub(super) fn is_close(row: &Value, watts: f64) -> bool {
    row["watts"].as_f64().is_some_and(|it| (it - watts).abs() <= CLOSE)
}

/// Whether the page gives this reason for a node that was not measured.
pub(super) fn told_of(row: &Value, node: &str, reason: &str) -> bool {
    let mut missing = row["missing"].as_array().into_iter().flatten();
    missing
        .any(|it| it["node"] == node && it["reason"].as_str().is_some_and(|it| it.contains(reason)))
}

/// Holds one test to several cases, each in a thread: they mostly wait.
pub(super) fn at_once<C: Copy + Debug + Send>(
    cases: impl IntoIterator<Item = C>,
    test: impl Fn(C) -> Result<()> + Sync,
) -> Result<()> {
    let test = &test;
    std::thread::scope(|scope| {
        let begin = |case| (case, scope.spawn(move || test(case)));
        let running: Vec<_> = cases.into_iter().map(begin).collect();
        running.into_iter().try_for_each(|(case, thread)| {
            let ended = thread.join().map_err(|_| anyhow!("a panic, see above"));
            ended.and_then(|it| it).with_context(|| format!("{case:?}"))
        })
    })
}
