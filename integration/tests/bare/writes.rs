//! Writes that are easily half done: options in the query, names that are taken, shares that stay.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Daemon, Mode, deployment, eventually};

use super::{FLEET, daemon, shares, space, warnings};

/// Nothing but one test's own daemon breaks the network, so the tests share this one.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("writes").shared());

#[test]
fn the_options_of_a_delete_count_in_the_query_too() -> Result<()> {
    let space = space("writes-delete")?;
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    let path = space.path("deployments/web");
    client.send("DELETE", &format!("{path}?dryRun=All"), None)?.success()?;
    assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    client.send("DELETE", &format!("{path}?propagationPolicy=Orphan"), None)?.success()?;
    // Nobody collects garbage here: the finalizer shows what was asked for.
    for copy in space.copies("deployments/web")?.iter().flatten() {
        assert_eq!(copy["metadata"]["finalizers"], json!(["orphan"]));
    }
    Ok(())
}

#[test]
fn a_collection_is_not_deleted_by_the_pseudo_label() -> Result<()> {
    let space = space("writes-collection")?;
    let path = format!("{}?labelSelector=tenbin%2Fcluster%3Dosaka", space.path("deployments"));
    let answer = DAEMON.client()?.send("DELETE", &path, None)?;
    assert_eq!(answer.status, 400, "{}", answer.text());
    Ok(())
}

/// What is read of one member alone shows tenbin's annotations; written back, they must stay.
#[test]
fn a_copy_that_is_put_in_its_member_alone_keeps_its_home() -> Result<()> {
    let space = space("writes-alone")?;
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    let alone = format!("/clusters/osaka{}", space.path("deployments/web"));
    let mut copy = client.json(&alone)?;
    copy["metadata"]["labels"]["by"] = json!("hand");
    client.send_json("PUT", &alone, &copy)?.success()?;
    let copies = space.copies("deployments/web")?;
    let osaka = copies.get(1).and_then(Option::as_ref).context("osaka has no copy")?;
    assert_eq!(osaka["metadata"]["labels"]["by"], "hand");
    assert_eq!(osaka["metadata"]["annotations"], copy["metadata"]["annotations"]);
    let fold = client.json(&space.path("deployments/web"))?;
    assert_eq!(fold["spec"]["replicas"], 10);
    Ok(())
}

#[test]
fn what_is_nowhere_is_not_found_in_the_words_of_kubernetes() -> Result<()> {
    let space = space("writes-nowhere")?;
    let answer = DAEMON.client()?.send("DELETE", &space.path("deployments/web"), None)?.json()?;
    assert_eq!(answer["message"], "deployments.apps \"web\" not found");
    assert_eq!(answer["details"], json!({"name": "web", "group": "apps", "kind": "deployments"}));
    Ok(())
}

fn marked(replicas: i64, home: &str, home_uid: Option<&str>) -> Value {
    let mut body = deployment("web", replicas);
    body["metadata"]["labels"] = json!({"tenbin": "x"});
    body["spec"]["template"]["metadata"]["labels"]["tenbin"] = "x".into();
    body["metadata"]["annotations"] = json!({"tenbin/home": home, "tenbin/epoch": "1"});
    if let Some(uid) = home_uid {
        body["metadata"]["annotations"]["tenbin/home-uid"] = uid.into();
    }
    body
}

#[test]
fn copies_that_lost_their_home_are_written_over() -> Result<()> {
    let space = space("writes-orphan")?;
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    let tokyo = FLEET.cluster("tokyo")?.client()?;
    tokyo.send("DELETE", &space.path("deployments/web"), None)?.success()?;
    let answer = client.send_json("POST", &space.path("deployments"), &deployment("web", 20))?;
    assert_eq!((answer.status, warnings(&answer)), (201, String::new()), "{}", answer.text());
    assert_eq!(shares(&space, "web")?.into_iter().flatten().sum::<u64>(), 20);
    let copies = space.copies("deployments/web")?;
    let uid = copies[0].as_ref().context("no home")?["metadata"]["uid"].clone();
    for copy in copies.iter().flatten().skip(1) {
        assert_eq!(copy["metadata"]["annotations"]["tenbin/home-uid"], uid);
    }
    Ok(())
}

#[test]
fn a_name_that_another_home_manages_is_taken() -> Result<()> {
    let space = space("writes-taken")?;
    let home = space.create_in("nagoya", "deployments", &marked(4, "nagoya", None))?;
    let uid = home["metadata"]["uid"].as_str();
    space.create_in("osaka", "deployments", &marked(6, "nagoya", uid))?;
    let create = deployment("web", 10);
    let answer = DAEMON.client()?.send_json("POST", &space.path("deployments"), &create)?;
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert_eq!(answer.json()?["reason"], "AlreadyExists");
    assert_eq!(shares(&space, "web")?, [None, Some(6), Some(4)]);
    Ok(())
}

#[test]
fn a_put_of_the_same_total_moves_nothing() -> Result<()> {
    let space = space("writes-same")?;
    let daemon = daemon("writes-same").start()?;
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let client = daemon.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    daemon.shim("osaka")?.set(Mode::Pass)?;
    eventually!(daemon.scores(), |scores| scores["clusters"][1]["reachable"] == true);
    let path = space.path("deployments/web");
    let mut folded = client.json(&path)?;
    client.send_json("PUT", &path, &folded)?.success()?;
    assert_eq!(shares(&space, "web")?, [Some(8), Some(0), Some(2)]);
    let patch = br#"[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]"#;
    client.send("PATCH", &path, Some(("application/json-patch+json", patch)))?.success()?;
    assert_eq!(shares(&space, "web")?, [Some(8), Some(0), Some(2)]);
    // Another total, or other wishes, are another division.
    folded = client.json(&path)?;
    folded["metadata"]["annotations"]["tenbin/clusters"] = "tokyo,osaka".into();
    client.send_json("PUT", &path, &folded)?.success()?;
    assert_eq!(shares(&space, "web")?[2], Some(0));
    Ok(())
}

#[test]
fn a_webhook_that_fails_in_the_rehearsal_refuses_the_write() -> Result<()> {
    let space = space("writes-webhook")?;
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": space.name()}});
    let hook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": space.name()},
        "webhooks": [{
            "name": "down.example.com", "sideEffects": "None", "failurePolicy": "Fail",
            "admissionReviewVersions": ["v1"], "namespaceSelector": selector, "timeoutSeconds": 1,
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"],
                       "resources": ["deployments"]}],
        }],
    });
    let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
    FLEET.cluster("nagoya")?.client()?.send_json("POST", path, &hook)?.success()?;
    let client = DAEMON.client()?;
    let mut names = (0..).map(|n| format!("web-{n}"));
    let mut refused = || -> Result<bool> {
        let name = names.next().context("no more names")?;
        let create = deployment(&name, 10);
        let answer = client.send_json("POST", &space.path("deployments"), &create)?;
        let text = answer.text();
        anyhow::ensure!(answer.status == 500 && text.contains("failed calling webhook"), "{text}");
        assert!(text.contains("nagoya"), "{text}");
        assert_eq!(shares(&space, &name)?, [None, None, None], "{text}");
        Ok(true)
    };
    eventually!(refused());
    Ok(())
}
