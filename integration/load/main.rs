//! `make bench`: what a request costs by way of tenbin, beside the same request straight to the API
//! servers and by way of nginx as a plain TLS pass-through.
//!
//! The three take turns in one run, so that a slow moment of the machine touches them alike; every
//! ratio is the median of the rounds' ratios. The load generator, the API servers and the proxies
//! share the machine's cores.
//!
//! `make soak` runs it as `tenbin-load soak`: minutes of load with faults.

mod fan_in;
mod handshakes;
mod latency;
mod lists;
mod machine;
mod memory;
mod nginx;
mod pace;
mod replay;
mod report;
mod rig;
mod rounds;
mod soak;
mod stopped;
mod watches;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use report::Report;
use rig::Rig;

/// Fills a part of the report.
type Measure = fn(&mut Rig, &mut Report) -> Result<()>;

const MEASURES: [(&str, Measure); 7] = [
    ("latency", latency::measure),
    ("lists", lists::measure),
    ("fan-in", fan_in::measure),
    ("memory", memory::measure),
    ("watches", watches::measure),
    ("handshakes", handshakes::measure),
    ("stopped", stopped::measure),
];

/// Runs the measures named by the arguments, or all of them, whose report is then kept; or, when told
/// `soak`, that.
fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let done = if wanted == ["soak"] { soak::run() } else { run(&wanted) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenbin-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<()> {
    for name in wanted {
        ensure!(MEASURES.iter().any(|(known, _)| known == name), "there is no measure {name}");
    }
    let mut report = Report::new()?;
    let mut rig = Rig::start()?;
    for (name, measure) in MEASURES {
        if wanted.is_empty() || wanted.iter().any(|it| it == name) {
            eprintln!("measuring {name}");
            measure(&mut rig, &mut report)?;
        }
    }
    report.print();
    if wanted.is_empty() {
        report.keep()?;
    }
    let missed = report.missed();
    ensure!(missed.is_empty(), "missed by more than the noise: {}", missed.join("; "));
    Ok(())
}
