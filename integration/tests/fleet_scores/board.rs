//! Every daemon, every ClusterScore and kubectl tell the sums that the formulas give.

use anyhow::{Result, ensure};
use serde_json::Value;
use tenbin_integration::{Kubectl, Table, eventually, scores};

use super::NAMES;
use super::measured::{POWER, close, expected, row};

/// Whether a row of `/scores` is whole; a busy machine may miss a node now and then.
fn whole(row: &Value, name: &str, own: bool, wanted: f64) -> bool {
    row["watts"].as_f64().is_some_and(|watts| close(&[watts], &[wanted]))
        && (row["own"] == own && row["region"] == name && row["reachable"] == true)
        && row["provenance"] == if own { "measured" } else { "peer" }
        && row["nodes"].as_array().is_some_and(|nodes| nodes.len() == 4)
        && row["missing"].as_array().is_some_and(Vec::is_empty)
        && row["age_seconds"].as_f64().is_some_and(|age| age < 10.0)
}

#[test]
fn scores_of_every_daemon_are_the_sums_of_the_formulas() {
    for (daemon, asked) in POWER.daemons().iter().zip(NAMES) {
        for (name, wanted) in NAMES.into_iter().zip(expected()) {
            eventually!(row(daemon, name), |row| whole(row, name, name == asked, wanted));
        }
    }
}

/// Whether a cluster's ClusterScore says of a member what it should, whole.
fn settled(seen: &Value, name: &str, own: bool, wanted: f64) -> bool {
    let (spec, status) = (&seen["spec"], &seen["status"]);
    let ready = &status["conditions"][0];
    status["watts"].as_f64().is_some_and(|watts| close(&[watts], &[wanted]))
        && status["score"].as_i64().is_some_and(|score| format!("{wanted:.0}") == score.to_string())
        && spec["owncluster"] == own
        && spec["region"] == name
        && status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 4)
        && status["updateTimestamp"].is_string()
        && (ready["type"] == "Ready" && ready["status"] == "True")
}

#[test]
fn cluster_scores_of_every_cluster_are_the_rounded_sums() -> Result<()> {
    for name in NAMES {
        let cluster = POWER.fleet().cluster(name)?;
        for (member, wanted) in NAMES.into_iter().zip(expected()) {
            let is_settled = |seen: &Value| settled(seen, member, name == member, wanted);
            eventually!(scores::get(cluster, member), is_settled);
        }
        let own = scores::get(cluster, name)?;
        assert_eq!(own["metadata"]["labels"]["app.kubernetes.io/managed-by"], "tenbin", "{own:#}");
    }
    Ok(())
}

/// The table of `kubectl get clusterscore` shows all three.
fn shows_all(kubectl: &Kubectl) -> Result<()> {
    let text = kubectl.ok(["get", "clusterscore", "-n", "wao-system"])?;
    let table = Table::read(&text)?;
    let titles = table.titles();
    ensure!(titles == ["NAME", "REGION", "SCORE", "AGE"] && table.len() == 3, "{text}");
    for (name, wanted) in NAMES.into_iter().zip(expected()) {
        ensure!(table.cell(name, "REGION")? == name, "{text}");
        ensure!(table.cell(name, "SCORE")? == format!("{wanted:.0}"), "{text}");
        ensure!(!table.cell(name, "AGE")?.is_empty(), "{text}");
    }
    Ok(())
}

#[test]
fn kubectl_shows_all_three_in_every_cluster_and_through_every_daemon() -> Result<()> {
    for name in NAMES {
        let cluster = POWER.fleet().cluster(name)?.kubectl()?;
        eventually!(shows_all(&cluster));
        let daemon = POWER.daemon(name)?.kubectl()?;
        eventually!(shows_all(&daemon));
    }
    Ok(())
}
