//! `make soak`: minutes of everything at once, with faults, after which nothing has grown.
//!
//! Each minute ends with a rest, in which all clients have left and all members are well, and what the
//! daemon holds is counted.

mod clients;
mod faults;

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::eventually::{now, patience, until};
use tenbin_integration::{Cluster, Daemon, Fleet, FleetBuilder, config_map};

use self::clients::{Clients, Tally};
use crate::machine::{files, resident_kib, threads};
use crate::report;
use crate::rig::{NAMES, binding, namespace, pod};

const MINUTES: usize = 10;
/// The load of a minute; the rest takes what is left, or a little more.
const LOAD: Duration = Duration::from_secs(55);
/// Connections are kept, and memory is used again: only what is held after so many minutes may not
/// grow any more.
const WARM_UP: usize = 2;
const NAMESPACE: &str = "soak";
const PODS: usize = 300;
const CONFIG_MAPS: usize = 20;

/// Each worker keeps as many connections to each member as its busiest moment so far has needed. One
/// file for each watch that came and went would be thousands.
const MORE_FILES: usize = 30;
/// Threads for blocking calls come and go.
const MORE_THREADS: usize = 4;
/// The heap has holes of another size each minute. One KiB for each request would be far more.
const MORE_KIB: f64 = 8192.0;

/// What the daemon holds at rest.
#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    threads: usize,
    /// Requests and watches at members.
    in_flight: u64,
    kib: f64,
}

/// Runs the load, minute by minute; fails where something grows.
pub(crate) fn run() -> Result<()> {
    eprintln!("starting three control planes");
    let mut fleet = FleetBuilder::new("soak").clusters(NAMES).nodes(1).kubelet().start()?;
    fleet.clusters().iter().try_for_each(fill)?;
    let daemon = fleet.daemon().without_shims().start()?;
    let clients = Clients::new(fleet.clusters(), &daemon)?;
    let mut text = report::head()?;
    text.push_str("\n| minute | requests | failed | files | threads | in flight | resident |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    let mut held = Vec::new();
    for minute in 0..=MINUTES {
        let tally = Tally::default();
        if minute > 0 {
            load(&mut fleet, &daemon, &clients, &tally)?;
        }
        let rest = Held::at_rest(&daemon)?;
        let line = line(minute, &tally, rest);
        eprint!("{line}");
        text.push_str(&line);
        ensure!(tally.failed() <= tally.done() / 2, "most requests fail");
        held.push(rest);
    }
    report::append(&text)?;
    let (warm, end) = (held.get(WARM_UP), held.last());
    end.context("no minute")?.is_not_above(*warm.context("no warm-up")?)
}

fn load(fleet: &mut Fleet, daemon: &Daemon, clients: &Clients, tally: &Tally) -> Result<()> {
    let end = now() + LOAD;
    std::thread::scope(|scope| {
        clients.start(scope, end, tally);
        faults::until(end, fleet, daemon)
    })?;
    fleet.heal()
}

fn fill(cluster: &Cluster) -> Result<()> {
    let client = cluster.client()?;
    let post = |path: &str, body: &Value| client.send_json("POST", path, body)?.success();
    post("/api/v1/namespaces", &namespace(NAMESPACE))?;
    post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding())?;
    let pods = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    for n in 0..PODS {
        post(&pods, &pod(cluster.name(), n))?;
    }
    for n in 0..CONFIG_MAPS {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
        post(&path, &config_map(&format!("{}-{n}", cluster.name()), ""))?;
    }
    let container = json!({"name": "main", "image": "none"});
    let spec = json!({"nodeName": format!("{}-n0", cluster.name()), "containers": [container]});
    let name = format!("runs-{}", cluster.name());
    let runs = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    post(&pods, &runs)?;
    until(patience(), || {
        let pod = client.json(&format!("{pods}/{name}"))?;
        let phase = pod.pointer("/status/phase").and_then(Value::as_str);
        ensure!(phase == Some("Running"), "{name} is {phase:?}");
        Ok(())
    })
}

fn line(minute: usize, tally: &Tally, held: Held) -> String {
    let Held { files, threads, in_flight, kib } = held;
    let (done, failed) = (tally.done(), tally.failed());
    let mut line = String::new();
    writeln!(
        line,
        "| {minute} | {done} | {failed} | {files} | {threads} | {in_flight} | {:.1} MiB |",
        kib / 1024.0
    )
    .ok();
    line
}

// === impl Held ===

impl Held {
    /// Waits until nothing is under way, and counts.
    fn at_rest(daemon: &Daemon) -> Result<Self> {
        let pid = daemon.process()?.id();
        until(patience(), || {
            let in_flight = in_flight(&daemon.admin().json("/actors")?);
            ensure!(in_flight == 0, "{in_flight} requests are in flight though nobody asks");
            let (files, threads) = (files(pid)?, threads(pid)?);
            Ok(Self { files, threads, in_flight, kib: resident_kib(pid)? })
        })
    }

    fn is_not_above(self, warm: Self) -> Result<()> {
        ensure!(self.files <= warm.files + MORE_FILES, "open files grow: {warm:?}, {self:?}");
        ensure!(self.threads <= warm.threads + MORE_THREADS, "threads grow: {warm:?}, {self:?}");
        ensure!(self.kib <= warm.kib + MORE_KIB, "memory grows: {warm:?}, {self:?}");
        Ok(())
    }
}

/// How the page of the actors calls requests and streams at members.
const IN_FLIGHT: [&str; 2] = ["in_flight", "streams"];

/// What all forwarders have in flight, as the page of the actors shows it.
fn in_flight(page: &Value) -> u64 {
    match page {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                match value.as_u64().filter(|_| IN_FLIGHT.contains(&key.as_str())) {
                    Some(count) => count,
                    None => in_flight(value),
                }
            })
            .sum(),
        Value::Array(values) => values.iter().map(in_flight).sum(),
        _ => 0,
    }
}
