//! Thirty random fleets and totals on real clusters: nothing is lost, nothing is doubled.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tenbin_integration::{Daemon, Random, Space, deployment, eventually};

use super::{daemon, shares, space};

const SEED: u64 = 3;

/// Watts of tokyo, osaka and nagoya in tenths, so that they are exact.
fn state(daemon: &Daemon, watts: [f64; 3]) -> Result<()> {
    daemon.edit_config(|table| {
        let [tokyo, osaka, nagoya] = watts.map(toml::Value::from);
        if let Some(own) = table.get_mut("own").and_then(|it| it.as_table_mut()) {
            own.insert("watts".to_owned(), tokyo);
        }
        let members = table.get_mut("member").and_then(|it| it.as_array_mut());
        for (member, watts) in members.into_iter().flatten().zip([osaka, nagoya]) {
            if let Some(member) = member.as_table_mut() {
                member.insert("watts".to_owned(), watts);
            }
        }
    })?;
    daemon.reload()?;
    let stated = |scores: &Value| (0..3).map(|n| scores["clusters"][n]["watts"].as_f64()).collect();
    eventually!(daemon.scores().map(|it| stated(&it)), |now: &Vec<Option<f64>>| {
        *now == watts.map(Some)
    });
    Ok(())
}

/// Σ = total, in the clusters and in the answer, and a better score never gets less.
fn check(space: &Space, name: &str, total: u64, watts: [f64; 3]) -> Result<()> {
    let shares: Option<Vec<u64>> = shares(space, name)?.into_iter().collect();
    let shares = shares.context("a copy is missing")?;
    ensure!(shares.iter().sum::<u64>() == total, "{shares:?} for {total} by {watts:?}");
    for (a, watts_a) in shares.iter().zip(watts) {
        for (b, watts_b) in shares.iter().zip(watts) {
            ensure!(watts_a >= watts_b || a >= b, "{shares:?} for {total} by {watts:?}");
        }
    }
    Ok(())
}

#[test]
fn thirty_random_totals_and_scores_are_divided_without_a_remainder() -> Result<()> {
    let space = space("random")?;
    let daemon = daemon("random").start()?;
    let client = daemon.client()?;
    let path = space.path("deployments");
    let mut random = Random::new(SEED);
    for round in 0..10 {
        let watts =
            [0; 3].map(|_| f64::from(u32::try_from(random.below(9_990)).unwrap_or(0) + 10) / 10.0);
        state(&daemon, watts)?;
        for case in 0..3 {
            let name = format!("web-{round}-{case}");
            let context = || format!("seed {SEED}, {name}");
            let (total, then) = (random.below(200), random.below(2_000));
            let body = deployment(&name, i64::try_from(total)?);
            let answer = client.send_json("POST", &path, &body)?.success().with_context(context)?;
            ensure!(answer.json()?["spec"]["replicas"] == total, "{name}: {}", answer.text());
            check(&space, &name, total, watts).with_context(context)?;
            let patch = format!("{{\"spec\":{{\"replicas\":{then}}}}}");
            let one = format!("{path}/{name}");
            client
                .send("PATCH", &one, Some(("application/merge-patch+json", patch.as_bytes())))?
                .success()?;
            check(&space, &name, then, watts).with_context(context)?;
        }
    }
    Ok(())
}
