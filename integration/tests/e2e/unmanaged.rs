//! What tenbin did not make is left alone, and every write to it says so.

use anyhow::Result;
use tenbin_integration::{Table, deployment};

use super::{DAEMON, kubectl, said, space};

#[test]
fn scaling_and_patching_touch_only_the_cluster_that_has_it() -> Result<()> {
    let space = space("unmanaged-scale")?;
    space.create_in("osaka", "deployments", &deployment("legacy", 2))?;
    space.create_in("nagoya", "deployments", &deployment("legacy", 4))?;
    let kubectl = kubectl(&space)?;
    let scaled = said(&kubectl, &["scale", "deployment", "legacy", "--replicas=6"])?;
    assert!(scaled.stderr.contains("not manage"), "{}", scaled.stderr);
    assert_eq!(space.shares("deployments/legacy")?, [None, Some(6), Some(4)]);
    let edit = r#"{"metadata":{"labels":{"edited":"yes"}}}"#;
    let patched = said(&kubectl, &["patch", "deployment", "legacy", "-p", edit])?;
    assert!(patched.stderr.contains("not manage"), "{}", patched.stderr);
    let copies = space.copies("deployments/legacy")?;
    let edited: Vec<bool> =
        copies.iter().flatten().map(|it| it["metadata"]["labels"]["edited"] == "yes").collect();
    assert_eq!(edited, [true, false]);
    assert!(copies.iter().flatten().all(|it| it.pointer("/metadata/labels/tenbin").is_none()));
    Ok(())
}

#[test]
fn a_delete_removes_the_one_that_a_get_shows() -> Result<()> {
    let space = space("unmanaged-delete")?;
    space.create_in("osaka", "deployments", &deployment("legacy", 0))?;
    space.create_in("nagoya", "deployments", &deployment("legacy", 0))?;
    let kubectl = kubectl(&space)?;
    let deleted = said(&kubectl, &["delete", "deployment", "legacy", "--wait=false"])?;
    assert!(deleted.stderr.contains("not manage"), "{}", deleted.stderr);
    assert_eq!(space.shares("deployments/legacy")?, [None, None, Some(0)]);
    Ok(())
}

#[test]
fn unmanaged_workloads_are_listed_one_by_one() -> Result<()> {
    let space = space("unmanaged-list")?;
    for (cluster, replicas) in [("tokyo", 1), ("osaka", 2)] {
        space.create_in(cluster, "deployments", &deployment("legacy", replicas))?;
    }
    let table = Table::read(&kubectl(&space)?.ok(["get", "deployments"])?)?;
    assert_eq!(table.column("CLUSTER")?, ["tokyo", "osaka"]);
    let one = DAEMON.client()?.get(&space.path("deployments/legacy"))?.success()?;
    assert_eq!(one.json()?["spec"]["replicas"], 1);
    assert!(one.header_all("warning").join(" ").contains("osaka"));
    Ok(())
}

#[test]
fn a_namesake_in_the_way_has_no_capacity_and_stays_as_it_is() -> Result<()> {
    let space = space("unmanaged-namesake")?;
    space.create_in("nagoya", "deployments", &deployment("web", 4))?;
    let create = ["create", "deployment", "web", "--image=nginx", "--replicas=10"];
    let created = said(&kubectl(&space)?, &create)?;
    assert!(created.stderr.contains("nagoya"), "{}", created.stderr);
    assert_eq!(space.shares("deployments/web")?, [Some(7), Some(3), Some(4)]);
    let nagoya = space.copies("deployments/web")?.pop().flatten();
    assert!(nagoya.is_some_and(|it| it.pointer("/metadata/labels/tenbin").is_none()));
    kubectl(&space)?.ok(["delete", "deployment", "web"])?;
    assert_eq!(space.shares("deployments/web")?, [None, None, Some(4)]);
    Ok(())
}
