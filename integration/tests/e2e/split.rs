//! A Deployment is one object with one total; its shares always add up to it.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Kubectl, Space, Table, deployment, eventually};

use super::{DAEMON, FLEET, kubectl, older_kubectl, said, space, text};

const YAML: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: yaml}
spec:
  replicas: 10
  selector: {matchLabels: {app: yaml}}
  template:
    metadata: {labels: {app: yaml}}
    spec: {containers: [{name: web, image: nginx}]}
";

fn shares(space: &Space, name: &str) -> Result<[u64; 3]> {
    let shares = space.shares(&format!("deployments/{name}"))?;
    let all: Option<Vec<u64>> = shares.iter().copied().collect();
    let all = all.with_context(|| format!("a copy is missing: {shares:?}"))?;
    all.try_into().ok().context("not three clusters")
}

/// The number of replicas that the fleet says the user asked for.
fn asked(kubectl: &Kubectl, name: &str) -> Result<u64> {
    let path = "jsonpath={.spec.replicas}";
    Ok(kubectl.ok(["get", "deployment", name, "-o", path])?.parse()?)
}

fn create_scale_replace_delete(space: &Space, kubectl: &Kubectl) -> Result<()> {
    kubectl.ok(["create", "deployment", "web", "--image=nginx", "--replicas=10"])?;
    assert_eq!(shares(space, "web")?, [5, 3, 2], "protobuf, as kubectl create sends");
    assert_eq!(asked(kubectl, "web")?, 10);
    for total in [20, 1, 0, 7] {
        kubectl.ok(["scale", "deployment", "web", &format!("--replicas={total}")])?;
        assert_eq!(shares(space, "web")?.iter().sum::<u64>(), total, "scaled to {total}");
        assert_eq!(asked(kubectl, "web")?, total);
    }
    kubectl.ok(["scale", "deployment", "web", "--current-replicas=7", "--replicas=12"])?;
    assert_eq!(shares(space, "web")?, [7, 3, 2]);
    let wrong = ["scale", "deployment", "web", "--current-replicas=6", "--replicas=99"];
    let refused = kubectl.run(wrong)?;
    assert!(refused.code != 0, "6 is tokyo's share, not the total: {refused:?}");
    assert_eq!(asked(kubectl, "web")?, 12);
    let replaced = deployment("web", 10).to_string();
    said_with(kubectl, &["replace", "-f", "-"], &replaced)?;
    assert_eq!(shares(space, "web")?, [5, 3, 2], "replaced");
    kubectl.ok(["delete", "deployment", "web"])?;
    assert_eq!(space.copies("deployments/web")?, [None, None, None]);
    let gone = kubectl.run(["get", "deployment", "web"])?;
    assert!(gone.stderr.contains("NotFound"), "{gone:?}");
    Ok(())
}

fn create_and_apply_from_files(space: &Space, kubectl: &Kubectl) -> Result<()> {
    let json = deployment("json", 10).to_string();
    said_with(kubectl, &["create", "-f", "-"], &json)?;
    assert_eq!(shares(space, "json")?, [5, 3, 2]);
    said_with(kubectl, &["create", "-f", "-"], YAML)?;
    assert_eq!(shares(space, "yaml")?, [5, 3, 2]);
    let again = kubectl.run_with(["create", "-f", "-"], Some(YAML))?;
    assert!(again.stderr.contains("AlreadyExists"), "{again:?}");

    let applied = YAML.replace("yaml", "applied");
    assert!(kubectl.apply(&applied)?.contains("created"));
    assert_eq!(shares(space, "applied")?, [5, 3, 2]);
    let second = kubectl.apply(&applied)?;
    assert!(second.contains("unchanged"), "{second}");
    // Tokyo's own share becomes the new total: the original loses this one (wao.md, W4).
    let down = applied.replace("replicas: 10", "replicas: 5");
    assert!(kubectl.apply(&down)?.contains("configured"));
    assert_eq!(shares(space, "applied")?.iter().sum::<u64>(), 5);
    assert!(kubectl.apply(&down)?.contains("unchanged"));
    let diff = kubectl.run_with(["diff", "-f", "-"], Some(&down))?;
    assert_eq!((diff.code, diff.stdout.as_str()), (0, ""), "{diff:?}");
    kubectl.ok(["delete", "deployment", "json", "yaml", "applied"])?;
    Ok(())
}

fn said_with(kubectl: &Kubectl, args: &[&str], stdin: &str) -> Result<String> {
    let output = kubectl.run_with(args, Some(stdin))?;
    anyhow::ensure!(output.code == 0, "kubectl {args:?}: {output:?}");
    Ok(output.stdout)
}

#[test]
fn shares_add_up_through_create_scale_replace_and_delete() -> Result<()> {
    let space = space("split-life")?;
    create_scale_replace_delete(&space, &kubectl(&space)?)
}

#[test]
fn shares_add_up_for_kubectl_1_32_too() -> Result<()> {
    let space = space("split-life-132")?;
    create_scale_replace_delete(&space, &older_kubectl(&space)?)
}

#[test]
fn files_in_json_and_yaml_are_created_and_applied_twice_without_a_change() -> Result<()> {
    let space = space("split-files")?;
    create_and_apply_from_files(&space, &kubectl(&space)?)
}

#[test]
fn files_are_created_and_applied_by_kubectl_1_32_too() -> Result<()> {
    let space = space("split-files-132")?;
    create_and_apply_from_files(&space, &older_kubectl(&space)?)
}

#[test]
fn absent_replicas_mean_one() -> Result<()> {
    let space = space("split-absent")?;
    let client = DAEMON.client()?;
    let path = space.path("deployments");
    let created = client.send_json("POST", &path, &deployment("one", None))?.success()?;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()?.pointer("/spec/replicas").and_then(Value::as_u64), Some(1));
    assert_eq!(shares(&space, "one")?, [1, 0, 0]);
    let mut null = deployment("null", None);
    null["spec"]["replicas"] = Value::Null;
    client.send_json("POST", &path, &null)?.success()?;
    assert_eq!(shares(&space, "null")?, [1, 0, 0]);
    Ok(())
}

#[test]
fn a_dry_run_changes_nothing_anywhere() -> Result<()> {
    let space = space("split-dry")?;
    let kubectl = kubectl(&space)?;
    let create = ["create", "deployment", "web", "--image=nginx", "--dry-run=server"];
    assert!(kubectl.ok(create)?.contains("server dry run"));
    assert_eq!(space.copies("deployments/web")?, [None, None, None]);
    Ok(())
}

#[test]
fn a_refusal_of_one_cluster_leaves_nothing_anywhere() -> Result<()> {
    let space = space("split-quota")?;
    let quota = serde_json::json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0"}}});
    space.create_in("nagoya", "resourcequotas", &quota)?;
    let status = FLEET.cluster("nagoya")?.client()?;
    let path = space.path("resourcequotas/none");
    eventually!(status.json(&path), |quota| quota.pointer("/status/hard").is_some());
    let create = ["create", "deployment", "web", "--image=nginx", "--replicas=10"];
    let refused = kubectl(&space)?.run(create)?;
    assert!(refused.code != 0 && refused.stderr.contains("quota"), "{refused:?}");
    assert!(refused.stderr.contains("nagoya"), "names the cluster: {refused:?}");
    assert_eq!(space.copies("deployments/web")?, [None, None, None]);
    Ok(())
}

#[test]
fn ten_replicas_run_in_three_clusters_and_show_as_one_row() -> Result<()> {
    let space = space("split-run")?;
    let kubectl = kubectl(&space)?;
    kubectl.ok(["create", "deployment", "web", "--image=nginx", "--replicas=10"])?;
    let table =
        eventually!(Table::read(&kubectl.ok(["get", "deployments"])?), |table: &Table| table
            .cell("web", "READY")
            .is_ok_and(|ready| ready == "10/10"));
    assert_eq!(table.cell("web", "CLUSTER")?, "tokyo:5 osaka:3 nagoya:2");
    assert_eq!(table.cell("web", "AVAILABLE")?, "10");
    assert_eq!(table.titles().last(), Some(&"CLUSTER"));
    let pods = Table::read(&kubectl.ok(["get", "pods", "-o", "wide"])?)?;
    let (clusters, nodes) = (pods.column("CLUSTER")?, pods.column("NODE")?);
    for (name, wanted) in [("tokyo", 5), ("osaka", 3), ("nagoya", 2)] {
        let here = clusters.iter().zip(&nodes).filter(|(cluster, _)| **cluster == name);
        let nodes: Vec<&&str> = here.map(|(_, node)| node).collect();
        assert_eq!(nodes.len(), wanted, "{name}: {pods:?}");
        assert!(nodes.iter().all(|node| node.starts_with(name)), "{nodes:?}");
    }
    assert!(
        kubectl.ok(["rollout", "status", "deployment/web", "--timeout=20s"])?.contains("success")
    );
    Ok(())
}

#[test]
fn copies_are_labelled_stamped_and_hide_their_state_until_unfolded() -> Result<()> {
    let space = space("split-stamps")?;
    let kubectl = kubectl(&space)?;
    kubectl.ok(["create", "deployment", "web", "--image=nginx", "--replicas=10"])?;
    let copies = space.copies("deployments/web")?;
    let home = copies.first().and_then(Option::as_ref).context("no copy in tokyo")?;
    for (copy, label) in copies.iter().flatten().zip(["local", "osaka", "nagoya"]) {
        assert_eq!(text(copy, "/metadata/labels/tenbin")?, label);
        assert_eq!(text(copy, "/spec/template/metadata/labels/tenbin")?, label);
        assert_eq!(text(copy, "/metadata/annotations/tenbin~1home")?, "tokyo");
    }
    assert_eq!(text(home, "/metadata/annotations/tenbin~1total")?, "10");
    let folded = kubectl.ok(["get", "deployment", "web", "-o", "yaml"])?;
    for state in ["home", "home-uid", "epoch", "total", "shares"] {
        assert!(!folded.contains(&format!("tenbin/{state}:")), "tenbin/{state}\n{folded}");
    }
    let unfolded = ["get", "deployments", "-l", "tenbin/cluster", "-o", "yaml"];
    assert!(kubectl.ok(unfolded)?.contains("tenbin/home: tokyo"));
    let rows = said(&kubectl, &["get", "deployments", "-l", "tenbin/cluster"])?;
    assert!(rows.stderr.contains("/clusters/"), "says how to write to one: {}", rows.stderr);
    let rows = Table::read(&rows.stdout)?;
    let (clusters, ready) = (rows.column("CLUSTER")?, rows.column("READY")?);
    assert_eq!(clusters, ["tokyo", "osaka", "nagoya"]);
    let wanted: Vec<&str> = ready.iter().filter_map(|it| it.split('/').nth(1)).collect();
    assert_eq!(wanted, ["5", "3", "2"]);
    Ok(())
}

#[test]
fn what_users_write_into_the_state_annotations_is_dropped() -> Result<()> {
    let space = space("split-forged")?;
    let mut forged = deployment("web", 10);
    forged["metadata"]["annotations"] = serde_json::json!({"tenbin/home": "osaka",
        "tenbin/shares": "tokyo:0", "tenbin/total": "99", "tenbin/cluster": "osaka"});
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &forged)?.success()?;
    assert_eq!(shares(&space, "web")?, [5, 3, 2]);
    for copy in space.copies("deployments/web")?.iter().flatten() {
        assert_eq!(text(copy, "/metadata/annotations/tenbin~1home")?, "tokyo");
        assert_eq!(copy.pointer("/metadata/annotations/tenbin~1cluster"), None);
    }
    Ok(())
}

#[test]
fn healthy_reads_and_writes_of_a_split_workload_warn_of_nothing() -> Result<()> {
    let space = space("split-quiet")?;
    let path = space.path("deployments");
    let client = DAEMON.client()?;
    let body = deployment("web", 10);
    let scale = Some(("application/merge-patch+json", &br#"{"spec":{"replicas":20}}"#[..]));
    let one = format!("{path}/web");
    for answer in [
        client.send_json("POST", &path, &body)?,
        client.get(&one)?,
        client.get(&format!("{one}/scale"))?,
        client.get(&path)?,
        client.send("PATCH", &one, scale)?,
        client.send("DELETE", &one, None)?,
    ] {
        let answer = answer.success()?;
        assert_eq!(answer.header_all("warning"), Vec::<&str>::new(), "{}", answer.text());
    }
    Ok(())
}

#[test]
fn whoever_asks_for_least_watts_is_told_why_stated_watts_do_not_tell_them() -> Result<()> {
    let space = space("split-marginal")?;
    let path = space.path("deployments");
    let client = DAEMON.client()?;
    let mut body = deployment("web", 10);
    body["metadata"]["annotations"] = serde_json::json!({"tenbin/strategy": "marginal"});
    let scale = Some(("application/merge-patch+json", &br#"{"spec":{"replicas":20}}"#[..]));
    for answer in [
        client.send_json("POST", &path, &body)?,
        client.send("PATCH", &format!("{path}/web"), scale)?,
    ] {
        let answer = answer.success()?;
        let warnings = answer.header_all("warning");
        let why = "not by least added watts: nagoya has no curve: its power is not measured";
        assert!(warnings.len() == 1 && warnings[0].contains(why), "{warnings:?}");
    }
    body["metadata"]["annotations"] = serde_json::json!({"tenbin/strategy": "cheap"});
    assert_eq!(client.send_json("PUT", &format!("{path}/web"), &body)?.status, 422);
    Ok(())
}

#[test]
fn a_namespace_that_nobody_has_is_not_found_and_not_made() -> Result<()> {
    let path = "/apis/apps/v1/namespaces/split-nowhere/deployments";
    let answer = DAEMON.client()?.send_json("POST", path, &deployment("web", 10))?;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let namespace = "/api/v1/namespaces/split-nowhere";
    assert_eq!(tenbin_integration::copies(&FLEET, namespace)?, [None, None, None]);
    Ok(())
}

#[test]
fn a_collection_is_deleted_everywhere() -> Result<()> {
    let space = space("split-collection")?;
    let kubectl = kubectl(&space)?;
    for name in ["one", "two"] {
        kubectl.ok(["create", "deployment", name, "--image=nginx", "--replicas=10"])?;
    }
    let path = format!("{}?labelSelector=app%3Done", space.path("deployments"));
    DAEMON.client()?.send("DELETE", &path, None)?.success()?;
    assert_eq!(space.copies("deployments/one")?, [None, None, None]);
    assert_eq!(shares(&space, "two")?, [5, 3, 2]);
    kubectl.ok(["delete", "deployments", "--all"])?;
    assert_eq!(space.copies("deployments/two")?, [None, None, None]);
    Ok(())
}

#[test]
fn a_generated_name_is_one_name_everywhere() -> Result<()> {
    let space = space("split-generated")?;
    let mut body = deployment("web", 10);
    body["metadata"] = serde_json::json!({"generateName": "web-"});
    let answer = DAEMON.client()?.send_json("POST", &space.path("deployments"), &body)?;
    let created = answer.success()?.json()?;
    let name = text(&created, "/metadata/name")?;
    assert_eq!(shares(&space, name)?, [5, 3, 2]);
    Ok(())
}
