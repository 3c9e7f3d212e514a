//! A cluster of 500 nodes is measured in less than 2 s, with a predictor that takes 20 ms.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::power::wao;
use tenbin_integration::{
    Behaviour, Condition, Daemon, FaultyPredictor, Fleet, FleetBuilder, Model, Usage, eventually,
};

use super::cluster;
use super::rig::actor;

const NODES: u32 = 500;
/// What the issue asks for.
const MOST_MS: u64 = 2000;

/// Kinds of air, for each of which the model has a table.
const KINDS: u32 = 5;

/// A load that few share, and one of few kinds of air.
fn condition(n: u32) -> Condition {
    let kind = f64::from(n % KINDS);
    Condition { cpu: f64::from(n % 100), inlet: 18.0 + kind, pressure: 5.0 + kind }
}

fn populate(fleet: &Fleet, fake: &FaultyPredictor) -> Result<()> {
    let big = fleet.cluster("big")?;
    let predictor = wao::power_consumption(&wao::v2(&fake.endpoint("linear")));
    let usage = |n: u32| (format!("big-n{n}"), Usage::cores(condition(n).cpu / 100.0 * 32.0));
    fleet.kubelet()?.set((0..NODES).map(usage))?;
    for n in 0..NODES {
        let (node, Condition { inlet, pressure, .. }) = (format!("big-n{n}"), condition(n));
        big.metrics()?.sensors().set(&node, inlet, pressure)?;
        wao::node_config(big, big.wao(), &node, &wao::spec(&node, &predictor))?;
    }
    Ok(())
}

/// The Poller, once the next rounds have measured all.
fn measured(daemon: &Daemon, watts: f64) -> Result<Value> {
    let poller = || actor(daemon, "poller/big");
    let rounds = |poller: &Value| poller["source"]["rounds"].as_u64().unwrap_or_default();
    let began = rounds(&poller()?);
    eventually!(poller(), |now: &Value| {
        let source = &now["source"];
        let all = source["nodes"] == NODES && source["failing"] == 0 && source["tables"] == KINDS;
        rounds(now) >= began + 2 && all
    });
    let page = eventually!(daemon.scores(), |page: &Value| {
        page["clusters"][0]["watts"].as_f64().is_some_and(|it| (it - watts).abs() < 0.1)
    });
    let nodes = page["clusters"][0]["nodes"].as_array().context("no nodes")?.len();
    assert_eq!(nodes, NODES as usize);
    poller()
}

fn memory(daemon: &Daemon) -> Result<String> {
    let path = format!("/proc/{}/status", daemon.process()?.id());
    let status = std::fs::read_to_string(path)?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    Ok(line.context("no VmRSS")?.to_owned())
}

fn show(what: &str, daemon: &Daemon, poller: &Value) -> Result<u64> {
    let took = poller["source"]["last_round_ms"].as_u64().context("no last_round_ms")?;
    eprintln!("500 nodes, {what}: {took} ms; {}; {}", poller["source"], memory(daemon)?);
    Ok(took)
}

#[test]
fn five_hundred_nodes_are_measured_in_less_than_two_seconds() -> Result<()> {
    let fleet = FleetBuilder::new("big").cluster(cluster("big").nodes(NODES)).power().start()?;
    let fake = FaultyPredictor::start()?;
    fake.delay(Duration::from_millis(20));
    populate(&fleet, &fake)?;
    let watts = (0..NODES).map(|n| condition(n).watts(&Model::Linear)).sum();
    let daemon = fleet.daemon().watts("big", None).config("[score]\ninterval = '3s'").start()?;
    let poller = measured(&daemon, watts)?;
    let took = show("in batches", &daemon, &poller)?;
    assert!(took < MOST_MS, "{took} ms: {poller:#}");

    fake.behave(Behaviour::RefuseBatches);
    let requests = fake.requests();
    eventually!(fake.requests() > requests + u64::from(NODES));
    let poller = measured(&daemon, watts)?;
    let took = show("row by row", &daemon, &poller)?;
    assert!(took < MOST_MS, "{took} ms: {poller:#}");

    // WAO's adapter answers nothing for all nodes when one sensor is dead: each is asked alone.
    let sensors = fleet.cluster("big")?.metrics()?.sensors();
    sensors.strict(true)?;
    sensors.forget("big-n250", "inlet_temp")?;
    let rounds = |poller: &Value| poller["source"]["rounds"].as_u64().unwrap_or_default();
    let poller = || actor(&daemon, "poller/big");
    let began = rounds(&poller()?);
    let poller = eventually!(poller(), |now: &Value| {
        rounds(now) >= began + 2 && now["source"]["failing"] == 1
    });
    show("sensor by sensor", &daemon, &poller)?;
    Ok(())
}
