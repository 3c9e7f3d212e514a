//! What a member that has stopped costs the requests that reach the others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tenbin_integration::Cluster;
use tenbin_integration::eventually::{now, patience, until};
use tenbin_integration::http::Kept;
use tenbin_integration::process::Signal;

use crate::report::{Report, Row, Verdict};
use crate::rig::{Rig, small_list};
use crate::rounds::{ROUNDS, Way, median};

const SAMPLES: usize = 200;
const BAR: f64 = 1.1;

/// A member whose API server is stopped until this is dropped.
struct Stopped<'c>(&'c Cluster);

/// Measures merged lists while all members are well, and while one of them is stopped.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    let mut wire = rig.tenbin()?;
    let (mut well, mut without) = (Way::default(), Way::default());
    for _ in 0..ROUNDS {
        until(patience(), || ensure_warnings(&mut wire, 0))?;
        sample(&mut wire, &mut well)?;
        let stopped = Stopped::new(rig.fleet.cluster("osaka")?)?;
        until(patience(), || ensure_warnings(&mut wire, 1))?;
        sample(&mut wire, &mut without)?;
        drop(stopped);
    }
    until(patience(), || ensure_warnings(&mut wire, 0))?;
    let ratios = without.ratios(&well);
    report.add(Row {
        what: "small merged list while a member is stopped, once the breaker is open, p50"
            .to_owned(),
        tenbin: format!("{:.2} ms, healthy {:.2}", without.p50(), well.p50()),
        figure: format!("{:.2} × healthy", median(ratios.iter().copied())),
        bar: format!("{BAR} ×"),
        met: Some(Verdict::of_rounds(&ratios, BAR)),
        ..Row::default()
    });
    Ok(())
}

fn ensure_warnings(wire: &mut Kept, wanted: usize) -> Result<()> {
    let found = wire.get(&small_list())?.warnings;
    ensure!(found == wanted, "{found} warnings, not {wanted}");
    Ok(())
}

fn sample(wire: &mut Kept, way: &mut Way) -> Result<()> {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..SAMPLES {
        let start = now();
        wire.get(&small_list())?;
        times.push(start.elapsed());
    }
    way.push(times);
    Ok(())
}

impl<'c> Stopped<'c> {
    fn new(cluster: &'c Cluster) -> Result<Self> {
        cluster.apiserver().running().signal(Signal::STOP).context("stopping a member")?;
        Ok(Self(cluster))
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        drop(self.0.apiserver().running().signal(Signal::CONT));
    }
}
