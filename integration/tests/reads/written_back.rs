//! What a watch shows is what a controller keeps, changes and writes back.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Daemon, deployment};

use super::{daemon, filled};

const BEGINNING: &str = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                         &allowWatchBookmarks=true&timeoutSeconds=1";

/// What a watch tells of an object, from its beginning.
fn told(daemon: &Daemon, path: &str, name: &str) -> Result<Value> {
    let query = format!("{path}?{BEGINNING}&fieldSelector=metadata.name%3D{name}");
    let events = daemon.client()?.get(&query)?.success()?.text();
    let events = events.lines().map(serde_json::from_str::<Value>);
    let told = events.collect::<Result<Vec<_>, _>>()?.into_iter().find(|it| it["type"] == "ADDED");
    Ok(told.with_context(|| format!("{name} is not told"))?["object"].take())
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default()
}

#[test]
fn an_object_of_any_member_is_written_back_as_a_watch_told_it() -> Result<()> {
    let space = filled("written-back", [0, 1, 1])?;
    let daemon = daemon("written-back").start()?;
    let client = daemon.client()?;
    let (all, path) = (space.path("configmaps"), format!("{}/osaka-0", space.path("configmaps")));
    let mut object = told(&daemon, &all, "osaka-0")?;
    assert!(version(&object).len() > 60, "a merged version: {object}");
    object["data"] = json!({"value": "2"});
    let read = client.get(&format!("{path}?resourceVersion={}", version(&object)))?;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(client.send_json("PUT", &path, &object)?.status, 200);
    // Of the state before.
    let change = json!({"metadata": {"resourceVersion": version(&object)}, "data": {"value": "3"}});
    let kind = "application/merge-patch+json";
    let late = client.send("PATCH", &path, Some((kind, change.to_string().as_bytes())))?;
    assert_eq!(late.status, 409, "{late:?}");
    assert_eq!(client.send_json("PUT", &path, &object)?.status, 409);
    let options = |object: &Value| json!({"preconditions": {"resourceVersion": version(object)}});
    assert_eq!(client.send_json("DELETE", &path, &options(&object))?.status, 409);
    let object = told(&daemon, &all, "osaka-0")?;
    assert_eq!(object["data"]["value"], "2");
    assert_eq!(client.send_json("DELETE", &path, &options(&object))?.status, 200);
    Ok(())
}

#[test]
fn what_is_in_every_member_is_written_back_as_a_watch_told_it() -> Result<()> {
    let space = filled("written-everywhere", [0, 0, 0])?;
    let daemon = daemon("written-everywhere").start()?;
    let client = daemon.client()?;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}});
    let all = space.path("services");
    client.send_json("POST", &all, &service)?.success()?;
    let mut object = told(&daemon, &all, "web")?;
    object["metadata"]["labels"]["tier"] = json!("front");
    let put = client.send_json("PUT", &format!("{all}/web"), &object)?;
    assert_eq!(put.status, 200, "{put:?}");
    let copies = space.copies("services/web")?;
    let labelled = |copy: &Option<Value>| {
        copy.as_ref().is_some_and(|it| it["metadata"]["labels"]["tier"] == "front")
    };
    assert!(copies.iter().all(labelled), "{copies:#?}");
    assert_eq!(client.send_json("PUT", &format!("{all}/web"), &object)?.status, 409);
    // Its parts are own's to write.
    let mut read = client.json(&format!("{all}/web"))?;
    read["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    let status = client.send_json("PUT", &format!("{all}/web/status"), &read)?;
    assert_eq!(status.status, 200, "{status:?}");
    // So is a workload that tenbin did not make.
    let lone = deployment("lone", 1);
    space.create_in("nagoya", "deployments", &lone)?;
    let all = space.path("deployments");
    let mut object = told(&daemon, &all, "lone")?;
    object["spec"]["replicas"] = json!(2);
    let put = client.send_json("PUT", &format!("{all}/lone"), &object)?;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(client.send_json("PUT", &format!("{all}/lone"), &object)?.status, 409);
    Ok(())
}
