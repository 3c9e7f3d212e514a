//! How much memory many idle watches take.

use anyhow::{Result, ensure};
use tenbin_integration::Streaming;

use crate::machine::resident_kib;
use crate::report::{Report, Row, Verdict};
use crate::rig::Rig;

const WATCHES: usize = 200;
const BAR_MIB: f64 = 20.0;
const PATH: &str = "/api/v1/namespaces/nothing/pods";

/// Measures the resident set with 200 watches of an empty namespace open, against idle.
pub(crate) fn measure(rig: &mut Rig, report: &mut Report) -> Result<()> {
    rig.daemon.restart()?;
    rig.tenbin()?.get(PATH)?;
    let pid = rig.daemon.process()?.id();
    let idle = resident_kib(pid)?;
    let open: Vec<_> = (0..WATCHES).map(|_| watch(rig)).collect::<Result<_>>()?;
    let more = (resident_kib(pid)? - idle) / 1024.0;
    drop(open);
    report.add(Row {
        what: format!("resident set with {WATCHES} watches of an empty namespace"),
        tenbin: format!("idle {:.1} MiB", idle / 1024.0),
        figure: format!("idle {more:+.1} MiB"),
        bar: format!("+{BAR_MIB} MiB"),
        met: Some(Verdict::of(more, BAR_MIB)),
        ..Row::default()
    });
    Ok(())
}

/// Opens a watch as an informer does that has just listed.
fn watch(rig: &Rig) -> Result<Streaming> {
    let watch = rig.client()?.open("GET", &format!("{PATH}?watch=true"), None)?;
    ensure!(watch.status == 200, "a watch is answered {}", watch.status);
    Ok(watch)
}
