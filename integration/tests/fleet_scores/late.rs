//! Clusters whose API servers and kinds come and go: two, each with a node that tells the region.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use tenbin_integration::eventually::{now, until};
use tenbin_integration::scores::{self, GROUP};
use tenbin_integration::{Daemon, Fleet, FleetBuilder, config_map, deployment, eventually};

use super::CROSS;
use super::house::{Objects, daemon, names, person};
use super::measured::row;

const PROMPT: Duration = Duration::from_secs(5);
const MAPS: &str = "/api/v1/namespaces/late/configmaps";
const CRD: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
/// A kind that is not there is looked for every half minute at the latest.
const BACKOFF: Duration = Duration::from_mins(1);

/// Tokyo and osaka, whose own names nobody says.
fn start(fleet: &Fleet) -> Result<Vec<Daemon>> {
    let mut daemons = Vec::new();
    for name in ["tokyo", "osaka"] {
        let client = Objects::new(fleet, name, "late")?.client()?;
        client.send_json("POST", MAPS, &config_map(name, "1"))?.success()?;
        let mut daemon = daemon(fleet, "late", name).config(CROSS).prepare()?;
        daemon.edit_config(|table| {
            if let Some(own) = table.get_mut("own").and_then(|own| own.as_table_mut()) {
                own.remove("name");
            }
        })?;
        daemon.start()?;
        daemons.push(daemon);
    }
    Ok(daemons)
}

fn sees(daemon: &Daemon, wanted: &[&str], missing: &str) -> Result<()> {
    let began = now();
    let (seen, warnings) = names(&person(daemon)?.get(MAPS)?)?;
    ensure!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    ensure!(seen == wanted, "{seen:?} {warnings}");
    ensure!(warnings.is_empty() == missing.is_empty() && warnings.contains(missing), "{warnings}");
    Ok(())
}

#[test]
fn kinds_and_api_servers_may_come_late_and_go() -> Result<()> {
    let mut fleet = FleetBuilder::new("late").clusters(["tokyo", "osaka"]).nodes(1).start()?;
    let mut daemons = start(&fleet)?;
    kinds_come_and_go(&fleet, &daemons)?;

    // The API server behind a peer dies, its tenbin does not.
    fleet.cluster_mut("osaka")?.kill_apiserver()?;
    // Nobody needs to ask: its tenbin still answers, and is found to speak for the dead.
    eventually!(row(&daemons[0], "osaka"), |row| row["reachable"] == false);
    sees(&daemons[0], &["tokyo"], "osaka")?;
    let known = row(&daemons[0], "osaka")?;
    assert_eq!(known["watts"], 200.0, "{known:#}");
    let path = "/apis/apps/v1/namespaces/late/deployments";
    let began = now();
    daemons[0].client()?.send_json("POST", path, &deployment("web", 4))?.success()?;
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
    let copy = fleet.cluster("tokyo")?.client()?.json(&format!("{path}/web"))?;
    assert_eq!(copy["spec"]["replicas"], 4);
    fleet.heal()?;
    eventually!(sees(&daemons[0], &["tokyo", "osaka"], ""));
    eventually!(row(&daemons[0], "osaka"), |row| row["reachable"] == true);

    // Own's API server is dead at the start.
    let osaka = daemons.pop();
    let mut tokyo = daemons.pop();
    if let (Some(tokyo), Some(osaka)) = (&mut tokyo, &osaka) {
        own_is_dead_at_the_start(&mut fleet, tokyo, osaka)?;
    }
    Ok(())
}

/// Without the CRD nothing is known of peers; it is found when it comes, and not missed too badly.
fn kinds_come_and_go(fleet: &Fleet, daemons: &[Daemon]) -> Result<()> {
    let tokyo = Objects::new(fleet, "tokyo", "late")?;
    sees(&daemons[0], &["tokyo"], "")?;
    eventually!(daemons[0].log().contains("cluster scores is not installed"));
    for name in ["tokyo", "osaka"] {
        scores::install(fleet.cluster(name)?, GROUP)?;
    }
    until(BACKOFF, || tokyo.get("tokyo"))?;
    tokyo.peer("osaka", &daemons[1].endpoint())?;
    eventually!(sees(&daemons[0], &["tokyo", "osaka"], ""));
    eventually!(row(&daemons[0], "osaka"), |row| row["watts"] == 200.0);

    let crd = format!("{CRD}/clusterscores.{GROUP}");
    tokyo.client()?.send("DELETE", &crd, None)?.success()?;
    eventually!(tokyo.client()?.get(&crd), |answer: &tenbin_integration::Response| answer.status
        == 404);
    // Nobody is named any more: osaka leaves, or stays as it was last known, but nothing hangs.
    let began = now();
    let (seen, _) = names(&person(&daemons[0])?.get(MAPS)?)?;
    assert!(began.elapsed() < PROMPT && seen.contains(&"tokyo".to_owned()), "{seen:?}");
    daemons[0].admin().get("/readyz")?.success()?;
    scores::install(fleet.cluster("tokyo")?, GROUP)?;
    until(BACKOFF, || tokyo.get("tokyo"))?;
    let present = tokyo.get("osaka").is_ok();
    if !present {
        tokyo.peer("osaka", &daemons[1].endpoint())?;
    }
    eventually!(sees(&daemons[0], &["tokyo", "osaka"], ""));
    Ok(())
}

fn own_is_dead_at_the_start(fleet: &mut Fleet, tokyo: &mut Daemon, osaka: &Daemon) -> Result<()> {
    tokyo.stop()?;
    fleet.cluster_mut("tokyo")?.kill_apiserver()?;
    let began = now();
    tokyo.start()?;
    assert!(began.elapsed() < PROMPT * 2, "ready after {:?}", began.elapsed());
    let own = row(tokyo, "tokyo")?;
    assert_eq!(
        (&own["own"], &own["reachable"]),
        (&Value::from(true), &Value::from(false)),
        "{own:#}"
    );
    assert_eq!(own["region"], "tokyo", "{own:#}");
    eventually!(sees(tokyo, &["osaka"], "tokyo"));
    eventually!(row(tokyo, "osaka"), |row| row["reachable"] == true && row["provenance"] == "peer");
    sees(osaka, &["osaka"], "")?;
    fleet.heal()?;
    eventually!(sees(tokyo, &["tokyo", "osaka"], ""));
    eventually!(row(tokyo, "tokyo"), |row| row["reachable"] == true && row["watts"] == 100.0);
    Ok(())
}
