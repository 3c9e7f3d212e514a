//! `container/manifests` on a real API server.

use anyhow::{Context, Result};
use tenbin_integration::{FleetBuilder, Kubectl, tools};

/// In the order of the Makefile's `build-installer`.
const FILES: [&str; 6] = ["namespace", "crds", "rbac", "config", "deployment", "service"];

const ACCOUNT: &str = "--as=system:serviceaccount:wao-system:tenbin";

fn installer() -> Result<String> {
    let read = |name: &&str| {
        let path = tools::root().join(format!("container/manifests/{name}.yaml"));
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    Ok(FILES.iter().map(read).collect::<Result<Vec<_>>>()?.join("\n---\n"))
}

fn may(kubectl: &Kubectl, what: &[&str]) -> Result<bool> {
    let asked = ["auth", "can-i", ACCOUNT].iter().chain(what);
    Ok(kubectl.run(asked)?.stdout.trim() == "yes")
}

#[test]
fn the_manifests_are_taken_twice_and_give_no_more_rights_than_are_used() -> Result<()> {
    let fleet = FleetBuilder::new("manifests").clusters(["one"]).start()?;
    let cluster = fleet.cluster("one")?;
    let (kubectl, all) = (cluster.kubectl()?, installer()?);
    kubectl.apply(&all)?;
    let again = kubectl.apply(&all)?;
    let changed: Vec<&str> = again.lines().filter(|line| !line.ends_with("unchanged")).collect();
    assert_eq!(changed, [""; 0]);

    for rights in [
        &["list", "nodes"][..],
        &["watch", "pods"],
        &["impersonate", "users"],
        &["create", "tokenreviews.authentication.k8s.io"],
        &["patch", "clusterscores.waoendpointproxy.bitmedia.co.jp", "--subresource=status"],
        &["get", "secrets", "-n", "wao-system"],
        &["get", "/livez"],
    ] {
        assert!(may(&kubectl, rights)?, "{rights:?}");
    }
    for rights in [
        &["get", "secrets", "-n", "kube-system"][..],
        &["delete", "pods"],
        &["create", "deployments.apps"],
        &["update", "nodes"],
        &["bind", "clusterroles.rbac.authorization.k8s.io"],
        &["*", "*"],
    ] {
        assert!(!may(&kubectl, rights)?, "{rights:?}");
    }
    let role = cluster.client()?.json("/apis/rbac.authorization.k8s.io/v1/clusterroles/tenbin")?;
    assert!(!role["rules"].to_string().contains("\"*\""), "{role}");
    Ok(())
}
