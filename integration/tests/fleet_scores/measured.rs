//! The fleet whose scores are measured, and what it costs by the formulas of its models.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tenbin_integration::eventually::until;
use tenbin_integration::power::wao;
use tenbin_integration::{Cluster, Condition, Daemon, FleetBuilder, Model, PowerFleet};

use super::{CROSS, NAMES};

/// Model and load of each node. Osaka's scheduler is WAO's, those of the others are the default.
pub(crate) const NODES: [[(&str, f64); 4]; 3] = [
    [
        ("spec-ibm-x3550-x5675", 5.0),
        ("spec-ibm-x3550-x5675", 70.0),
        ("spec-ibm-x3550-x5675", 0.0),
        ("linear", 40.0),
    ],
    [
        ("spec-ibm-x3550-x5670", 60.0),
        ("spec-ibm-x3550-x5670", 70.0),
        ("spec-ibm-x3550-x5670", 5.0),
        ("linear", 60.0),
    ],
    [
        ("spec-hp-ml110-g5", 30.0),
        ("spec-ibm-x3550-x5675", 50.0),
        ("spec-ibm-x3550-x5675", 50.0),
        ("linear", 60.0),
    ],
];

/// Metrics come 15 s after the start, later where the machine is busy.
const FIRST: Duration = Duration::from_secs(90);

/// Three clusters of four nodes, every tenbin a peer of the others.
#[expect(clippy::panic, reason = "a static of tests has nobody to return an error to")]
pub(crate) static POWER: LazyLock<PowerFleet> =
    LazyLock::new(|| start().unwrap_or_else(|error| panic!("starting a fleet: {error:#}")));

fn start() -> Result<PowerFleet> {
    let builder = FleetBuilder::new("scores").clusters(NAMES);
    let power = PowerFleet::start(builder, 4, &Model::Linear, condition, |daemon| {
        daemon.config(CROSS).config("[score]\ninterval = '2s'")
    })?;
    for (place, name) in NAMES.into_iter().enumerate() {
        let cluster = power.fleet().cluster(name)?;
        open(cluster)?;
        for (n, (model, _)) in NODES[place].iter().enumerate() {
            let endpoint = power.fleet().power()?.predictor().endpoint(model);
            let predictor = wao::power_consumption(&wao::v2(&endpoint));
            let node = format!("{name}-n{n}");
            wao::change(cluster, cluster.wao(), &node, &wao::spec(&node, &predictor))?;
        }
    }
    let osaka = power.daemon("osaka")?;
    osaka.edit_config(|table| {
        if let Some(own) = table.get_mut("own").and_then(|own| own.as_table_mut()) {
            own.insert("scheduler".to_owned(), "wao".into());
        }
    })?;
    osaka.reload()?;
    for daemon in power.daemons() {
        until(FIRST, || {
            let seen = watts(daemon)?;
            ensure!(close(&seen, &expected()), "{seen:?} instead of {:?}", expected());
            Ok(())
        })?;
    }
    Ok(power)
}

/// Takes the taint off the nodes that the API server puts on new ones, and that a controller, of
/// which there is none here, takes off ready ones: nodes with it take no pods.
fn open(cluster: &Cluster) -> Result<()> {
    for n in 0..4 {
        let path = format!("/api/v1/nodes/{}-n{n}", cluster.name());
        let change = br#"{"spec":{"taints":null}}"#;
        let body = Some(("application/merge-patch+json", change.as_slice()));
        cluster.client()?.send("PATCH", &path, body)?.success()?;
    }
    Ok(())
}

/// How a node is.
pub(crate) fn condition(place: usize, n: u32) -> Condition {
    let (cpu, place) = (NODES[place][n as usize].1, u8::try_from(place).unwrap_or_default());
    let (inlet, pressure) = (18.5 + f64::from(place), 3.25 + 0.5 * f64::from(n));
    Condition { cpu, inlet, pressure }
}

/// The model of a node.
pub(crate) fn model(place: usize, n: usize) -> Result<Model> {
    Model::named(NODES[place][n].0)
}

/// The score of each cluster, by hand.
pub(crate) fn expected() -> Vec<f64> {
    let watts = |place: usize, n: usize| {
        let model = model(place, n).unwrap_or(Model::Linear);
        condition(place, u32::try_from(n).unwrap_or_default()).watts(&model)
    };
    (0..3).map(|place| (0..4).map(|n| watts(place, n)).sum()).collect()
}

/// Within 0.1 W, all of them.
pub(crate) fn close(seen: &[f64], wanted: &[f64]) -> bool {
    seen.len() == wanted.len()
        && seen.iter().zip(wanted).all(|(seen, wanted)| (seen - wanted).abs() < 0.1)
}

/// The row of a cluster in `/scores`.
pub(crate) fn row(daemon: &Daemon, name: &str) -> Result<Value> {
    let page = daemon.scores()?;
    let rows = page["clusters"].as_array().context("no clusters")?;
    let found = rows.iter().find(|row| row["name"] == name);
    Ok(found.with_context(|| format!("no {name} in {page:#}"))?.clone())
}

/// What `/scores` of this daemon says of the three clusters.
pub(crate) fn watts(daemon: &Daemon) -> Result<Vec<f64>> {
    let watts = |name| {
        let row = row(daemon, name)?;
        row["watts"].as_f64().with_context(|| format!("{row:#}"))
    };
    NAMES.into_iter().map(watts).collect()
}
