//! `kubectl get` in every form that people and scripts ask for.

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::{Table, config_map, deployment, eventually};

use super::{DAEMON, NAMES, kubectl, kubectls, pods, quiet, sorted, space};

#[test]
fn pods_of_all_clusters_are_one_table_with_the_cluster_last() -> Result<()> {
    let space = space("get-wide")?;
    pods(&space)?;
    let wide = [
        "READY",
        "STATUS",
        "RESTARTS",
        "AGE",
        "IP",
        "NODE",
        "NOMINATED NODE",
        "READINESS GATES",
        "CLUSTER",
    ];
    for (version, kubectl) in kubectls(&space)? {
        let table = Table::read(&quiet(&kubectl, &["get", "pods"])?)?;
        assert_eq!(table.titles(), ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "CLUSTER"]);
        let table = Table::read(&quiet(&kubectl, &["get", "pods", "-o", "wide"])?)?;
        assert_eq!(table.titles(), [&["NAME"], &wide[..]].concat(), "{version}");
        assert_eq!(table.column("CLUSTER")?, NAMES, "{version}: in the order of the fleet");
        for cluster in NAMES {
            let name = format!("web-{cluster}");
            assert_eq!(table.cell(&name, "CLUSTER")?, cluster, "{version}");
            assert_eq!(table.cell(&name, "NODE")?, format!("{cluster}-n0"), "{version}");
        }
        let across = Table::read(&quiet(&kubectl, &["get", "pods", "-A", "-o", "wide"])?)?;
        assert_eq!(across.titles(), [&["NAMESPACE", "NAME"], &wide[..]].concat(), "{version}");
        let names = across.column("NAMESPACE")?;
        assert_eq!(names.iter().filter(|name| **name == space.name()).count(), 3, "{version}");
    }
    Ok(())
}

#[test]
fn formats_for_machines_hold_each_object_once() -> Result<()> {
    let space = space("get-machines")?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
        space.create_in(cluster, "configmaps", &config_map("everywhere", cluster))?;
    }
    let names = ["everywhere", "kube-root-ca.crt", "nagoya", "osaka", "tokyo"];
    let prefixed = names.map(|name| format!("configmap/{name}"));
    for (version, kubectl) in kubectls(&space)? {
        let get = |form: &str| quiet(&kubectl, &["get", "configmaps", "-o", form]);
        let list: Value = serde_json::from_str(&get("json")?)?;
        assert_eq!(list["kind"], "List", "{version}");
        assert_eq!(list["items"].as_array().map(Vec::len), Some(5), "{version}");
        let yaml = get("yaml")?;
        assert_eq!(yaml.matches("\n  kind: ConfigMap\n").count(), 5, "{version}: {yaml}");
        assert_eq!(sorted(&get("name")?), prefixed, "{version}");
        let path = r"jsonpath={range .items[*]}{.metadata.name}{'\n'}{end}";
        assert_eq!(sorted(&get(path)?), names, "{version}");
        let template = r#"go-template={{range .items}}{{.metadata.name}}{{"\n"}}{{end}}"#;
        assert_eq!(sorted(&get(template)?), names, "{version}");
        let columns =
            r"custom-columns=NAME:.metadata.name,CLUSTER:.metadata.annotations.tenbin/cluster";
        let columns = get(columns)?;
        let table = Table::read(&columns)?;
        assert_eq!(table.cell("nagoya", "CLUSTER")?, "nagoya", "{version}");
        assert_eq!(table.cell("everywhere", "CLUSTER")?, "tokyo", "{version}: the first wins");
        let people = Table::read(&quiet(&kubectl, &["get", "configmaps"])?)?;
        assert_eq!(people.len(), 9, "{version}: every copy for people");
    }
    Ok(())
}

#[test]
fn sorting_goes_across_clusters() -> Result<()> {
    let space = space("get-sorted")?;
    for (name, cluster) in [("c", "tokyo"), ("a", "osaka"), ("d", "nagoya"), ("b", "tokyo")] {
        space.create_pod_in(cluster, name)?;
    }
    for (version, kubectl) in kubectls(&space)? {
        let by = |by: &str| quiet(&kubectl, &["get", "pods", by]);
        let table = Table::read(&by("--sort-by=.metadata.name")?)?;
        assert_eq!(table.column("NAME")?, ["a", "b", "c", "d"], "{version}");
        assert_eq!(table.column("CLUSTER")?, ["osaka", "tokyo", "tokyo", "nagoya"], "{version}");
        let table = Table::read(&by("--sort-by=.spec.nodeName")?)?;
        assert_eq!(table.column("NAME")?[..2], ["d", "a"], "{version}: nagoya-n0, osaka-n0, …");
        let names = ["get", "pods", "--sort-by=.metadata.name", "-o", "name"];
        assert_eq!(quiet(&kubectl, &names)?, "pod/a\npod/b\npod/c\npod/d\n", "{version}");
    }
    Ok(())
}

#[test]
fn several_kinds_are_several_tables_with_the_fold_once() -> Result<()> {
    let space = space("get-all")?;
    DAEMON
        .client()?
        .send_json("POST", &space.path("deployments"), &deployment("web", 10))?
        .success()?;
    for (version, kubectl) in kubectls(&space)? {
        let get = ["get", "all"];
        let all = eventually!(quiet(&kubectl, &get), |all: &String| all.contains("10/10"));
        let rows = |name: &str| all.lines().filter(|line| line.starts_with(name)).count();
        let one = all.lines().filter(|line| line.starts_with("deployment.apps/web "));
        let one: Vec<&str> = one.collect();
        assert!(
            matches!(one[..], [row] if row.ends_with("tokyo:5 osaka:3 nagoya:2")),
            "{version}: {all}"
        );
        assert_eq!(rows("pod/web-"), 10, "{version}: {all}");
        assert_eq!(rows("replicaset.apps/web-"), 3, "{version}: one in each cluster");
        let deployment: Value =
            serde_json::from_str(&quiet(&kubectl, &["get", "deployment", "web", "-o", "json"])?)?;
        assert_eq!(deployment["status"]["readyReplicas"], 10, "{version}");
    }
    Ok(())
}

#[test]
fn selectors_and_label_columns_go_to_all_clusters() -> Result<()> {
    let space = space("get-select")?;
    pods(&space)?;
    let kubectl_now = kubectl(&space)?;
    quiet(&kubectl_now, &["label", "pods", "--all", "tier=front"])?;
    quiet(&kubectl_now, &["label", "pod", "web-nagoya", "tier=back", "--overwrite"])?;
    for (version, kubectl) in kubectls(&space)? {
        let names =
            |args: &[&str]| quiet(&kubectl, &[&["get", "pods", "-o", "name"], args].concat());
        assert_eq!(names(&["-l", "tier=front"])?, "pod/web-tokyo\npod/web-osaka\n", "{version}");
        assert_eq!(names(&["-l", "tier in (back)"])?, "pod/web-nagoya\n", "{version}");
        assert_eq!(
            names(&["--field-selector=spec.nodeName=osaka-n0"])?,
            "pod/web-osaka\n",
            "{version}"
        );
        let running = ["get", "pods", "--field-selector=status.phase=Running", "-L", "tier"];
        let table = eventually!(
            quiet(&kubectl, &running).and_then(|text| Table::read(&text)),
            |table: &Table| table.len() == 3
        );
        assert_eq!(table.cell("web-nagoya", "TIER")?, "back", "{version}");
        assert_eq!(table.cell("web-nagoya", "CLUSTER")?, "nagoya", "{version}");
        let labels = quiet(&kubectl, &["get", "pods", "--show-labels"])?;
        assert_eq!(labels.matches("tier=front").count(), 2, "{version}: {labels}");
    }
    Ok(())
}

#[test]
fn one_object_of_any_cluster_is_got_by_name_and_a_missing_one_is_not_found() -> Result<()> {
    let space = space("get-one")?;
    pods(&space)?;
    for (version, kubectl) in kubectls(&space)? {
        let table = Table::read(&quiet(&kubectl, &["get", "pod", "web-nagoya"])?)?;
        assert_eq!(table.titles(), ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "CLUSTER"]);
        assert_eq!(table.cell("web-nagoya", "CLUSTER")?, "nagoya", "{version}");
        let two = quiet(&kubectl, &["get", "pods", "web-osaka", "web-tokyo", "-o", "name"])?;
        assert_eq!(two, "pod/web-osaka\npod/web-tokyo\n", "{version}");
        let status = ["get", "pod", "web-osaka", "--subresource=status", "-o", "name"];
        assert_eq!(quiet(&kubectl, &status)?, "pod/web-osaka\n", "{version}");
        let missing = kubectl.run(["get", "pod", "nobody"])?;
        let said = "Error from server (NotFound): pods \"nobody\" not found\n";
        assert_eq!((missing.code, missing.stderr.as_str()), (1, said), "{version}");
        let ignored = quiet(&kubectl, &["get", "pod", "nobody", "--ignore-not-found"])?;
        assert_eq!(ignored, "", "{version}");
    }
    Ok(())
}

#[test]
fn nothing_is_said_to_be_nothing() -> Result<()> {
    let space = space("get-nothing")?;
    for (version, kubectl) in kubectls(&space)? {
        let none = kubectl.run(["get", "pods"])?;
        let said = "No resources found in get-nothing namespace.\n";
        assert_eq!(
            (none.code, none.stdout.as_str(), none.stderr.as_str()),
            (0, "", said),
            "{version}"
        );
    }
    Ok(())
}
