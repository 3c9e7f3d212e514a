//! How many connections tenbin opens to its members.

use std::thread;

use anyhow::Result;
use tenbin_integration::Daemon;

use crate::report::{Report, Row, Verdict};
use crate::rig::{Rig, join, object, small_list};

const CLIENTS: usize = 8;
const REQUESTS: usize = 1_000;
const BAR: u64 = 10;

/// Counts the connections, each of which begins with a TLS handshake, during 1,000 requests of eight
/// clients, half of them of one object and half of a small list.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    // One of its own, by way of shims that count.
    let daemon = rig.fleet.daemon().name("counted").start()?;
    send(rig, &daemon, REQUESTS)?;
    let before = accepted(rig, &daemon)?;
    send(rig, &daemon, REQUESTS)?;
    let opened = accepted(rig, &daemon)? - before;
    report.add(Row {
        what: format!(
            "upstream TLS handshakes in {REQUESTS} requests of {CLIENTS} clients at once"
        ),
        tenbin: opened.to_string(),
        figure: opened.to_string(),
        bar: BAR.to_string(),
        met: Some(if opened <= BAR { Verdict::Met } else { Verdict::Missed }),
        ..Row::default()
    });
    Ok(())
}

fn send(rig: &Rig, daemon: &Daemon, requests: usize) -> Result<()> {
    let each = requests / CLIENTS / 2;
    let client = || -> Result<()> {
        let mut wire = rig.by_way_of(daemon)?;
        for _ in 0..each {
            wire.get(&object("osaka"))?;
            wire.get(&small_list())?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        threads.into_iter().try_for_each(join)
    })
}

fn accepted(rig: &Rig, daemon: &Daemon) -> Result<u64> {
    let clusters = rig.fleet.clusters().iter();
    clusters.map(|cluster| Ok(daemon.shim(cluster.name())?.accepted())).sum()
}
