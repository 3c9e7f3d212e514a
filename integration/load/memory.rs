//! How much memory many long lists at once take.

use std::thread;

use anyhow::Result;

use crate::machine::{forget_peak, peak_kib, resident_kib};
use crate::report::{Report, Row, Verdict};
use crate::rig::{MOST_PODS, Rig, join, pods};

const AT_ONCE: usize = 10;
const BAR_MIB: f64 = 64.0;

/// Measures the resident set during ten of the longest lists at once, against idle.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    // A daemon that has not listed yet; idle is what it is after its first requests.
    rig.daemon.restart()?;
    rig.tenbin()?.get(&pods("empty"))?;
    let pid = rig.daemon.process()?.id();
    let idle = resident_kib(pid)?;
    let path = pods(MOST_PODS.0);
    forget_peak(pid)?;
    thread::scope(|scope| {
        let list = || -> Result<usize> { Ok(rig.tenbin()?.get(&path)?.bytes) };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(list)).collect();
        threads.into_iter().try_for_each(|thread| join(thread).map(drop))
    })?;
    let more = (peak_kib(pid)? - idle) / 1024.0;
    report.add(Row {
        what: format!("largest resident set during {AT_ONCE} lists of 3 × 5000 pods at once"),
        tenbin: format!(
            "idle {:.1} MiB, afterwards {:.1}",
            idle / 1024.0,
            resident_kib(pid)? / 1024.0
        ),
        figure: format!("idle {more:+.1} MiB"),
        bar: format!("+{BAR_MIB} MiB"),
        met: Some(Verdict::of(more, BAR_MIB)),
        ..Row::default()
    });
    Ok(())
}
