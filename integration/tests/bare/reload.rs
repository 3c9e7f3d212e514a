//! SIGHUP: a bad file changes nothing, a good one changes the scores, and no connection is lost.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Daemon, config_map, deployment, eventually};

use super::{daemon, shares, space};

fn watts(daemon: &Daemon) -> Result<Vec<Value>> {
    let scores = daemon.scores()?;
    let clusters = scores["clusters"].as_array().context("no clusters")?;
    Ok(clusters.iter().map(|it| it["watts"].clone()).collect())
}

fn state_own(daemon: &Daemon, watts: impl Into<toml::Value>) -> Result<()> {
    daemon.edit_config(|table| {
        if let Some(own) = table.get_mut("own").and_then(|it| it.as_table_mut()) {
            own.insert("watts".to_owned(), watts.into());
        }
    })?;
    daemon.reload()
}

#[test]
fn a_bad_file_changes_nothing_and_a_good_one_keeps_every_connection() -> Result<()> {
    let space = space("reload")?;
    let daemon = daemon("reload").start()?;
    let path = space.path("configmaps");
    let mut watch = daemon.client()?.open("GET", &format!("{path}?watch=true"), None)?;
    assert_eq!(watch.status, 200);
    eventually!(watts(&daemon), |all| *all == [100.0, 200.0, 300.0]);
    let before = daemon.log().len();
    state_own(&daemon, "many")?;
    let reported = || daemon.log().get(before..).is_some_and(|new| new.contains("own.watts"));
    eventually!(reported());
    assert_eq!(watts(&daemon)?, [100.0, 200.0, 300.0]);
    state_own(&daemon, 400.0)?;
    eventually!(watts(&daemon), |all| *all == [400.0, 200.0, 300.0]);
    let created =
        daemon.client()?.send_json("POST", &space.path("deployments"), &deployment("web", 10))?;
    created.success()?;
    let shares: Vec<u64> = shares(&space, "web")?.into_iter().flatten().collect();
    assert_eq!(shares.iter().sum::<u64>(), 10);
    assert!(shares[0] < shares[2] && shares[2] < shares[1], "{shares:?}");
    space.create_in("tokyo", "configmaps", &config_map("after", "1"))?;
    let event = watch.event()?.context("the watch ended")?;
    assert_eq!(event["object"]["metadata"]["name"], "after");
    Ok(())
}

#[test]
fn a_member_comes_and_goes_with_the_file() -> Result<()> {
    let space = space("reload-member")?;
    let daemon = daemon("reload-member").start()?;
    for cluster in ["osaka", "nagoya"] {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    let list = || {
        let list = daemon.client()?.json(&space.path("configmaps"))?;
        let items = list["items"].as_array().context("no items")?;
        Ok::<_, anyhow::Error>(
            items.iter().map(|it| it["metadata"]["name"].clone()).collect::<Vec<_>>(),
        )
    };
    eventually!(list(), |names| *names == ["osaka", "nagoya"]);
    let mut taken = None;
    daemon.edit_config(|table| {
        let members = table.get_mut("member").and_then(|it| it.as_array_mut());
        taken = members.and_then(Vec::pop);
    })?;
    daemon.reload()?;
    eventually!(list(), |names| *names == ["osaka"]);
    daemon.edit_config(|table| {
        let members = table.get_mut("member").and_then(|it| it.as_array_mut());
        if let (Some(members), Some(taken)) = (members, taken) {
            members.push(taken);
        }
    })?;
    daemon.reload()?;
    eventually!(list(), |names| *names == ["osaka", "nagoya"]);
    Ok(())
}
