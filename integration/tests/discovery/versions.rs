//! A kind that clusters serve in different versions: nobody here can convert its objects.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Table, eventually};

use super::{DAEMON, FLEET, accepting, both, define, path, scale};

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

/// As a cache of metadata reads: a list, and then a watch of what happens to its objects.
#[test]
fn watches_of_metadata_tell_of_objects_of_every_version() -> Result<()> {
    let group = "watchedversions.test";
    for (cluster, version) in [("tokyo", "v1"), ("osaka", "v1beta1")] {
        define(cluster, group, version)?;
        let client = FLEET.cluster(cluster)?.client()?;
        let body = scale(group, version, cluster, 1);
        client.send_json("POST", &path(group, version), &body)?.success()?;
    }
    let form = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let collection = path(group, "v1");
    let list = eventually!(accepting(DAEMON.client()?, form).json(&collection), |list: &Value| {
        items(list) == ["tokyo", "osaka"]
    });
    let version = list["metadata"]["resourceVersion"].as_str().context("no version")?;
    let form = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    let watch = format!("{collection}?watch=1&timeoutSeconds=60&resourceVersion={version}");
    let mut events = accepting(DAEMON.client()?, form).open("GET", &watch, None)?;
    let osaka = format!("{}/osaka", path(group, "v1beta1"));
    FLEET.cluster("osaka")?.client()?.send("DELETE", &osaka, None)?.success()?;
    let event = events.event()?.context("the watch ended")?;
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&"DELETED".into(), &"osaka".into())
    );

    let whole =
        DAEMON.client()?.get(&format!("{collection}?watch=1&timeoutSeconds=1"))?.success()?;
    assert_eq!(whole.text().lines().count(), 1, "{whole:?}");
    let warnings = whole.header_all("warning").join(" ");
    assert!(warnings.contains("osaka") && warnings.contains("v1beta1"), "{warnings}");
    Ok(())
}
