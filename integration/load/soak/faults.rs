//! What goes wrong meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use tenbin_integration::eventually::now;
use tenbin_integration::{Daemon, Fleet, Signal};

use crate::pace::pause;

/// How long a member is stopped: longer than tenbin needs to hold it for dead.
const STOPPED: Duration = Duration::from_secs(4);
const BETWEEN: Duration = Duration::from_secs(4);

/// Stops members, kills one, and lets the daemon reread its configuration, again and again.
pub(super) fn until(end: Instant, fleet: &mut Fleet, daemon: &Daemon) -> Result<()> {
    for fault in (0..4).cycle() {
        if now() + STOPPED + BETWEEN > end {
            return Ok(());
        }
        pause(BETWEEN);
        match fault {
            0 => stop(fleet, "osaka")?,
            1 => daemon.reload()?,
            2 => {
                let nagoya = fleet.cluster_mut("nagoya")?;
                nagoya.kill_apiserver()?;
                nagoya.restart_apiserver()?;
            }
            _ => stop(fleet, "tokyo")?,
        }
    }
    Ok(())
}

fn stop(fleet: &Fleet, name: &str) -> Result<()> {
    let server = fleet.cluster(name)?.apiserver().running();
    server.signal(Signal::STOP)?;
    pause(STOPPED);
    server.signal(Signal::CONT)
}
