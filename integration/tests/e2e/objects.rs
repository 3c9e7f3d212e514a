//! One object, wherever it is; one cluster alone; namespaces that are never touched.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::kubeconfig::Credential;
use tenbin_integration::{Kubectl, Table, config_map, deployment, eventually};

use super::{DAEMON, FLEET, cluster, kubectl, older_kubectl, space, text};

#[test]
fn a_pod_is_found_in_the_cluster_that_has_it() -> Result<()> {
    let space = space("object-pod")?;
    space.create_pod_in("nagoya", "far")?;
    let far = DAEMON.client()?.json(&space.path("pods/far"))?;
    assert_eq!(cluster(&far), "nagoya");
    for kubectl in [kubectl(&space)?, older_kubectl(&space)?] {
        let table = Table::read(&kubectl.ok(["get", "pod", "far"])?)?;
        assert_eq!(table.cell("far", "CLUSTER")?, "nagoya");
    }
    let missing = DAEMON.client()?.get(&space.path("pods/nobody"))?;
    assert_eq!(missing.status, 404, "{}", missing.text());
    assert_eq!(missing.json()?["reason"], "NotFound");
    Ok(())
}

/// kwok serves no logs, so the right answer is the failure that nagoya itself gives.
#[test]
fn logs_are_asked_of_the_cluster_that_has_the_pod() -> Result<()> {
    let space = space("object-logs")?;
    space.create_pod_in("nagoya", "far")?;
    let nagoya = FLEET.cluster("nagoya")?.client()?;
    let path = space.path("pods/far");
    eventually!(nagoya.json(&path), |pod| pod["status"]["phase"] == "Running");
    let direct = nagoya.get(&format!("{path}/log"))?;
    let through = DAEMON.client()?.get(&format!("{path}/log"))?;
    assert_eq!(through.status, direct.status, "{}", through.text());
    assert_eq!(through.text(), direct.text());
    Ok(())
}

/// Streams come later; until then they end with a reason instead of hanging.
#[test]
fn an_exec_ends_with_a_reason() -> Result<()> {
    let space = space("object-streams")?;
    space.create_pod_in("osaka", "far")?;
    let osaka = FLEET.cluster("osaka")?.client()?;
    eventually!(osaka.json(&space.path("pods/far")), |pod| pod["status"]["phase"] == "Running");
    for (version, kubectl) in [("1.36", kubectl(&space)?), ("1.32", older_kubectl(&space)?)] {
        let log = DAEMON.folder().join(format!("exec-{version}.log"));
        let exec = ["exec", "far", "--", "ls"];
        let ended = kubectl.start(exec, &log)?.wait(Duration::from_secs(15))?;
        let said = std::fs::read_to_string(&log)?;
        assert!(!ended.success() && said.to_lowercase().contains("error"), "{version}: {said}");
    }
    Ok(())
}

#[test]
fn a_pod_is_written_and_deleted_where_it_is() -> Result<()> {
    let space = space("object-writes")?;
    space.create_pod_in("osaka", "far")?;
    let kubectl = kubectl(&space)?;
    kubectl.ok(["label", "pod", "far", "seen=yes"])?;
    let osaka = FLEET.cluster("osaka")?.client()?.json(&space.path("pods/far"))?;
    assert_eq!(text(&osaka, "/metadata/labels/seen")?, "yes");
    kubectl.ok(["delete", "pod", "far", "--grace-period=0", "--force"])?;
    assert_eq!(space.copies("pods/far")?, [None, None, None]);
    Ok(())
}

#[test]
fn other_kinds_are_created_in_own_and_written_where_they_are() -> Result<()> {
    let space = space("object-own")?;
    let kubectl = kubectl(&space)?;
    kubectl.ok(["create", "configmap", "here", "--from-literal=key=1"])?;
    assert!(matches!(space.copies("configmaps/here")?.as_slice(), [Some(_), None, None]));
    space.create_in("osaka", "configmaps", &config_map("there", "1"))?;
    kubectl.ok(["patch", "configmap", "there", "-p", r#"{"data":{"key":"2"}}"#])?;
    let mut there = DAEMON.client()?.json(&space.path("configmaps/there"))?;
    assert_eq!((cluster(&there), &there["data"]["key"]), ("osaka", &json!("2")));
    there["data"]["key"] = json!("3");
    DAEMON.client()?.send_json("PUT", &space.path("configmaps/there"), &there)?.success()?;
    let copies = space.copies("configmaps/there")?;
    let [None, Some(osaka), None] = copies.as_slice() else { anyhow::bail!("{copies:?}") };
    assert_eq!(osaka["data"]["key"], "3");
    assert_eq!(osaka.pointer("/metadata/annotations/tenbin~1cluster"), None, "never written");
    kubectl.ok(["delete", "configmap", "there"])?;
    assert_eq!(space.copies("configmaps/there")?, [None, None, None]);
    Ok(())
}

#[test]
fn a_server_side_apply_creates_other_kinds_in_own() -> Result<()> {
    let space = space("object-apply")?;
    let map = config_map("applied", "1").to_string();
    for _ in 0..2 {
        let args = ["apply", "--server-side", "-f", "-"];
        let output = kubectl(&space)?.run_with(args, Some(&map))?;
        assert!(output.stdout.contains("serverside-applied"), "{output:?}");
    }
    let copies = space.copies("configmaps/applied")?;
    assert!(matches!(copies.as_slice(), [Some(_), None, None]), "{copies:?}");
    Ok(())
}

#[test]
fn a_name_in_several_clusters_is_owns() -> Result<()> {
    let space = space("object-several")?;
    for name in ["tokyo", "nagoya"] {
        space.create_in(name, "configmaps", &config_map("both", name))?;
    }
    let answer = DAEMON.client()?.get(&space.path("configmaps/both"))?.success()?;
    assert_eq!(answer.json()?["data"]["key"], "tokyo");
    Ok(())
}

#[test]
fn one_cluster_alone_is_a_context_of_its_own() -> Result<()> {
    let space = space("object-alone")?;
    for name in ["tokyo", "osaka"] {
        space.create_in(name, "configmaps", &config_map("which", name))?;
    }
    let admin = FLEET.cluster("tokyo")?.user("admin", &["system:masters"])?;
    let file = DAEMON.kubeconfig_with("/clusters/osaka", Credential::Certificate(&admin))?;
    for osaka in [Kubectl::new(&file)?, Kubectl::v1_32(&file)?] {
        let osaka = osaka.namespace(space.name());
        let nodes = osaka.ok(["get", "nodes", "-o", "name"])?;
        assert_eq!(nodes, "node/osaka-n0\nnode/osaka-n1\n");
        let table = Table::read(&osaka.ok(["get", "configmaps"])?)?;
        assert!(!table.titles().contains(&"CLUSTER"), "passed through: {table:?}");
        let which = osaka.ok(["get", "configmap", "which", "-o", "jsonpath={.data.key}"])?;
        assert_eq!(which, "osaka");
    }
    let osaka = Kubectl::new(&file)?.namespace(space.name());
    osaka.ok(["create", "deployment", "only", "--image=nginx", "--replicas=2"])?;
    assert_eq!(space.shares("deployments/only")?, [None, Some(2), None]);
    let nowhere = DAEMON.client()?.get("/clusters/kyoto/api/v1/nodes")?;
    assert_eq!((nowhere.status, &nowhere.json()?["kind"]), (404, &json!("Status")));
    Ok(())
}

/// Namespaces of the system are not split nor fanned out.
#[test]
fn an_excluded_namespace_is_owns_for_writes_and_everyones_for_reads() -> Result<()> {
    let client = DAEMON.client()?;
    let path = "/apis/apps/v1/namespaces/kube-system/deployments";
    client.send_json("POST", path, &deployment("object-excluded", 3))?.success()?;
    let copies = tenbin_integration::copies(&FLEET, &format!("{path}/object-excluded"))?;
    let [Some(tokyo), None, None] = copies.as_slice() else { anyhow::bail!("{copies:?}") };
    assert_eq!(
        (&tokyo["spec"]["replicas"], tokyo.pointer("/metadata/labels/tenbin")),
        (&json!(3), None)
    );
    let osaka = FLEET.cluster("osaka")?.client()?;
    osaka.send_json("POST", path, &deployment("object-excluded-osaka", 0))?.success()?;
    let list = client.json(path)?;
    let placed = super::placed(&list)?;
    assert_eq!(placed, ["object-excluded-osaka@osaka", "object-excluded@tokyo"]);
    client.send("DELETE", &format!("{path}/object-excluded"), None)?.success()?;
    osaka.send("DELETE", &format!("{path}/object-excluded-osaka"), None)?.success()?;
    Ok(())
}

#[test]
fn head_and_health_are_owns() -> Result<()> {
    let client = DAEMON.client()?;
    for path in ["/version", "/healthz", "/readyz", "/livez"] {
        let through = client.get(path)?.success().context(path)?;
        assert_eq!(through.text(), FLEET.cluster("tokyo")?.client()?.get(path)?.text());
    }
    let direct = FLEET.cluster("tokyo")?.client()?;
    for path in ["/version", "/api/v1/namespaces"] {
        let head = client.send("HEAD", path, None)?;
        assert_eq!(head.status, direct.send("HEAD", path, None)?.status, "{path}");
        assert_eq!(head.body.len(), 0);
    }
    Ok(())
}
