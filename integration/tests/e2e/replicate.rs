//! Namespaces, Services, persistent volumes and their claims are everywhere, labelled.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Space, Table, copies, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, kubectl, older_kubectl, space, text};

const MERGE: &str = "application/merge-patch+json";
const LABELS: [&str; 3] = ["local", "osaka", "nagoya"];

fn manifests(name: &str) -> Vec<(&'static str, Value)> {
    let meta = json!({"name": name});
    let capacity = json!({"storage": "1Gi"});
    vec![
        (
            "services",
            json!({"apiVersion": "v1", "kind": "Service", "metadata": meta,
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}),
        ),
        (
            "persistentvolumeclaims",
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": meta, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "no",
            "resources": {"requests": capacity}}}),
        ),
        (
            "persistentvolumes",
            json!({"apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": meta, "spec": {"accessModes": ["ReadWriteOnce"], "capacity": capacity,
            "storageClassName": "no-such", "hostPath": {"path": "/tmp"}}}),
        ),
        ("namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})),
    ]
}

fn collection(space: &Space, plural: &str) -> String {
    match plural {
        "persistentvolumes" | "namespaces" => format!("/api/v1/{plural}"),
        plural => space.path(plural),
    }
}

fn everywhere(path: &str) -> Result<Vec<Value>> {
    let all: Option<Vec<Value>> = copies(&FLEET, path)?.into_iter().collect();
    all.with_context(|| format!("{path} is missing somewhere"))
}

fn gone_everywhere(path: &str) {
    eventually!(copies(&FLEET, path), |all: &Vec<Option<Value>>| {
        all.iter().all(Option::is_none)
    });
}

fn life(space: &Space, name: &str, plural: &str, body: &Value) -> Result<()> {
    let client = DAEMON.client()?;
    let path = collection(space, plural);
    let created = client.send_json("POST", &path, body)?;
    assert_eq!(created.status, 201, "{plural}: {}", created.text());
    let path = format!("{path}/{name}");
    for (copy, label) in everywhere(&path)?.iter().zip(LABELS) {
        assert_eq!(text(copy, "/metadata/labels/tenbin")?, label, "{plural}");
    }
    let mut folded = client.json(&path)?;
    folded["metadata"]["annotations"]["note"] = json!("put");
    client.send_json("PUT", &path, &folded)?.success().context(plural.to_owned())?;
    let patch = br#"{"metadata":{"labels":{"patched":"yes","tenbin":"forged"}}}"#;
    client.send("PATCH", &path, Some((MERGE, patch)))?.success()?;
    for (copy, label) in everywhere(&path)?.iter().zip(LABELS) {
        assert_eq!(text(copy, "/metadata/annotations/note")?, "put", "{plural}");
        assert_eq!(text(copy, "/metadata/labels/patched")?, "yes", "{plural}");
        assert_eq!(text(copy, "/metadata/labels/tenbin")?, label, "{plural}");
    }
    client.send("DELETE", &path, None)?.success()?;
    gone_everywhere(&path);
    assert_eq!(client.get(&path)?.status, 404);
    Ok(())
}

#[test]
fn replicated_kinds_are_created_updated_patched_and_deleted_everywhere() -> Result<()> {
    let space = space("replicate")?;
    for (plural, body) in manifests("replicate-life") {
        life(&space, "replicate-life", plural, &body)?;
    }
    Ok(())
}

#[test]
fn both_kubectls_apply_replicated_kinds_twice_and_see_one_row() -> Result<()> {
    let space = space("replicate-kubectl")?;
    for (name, kubectl) in [("rk36", kubectl(&space)?), ("rk32", older_kubectl(&space)?)] {
        for (plural, body) in manifests(name) {
            let body = body.to_string();
            assert!(kubectl.apply(&body)?.contains("created"), "{plural}");
            let second = kubectl.apply(&body)?;
            assert!(second.contains("unchanged"), "{plural}: {second}");
            let table = Table::read(&kubectl.ok(["get", plural])?)?;
            let cell = table.cell(name, "CLUSTER")?;
            assert!(NAMES.iter().all(|cluster| cell.contains(cluster)), "{plural}: {cell}");
            kubectl.ok(["delete", plural, name, "--wait=false"])?;
        }
    }
    // The namespace controllers take seconds, for both names at once.
    for name in ["rk36", "rk32"] {
        for (plural, _) in manifests(name) {
            gone_everywhere(&format!("{}/{name}", collection(&space, plural)));
        }
    }
    Ok(())
}

#[test]
fn addresses_that_each_cluster_chose_stay_its_own() -> Result<()> {
    let space = space("replicate-service")?;
    let kubectl = kubectl(&space)?;
    kubectl.ok(["create", "service", "nodeport", "web", "--tcp=80:80"])?;
    let path = space.path("services/web");
    let chosen = |all: &[Value]| -> Vec<(Value, Value)> {
        all.iter()
            .map(|it| (it["spec"]["clusterIP"].clone(), it["spec"]["ports"].clone()))
            .collect()
    };
    let before = chosen(&everywhere(&path)?);
    let edit = r#"{"spec":{"selector":{"app":"other"}}}"#;
    kubectl.ok(["patch", "service", "web", "-p", edit])?;
    let folded = DAEMON.client()?.json(&path)?;
    DAEMON.client()?.send_json("PUT", &path, &folded)?.success()?;
    let after = everywhere(&path)?;
    assert_eq!(chosen(&after), before);
    assert!(after.iter().all(|copy| copy["spec"]["selector"]["app"] == "other"));
    let headless = ["create", "service", "clusterip", "headless", "--clusterip=None"];
    kubectl.ok(headless)?;
    let copies = everywhere(&space.path("services/headless"))?;
    assert!(copies.iter().all(|copy| copy["spec"]["clusterIP"] == "None"));
    Ok(())
}

#[test]
fn the_namespace_of_a_workload_follows_it() -> Result<()> {
    let space = Space::only_in(&FLEET, "replicate-follows", &["tokyo", "osaka"])?;
    let path = space.path("deployments");
    let answer = DAEMON.client()?.send_json("POST", &path, &deployment("web", 10))?;
    answer.success()?;
    assert_eq!(space.shares("deployments/web")?, [Some(5), Some(3), Some(2)]);
    let nagoya = FLEET.cluster("nagoya")?.client()?;
    nagoya.json("/api/v1/namespaces/replicate-follows")?;
    Ok(())
}

/// An unmanaged namesake is never overwritten; the user reads where it is.
#[test]
fn a_namespace_that_one_cluster_has_already_is_made_in_the_others() -> Result<()> {
    let space = Space::only_in(&FLEET, "replicate-taken", &["osaka"])?;
    let path = "/api/v1/namespaces";
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name()}});
    let before = copies(&FLEET, &format!("{path}/{}", space.name()))?;
    let answer = DAEMON.client()?.send_json("POST", path, &body)?.success()?;
    let warnings = answer.header_all("warning").join(" ");
    assert!(warnings.contains("osaka"), "{warnings}");
    let after = copies(&FLEET, &format!("{path}/{}", space.name()))?;
    assert_eq!(before[1], after[1], "untouched");
    for (copy, label) in [(&after[0], "local"), (&after[2], "nagoya")] {
        let copy = copy.as_ref().context("no copy")?;
        assert_eq!(text(copy, "/metadata/labels/tenbin")?, label);
    }
    let again = DAEMON.client()?.send_json("POST", path, &body)?;
    assert_eq!(again.status, 409, "{}", again.text());
    Ok(())
}
