//! How late the events of three members come out of one merged watch.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tenbin_integration::{Client, Cluster, Streaming, config_map};

use crate::machine::cpu_ms;
use crate::pace::{Stopwatch, at_pace};
use crate::replay::{Replay, Tale};
use crate::report::{Report, Row};
use crate::rig::{Rig, join, namespace, user};
use crate::rounds::{ROUNDS, Way};

const SECONDS: u32 = 2;
/// Events a second of each member that are written to it.
const WRITTEN: u32 = 200;
/// Writers of each member: one request after the other is not fast enough.
const WRITERS: u32 = 2;
/// Events a second of each member that a [`Replay`] tells.
const REPLAYED: u32 = 1_000;
const NAMESPACE: &str = "watched";
const WATCHED: &str = "/api/v1/namespaces/watched/configmaps";

/// Some watches that together tell all events, and how late those came.
struct Carrier {
    clients: Vec<Client>,
    lag: Way,
    cpu_ms: f64,
}

/// Measures events that are written, and events that are replayed.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    let stopwatch = Stopwatch::start();
    written(rig, stopwatch, report)?;
    replayed(rig, stopwatch, report)
}

fn written(rig: &Rig, stopwatch: Stopwatch, report: &mut Report) -> Result<()> {
    let clusters = rig.fleet.clusters();
    clusters.iter().try_for_each(prepare)?;
    let direct = clusters.iter().map(|cluster| cluster.client_of(&user(cluster)?));
    let mut direct = Carrier::new(direct.collect::<Result<_>>()?);
    let mut tenbin = Carrier::new(vec![rig.client()?]);
    let daemon = rig.daemon.process()?.id();
    for _ in 0..ROUNDS {
        for carrier in [&mut direct, &mut tenbin] {
            let write = || write_all(clusters, stopwatch);
            carrier.take_turn(daemon, stopwatch, WRITTEN, write)?;
        }
    }
    let what = format!("watch of 3 × {WRITTEN} events/s that are written");
    report.add(row(&what, WRITTEN, &direct, &tenbin));
    Ok(())
}

fn replayed(rig: &Rig, stopwatch: Stopwatch, report: &mut Report) -> Result<()> {
    let own = rig.fleet.clusters().first().context("no cluster")?;
    let tell = |n: usize| {
        let name = format!("replay-{n}");
        let event = recorded(own, stopwatch, &name)?;
        let times = REPLAYED * SECONDS;
        Replay::start(Tale { name, event, each_second: REPLAYED, times, stopwatch })
    };
    let replays = (0..3).map(tell).collect::<Result<Vec<_>>>()?;
    let mut config = String::new();
    for replay in &replays {
        let kubeconfig = replay.kubeconfig(rig.fleet.folder())?;
        config.extend(["[[member]]\nname = \"", replay.name(), "\"\nwatts = 100.0\n"]);
        config.extend(["kubeconfig = \"", &kubeconfig.display().to_string(), "\"\n"]);
    }
    let daemon = rig.fleet.daemon().without_shims().members(&[]).config(&config);
    let daemon = daemon.name("replayed").start()?;
    let direct = replays.iter().map(Replay::client).collect::<Result<_>>()?;
    let mut direct = Carrier::new(direct);
    let mut tenbin = Carrier::new(vec![rig.client_of(&daemon)?]);
    let pid = daemon.process()?.id();
    for _ in 0..ROUNDS {
        for carrier in [&mut direct, &mut tenbin] {
            // A watch that is opened is told all by itself.
            carrier.take_turn(pid, stopwatch, REPLAYED, || Ok(()))?;
        }
    }
    let what = format!("watch of 3 × {REPLAYED} events/s that are replayed");
    report.add(row(&what, REPLAYED, &direct, &tenbin));
    Ok(())
}

impl Carrier {
    fn new(clients: Vec<Client>) -> Self {
        Self { clients, lag: Way::default(), cpu_ms: 0.0 }
    }

    /// Watches until every event of this turn was told.
    fn take_turn(
        &mut self,
        daemon: u32,
        stopwatch: Stopwatch,
        each_second: u32,
        make: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let before = cpu_ms(&[daemon])?;
        let each = usize::try_from(3 * each_second * SECONDS)? / self.clients.len();
        let begun = stopwatch.mark();
        let mut watches = Vec::new();
        for client in &self.clients {
            let watch = client.open("GET", &format!("{WATCHED}?watch=true"), None)?;
            ensure!(watch.status == 200, "a watch is answered {}", watch.status);
            watches.push(watch);
        }
        let read = |mut watch: Streaming| -> Result<Vec<Duration>> {
            let mut ages = Vec::with_capacity(each);
            while ages.len() < each {
                let event = watch.line()?.context("a watch ended")?;
                // What exists is told first.
                if Stopwatch::find(&event).is_some_and(|mark| mark >= begun.as_str()) {
                    ages.extend(stopwatch.age(&event));
                }
            }
            Ok(ages)
        };
        let read = &read;
        let ages = thread::scope(|scope| -> Result<Vec<_>> {
            let readers: Vec<_> =
                watches.into_iter().map(|watch| scope.spawn(move || read(watch))).collect();
            make()?;
            readers.into_iter().map(join).collect()
        })?;
        self.cpu_ms += cpu_ms(&[daemon])? - before;
        self.lag.push(ages.into_iter().flatten());
        Ok(())
    }
}

fn write_all(clusters: &[Cluster], stopwatch: Stopwatch) -> Result<()> {
    let write = |cluster: &Cluster, writer: u32| -> Result<()> {
        let mut wire = cluster.client()?.keep()?;
        let name = name(cluster, writer);
        at_pace(WRITTEN / WRITERS, WRITTEN * SECONDS / WRITERS, |_| {
            let body = config_map(&name, &stopwatch.mark()).to_string();
            wire.request("PUT", &format!("{WATCHED}/{name}"), body.as_bytes())?.success()?;
            Ok(())
        })
    };
    let write = &write;
    thread::scope(|scope| {
        let writers = clusters.iter().flat_map(|it| (0..WRITERS).map(move |n| (it, n)));
        let threads: Vec<_> =
            writers.map(|(cluster, n)| scope.spawn(move || write(cluster, n))).collect();
        threads.into_iter().try_for_each(join)
    })
}

/// Makes what the writers change.
fn prepare(cluster: &Cluster) -> Result<()> {
    let client = cluster.client()?;
    client.send_json("POST", "/api/v1/namespaces", &namespace(NAMESPACE))?.success()?;
    for writer in 0..WRITERS {
        let body = config_map(&name(cluster, writer), "");
        client.send_json("POST", WATCHED, &body)?.success()?;
    }
    Ok(())
}

fn name(cluster: &Cluster, writer: u32) -> String {
    format!("{}-{writer}", cluster.name())
}

/// The event of a change, as a real API server tells it, of an object of another name.
fn recorded(cluster: &Cluster, stopwatch: Stopwatch, name: &str) -> Result<String> {
    let client = cluster.client()?;
    let body = config_map("recorded", &stopwatch.mark());
    client.send_json("POST", WATCHED, &body)?.success()?;
    let path = format!("{WATCHED}?watch=true&fieldSelector=metadata.name%3Drecorded");
    let event = client.open("GET", &path, None)?.line()?.context("no event")?;
    client.send("DELETE", &format!("{WATCHED}/recorded"), None)?.success()?;
    Ok(event.replace("ADDED", "MODIFIED").replace("recorded", name))
}

fn row(what: &str, each_second: u32, direct: &Carrier, tenbin: &Carrier) -> Row {
    let shown = |way: &Way| format!("{:.1} / {:.1} ms", way.p50(), way.p99());
    let rounds = u32::try_from(ROUNDS).unwrap_or(u32::MAX);
    let events = f64::from(3 * each_second * SECONDS * rounds);
    let late = tenbin.lag.p99() - direct.lag.p99();
    Row {
        what: format!("{what}, lag p50 / p99"),
        direct: shown(&direct.lag),
        tenbin: format!(
            "{}, {:.0} µs of CPU an event",
            shown(&tenbin.lag),
            tenbin.cpu_ms * 1e3 / events
        ),
        figure: format!("p99 direct {late:+.1} ms"),
        ..Row::default()
    }
}
