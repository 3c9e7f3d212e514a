//! Merged lists of many pods, beside the members' lists in parallel.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tenbin_integration::eventually::now;
use tenbin_integration::http::{Kept, Timed};

use crate::machine::cpu_ms;
use crate::report::{Report, Row, Verdict};
use crate::rig::{PODS, Rig, join, pods};
use crate::rounds::{ROUNDS, Way, median};

/// Pods of each member that are listed in a round, over all its lists: short lists vary more.
const PODS_A_ROUND: usize = 15_000;
const WALL_BAR: f64 = 1.2;
const CPU_BAR: f64 = 5.0;
const FIRST_BYTE_BAR: f64 = 5.0;

/// Some connections whose lists are asked for at once, the processes that carry them, and what came.
struct Carrier {
    wires: Vec<Kept>,
    processes: Vec<u32>,
    wall: Way,
    first: Way,
    lists: u32,
    bytes: usize,
    cpu_ms: f64,
}

/// Measures wall time, CPU time and the time to the first byte.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    for (namespace, count) in PODS {
        let samples = PODS_A_ROUND / count;
        let tenbin = rig.daemon.process()?.id();
        let mut direct = Carrier::new(rig.all_direct()?, Vec::new());
        let mut nginx = Carrier::new(rig.all_nginx()?, rig.nginx.processes()?);
        let mut merged = Carrier::new(vec![rig.tenbin()?], vec![tenbin]);
        let path = pods(namespace);
        for carrier in [&mut direct, &mut nginx, &mut merged] {
            carrier.warm_up(&path)?;
        }
        for _ in 0..ROUNDS {
            for carrier in [&mut direct, &mut nginx, &mut merged] {
                carrier.take_turn(&path, samples)?;
            }
        }
        add_rows(report, count, &direct, &nginx, &merged);
    }
    Ok(())
}

impl Carrier {
    fn new(wires: Vec<Kept>, processes: Vec<u32>) -> Self {
        let (wall, first) = (Way::default(), Way::default());
        Self { wires, processes, wall, first, lists: 0, bytes: 0, cpu_ms: 0.0 }
    }

    fn warm_up(&mut self, path: &str) -> Result<()> {
        self.list(path)?;
        (self.lists, self.bytes) = (0, 0);
        Ok(())
    }

    fn take_turn(&mut self, path: &str, times: usize) -> Result<()> {
        let before = cpu_ms(&self.processes)?;
        let samples = (0..times).map(|_| self.list(path)).collect::<Result<Vec<_>>>()?;
        self.cpu_ms += cpu_ms(&self.processes)? - before;
        self.wall.push(samples.iter().map(|(_, wall)| *wall));
        self.first.push(samples.iter().map(|(first, _)| *first));
        Ok(())
    }

    /// Lists on all connections; until the last first byte, and until the last byte.
    fn list(&mut self, path: &str) -> Result<(Duration, Duration)> {
        let start = now();
        let answers: Vec<Timed> = thread::scope(|scope| {
            let threads: Vec<_> =
                self.wires.iter_mut().map(|wire| scope.spawn(|| wire.get(path))).collect();
            threads.into_iter().map(join).collect::<Result<_>>()
        })?;
        self.lists += 1;
        self.bytes += answers.iter().map(|answer| answer.bytes).sum::<usize>();
        let latest = |of: fn(&Timed) -> Instant| {
            let latest = answers.iter().map(of).max().context("no connection")?;
            Ok::<_, anyhow::Error>(latest.duration_since(start))
        };
        Ok((latest(|answer| answer.first)?, latest(|answer| answer.end)?))
    }

    fn megabytes(&self) -> f64 {
        f64::from(u32::try_from(self.bytes / 1_000).unwrap_or(u32::MAX)) / 1e3
    }

    fn cpu_per_megabyte(&self) -> f64 {
        self.cpu_ms / self.megabytes()
    }
}

fn add_rows(
    report: &mut Report,
    count: usize,
    direct: &Carrier,
    nginx: &Carrier,
    tenbin: &Carrier,
) {
    let size = tenbin.megabytes() / f64::from(tenbin.lists);
    let wall = |carrier: &Carrier| format!("{:.1} ms", carrier.wall.p50());
    let ratios = tenbin.wall.ratios(&nginx.wall);
    report.add(Row {
        what: format!("list of 3 × {count} pods ({size:.1} MB), wall time"),
        direct: wall(direct),
        nginx: format!("{} ({:.2} ×)", wall(nginx), nginx.wall.ratio(&direct.wall)),
        tenbin: format!("{} ({:.2} ×)", wall(tenbin), tenbin.wall.ratio(&direct.wall)),
        figure: format!("{:.2} × nginx", median(ratios.iter().copied())),
        bar: format!("{WALL_BAR} ×"),
        met: Some(Verdict::of_rounds(&ratios, WALL_BAR)),
    });
    let cpu = tenbin.cpu_per_megabyte();
    report.add(Row {
        what: format!("list of 3 × {count} pods, CPU of the proxy"),
        nginx: format!("{:.2} ms/MB", nginx.cpu_per_megabyte()),
        tenbin: format!("{cpu:.2} ms/MB"),
        figure: format!("{cpu:.2} ms/MB"),
        bar: format!("{CPU_BAR} ms/MB"),
        met: Some(Verdict::of(cpu, CPU_BAR)),
        ..Row::default()
    });
    let first = |carrier: &Carrier| format!("{:.1} ms", carrier.first.p50());
    let late = tenbin.first.differences(&direct.first);
    report.add(Row {
        what: format!("list of 3 × {count} pods, time to the (slowest member's) first byte"),
        direct: first(direct),
        nginx: first(nginx),
        tenbin: first(tenbin),
        figure: format!("direct {:+.1} ms", median(late.iter().copied())),
        bar: format!("+{FIRST_BYTE_BAR} ms"),
        met: Some(Verdict::of_rounds(&late, FIRST_BYTE_BAR)),
    });
}
