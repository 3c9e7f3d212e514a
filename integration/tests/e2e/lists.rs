//! Lists: every cluster's items once for machines, every copy with its cluster for people.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Space, Table, config_map, deployment};

use super::{DAEMON, FLEET, NAMES, items, kubectl, older_kubectl, placed, said, space, text};

/// `a` in tokyo, `b` in osaka, `c` in nagoya and `all` in each.
fn config_maps(space: &Space) -> Result<()> {
    for (name, cluster) in ["a", "b", "c"].iter().zip(NAMES) {
        space.create_in(cluster, "configmaps", &config_map(name, cluster))?;
        space.create_in(cluster, "configmaps", &config_map("all", cluster))?;
    }
    Ok(())
}

/// The items that tests made, without `kube-root-ca.crt` which controllers put everywhere.
fn ours(list: &Value) -> Result<Vec<String>> {
    let all = placed(list)?;
    Ok(all.into_iter().filter(|it| !it.starts_with("kube-root")).collect())
}

#[test]
fn a_json_list_holds_each_name_once_with_its_cluster() -> Result<()> {
    let space = space("list-json")?;
    config_maps(&space)?;
    let list = DAEMON.client()?.json(&space.path("configmaps"))?;
    assert_eq!(ours(&list)?, ["a@tokyo", "all@tokyo", "b@osaka", "c@nagoya"]);
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    let version = text(&list, "/metadata/resourceVersion")?;
    assert!(version.bytes().all(|byte| byte.is_ascii_digit()), "{version}");
    let all = items(&list)?.iter().find(|item| item["metadata"]["name"] == "all");
    assert_eq!(all.context("no item")?["data"]["key"], "tokyo", "the first in order wins");
    Ok(())
}

#[test]
fn a_limit_is_answered_whole() -> Result<()> {
    let space = space("list-limit")?;
    config_maps(&space)?;
    let list = DAEMON.client()?.json(&format!("{}?limit=1", space.path("configmaps")))?;
    assert_eq!(ours(&list)?.len(), 4);
    assert_eq!(list["metadata"].get("continue"), None);
    assert_eq!(list["metadata"].get("remainingItemCount"), None);
    let chunked = kubectl(&space)?.ok(["get", "configmaps", "--chunk-size=1", "-o", "name"])?;
    assert!(chunked.lines().count() >= 4, "{chunked}");
    Ok(())
}

#[test]
fn a_table_shows_every_copy_with_its_cluster_in_the_last_column() -> Result<()> {
    let space = space("list-table")?;
    config_maps(&space)?;
    for kubectl in [kubectl(&space)?, older_kubectl(&space)?] {
        let table = Table::read(&kubectl.ok(["get", "configmaps"])?)?;
        assert_eq!(table.titles(), ["NAME", "DATA", "AGE", "CLUSTER"]);
        let (names, clusters) = (table.column("NAME")?, table.column("CLUSTER")?);
        let of_all = names.iter().zip(&clusters).filter(|(name, _)| **name == "all");
        assert_eq!(of_all.map(|(_, cluster)| *cluster).collect::<Vec<_>>(), NAMES);
        assert_eq!(table.cell("b", "CLUSTER")?, "osaka");
        let across = Table::read(&kubectl.ok(["get", "configmaps", "-A"])?)?;
        assert_eq!(across.titles(), ["NAMESPACE", "NAME", "DATA", "AGE", "CLUSTER"]);
    }
    Ok(())
}

#[test]
fn the_nodes_of_three_clusters_are_one_table() -> Result<()> {
    let table = Table::read(&DAEMON.kubectl()?.ok(["get", "nodes"])?)?;
    assert_eq!(table.len(), 6);
    let named = table.column("NAME")?.into_iter().zip(table.column("CLUSTER")?);
    for (name, cluster) in named {
        assert!(name.starts_with(cluster), "{name} in {cluster}");
    }
    Ok(())
}

#[test]
fn a_table_carries_the_objects_that_were_asked_for() -> Result<()> {
    let space = space("list-objects")?;
    config_maps(&space)?;
    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1";
    let client = DAEMON.client()?.header("Accept", accept);
    for (wanted, kind) in
        [("None", None), ("Metadata", Some("PartialObjectMetadata")), ("Object", Some("ConfigMap"))]
    {
        let table = client.json(&format!("{}?includeObject={wanted}", space.path("configmaps")))?;
        assert_eq!(table["kind"], "Table");
        let rows = table["rows"].as_array().context("no rows")?;
        assert!(rows.len() >= 6, "{table:#}");
        let columns = table["columnDefinitions"].as_array().context("no columns")?.len();
        for row in rows {
            let kinds = row.pointer("/object/kind").and_then(Value::as_str);
            assert_eq!(kinds, kind, "{wanted}: {row}");
            assert_eq!(row["cells"].as_array().context("no cells")?.len(), columns);
        }
    }
    Ok(())
}

#[test]
fn the_pseudo_label_narrows_a_list() -> Result<()> {
    let space = space("list-narrow")?;
    config_maps(&space)?;
    let kubectl = kubectl(&space)?;
    for (selector, wanted) in [
        ("tenbin/cluster=osaka", &["osaka"][..]),
        ("tenbin/cluster!=osaka", &["tokyo", "nagoya"]),
        ("tenbin/cluster in (osaka,nagoya)", &["osaka", "nagoya"]),
        ("tenbin/cluster notin (osaka,nagoya)", &["tokyo"]),
        ("tenbin/cluster", &NAMES),
    ] {
        let get = ["get", "configmaps", "-l", selector, "--field-selector=metadata.name=all"];
        let table = Table::read(&kubectl.ok(get)?)?;
        assert_eq!(table.column("CLUSTER")?, wanted, "{selector}");
    }
    let both = [
        "get",
        "nodes",
        "-l",
        "tenbin/cluster=osaka,kubernetes.io/hostname=osaka-n1",
        "-o",
        "name",
    ];
    assert_eq!(kubectl.ok(both)?, "node/osaka-n1\n");
    let stranger =
        kubectl.run(["get", "configmaps", "-l", "tenbin/cluster=kyoto", "-o", "name"])?;
    assert_eq!(stranger.stdout, "", "{stranger:?}");
    Ok(())
}

#[test]
fn folded_items_stand_once_in_a_json_list() -> Result<()> {
    let space = space("list-folded")?;
    let client = DAEMON.client()?;
    let path = space.path("deployments");
    client.send_json("POST", &path, &deployment("web", 10))?.success()?;
    space.create_in("osaka", "deployments", &deployment("alone", 1))?;
    let list = client.json(&path)?;
    let names: Vec<&str> =
        items(&list)?.iter().filter_map(|it| it["metadata"]["name"].as_str()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let web = items(&list)?.iter().find(|it| it["metadata"]["name"] == "web").context("no web")?;
    assert_eq!(web["spec"]["replicas"], 10);
    assert_eq!(placed(&list)?.iter().filter(|it| *it == "alone@osaka").count(), 1);
    let one = client.json(&format!("{path}?fieldSelector=metadata.name%3Dweb"))?;
    assert_eq!((items(&one)?.len(), &items(&one)?[0]["spec"]["replicas"]), (1, &json!(10)));
    Ok(())
}

#[test]
fn a_resource_that_no_cluster_has_is_not_found() -> Result<()> {
    let answer = DAEMON.client()?.get("/apis/nowhere.test/v1/things")?;
    assert_eq!(answer.status, 404, "{}", answer.text());
    Ok(())
}

#[test]
fn yaml_and_protobuf_clients_get_an_answer_that_they_can_read() -> Result<()> {
    let space = space("list-media")?;
    config_maps(&space)?;
    let protobuf = "application/vnd.kubernetes.protobuf,application/json";
    let answer =
        DAEMON.client()?.header("Accept", protobuf).get(&space.path("configmaps"))?.success()?;
    let kind = answer.header("content-type").context("no content type")?;
    if kind.starts_with("application/json") {
        assert_eq!(ours(&answer.json()?)?.len(), 4);
    } else {
        assert!(answer.body.starts_with(b"k8s\0"), "{kind}");
    }
    let yaml = said(&kubectl(&space)?, &["get", "configmaps", "-o", "yaml"])?.stdout;
    assert!(yaml.contains("tenbin/cluster: osaka"), "{yaml}");
    Ok(())
}

/// Machines of different clusters may have one name; a drain empties the one that a GET shows.
#[test]
fn the_pods_of_a_node_are_those_of_the_machine_that_a_get_shows() -> Result<()> {
    let space = space("list-node")?;
    for cluster in ["osaka", "nagoya"] {
        FLEET.cluster(cluster)?.wait_for(&space.path("serviceaccounts/default"))?;
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": format!("on-{cluster}")},
            "spec": {"nodeName": "osaka-n0", "containers": [{"name": "c", "image": "i"}]},
        });
        space.create_in(cluster, "pods", &pod)?;
    }
    let path = format!("{}?fieldSelector=spec.nodeName%3Dosaka-n0", space.path("pods"));
    let list = DAEMON.client()?.json(&path)?;
    assert_eq!(placed(&list)?, ["on-osaka@osaka"]);
    Ok(())
}
