//! A member that refuses what it let pass in the dry run: what was committed is taken back.

use std::sync::LazyLock;

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Client, Daemon, Space, deployment, eventually};

use super::{FLEET, daemon, shares, space};

static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("take-back").shared());

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1";

/// Nagoya refuses writes of this verb in the namespace, except as a dry run.
fn refuse(space: &Space, verb: &str) -> Result<()> {
    let name = space.name();
    let here = json!({"name": "here", "expression": format!("request.namespace == '{name}'")});
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["apps", ""], "apiVersions": ["v1"],
                "operations": [verb], "resources": ["deployments", "services", "configmaps"]}]},
            "matchConditions": [here],
            "validations": [{"expression": "has(request.dryRun) && request.dryRun", "message": "not today"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]},
    });
    let nagoya = FLEET.cluster("nagoya")?.client()?;
    let post = |plural: &str, body| nagoya.send_json("POST", &format!("{POLICIES}/{plural}"), body);
    post("validatingadmissionpolicies", &policy)?.success()?;
    post("validatingadmissionpolicybindings", &binding)?.success()?;
    eventually!(refuses(&nagoya, space, verb));
    Ok(())
}

/// Whether the policy is in force already; it never lets this write through twice.
fn refuses(nagoya: &Client, space: &Space, verb: &str) -> Result<bool> {
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}});
    let (method, path) = match verb {
        "CREATE" => ("POST", "configmaps"),
        _ => ("PUT", "configmaps/probe"),
    };
    nagoya.send_json("POST", &space.path("configmaps"), &body)?;
    let answer = nagoya.send_json(method, &space.path(path), &body)?;
    anyhow::ensure!(answer.text().contains("not today"), "{}", answer.text());
    Ok(true)
}

#[test]
fn a_create_is_taken_back_from_the_clusters_that_had_made_it() -> Result<()> {
    let space = space("take-back-create")?;
    refuse(&space, "CREATE")?;
    let client = DAEMON.client()?;
    let answer = client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?;
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    let said = answer.text();
    assert!(said.contains("nagoya") && said.contains("not today"), "{said}");
    assert_eq!(shares(&space, "web")?, [None, None, None], "{said}");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                         "spec": {"ports": [{"port": 80}]}});
    let answer = client.send_json("POST", &space.path("services"), &service)?;
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    assert!(space.copies("services/web")?.iter().all(Option::is_none), "{}", answer.text());
    Ok(())
}

#[test]
fn a_patch_is_taken_back_to_what_was_there() -> Result<()> {
    let space = space("take-back-patch")?;
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    let specs = || -> Result<Vec<Value>> {
        let copies = space.copies("deployments/web")?;
        Ok(copies.iter().flatten().map(|it| it["spec"].clone()).collect())
    };
    let before = specs()?;
    refuse(&space, "UPDATE")?;
    let patch = br#"{"spec":{"replicas":40,"template":{"metadata":{"labels":{"new":"yes"}}}}}"#;
    let kind = "application/merge-patch+json";
    let answer = client.send("PATCH", &space.path("deployments/web"), Some((kind, patch)))?;
    assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
    assert!(answer.text().contains("nagoya"), "{}", answer.text());
    assert_eq!(specs()?, before, "{}", answer.text());
    let folded = client.json(&space.path("deployments/web"))?;
    assert_eq!(folded["spec"]["replicas"], 10);
    Ok(())
}

#[test]
fn a_namespace_follows_with_its_labels_and_goes_when_the_write_is_taken_back() -> Result<()> {
    let space = Space::only_in(&FLEET, "take-back-follow", &["tokyo", "nagoya"])?;
    let path = format!("/api/v1/namespaces/{}", space.name());
    let label = br#"{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}"#;
    let tokyo = FLEET.cluster("tokyo")?.client()?;
    tokyo.send("PATCH", &path, Some(("application/merge-patch+json", label)))?.success()?;
    refuse(&space, "CREATE")?;
    let (client, osaka) = (DAEMON.client()?, FLEET.cluster("osaka")?.client()?);
    let deployments = space.path("deployments");
    let mut body = deployment("web", 10);
    body["spec"]["template"]["spec"]["securityContext"] = json!({"runAsNonRoot": true});

    let dry = client.send_json("POST", &format!("{deployments}?dryRun=All"), &body)?;
    assert_eq!(dry.status, 201, "{}", dry.text());
    assert_eq!(osaka.get(&path)?.status, 404);

    let refused = client.send_json("POST", &deployments, &body)?;
    assert!((400..500).contains(&refused.status), "{}", refused.text());
    assert!(refused.text().contains("nagoya"), "{}", refused.text());
    let left = osaka.get(&path)?;
    assert!(left.status == 404 || left.json()?["metadata"]["deletionTimestamp"].is_string());

    let space = Space::only_in(&FLEET, "follow-labels", &["tokyo", "nagoya"])?;
    let path = format!("/api/v1/namespaces/{}", space.name());
    tokyo.send("PATCH", &path, Some(("application/merge-patch+json", label)))?.success()?;
    client.send_json("POST", &space.path("deployments"), &body)?.success()?;
    assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    let labels = &osaka.json(&path)?["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted", "{labels}");
    Ok(())
}
