//! Custom resources: clusters may differ in which they serve and how they print them.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Space, Table, eventually};

use super::{DAEMON, FLEET, cluster, items, kubectl, older_kubectl, placed, said, space, text};

/// Defines `scales.GROUP` in clusters, each with its printed columns, and makes one in each,
/// called as the cluster.
fn define(space: &Space, group: &str, clusters: &[(&str, &[&str])]) -> Result<String> {
    let path = format!("/apis/{group}/v1/namespaces/{}/scales", space.name());
    for (name, columns) in clusters {
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let client = FLEET.cluster(name)?.client()?;
        client.send_json("POST", crds, &definition(group, columns))?.success()?;
    }
    for (name, _) in clusters {
        let client = FLEET.cluster(name)?.client()?;
        eventually!(client.json(&path));
        let body = json!({
            "apiVersion": format!("{group}/v1"), "kind": "Scale", "metadata": {"name": name},
            "grams": 12_345_678_901_234_567_u64, "text": "]}\"{[",
            "pans": {"items": [{"metadata": {}}]},
            "left": format!("left-{name}"), "right": format!("right-{name}"),
        });
        client.send_json("POST", &path, &body)?.success()?;
    }
    Ok(path)
}

/// A definition whose columns are the fields of these names.
fn definition(group: &str, columns: &[&str]) -> Value {
    let column =
        |name: &&str| json!({"name": name, "type": "string", "jsonPath": format!(".{name}")});
    let columns: Vec<Value> = columns.iter().map(column).collect();
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let names =
        json!({"plural": "scales", "singular": "scale", "kind": "Scale", "listKind": "ScaleList"});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("scales.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": names,
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}, "additionalPrinterColumns": columns}]},
    })
}

/// Lists of custom resources have their keys in alphabetical order: items before metadata.
#[test]
fn custom_resources_are_merged_and_a_cluster_without_the_kind_is_just_empty() -> Result<()> {
    let space = space("custom")?;
    let path = define(&space, "merged.test", &[("tokyo", &[]), ("osaka", &[])])?;
    let answer = DAEMON.client()?.get(&path)?.success()?;
    assert_eq!(answer.header_all("warning"), Vec::<&str>::new());
    let list = answer.json()?;
    assert_eq!(placed(&list)?, ["osaka@osaka", "tokyo@tokyo"]);
    assert!(answer.text().contains("12345678901234567"), "numbers survive");
    assert!(items(&list)?.iter().all(|item| item["text"] == "]}\"{["));
    text(&list, "/metadata/resourceVersion")?;
    assert_eq!(list["kind"], "ScaleList");
    for kubectl in [kubectl(&space)?, older_kubectl(&space)?] {
        let table = Table::read(&kubectl.ok(["get", "scales.merged.test"])?)?;
        assert_eq!((table.cell("osaka", "CLUSTER")?, table.len()), ("osaka", 2));
    }
    let one = DAEMON.client()?.json(&format!("{path}/osaka"))?;
    assert_eq!(cluster(&one), "osaka");
    Ok(())
}

#[test]
fn columns_that_differ_are_aligned_by_name() -> Result<()> {
    let space = space("custom-columns")?;
    let both = ["left", "right"];
    let swapped = ["right", "left"];
    define(
        &space,
        "columns.test",
        &[("tokyo", &both), ("osaka", &swapped), ("nagoya", &["right"])],
    )?;
    let table = said(&kubectl(&space)?, &["get", "scales.columns.test"])?.stdout;
    let table = Table::read(&table)?;
    assert_eq!(table.titles().last(), Some(&"CLUSTER"));
    for name in super::NAMES {
        assert_eq!(table.cell(name, "RIGHT")?, format!("right-{name}"));
        assert_eq!(table.cell(name, "CLUSTER")?, name);
    }
    assert_eq!(table.cell("osaka", "LEFT")?, "left-osaka");
    assert!(!table.cell("nagoya", "LEFT")?.contains("right"), "{table:?}");
    Ok(())
}

#[test]
fn what_own_does_not_serve_is_read_from_the_cluster_that_does() -> Result<()> {
    let space = space("custom-elsewhere")?;
    let path = define(&space, "elsewhere.test", &[("osaka", &[])])?;
    let list = DAEMON.client()?.json(&path)?;
    assert_eq!(placed(&list)?, ["osaka@osaka"]);
    let one = DAEMON.client()?.json(&format!("{path}/osaka"))?;
    assert_eq!(cluster(&one), "osaka");
    Ok(())
}
