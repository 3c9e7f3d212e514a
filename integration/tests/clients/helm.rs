//! A chart as `helm create` makes it, from its installation to its end.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tenbin_integration::{Kubectl, Space, eventually, tools};

use super::{DAEMON, FLEET, quiet, space};

/// helm in the namespace of a test, and a new chart.
fn helm(space: &Space) -> Result<(Kubectl, TempDir, String)> {
    let program = tools::program("helm")?;
    let helm = Kubectl::with_program(program, DAEMON.kubeconfig()?)?.namespace(space.name());
    let folder = TempDir::with_prefix("tenbin-chart-").context("making a folder")?;
    let chart = folder.path().join("shop").display().to_string();
    quiet(&helm, &["create", &chart])?;
    Ok((helm, folder, chart))
}

fn images(space: &Space) -> Result<Vec<String>> {
    let copies = space.copies("deployments/shop")?;
    let image =
        |copy: &Value| copy["spec"]["template"]["spec"]["containers"][0]["image"].to_string();
    ensure!(copies.iter().all(Option::is_some), "{copies:?}");
    Ok(copies.iter().flatten().map(image).collect())
}

#[test]
fn a_release_lives_from_its_installation_to_its_end() -> Result<()> {
    let space = space("helm")?;
    let (helm, _folder, chart) = helm(&space)?;
    let account = "--set=serviceAccount.create=false";
    quiet(&helm, &["install", "shop", &chart, account, "--set=replicaCount=10"])?;
    assert_eq!(space.total("deployments/shop")?, 10);
    assert!(space.copies("services/shop")?.iter().all(Option::is_some));
    let releases = quiet(&helm, &["list", "--all"])?;
    assert!(releases.contains("deployed"), "{releases}");
    let status: Value = serde_json::from_str(&quiet(&helm, &["status", "shop", "-o", "json"])?)?;
    assert_eq!(status["info"]["status"], "deployed");

    let upgrade = ["upgrade", "shop", &chart, account, "--set=replicaCount=20,image.tag=2"];
    quiet(&helm, &upgrade)?;
    assert_eq!(space.total("deployments/shop")?, 20);
    assert!(images(&space)?.iter().all(|image| image == "\"nginx:2\""));
    let again = quiet(&helm, &upgrade)?;
    assert!(again.contains("REVISION: 3"), "{again}");
    assert_eq!(space.total("deployments/shop")?, 20);

    quiet(&helm, &["rollback", "shop", "1"])?;
    assert_eq!(space.total("deployments/shop")?, 10);
    assert!(images(&space)?.iter().all(|image| image != "\"nginx:2\""));
    let history: Value = serde_json::from_str(&quiet(&helm, &["history", "shop", "-o", "json"])?)?;
    assert_eq!(history.as_array().map(Vec::len), Some(4), "{history:#}");

    quiet(&helm, &["uninstall", "shop", "--wait", "--timeout=60s"])?;
    nothing_left(&space)
}

/// Neither objects of the chart nor releases, in any cluster.
fn nothing_left(space: &Space) -> Result<()> {
    for cluster in FLEET.clusters() {
        let kubectl = cluster.kubectl()?.namespace(space.name());
        let all = ["get", "all,secrets,serviceaccounts,hpa,ingress", "-o", "name"];
        eventually!(kubectl.ok(all), |left: &String| left == "serviceaccount/default\n");
    }
    Ok(())
}
