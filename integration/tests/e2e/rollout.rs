//! What people do with a Deployment after they made it: edit, restart, undo.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Kubectl, Space, eventually};

use super::{DAEMON, kubectl, older_kubectl, space, text};

const LABELS: [&str; 3] = ["local", "osaka", "nagoya"];

fn web(space: &Space) -> Result<Kubectl> {
    let kubectl = kubectl(space)?;
    kubectl.ok(["create", "deployment", "web", "--image=nginx:1", "--replicas=10"])?;
    Ok(kubectl)
}

/// Each copy's template, after looking that the labels and shares are what they were.
fn templates(space: &Space) -> Result<Vec<Value>> {
    assert_eq!(space.shares("deployments/web")?, [Some(5), Some(3), Some(2)]);
    let mut templates = Vec::new();
    for (copy, label) in space.copies("deployments/web")?.into_iter().zip(LABELS) {
        let template = copy.context("a copy is missing")?["spec"]["template"].take();
        assert_eq!(text(&template, "/metadata/labels/tenbin")?, label, "rolls every pod");
        templates.push(template);
    }
    Ok(templates)
}

#[test]
fn images_restarts_and_undos_reach_every_copy_or_none_and_keep_its_label() -> Result<()> {
    let space = space("rollout")?;
    let kubectl = web(&space)?;
    let image = |template: &Value| template["spec"]["containers"][0]["image"].clone();
    let revision = |wanted: &'static str| {
        eventually!(space.copies("deployments/web"), |copies: &Vec<Option<Value>>| {
            let path = "/metadata/annotations/deployment.kubernetes.io~1revision";
            copies.iter().flatten().filter_map(|it| it.pointer(path)).all(|it| it == wanted)
        });
    };
    revision("1");
    kubectl.ok(["set", "image", "deployment/web", "nginx=nginx:2"])?;
    assert!(templates(&space)?.iter().map(image).all(|it| it == "nginx:2"));
    revision("2");
    // It sends a JSON patch, which this version may refuse: then nothing changes anywhere.
    let undone = kubectl.run(["rollout", "undo", "deployment/web"])?;
    assert!(undone.code == 0 || undone.stderr.contains("json-patch"), "{undone:?}");
    let now = format!("nginx:{}", if undone.code == 0 { 1 } else { 2 });
    assert!(templates(&space)?.iter().map(image).all(|it| it == now));
    kubectl.ok(["rollout", "restart", "deployment/web"])?;
    let path = "/metadata/annotations/kubectl.kubernetes.io~1restartedAt";
    let restarted: Vec<Option<Value>> =
        templates(&space)?.iter().map(|it| it.pointer(path).cloned()).collect();
    assert!(
        restarted[0].is_some() && restarted.iter().all(|it| *it == restarted[0]),
        "{restarted:?}"
    );
    Ok(())
}

#[test]
fn what_get_prints_can_be_applied_and_replaced() -> Result<()> {
    let space = space("rollout-round")?;
    web(&space)?;
    for kubectl in [kubectl(&space)?, older_kubectl(&space)?] {
        // What is printed has a version: until the status stands still, an apply of it is a conflict,
        // as before any API server.
        kubectl.ok(["rollout", "status", "deployment", "web", "--timeout=60s"])?;
        let printed = kubectl.ok(["get", "deployment", "web", "-o", "yaml"])?;
        kubectl.apply(&printed)?;
        templates(&space)?;
        let printed = kubectl.ok(["get", "deployment", "web", "-o", "json"])?;
        let mut body: Value = serde_json::from_str(&printed)?;
        // The status moves on meanwhile, as it may before any API server.
        body["metadata"]["resourceVersion"].take();
        let output = kubectl.run_with(["replace", "-f", "-"], Some(&body.to_string()))?;
        assert_eq!(output.code, 0, "{output:?}");
        templates(&space)?;
    }
    Ok(())
}

#[test]
fn annotations_and_labels_of_users_are_everywhere() -> Result<()> {
    let space = space("rollout-annotate")?;
    let kubectl = web(&space)?;
    kubectl.ok(["annotate", "deployment", "web", "team=scales"])?;
    kubectl.ok(["label", "deployment", "web", "tier=front", "tenbin=forged", "--overwrite"])?;
    for (copy, label) in space.copies("deployments/web")?.iter().flatten().zip(LABELS) {
        assert_eq!(text(copy, "/metadata/annotations/team")?, "scales");
        assert_eq!(text(copy, "/metadata/labels/tier")?, "front");
        assert_eq!(text(copy, "/metadata/labels/tenbin")?, label);
    }
    templates(&space)?;
    kubectl.ok(["annotate", "deployment", "web", "team-"])?;
    let folded = DAEMON.client()?.json(&space.path("deployments/web"))?;
    assert_eq!(folded["metadata"]["annotations"].get("team"), None);
    Ok(())
}
