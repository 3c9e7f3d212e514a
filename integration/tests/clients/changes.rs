//! What people change with kubectl, and that it then says what any API server would.

use anyhow::Result;
use tenbin_integration::{Kubectl, Space, Table, eventually};

use super::{DAEMON, FLEET, NAMES, kubectl, kubectls, pods, quiet, sorted, space};

/// One of each: an object of own, a replicated one, two that are split.
fn app(name: &str) -> String {
    format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data: {{key: value}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 10
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: web, image: nginx}}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: 3
  serviceName: {name}
  selector: {{matchLabels: {{set: {name}}}}}
  template:
    metadata: {{labels: {{set: {name}}}}}
    spec: {{containers: [{{name: web, image: nginx}}]}}
"
    )
}

/// `<kind>/<name> <verb>` for each object of [`app`].
fn each(name: &str, verb: &str) -> Vec<String> {
    let kinds = ["configmap", "service", "deployment.apps", "statefulset.apps"];
    kinds.iter().map(|kind| format!("{kind}/{name} {verb}")).collect()
}

#[test]
fn a_second_apply_changes_nothing_and_a_diff_is_empty() -> Result<()> {
    let space = space("apply-twice")?;
    for (version, kubectl) in kubectls(&space)? {
        let app = app(version);
        assert_eq!(lines(&kubectl.apply(&app)?), each(version, "created"));
        assert_eq!(lines(&kubectl.apply(&app)?), each(version, "unchanged"));
        let diff = kubectl.run_with(["diff", "-f", "-"], Some(&app))?;
        assert_eq!((diff.code, diff.stdout.as_str()), (0, ""), "{version}: {diff:?}");
        let other = app.replace("key: value", "key: other").replace("image: nginx", "image: httpd");
        let diff = kubectl.run_with(["diff", "-f", "-"], Some(&other))?;
        assert_eq!(diff.code, 1, "{version}: {diff:?}");
        let changed: Vec<&str> = diff.stdout.lines().filter(|it| it.starts_with("+ ")).collect();
        let images = changed.iter().filter(|line| line.contains("image: httpd"));
        assert_eq!(images.count(), 2, "{version}: {}", diff.stdout);
        assert!(changed_lines_of_tenbin(&diff.stdout).is_empty(), "{version}: {}", diff.stdout);
        let applied = kubectl.apply(&other)?;
        let configured = |it: &&String| it.ends_with(" configured");
        assert_eq!(lines(&applied).iter().filter(configured).count(), 3, "{version}: {applied}");
    }
    Ok(())
}

/// The lines that a diff adds or takes away which speak of tenbin.
fn changed_lines_of_tenbin(diff: &str) -> Vec<&str> {
    diff.lines().filter(|it| it.starts_with(['+', '-']) && it.contains("tenbin")).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_delete_waits_until_no_cluster_has_the_objects() -> Result<()> {
    let space = space("delete-waits")?;
    for (version, kubectl) in kubectls(&space)? {
        let app = app(version);
        kubectl.apply(&app)?;
        let delete = ["delete", "--timeout=60s", "-f", "-"];
        let output = kubectl.run_with(delete, Some(&app))?;
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{version}: {output:?}");
        assert_eq!(output.stdout.matches(" deleted").count(), 4, "{version}");
        for resource in ["configmaps", "services", "deployments", "statefulsets"] {
            let copies = space.copies(&format!("{resource}/{version}"))?;
            assert!(copies.iter().all(Option::is_none), "{version}: {resource}: {copies:?}");
        }
    }
    let left = ["get", "pods", "-o", "name"];
    let kubectl = kubectl(&space)?;
    eventually!(kubectl.ok(left), |left: &String| left.is_empty());
    Ok(())
}

#[test]
fn all_pods_of_a_namespace_are_deleted_in_every_cluster() -> Result<()> {
    let space = space("delete-all")?;
    for (version, kubectl) in kubectls(&space)? {
        pods(&space)?;
        let said = quiet(&kubectl, &["delete", "pods", "--all", "--timeout=60s"])?;
        assert_eq!(said.lines().count(), 3, "{version}: {said}");
        for cluster in NAMES {
            let copies = space.copies(&format!("pods/web-{cluster}"))?;
            assert!(copies.iter().all(Option::is_none), "{version}: {copies:?}");
        }
    }
    Ok(())
}

#[test]
fn a_namespace_goes_with_everything_in_every_cluster() -> Result<()> {
    let kubectl = DAEMON.kubectl()?;
    kubectl.ok(["create", "namespace", "goes"])?;
    let within = kubectl.clone().namespace("goes");
    let account = "/api/v1/namespaces/goes/serviceaccounts/default";
    FLEET.clusters().iter().try_for_each(|cluster| cluster.wait_for(account))?;
    within.apply(&app("web"))?;
    quiet(&kubectl, &["delete", "namespace", "goes", "--timeout=90s"])?;
    for cluster in FLEET.clusters() {
        let path = "/api/v1/namespaces/goes";
        eventually!(cluster.client()?.get(path).map(|it| it.status), |status| *status == 404);
    }
    Ok(())
}

#[test]
fn objects_of_other_clusters_are_changed_where_they_are() -> Result<()> {
    let space = space("change-far")?;
    pods(&space)?;
    for (version, kubectl) in kubectls(&space)? {
        let label = format!("seen={version}");
        let said = quiet(&kubectl, &["label", "pods", "--all", "--overwrite", &label])?;
        assert_eq!(sorted(&said), NAMES_LABELED, "{version}");
        let patch = format!(r#"{{"metadata":{{"annotations":{{"by":"{version}"}}}}}}"#);
        let said = quiet(&kubectl, &["patch", "pod", "web-osaka", "-p", &patch])?;
        assert_eq!(said, "pod/web-osaka patched\n");
        let said = quiet(&kubectl, &["annotate", "pod", "web-nagoya", &label, "--overwrite"])?;
        assert_eq!(said, "pod/web-nagoya annotated\n");
        for (cluster, copies) in NAMES.iter().zip(far(&space)?) {
            assert_eq!(copies, [version], "{cluster}");
        }
    }
    Ok(())
}

const NAMES_LABELED: [&str; 3] =
    ["pod/web-nagoya labeled", "pod/web-osaka labeled", "pod/web-tokyo labeled"];

/// The label `seen` of each cluster's pod, wherever it is.
fn far(space: &Space) -> Result<Vec<Vec<String>>> {
    let seen = |cluster: &&str| {
        let copies = space.copies(&format!("pods/web-{cluster}"))?;
        let seen = copies.iter().flatten();
        Ok(seen
            .map(|it| it["metadata"]["labels"]["seen"].as_str().unwrap_or("").to_owned())
            .collect())
    };
    NAMES.iter().map(seen).collect()
}

#[test]
fn a_workload_is_made_exposed_scaled_and_restarted_without_a_file() -> Result<()> {
    let space = space("imperative")?;
    for (version, kubectl) in kubectls(&space)? {
        let web = format!("deployment/{version}");
        let create =
            ["create", "deployment", version, "--image=nginx", "--replicas=10", "--port=80"];
        quiet(&kubectl, &create)?;
        quiet(&kubectl, &["expose", &web, "--port=80"])?;
        quiet(&kubectl, &["set", "image", &web, "nginx=httpd"])?;
        quiet(&kubectl, &["rollout", "restart", &web])?;
        quiet(&kubectl, &["scale", &web, "--replicas=20"])?;
        assert_eq!(space.total(&format!("deployments/{version}"))?, 20, "{version}");
        ready(&kubectl, version, "20/20");
        quiet(&kubectl, &["scale", &web, "--current-replicas=20", "--replicas=4"])?;
        ready(&kubectl, version, "4/4");
        let history = quiet(&kubectl, &["rollout", "history", &web])?;
        assert!(history.lines().count() >= 4, "{version}: {history}");
        let endpoints = Table::read(&quiet(&kubectl, &["get", "service", version])?)?;
        assert_eq!(endpoints.cell(version, "CLUSTER")?, "tokyo osaka nagoya", "{version}");
    }
    Ok(())
}

/// Waits until a deployment's column READY says this.
fn ready(kubectl: &Kubectl, name: &str, wanted: &str) {
    let get = ["get", "deployment", name];
    let table = || quiet(kubectl, &get).and_then(|text| Table::read(&text));
    let says = |table: &Table| table.cell(name, "READY").is_ok_and(|ready| ready == wanted);
    eventually!(table(), says);
}
