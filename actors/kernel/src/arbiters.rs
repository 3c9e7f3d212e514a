//! The threads on which actors live.

use std::io;
use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};
use tracing::warn;

use crate::clock::Clock;

/// How often each arbiter's heart beats.
const BEAT: Duration = Duration::from_millis(500);
/// A beat that comes later than this is logged: something blocks the thread.
const LATE: Duration = Duration::from_millis(50);

/// The arbiters of the daemon. They end when this is dropped.
#[derive(Debug)]
pub struct Arbiters {
    control: Arbiter,
    data: Arbiter,
    ledger: Arbiter,
    kube: Arbiter,
}

// === impl Arbiters ===

impl Arbiters {
    /// Starts the threads.
    ///
    /// # Panics
    /// Outside of an actix `System`.
    pub fn start(clock: &Clock) -> io::Result<Self> {
        Ok(Self {
            control: start("control", clock)?,
            data: start("data", clock)?,
            ledger: start("ledger", clock)?,
            kube: start("kube", clock)?,
        })
    }

    /// Decisions: Registry, Pollers, Scorer, Router, Placer.
    pub fn control(&self) -> ArbiterHandle {
        self.control.handle()
    }

    /// Admission: Forwarders.
    pub fn data(&self) -> ArbiterHandle {
        self.data.handle()
    }

    /// The Ledger alone, because sled blocks.
    pub fn ledger(&self) -> ArbiterHandle {
        self.ledger.handle()
    }

    /// Watches of objects, whose decoding by the thousand must not delay a decision.
    pub fn kube(&self) -> ArbiterHandle {
        self.kube.handle()
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        for arbiter in [&self.control, &self.data, &self.ledger, &self.kube] {
            arbiter.stop();
        }
    }
}

fn start(name: &'static str, clock: &Clock) -> io::Result<Arbiter> {
    let arbiter = Arbiter::try_new()?;
    arbiter.spawn(beat(name, clock.clone()));
    Ok(arbiter)
}

/// Notices when something blocks the thread, and with it all its actors.
async fn beat(name: &'static str, clock: Clock) {
    loop {
        let due = clock.elapsed().saturating_add(BEAT);
        clock.sleep(BEAT).await;
        let delay = clock.elapsed().saturating_sub(due);
        if delay > LATE {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            warn!(arbiter = name, delay_ms, "arbiter was blocked");
        }
    }
}
