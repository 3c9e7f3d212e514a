//! A StatefulSet over several clusters: no two pods have the same name.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Table, eventually, stateful_set};

use super::{DAEMON, kubectl, older_kubectl, space};

fn start(copy: &Value) -> u64 {
    copy.pointer("/spec/ordinals/start").and_then(Value::as_u64).unwrap_or_default()
}

#[test]
fn pods_of_a_stateful_set_have_names_of_their_own() -> Result<()> {
    let space = space("stateful")?;
    let kubectl = kubectl(&space)?;
    let path = space.path("statefulsets");
    DAEMON.client()?.send_json("POST", &path, &stateful_set("db", 10))?.success()?;
    let shares = space.shares("statefulsets/db")?;
    assert_eq!(shares, [Some(5), Some(3), Some(2)]);
    let starts: BTreeSet<u64> =
        space.copies("statefulsets/db")?.iter().flatten().map(start).collect();
    assert_eq!((starts.len(), starts.first()), (3, Some(&0)), "home starts at 0");
    assert!(starts.iter().all(|start| start % 10_000 == 0), "{starts:?}");
    let pods = eventually!(Table::read(&kubectl.ok(["get", "pods"])?), |pods: &Table| pods
        .column("STATUS")
        .is_ok_and(|all| all == ["Running"; 10]));
    let names: BTreeSet<&str> = pods.column("NAME")?.into_iter().collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert!((0..5).all(|n| names.contains(format!("db-{n}").as_str())), "{names:?}");
    let row =
        eventually!(Table::read(&kubectl.ok(["get", "statefulsets"])?), |table: &Table| table
            .cell("db", "READY")
            .is_ok_and(|ready| ready == "10/10"));
    assert_eq!(row.cell("db", "CLUSTER")?, "tokyo:5 osaka:3 nagoya:2");
    Ok(())
}

#[test]
fn ordinals_count_from_the_users_own_start_and_are_hidden_in_the_fold() -> Result<()> {
    let space = space("stateful-start")?;
    let client = DAEMON.client()?;
    let mut body = stateful_set("db", 10);
    body["spec"]["ordinals"] = json!({"start": 3});
    client.send_json("POST", &space.path("statefulsets"), &body)?.success()?;
    let starts: BTreeSet<u64> =
        space.copies("statefulsets/db")?.iter().flatten().map(start).collect();
    assert_eq!(starts.len(), 3, "{starts:?}");
    assert!(starts.iter().all(|start| start % 10_000 == 3), "{starts:?}");
    let folded = client.json(&space.path("statefulsets/db"))?;
    assert_eq!((start(&folded), &folded["spec"]["replicas"]), (3, &json!(10)));
    client.send_json("POST", &space.path("statefulsets"), &stateful_set("plain", 10))?.success()?;
    let plain = client.json(&space.path("statefulsets/plain"))?;
    assert_eq!(start(&plain), 0, "{:#}", plain["spec"]);
    Ok(())
}

#[test]
fn a_stateful_set_is_applied_twice_scaled_and_deleted_by_both_kubectls() -> Result<()> {
    let space = space("stateful-kubectl")?;
    for (name, kubectl) in [("db36", kubectl(&space)?), ("db32", older_kubectl(&space)?)] {
        let body = stateful_set(name, 10).to_string();
        let path = format!("statefulsets/{name}");
        assert!(kubectl.apply(&body)?.contains("created"));
        assert!(kubectl.apply(&body)?.contains("unchanged"));
        let before: Vec<u64> = space.copies(&path)?.iter().flatten().map(start).collect();
        kubectl.ok(["scale", "statefulset", name, "--replicas=17"])?;
        assert_eq!(space.total(&path)?, 17);
        kubectl.ok(["scale", "statefulset", name, "--current-replicas=17", "--replicas=4"])?;
        assert_eq!(space.total(&path)?, 4);
        let after: Vec<u64> = space.copies(&path)?.iter().flatten().map(start).collect();
        assert_eq!(before, after, "ordinals never move");
        let home = space.copies(&path)?.into_iter().next().flatten().context("no home")?;
        assert_eq!(super::text(&home, "/metadata/labels/tenbin")?, "local");
        kubectl.ok(["delete", "statefulset", name])?;
        assert_eq!(space.copies(&path)?, [None, None, None]);
    }
    Ok(())
}
