//! What kubectl tells of objects and of the API: describe, explain, events.

use anyhow::{Context, Result};
use tenbin_integration::{Kubectl, Table, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, described, kubectl, kubectls, pods, quiet, sorted, space};

#[test]
fn describe_of_a_folded_deployment_sums_up_and_shows_the_events_of_all() -> Result<()> {
    let space = space("describe-folded")?;
    let path = space.path("deployments");
    DAEMON.client()?.send_json("POST", &path, &deployment("web", 10))?.success()?;
    // Another kind of the same name: its events are not the Deployment's.
    let set = tenbin_integration::stateful_set("web", 1);
    DAEMON.client()?.send_json("POST", &space.path("statefulsets"), &set)?.success()?;
    for (version, kubectl) in kubectls(&space)? {
        let describe = ["describe", "deployment", "web"];
        let said = eventually!(quiet(&kubectl, &describe), |said: &String| {
            said.contains("10 available") && said.matches("Scaled up replica set").count() == 3
        });
        let replicas = "10 desired | 10 updated | 10 total | 10 available | 0 unavailable";
        assert_eq!(described(&said, "Replicas")?, replicas, "{version}");
        for share in ["from 0 to 5", "from 0 to 3", "from 0 to 2"] {
            assert!(said.contains(share), "{version}: {said}");
        }
        assert!(!said.contains("statefulset-controller"), "{version}: {said}");
    }
    Ok(())
}

#[test]
fn describe_finds_objects_of_any_cluster_with_their_events() -> Result<()> {
    let space = space("describe-far")?;
    pods(&space)?;
    for (version, kubectl) in kubectls(&space)? {
        let pod = quiet(&kubectl, &["describe", "pod", "web-nagoya"])?;
        assert_eq!(described(&pod, "Namespace")?, space.name(), "{version}");
        assert!(described(&pod, "Node")?.starts_with("nagoya-n0/"), "{version}: {pod}");
        let all = quiet(&kubectl, &["describe", "pods"])?;
        for cluster in NAMES {
            assert!(
                all.contains(&format!("Name:             web-{cluster}\n")),
                "{version}: {all}"
            );
        }
        let node = quiet(&kubectl, &["describe", "node", "nagoya-n0"])?;
        assert!(node.contains("web-nagoya") && !node.contains("web-osaka"), "{version}: {node}");
        assert!(node.contains("RegisteredNode"), "{version}: the node's events: {node}");
        let named = quiet(&kubectl, &["describe", "namespace", space.name()])?;
        assert_eq!(described(&named, "Status")?, "Active", "{version}");
    }
    Ok(())
}

#[test]
fn describe_of_a_replicated_service_is_one_service() -> Result<()> {
    let space = space("describe-service")?;
    let kubectl_now = kubectl(&space)?;
    quiet(&kubectl_now, &["create", "service", "clusterip", "web", "--tcp=80"])?;
    for (version, kubectl) in kubectls(&space)? {
        let said = quiet(&kubectl, &["describe", "services"])?;
        assert_eq!(said.matches("Name: ").count(), 1, "{version}: {said}");
        assert_eq!(described(&said, "Type")?, "ClusterIP", "{version}");
    }
    Ok(())
}

#[test]
fn events_of_all_clusters_are_shown() -> Result<()> {
    let space = space("events")?;
    let path = space.path("deployments");
    DAEMON.client()?.send_json("POST", &path, &deployment("web", 10))?.success()?;
    for (version, kubectl) in kubectls(&space)? {
        let table = eventually!(
            quiet(&kubectl, &["get", "events"]).and_then(|text| Table::read(&text)),
            |table: &Table| NAMES.iter().all(|name| {
                table.column("CLUSTER").is_ok_and(|clusters| clusters.contains(name))
            })
        );
        assert_eq!(table.titles().last(), Some(&"CLUSTER"), "{version}");
        let events = quiet(&kubectl, &["events"])?;
        let scaled = events.matches("Scaled up replica set").count();
        assert_eq!(scaled, 3, "{version}: {events}");
        let one = quiet(&kubectl, &["events", "--for=deployment/web"])?;
        assert_eq!(one.matches("Scaled up replica set").count(), 3, "{version}: {one}");
        let normal = quiet(&kubectl, &["events", "--types=Warning"]);
        assert!(normal.is_err() || !normal?.contains("Scaled"), "{version}");
    }
    Ok(())
}

#[test]
fn what_the_api_is_reads_as_from_own() -> Result<()> {
    let space = space("api")?;
    let direct = FLEET.cluster("tokyo")?.kubeconfig();
    let direct = [Kubectl::new(&direct)?, Kubectl::v1_32(&direct)?, Kubectl::v1_29(&direct)?];
    for ((version, through), direct) in kubectls(&space)?.iter().zip(direct) {
        for args in [
            &["explain", "pod.spec.containers"][..],
            &["explain", "deployment", "--recursive"],
            &["api-resources", "--api-group=apps"],
            &["api-resources", "--namespaced=false"],
            &["api-resources", "--verbs=list", "-o", "name"],
            &["api-versions"],
        ] {
            let (through, direct) = (quiet(through, args)?, direct.ok(args)?);
            assert_eq!(sorted(&through), sorted(&direct), "{version}: {args:?}");
        }
        let server = through.ok(["version", "-o", "json"])?;
        assert!(server.contains("\"gitVersion\": \"v1.36.3\""), "{version}: {server}");
        assert!(quiet(through, &["cluster-info"])?.contains("is running at"), "{version}");
    }
    Ok(())
}

#[test]
fn may_i_and_who_am_i_are_answered() -> Result<()> {
    let space = space("who")?;
    for (version, kubectl) in kubectls(&space)? {
        assert_eq!(quiet(&kubectl, &["auth", "can-i", "create", "pods"])?, "yes\n", "{version}");
        let rules = quiet(&kubectl, &["auth", "can-i", "--list"])?;
        assert!(rules.contains("*.*"), "{version}: {rules}");
        let who = quiet(&kubectl, &["auth", "whoami"])?;
        assert!(who.lines().nth(1).context("no user")?.contains("admin"), "{version}: {who}");
    }
    Ok(())
}
