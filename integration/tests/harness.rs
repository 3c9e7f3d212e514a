//! The harness itself: what it starts is real, and what it starts ends.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Fleet, FleetBuilder, eventually};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("harness")
        .clusters(["tokyo", "osaka", "nagoya"])
        .controllers(true)
        .nodes(2)
        .without_watch_list("nagoya")
        .shared()
});

const WEB: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
";

#[test]
fn pods_of_a_deployment_become_ready_on_kwok_nodes() -> Result<()> {
    let kubectl = FLEET.cluster("osaka")?.kubectl()?;
    kubectl.apply(WEB)?;
    let ready =
        || kubectl.ok(["get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}"]);
    eventually!(ready(), |ready| ready == "3");
    let nodes = kubectl.ok(["get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}"])?;
    assert!(nodes.split(' ').all(|node| node.starts_with("osaka-n")), "{nodes}");
    Ok(())
}

#[test]
fn both_kubectls_say_their_version_and_see_the_nodes_of_a_region() -> Result<()> {
    let tokyo = FLEET.cluster("tokyo")?;
    let older = tenbin_integration::Kubectl::v1_32(tokyo.kubeconfig())?;
    for (kubectl, minor) in [(tokyo.kubectl()?, "36"), (older, "32")] {
        let version: Value = serde_json::from_str(&kubectl.ok(["version", "-o", "json"])?)?;
        assert_eq!(version.pointer("/clientVersion/minor").context("no minor")?, minor);
        assert_eq!(version.pointer("/serverVersion/gitVersion").context("no server")?, "v1.36.3");
        let rows = kubectl.ok(["get", "nodes", "-l", "topology.kubernetes.io/region=tokyo"])?;
        assert_eq!(rows.lines().count(), 3, "{rows}");
    }
    Ok(())
}

#[test]
fn users_are_who_their_certificates_say_and_rbac_is_real() -> Result<()> {
    let tokyo = FLEET.cluster("tokyo")?;
    let alice = tokyo.kubeconfig_for("alice", &["devs", "ops"])?;
    let alice = tenbin_integration::Kubectl::new(alice)?;
    let whoami = alice.ok(["auth", "whoami", "-o", "jsonpath={.status.userInfo}"])?;
    assert!(whoami.contains(r#""username":"alice""#), "{whoami}");
    assert!(whoami.contains(r#""devs""#) && whoami.contains(r#""ops""#), "{whoami}");
    let refused = alice.run(["get", "pods"])?;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("Forbidden"), "{}", refused.stderr);
    Ok(())
}

#[test]
fn a_token_of_a_service_account_is_believed() -> Result<()> {
    let tokyo = FLEET.cluster("tokyo")?;
    let token = tokyo.token("default", "default")?;
    let kubectl = tenbin_integration::Kubectl::new(tokyo.kubeconfig_with_token(&token)?)?;
    let whoami = kubectl.ok(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"])?;
    assert_eq!(whoami, "system:serviceaccount:default:default");
    Ok(())
}

#[test]
fn a_server_without_watch_list_refuses_streaming_lists() -> Result<()> {
    let path = "/api/v1/nodes?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                &allowWatchBookmarks=true&timeoutSeconds=1";
    assert_eq!(FLEET.cluster("nagoya")?.client()?.get(path)?.status, 422);
    let mut watch = FLEET.cluster("tokyo")?.client()?.open("GET", path, None)?;
    assert_eq!(watch.status, 200);
    let event = watch.event()?.context("no event")?;
    assert_eq!(event.get("type").context("no type")?, "ADDED");
    Ok(())
}
