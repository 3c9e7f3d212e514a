//! A kind that clusters serve in different versions: nobody here can convert its objects.

use anyhow::Result;
use tenbin_integration::Table;

use super::{DAEMON, FLEET, both, define, path, scale};

fn items(list: &serde_json::Value) -> Vec<&str> {
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|item| item["metadata"]["name"].as_str()).collect()
}

#[test]
fn rows_come_from_every_version_and_whole_objects_from_the_one_that_is_asked_for() -> Result<()> {
    let group = "versions.test";
    for (cluster, version) in [("tokyo", "v1"), ("osaka", "v1beta1"), ("nagoya", "v1")] {
        define(cluster, group, version)?;
        let client = FLEET.cluster(cluster)?.client()?;
        let body = scale(group, version, cluster, 1);
        client.send_json("POST", &path(group, version), &body)?.success()?;
    }
    for kubectl in both(&DAEMON)? {
        let table = Table::read(&kubectl.ok(["get", "scales.versions.test"])?)?;
        assert_eq!(table.column("CLUSTER")?, ["tokyo", "osaka", "nagoya"]);
        let one = kubectl.run(["get", "scales.versions.test", "osaka"])?;
        assert!(one.stderr.contains("scales.v1beta1.versions.test"), "{one:?}");
        let other = ["get", "scales.v1beta1.versions.test", "osaka", "-o", "name"];
        assert_eq!(kubectl.ok(other)?, "scale.versions.test/osaka\n");
        let versions = kubectl.ok(["api-versions"])?;
        assert!(versions.contains("versions.test/v1beta1"), "{versions}");
    }
    let whole = DAEMON.client()?.get(&path(group, "v1"))?.success()?;
    assert_eq!(items(&whole.json()?), ["tokyo", "nagoya"]);
    let warnings = whole.header_all("warning").join(" ");
    assert!(warnings.contains("osaka") && warnings.contains("v1beta1"), "{warnings}");
    let whole = DAEMON.client()?.get(&path(group, "v1beta1"))?.success()?;
    assert_eq!(items(&whole.json()?), ["osaka"]);
    Ok(())
}
