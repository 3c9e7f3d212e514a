//! Streams of pods as kubectl asks for them: logs, exec, attach, cp and port-forward, through a
//! daemon of tokyo that reaches osaka straight and nagoya as a peer. The kubelet is a stand-in
//! (`integration/kubelet`).

mod commands;
mod faults;
mod forward;
mod talk;

use std::sync::LazyLock;

use anyhow::{Error, Result, ensure};
use serde_json::json;
use tenbin_integration::{Cluster, Daemon, Fleet, FleetBuilder, Kubectl, eventually};
use toml::{Table, Value};

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

/// The cluster whose API server a test kills; a member of that test's daemon alone.
const DOOMED: &str = "kobe";

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    let clusters = NAMES.into_iter().chain([DOOMED]);
    FleetBuilder::new("streams").clusters(clusters).nodes(1).kubelet().shared()
});

/// The daemons of tokyo, which has osaka for a member, and of nagoya: peers of each other.
static DAEMONS: LazyLock<Result<(Daemon, Daemon), String>> =
    LazyLock::new(|| daemons().map_err(|error| format!("{error:#}")));

fn daemons() -> Result<(Daemon, Daemon)> {
    let builder = |own: &str| {
        let cross = "[auth]\ncross = ['system:masters']";
        FLEET.daemon().name(&format!("tenbin-{own}")).own(own).peer().config(cross)
    };
    let mut tokyo = builder("tokyo").members(&["osaka"]).prepare()?;
    let mut nagoya = builder("nagoya").prepare()?;
    know(&tokyo, "nagoya", &nagoya)?;
    know(&nagoya, "tokyo", &tokyo)?;
    nagoya.start()?;
    tokyo.start()?;
    Ok((tokyo, nagoya))
}

/// Writes a peer into a daemon's configuration.
fn know(daemon: &Daemon, name: &str, other: &Daemon) -> Result<()> {
    let mut peer = Table::new();
    peer.insert("name".to_owned(), name.into());
    peer.insert("endpoint".to_owned(), other.endpoint().into());
    let peers = Value::Array(vec![Value::Table(peer)]);
    daemon.edit_config(|table| drop(table.insert("peer".to_owned(), peers)))
}

/// The daemon that users ask.
fn tokyo() -> Result<&'static Daemon> {
    DAEMONS.as_ref().map(|(tokyo, _)| tokyo).map_err(Error::msg)
}

/// A running pod in one cluster alone, which kubectl can name. Pods of one test have one name with
/// their cluster behind it.
fn pod(cluster: &Cluster, test: &str) -> Result<String> {
    let name = format!("{test}-{}", cluster.name());
    let container = json!({"name": "main", "image": "none"});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                     "spec": {"nodeName": format!("{}-n0", cluster.name()), "containers": [container]}});
    let path = "/api/v1/namespaces/default/pods";
    let client = cluster.client()?;
    client.send_json("POST", path, &pod)?.success()?;
    let phase =
        || client.json(&format!("{path}/{name}")).map(|pod| pod.pointer("/status/phase").cloned());
    eventually!(phase(), |phase| phase.as_ref().is_some_and(|phase| phase == "Running"));
    Ok(name)
}

/// The kubectls that a test tries, which differ in what they send.
fn kubectls(kubeconfig: &std::path::Path) -> Result<Vec<(&'static str, Kubectl)>> {
    let spdy = |kubectl: Kubectl| {
        kubectl
            .with_env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false")
            .with_env("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false")
    };
    Ok(vec![
        ("1.36", Kubectl::new(kubeconfig)?),
        ("1.32", Kubectl::v1_32(kubeconfig)?),
        ("1.36 by SPDY", spdy(Kubectl::new(kubeconfig)?)),
        // Knows SPDY alone.
        ("1.29", Kubectl::v1_29(kubeconfig)?),
    ])
}

/// Does `check` with every kubectl straight at a cluster: if that fails, so does the stand-in.
fn directly(test: &str, check: impl Fn(&Kubectl, &str) -> Result<()>) -> Result<()> {
    let cluster = FLEET.cluster("tokyo")?;
    let pod = pod(cluster, test)?;
    for (kind, kubectl) in kubectls(&cluster.kubeconfig())? {
        check(&kubectl, &pod).map_err(|error| error.context(format!("kubectl {kind}, {pod}")))?;
    }
    Ok(())
}

/// Does `check` with every kubectl through the daemon, for pods of own, of a member that is reached
/// straight, and of a peer.
fn everywhere(test: &str, check: impl Fn(&Kubectl, &str) -> Result<()>) -> Result<()> {
    let kubeconfig = tokyo()?.kubeconfig()?;
    for name in NAMES {
        let pod = pod(FLEET.cluster(name)?, test)?;
        for (kind, kubectl) in kubectls(&kubeconfig)? {
            let context = |error: Error| error.context(format!("kubectl {kind}, {pod}"));
            check(&kubectl, &pod).map_err(context)?;
        }
    }
    Ok(())
}

/// Runs kubectl, which must succeed and say exactly this.
fn says(kubectl: &Kubectl, args: &[&str], stdin: Option<&str>, wanted: &str) -> Result<()> {
    let output = kubectl.run_with(args, stdin)?;
    ensure!(output.code == 0 && output.stdout == wanted, "kubectl {args:?}: {output:?}");
    Ok(())
}
