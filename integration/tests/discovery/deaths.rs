//! A cluster that is away takes nothing out of discovery.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Daemon, Kubectl, Mode, Response, Table, eventually};

use super::{CROSS, FLEET, V2, accepting, both, define, groups, path, scale};

fn told(daemon: &Daemon) -> Result<Value> {
    accepting(daemon.client()?, V2).json("/apis")
}

fn dead(daemon: &Daemon, cluster: &str) -> Result<()> {
    daemon.shim(cluster)?.set(Mode::Refuse)?;
    let table = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
    let person = accepting(daemon.client()?, table);
    eventually!(person.get("/api/v1/namespaces"), |answer: &Response| {
        answer.header_all("warning").join(" ").contains(&format!("{cluster} unreachable"))
    });
    Ok(())
}

fn explains(kubectl: &Kubectl, kind: &str) -> Result<()> {
    kubectl.ok(["explain", kind]).map(drop)
}

#[test]
fn the_kinds_of_a_dead_cluster_stay() -> Result<()> {
    define("osaka", "stays.test", "v1")?;
    let daemon = FLEET.daemon().name("stays").config(CROSS).start()?;
    let before = eventually!(told(&daemon), |list: &Value| groups(list).contains(&"stays.test"));
    assert!(groups(&before).contains(&"apps"));
    dead(&daemon, "osaka")?;
    assert!(groups(&told(&daemon)?).contains(&"stays.test"));
    for kubectl in both(&daemon)? {
        assert!(kubectl.ok(["api-resources"])?.contains("stays.test/v1"));
        let got = kubectl.run(["get", "scales.stays.test"])?;
        assert!(got.stderr.contains("osaka unreachable"), "{got:?}");
    }
    daemon.shim("osaka")?.set(Mode::Pass)?;
    eventually!(daemon.kubectl()?.ok(["get", "scales.stays.test"]));
    Ok(())
}

#[test]
fn while_own_is_dead_its_last_word_counts_and_pods_are_read() -> Result<()> {
    define("tokyo", "last.test", "v1")?;
    let daemon = FLEET.daemon().name("last").config(CROSS).start()?;
    eventually!(told(&daemon), |list: &Value| groups(list).contains(&"last.test"));
    dead(&daemon, "tokyo")?;
    for kubectl in both(&daemon)? {
        assert!(kubectl.ok(["api-resources"])?.contains("last.test/v1"));
        let got = kubectl.run(["get", "namespaces"])?;
        assert_eq!(got.code, 0, "{got:?}");
        assert!(got.stderr.contains("tokyo unreachable"), "{got:?}");
        let table = Table::read(&got.stdout)?;
        assert!(table.column("CLUSTER")?.contains(&"osaka"), "{got:?}");
        // osaka is of the same version, so it has the schemas with these hashes.
        explains(&kubectl, "pods.spec")?;
    }
    let plain = daemon.client()?.json("/apis/last.test/v1")?;
    assert_eq!(plain["resources"][0]["name"], "scales");
    let old = daemon.client()?.get("/openapi/v2")?.success()?;
    assert!(old.json()?["swagger"].is_string());
    Ok(())
}

/// Own may serve the kind since this moment, and then it is own's that is meant.
#[test]
fn while_own_is_dead_nothing_is_made_of_a_kind_that_it_did_not_serve() -> Result<()> {
    define("osaka", "astray.test", "v1")?;
    let daemon = FLEET.daemon().name("astray").config(CROSS).start()?;
    let (client, collection) = (daemon.client()?, path("astray.test", "v1"));
    eventually!(told(&daemon), |list: &Value| groups(list).contains(&"astray.test"));
    client.send_json("POST", &collection, &scale("astray.test", "v1", "before", 1))?.success()?;
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    let made = client.send_json("POST", &collection, &scale("astray.test", "v1", "after", 1))?;
    assert_eq!(made.status, 503, "{made:?}");
    assert!(made.text().contains("tokyo"), "{made:?}");
    let there = FLEET.cluster("osaka")?.client()?.get(&format!("{collection}/after"))?;
    assert_eq!(there.status, 404);
    assert_eq!(client.json(&format!("{collection}/before"))?["spec"]["grams"], 1);
    Ok(())
}

/// Nobody knows what own serves, and who is told of the others' kinds alone would take own's for gone.
#[test]
fn a_daemon_that_begins_while_own_is_dead_says_that_it_does_not_know() -> Result<()> {
    let mut daemon = FLEET.daemon().name("blind").config(CROSS).start()?;
    told(&daemon)?;
    daemon.shim("tokyo")?.set(Mode::Refuse)?;
    daemon.restart()?;
    let answer = accepting(daemon.client()?, V2).get("/apis")?;
    assert_eq!(answer.status, 503, "{}", answer.text());
    answer.header("retry-after").context("no Retry-After")?;
    daemon.shim("tokyo")?.set(Mode::Pass)?;
    eventually!(told(&daemon));
    Ok(())
}
