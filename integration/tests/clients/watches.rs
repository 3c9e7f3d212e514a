//! kubectl that stays: `get --watch`, `events --watch`, `rollout status`, `wait`.

use std::fmt::Debug;
use std::ops::RangeBounds;

use anyhow::{Result, ensure};
use tenbin_integration::eventually::patience;
use tenbin_integration::process::Process;
use tenbin_integration::{Kubectl, Space, config_map, deployment, eventually, stateful_set};

use super::{DAEMON, FLEET, NAMES, kubectl, kubectls, quiet, space};

/// A kubectl that stays, with its log named after the test and its version.
fn stay(space: &Space, version: &str, kubectl: &Kubectl, args: &[&str]) -> Result<Process> {
    let log = FLEET.folder().join(format!("{}-{version}-{}.log", space.name(), args.len()));
    kubectl.start(args, &log)
}

/// How many lines of the log have all these words.
fn rows(process: &Process, words: &[&str]) -> usize {
    let log = process.log_text();
    let of = |line: &&str| words.iter().all(|word| line.split_whitespace().any(|it| it == *word));
    log.lines().filter(of).count()
}

/// Waits until so many lines of the log have all these words.
fn shows(process: &Process, wanted: impl RangeBounds<usize> + Debug, words: &[&str]) {
    let look = || {
        let found = rows(process, words);
        ensure!(wanted.contains(&found), "{found} of {wanted:?} {words:?}: {}", process.log_text());
        Ok(())
    };
    eventually!(look());
}

#[test]
fn a_watched_table_shows_what_happens_in_every_cluster() -> Result<()> {
    let space = space("watch-table")?;
    for (version, kubectl) in kubectls(&space)? {
        let process = stay(&space, version, &kubectl, &["get", "configmaps", "--watch"])?;
        // The list comes first; the watch goes on from its version.
        shows(&process, 3.., &["kube-root-ca.crt"]);
        for cluster in NAMES {
            let name = format!("{version}-{cluster}");
            space.create_in(cluster, "configmaps", &config_map(&name, "1"))?;
            shows(&process, 1..=1, &[&name, "1", cluster]);
            let client = FLEET.cluster(cluster)?.client()?;
            let path = space.path(&format!("configmaps/{name}"));
            client.send_json("PUT", &path, &config_map(&name, "2"))?.success()?;
            shows(&process, 2..=2, &[&name, "1", cluster]);
            client.send("DELETE", &path, None)?.success()?;
            shows(&process, 3..=3, &[&name, "1", cluster]);
        }
        assert_eq!(rows(&process, &["NAME", "CLUSTER"]), 1, "{version}: {}", process.log_text());
        assert!(!process.log_text().contains("Warning"), "{version}: {}", process.log_text());
    }
    Ok(())
}

#[test]
fn watched_objects_come_from_every_cluster_in_formats_for_machines() -> Result<()> {
    let space = space("watch-machines")?;
    for (version, kubectl) in kubectls(&space)? {
        let watch = ["get", "configmaps", "--watch"];
        let columns = "custom-columns=C:.metadata.annotations.tenbin/cluster,N:.metadata.name";
        let columns = [&watch[..], &["-o", columns, "--no-headers"]].concat();
        let names = stay(&space, version, &kubectl, &[&watch[..], &["-o", "name"]].concat())?;
        let columns = stay(&space, version, &kubectl, &columns)?;
        shows(&names, 1.., &["configmap/kube-root-ca.crt"]);
        shows(&columns, 1.., &["kube-root-ca.crt"]);
        for cluster in NAMES {
            let name = format!("{version}-{cluster}");
            space.create_in(cluster, "configmaps", &config_map(&name, "1"))?;
            shows(&names, 1..=1, &[&format!("configmap/{name}")]);
            shows(&columns, 1..=1, &[&name, cluster]);
        }
    }
    Ok(())
}

#[test]
fn watched_pods_of_a_split_workload_come_from_every_cluster() -> Result<()> {
    let space = space("watch-pods")?;
    let kubectl = kubectl(&space)?;
    let process = stay(&space, "v1-36", &kubectl, &["get", "pods", "--watch"])?;
    DAEMON
        .client()?
        .send_json("POST", &space.path("deployments"), &deployment("web", 10))?
        .success()?;
    for cluster in NAMES {
        shows(&process, 1.., &["1/1", "Running", cluster]);
    }
    Ok(())
}

#[test]
fn watched_events_come_from_every_cluster() -> Result<()> {
    let space = space("watch-events")?;
    for (version, kubectl) in kubectls(&space)? {
        let process = stay(&space, version, &kubectl, &["events", "--watch"])?;
        let path = space.path("deployments");
        DAEMON.client()?.send_json("POST", &path, &deployment(version, 10))?.success()?;
        let object = format!("Deployment/{version}");
        shows(&process, 3..=3, &["ScalingReplicaSet", &object]);
    }
    Ok(())
}

#[test]
fn rollout_status_ends_when_every_cluster_is_done() -> Result<()> {
    let space = space("rollout-status")?;
    for (version, kubectl) in kubectls(&space)? {
        let client = DAEMON.client()?;
        client
            .send_json("POST", &space.path("deployments"), &deployment(version, 10))?
            .success()?;
        client
            .send_json("POST", &space.path("statefulsets"), &stateful_set(version, 6))?
            .success()?;
        let web = format!("deployment/{version}");
        let status = |what: &str| quiet(&kubectl, &["rollout", "status", what, "--timeout=60s"]);
        let done = format!("deployment \"{version}\" successfully rolled out");
        assert!(status(&web)?.ends_with(&format!("{done}\n")), "{version}");
        let set = status(&format!("statefulset/{version}"))?;
        assert!(set.contains("6 new pods have been updated"), "{version}: {set}");
        quiet(&kubectl, &["rollout", "restart", &web])?;
        assert!(status(&web)?.ends_with(&format!("{done}\n")), "{version}");
        let ready: serde_json::Value =
            DAEMON.client()?.json(&space.path(&format!("deployments/{version}")))?;
        assert_eq!(ready["status"]["updatedReplicas"], 10, "{version}: {ready:#}");
        assert_eq!(ready["status"]["replicas"], 10, "{version}: {ready:#}");
    }
    Ok(())
}

#[test]
fn a_wait_sees_changes_of_a_fold_and_of_any_cluster() -> Result<()> {
    let space = space("watch-wait")?;
    let path = space.path("deployments");
    for (version, kubectl) in kubectls(&space)? {
        DAEMON.client()?.send_json("POST", &path, &deployment(version, 2))?.success()?;
        let web = format!("deployment/{version}");
        quiet(&kubectl, &["wait", &web, "--for=condition=Available", "--timeout=60s"])?;
        let twelve = "--for=jsonpath={.status.readyReplicas}=12";
        let mut waiting =
            stay(&space, version, &kubectl, &["wait", &web, twelve, "--timeout=60s"])?;
        quiet(&kubectl, &["scale", &web, "--replicas=12"])?;
        assert!(waiting.wait(patience())?.success(), "{version}: {}", waiting.log_text());

        space.create_in("nagoya", "configmaps", &config_map(version, "1"))?;
        let far = format!("configmap/{version}");
        let gone = ["wait", &far, "--for=delete", "--timeout=60s", "-v=0"];
        let mut waiting = stay(&space, version, &kubectl, &gone)?;
        let client = FLEET.cluster("nagoya")?.client()?;
        client.send("DELETE", &space.path(&format!("configmaps/{version}")), None)?.success()?;
        assert!(waiting.wait(patience())?.success(), "{version}: {}", waiting.log_text());
    }
    Ok(())
}
