//! Many at once: nothing mixes, and the last total is everybody's.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tenbin_integration::{Daemon, config_map, deployment};

use super::{daemon, shares, space};

/// Nothing here breaks the network, so the tests share a daemon.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("concurrency").shared());

/// Runs it in this many threads at once.
fn at_once<T: Send>(threads: u64, run: impl Fn(u64) -> Result<T> + Sync) -> Result<Vec<T>> {
    std::thread::scope(|scope| {
        let run = &run;
        let all: Vec<_> = (0..threads).map(|n| scope.spawn(move || run(n))).collect();
        all.into_iter().map(|it| it.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    })
}

/// The original appended answers to one slice without a lock (wao.md, R2).
#[test]
fn concurrent_lists_are_whole_and_equal() -> Result<()> {
    let space = space("concurrent-lists")?;
    let filler = "x".repeat(2_000);
    let mut wanted = BTreeSet::new();
    for cluster in ["tokyo", "osaka", "nagoya"] {
        for n in 0..60 {
            let name = format!("{cluster}-{n}");
            space.create_in(cluster, "configmaps", &config_map(&name, &filler))?;
            wanted.insert(name);
        }
    }
    let path = space.path("configmaps");
    at_once(8, |n| {
        for round in 0..10 {
            let list = DAEMON.client()?.json(&path)?;
            let items = list["items"].as_array().context("no items")?;
            let names =
                items.iter().filter_map(|it| it["metadata"]["name"].as_str().map(str::to_owned));
            ensure!(names.collect::<BTreeSet<_>>() == wanted, "thread {n}, round {round}");
            ensure!(items.len() == wanted.len(), "thread {n}, round {round}");
        }
        Ok(())
    })?;
    Ok(())
}

#[test]
fn concurrent_scales_end_with_one_total() -> Result<()> {
    let space = space("concurrent-scales")?;
    let path = space.path("deployments");
    for round in 0..5 {
        let name = format!("web-{round}");
        DAEMON.client()?.send_json("POST", &path, &deployment(&name, 10))?.success()?;
        let one = format!("{path}/{name}");
        let codes = at_once(6, |n| {
            let patch = format!("{{\"spec\":{{\"replicas\":{}}}}}", 100 + 10 * n);
            let kind = "application/merge-patch+json";
            Ok(DAEMON.client()?.send("PATCH", &one, Some((kind, patch.as_bytes())))?.status)
        })?;
        ensure!(codes.iter().all(|code| matches!(code, 200 | 409)), "{codes:?}");
        ensure!(codes.contains(&200), "{codes:?}");
        let folded = DAEMON.client()?.json(&one)?;
        let total = folded["spec"]["replicas"].as_u64().context("no replicas")?;
        let shares: Vec<u64> = shares(&space, &name)?.into_iter().flatten().collect();
        ensure!(
            shares.iter().sum::<u64>() == total,
            "round {round}: {shares:?} for {total} {codes:?}"
        );
        ensure!((100..=150).contains(&total), "round {round}: {total}");
    }
    Ok(())
}

/// Home's copy decides between daemons that know nothing of each other.
#[test]
fn scales_through_two_daemons_end_with_one_total() -> Result<()> {
    let space = space("two-daemons")?;
    let other = daemon("concurrency-other").start()?;
    let path = space.path("deployments");
    for round in 0..5 {
        let name = format!("web-{round}");
        DAEMON.client()?.send_json("POST", &path, &deployment(&name, 10))?.success()?;
        let one = format!("{path}/{name}");
        let codes = at_once(6, |n| {
            let patch = format!("{{\"spec\":{{\"replicas\":{}}}}}", 100 + 10 * n);
            let kind = "application/merge-patch+json";
            let client = if n % 2 == 0 { DAEMON.client()? } else { other.client()? };
            Ok(client.send("PATCH", &one, Some((kind, patch.as_bytes())))?.status)
        })?;
        ensure!(codes.iter().all(|code| *code == 200), "{codes:?}");
        let total = DAEMON.client()?.json(&one)?["spec"]["replicas"].as_u64();
        let shares: Vec<u64> = shares(&space, &name)?.into_iter().flatten().collect();
        ensure!(Some(shares.iter().sum()) == total, "round {round}: {shares:?} for {total:?}");
    }
    Ok(())
}

#[test]
fn one_of_many_creates_of_a_name_wins() -> Result<()> {
    let space = space("concurrent-creates")?;
    let path = space.path("deployments");
    for round in 0..5 {
        let name = format!("web-{round}");
        let answers = at_once(6, |n| {
            let body = deployment(&name, i64::try_from(20 + n)?);
            DAEMON.client()?.send_json("POST", &path, &body)
        })?;
        let codes: Vec<u16> = answers.iter().map(|it| it.status).collect();
        let won: Vec<Value> = answers
            .iter()
            .filter(|it| it.status == 201)
            .map(tenbin_integration::Response::json)
            .collect::<Result<_>>()?;
        ensure!(won.len() == 1, "round {round}: {codes:?}");
        ensure!(codes.iter().all(|code| matches!(code, 201 | 409)), "round {round}: {codes:?}");
        let shares: Vec<u64> = shares(&space, &name)?.into_iter().flatten().collect();
        ensure!(
            shares.len() == 3 && shares.iter().sum::<u64>() == won[0]["spec"]["replicas"],
            "round {round}: {shares:?} {codes:?}"
        );
    }
    Ok(())
}
