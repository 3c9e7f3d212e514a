//! `kill -9` in the middle of writes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tenbin_integration::{Client, Daemon, Random, Space, deployment};

use super::{FLEET, daemon, space};

const SEED: u64 = 20_261_121;
const KILLS: u64 = 20;

/// Writes until the daemon is gone: creates, scales and deletes in turn.
fn write(client: &Client, space: &Space, round: u64, stop: &AtomicBool) -> u64 {
    let path = space.path("deployments");
    let mut written = 0;
    for n in 0.. {
        let name = format!("web-{round}-{n}");
        let one = format!("{path}/{name}");
        let scale = br#"{"spec":{"replicas":20}}"#;
        let create = || client.send_json("POST", &path, &deployment(&name, 10));
        let patch = || client.send("PATCH", &one, Some(("application/merge-patch+json", scale)));
        let delete = || client.send("DELETE", &one, None);
        for answer in [create(), patch(), if n % 2 == 0 { delete() } else { patch() }] {
            if answer.is_err() || stop.load(Ordering::Relaxed) {
                return written;
            }
            written += 1;
        }
    }
    written
}

/// Kills at a random moment while somebody writes; returns how many writes were answered.
fn kill_while_writing(
    daemon: &mut Daemon,
    space: &Space,
    round: u64,
    after: Duration,
) -> Result<u64> {
    let client = daemon.client()?.patience(Duration::from_secs(10));
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (ended, end) = mpsc::channel::<()>();
        let (stop, written) = (&stop, &written);
        scope.spawn(move || {
            written.store(write(&client, space, round, stop), Ordering::Relaxed);
            drop(ended);
        });
        // The moment is the subject of this test; the writer never ends before it.
        let early = end.recv_timeout(after) != Err(RecvTimeoutError::Timeout);
        let killed = daemon.kill();
        stop.store(true, Ordering::Relaxed);
        ensure!(!early, "the writer ended before the kill: {}", daemon.log());
        killed
    })?;
    Ok(written.into_inner())
}

#[test]
fn the_ledger_opens_after_every_kill_and_no_copy_is_without_its_home() -> Result<()> {
    let space = space("crashes")?;
    let mut random = Random::new(SEED);
    let mut daemon = daemon("crashes").start()?;
    let mut written = 0;
    for round in 0..KILLS {
        let after = Duration::from_micros(random.below(600_000));
        written += kill_while_writing(&mut daemon, &space, round, after)
            .with_context(|| format!("seed {SEED}, round {round}, after {after:?}"))?;
        daemon.start().with_context(|| format!("seed {SEED}, round {round}, after {after:?}"))?;
        let scores = daemon.scores()?;
        assert_eq!(scores["clusters"][2]["watts"], 300.0, "seed {SEED}, round {round}: {scores}");
    }
    let log = daemon.log().to_lowercase();
    assert!(!log.contains("corrupt"), "seed {SEED}: {log}");
    assert!(written > KILLS, "seed {SEED}: {written} writes were answered");
    let list = space.path("deployments");
    let names = |cluster: &str| -> Result<Vec<String>> {
        let list = FLEET.cluster(cluster)?.client()?.json(&list)?;
        let items = list["items"].as_array().context("no items")?;
        Ok(items
            .iter()
            .filter_map(|it| it["metadata"]["name"].as_str().map(str::to_owned))
            .collect())
    };
    let home = names("tokyo")?;
    for cluster in ["osaka", "nagoya"] {
        let orphans: Vec<String> =
            names(cluster)?.into_iter().filter(|it| !home.contains(it)).collect();
        // A DELETE is never taken back, so at most the one in flight at each kill may be left.
        assert!(orphans.len() as u64 <= KILLS, "seed {SEED}: {orphans:?} in {cluster}");
    }
    Ok(())
}
