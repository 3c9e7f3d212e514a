//! How long one object and a small list take.

use std::time::Duration;

use anyhow::{Context, Result};
use tenbin_integration::eventually::now;
use tenbin_integration::http::Kept;

use crate::report::{Report, Row, Verdict};
use crate::rig::{Rig, object, small_list};
use crate::rounds::{Way, median, take_turns};

const SAMPLES: usize = 200;
const WARM_UP: usize = 100;
const BAR: f64 = 1.35;

/// Measures GETs of one object, own's and another's, and of a small list.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    for (index, cluster) in rig.fleet.clusters().iter().enumerate().step_by(2) {
        let own = index == 0;
        let who = if own { "own" } else { "the last member" };
        let path = object(cluster.name());
        let mut ways = [rig.all_direct()?, rig.all_nginx()?]
            .map(|mut all| vec![all.swap_remove(index)])
            .into_iter()
            .chain([vec![rig.tenbin()?]])
            .collect::<Vec<_>>();
        let taken = compare(&mut ways, &path)?;
        report.add(row(format!("one ConfigMap of {who}, p50 / p99"), &taken, own)?);
    }
    let mut ways = [rig.all_direct()?, rig.all_nginx()?, vec![rig.tenbin()?]];
    let taken = compare(&mut ways, &small_list())?;
    let what = "small list (3 × 2 ConfigMaps; others: all three in parallel), p50 / p99";
    report.add(row(what.to_owned(), &taken, true)?);
    Ok(())
}

/// Asks each way in turns; a way is some connections that are asked at once.
fn compare(ways: &mut [Vec<Kept>], path: &str) -> Result<Vec<Way>> {
    for way in ways.iter_mut() {
        for _ in 0..WARM_UP {
            ask_at_once(way, path)?;
        }
    }
    take_turns(ways.len(), SAMPLES, |number| {
        ask_at_once(ways.get_mut(number).context("no such way")?, path)
    })
}

/// Sends to all, then waits for all: one thread, so that no wake-up is measured.
fn ask_at_once(way: &mut [Kept], path: &str) -> Result<Duration> {
    let start = now();
    way.iter_mut().try_for_each(|wire| wire.send(path))?;
    way.iter_mut().try_for_each(|wire| wire.receive().map(drop))?;
    Ok(start.elapsed())
}

fn row(what: String, taken: &[Way], has_bar: bool) -> Result<Row> {
    let [direct, nginx, tenbin] = taken else { anyhow::bail!("not three ways") };
    let shown = |way: &Way| format!("{:.2} / {:.2} ms", way.p50(), way.p99());
    let ratios = tenbin.ratios(direct);
    Ok(Row {
        what,
        direct: shown(direct),
        nginx: format!("{} ({:.2} ×)", shown(nginx), nginx.ratio(direct)),
        tenbin: shown(tenbin),
        figure: format!("{:.2} × direct", median(ratios.iter().copied())),
        bar: if has_bar { format!("{BAR} ×") } else { "-".to_owned() },
        met: has_bar.then(|| Verdict::of_rounds(&ratios, BAR)),
    })
}
