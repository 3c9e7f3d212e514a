//! Peers that are dead when a tenbin starts anew.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::power::wao::{self, NAMESPACE};
use tenbin_integration::{Daemon, Model, Space, deployment, eventually, scores};

use super::FLEET;
use super::rig::{configure, is_close, is_whole, sum};

const PEERS: [&str; 3] = ["quiet", "calm", "busy"];

fn row(daemon: &Daemon, cluster: &str) -> Result<Value> {
    let page = daemon.scores()?;
    let rows = page["clusters"].as_array().context("no clusters")?;
    let row = rows.iter().find(|row| row["name"] == cluster);
    row.cloned().with_context(|| format!("no {cluster} in {page:#}"))
}

#[test]
fn dead_peers_are_known_from_the_ledger_for_a_while_and_then_unknown() -> Result<()> {
    let endpoint = FLEET.power()?.predictor().endpoint("linear");
    let predictor = wao::power_consumption(&wao::v2(&endpoint));
    let config = "[score]\nmax_age = '12s'\n[auth]\ncross = ['system:masters']";
    let mut daemons = Vec::new();
    for name in PEERS {
        let cluster = FLEET.cluster(name)?;
        configure(cluster, NAMESPACE, &predictor)?;
        scores::install(cluster, scores::GROUP)?;
        let daemon = FLEET.daemon().name(&format!("peer-{name}")).own(name).peer();
        daemons.push(daemon.config(config).start()?);
    }
    for name in PEERS {
        for (other, daemon) in PEERS.iter().zip(&daemons).filter(|(other, _)| **other != name) {
            scores::add_peer(FLEET.cluster(name)?, other, &daemon.endpoint())?;
        }
    }
    let watts = sum(&Model::Linear);
    for daemon in &daemons {
        eventually!(row(daemon, "quiet"), |row: &Value| is_close(row, watts));
        for name in PEERS {
            eventually!(row(daemon, name), |row: &Value| row["watts"].is_number());
        }
    }
    let [own, calm, busy] = &mut daemons[..] else { anyhow::bail!("three daemons") };
    eventually!(row(own, "calm"), |row: &Value| row["provenance"] == "peer");

    calm.kill()?;
    busy.kill()?;
    for name in ["calm", "busy"] {
        eventually!(row(own, name), |row: &Value| row["failure"].is_string());
    }
    let before = [row(own, "calm")?, row(own, "busy")?];
    own.restart()?;
    for before in before {
        let name = before["name"].as_str().context("no name")?;
        let row = eventually!(row(own, name));
        assert_eq!(row["provenance"], "ledger", "{row:#}");
        assert_eq!(row["watts"], before["watts"], "{row:#}");
        assert!(row["age_seconds"].as_f64() > before["age_seconds"].as_f64(), "{row:#}");
        assert_eq!(row["region"], name, "{row:#}");
    }
    eventually!(row(own, "quiet"), |row: &Value| is_whole(row) && is_close(row, watts));
    let space = Space::only_in(&FLEET, "dead-peers", &PEERS)?;
    let path = space.path("deployments");
    own.client()?.send_json("POST", &path, &deployment("web", 5))?.success()?;
    let shares = space.shares("deployments/web")?;
    assert_eq!(shares.iter().flatten().collect::<Vec<_>>(), [&5], "{shares:?}");
    for name in ["calm", "busy"] {
        let row = eventually!(row(own, name), |row: &Value| row["watts"].is_null());
        assert_eq!(row["provenance"], "unknown", "{row:#}");
        assert!(row["failure"].is_string(), "{row:#}");
    }
    calm.start()?;
    busy.start()?;
    for name in ["calm", "busy"] {
        eventually!(row(own, name), |row: &Value| row["provenance"] == "peer");
    }
    Ok(())
}
