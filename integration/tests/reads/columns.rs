//! Members whose kinds have different columns, as members of different versions have.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Response, Space, Table, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, all_pages, person};

fn definition(column: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "teas.reads.test"},
        "spec": {"group": "reads.test", "scope": "Namespaced",
            "names": {"plural": "teas", "singular": "tea", "kind": "Tea"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object",
                    "x-kubernetes-preserve-unknown-fields": true}},
                "additionalPrinterColumns": [
                    {"name": column, "type": "string", "jsonPath": ".leaf"}]}]}})
}

#[test]
fn every_page_has_the_columns_of_all_members() -> Result<()> {
    let space = Space::new(&FLEET, "columns")?;
    let path = "/apis/reads.test/v1/namespaces/columns/teas";
    for (cluster, column) in NAMES.into_iter().zip(["Leaf", "Leaf", "Blatt"]) {
        let client = FLEET.cluster(cluster)?.client()?;
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        client.send_json("POST", crds, &definition(column))?.success()?;
        for n in 0..2 {
            let tea = json!({"apiVersion": "reads.test/v1", "kind": "Tea", "leaf": cluster,
                "metadata": {"name": format!("{cluster}-{n}")}});
            eventually!(client.send_json("POST", path, &tea).and_then(Response::success));
        }
    }
    let titles = |table: &Value| -> Vec<String> {
        let columns = table["columnDefinitions"].as_array().into_iter().flatten();
        columns.filter_map(|it| it["name"].as_str()).map(str::to_owned).collect()
    };
    for limit in 1..7 {
        let pages = all_pages(&person(&DAEMON)?, path, limit)?;
        for page in &pages {
            assert_eq!(titles(page), ["Name", "Leaf", "Blatt", "Cluster"], "{limit}");
            for row in page["rows"].as_array().into_iter().flatten() {
                assert_eq!(row["cells"].as_array().map(Vec::len), Some(4), "{row}");
            }
        }
    }
    for include in ["None", "Metadata", "Object"] {
        let pages = all_pages(&person(&DAEMON)?, &format!("{path}?includeObject={include}"), 4)?;
        let rows = pages.iter().flat_map(|page| page["rows"].as_array().into_iter().flatten());
        let kinds: Vec<_> = rows.map(|row| row["object"]["kind"].as_str()).collect();
        let wanted = match include {
            "None" => None,
            "Metadata" => Some("PartialObjectMetadata"),
            _ => Some("Tea"),
        };
        assert_eq!(kinds, [wanted; 6], "{include}");
    }
    let kubectl = DAEMON.kubectl()?.namespace(space.name());
    let said = eventually!(kubectl.ok(["get", "teas.reads.test", "--chunk-size=2"]));
    assert_eq!(said.matches("NAME").count(), 1, "one head for all pages: {said}");
    let table = Table::read(&said)?;
    assert_eq!(table.column("CLUSTER")?, ["tokyo", "tokyo", "osaka", "osaka", "nagoya", "nagoya"]);
    Ok(())
}

#[test]
fn the_scale_of_a_managed_object_is_a_table_of_all_its_replicas() -> Result<()> {
    let space = Space::new(&FLEET, "columns-scale")?;
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 6))?.success()?;
    let args = ["get", "deployment", "web", "--subresource=scale", "-n", space.name()];
    let table = DAEMON.kubectl()?.ok(args)?;
    let words: Vec<&str> = table.split_whitespace().take(7).collect();
    assert_eq!(words, ["NAME", "DESIRED", "AVAILABLE", "AGE", "web", "6", "0"], "{table}");
    Ok(())
}
