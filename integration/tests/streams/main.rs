//! Streams of pods as kubectl asks for them: logs, exec, attach, cp and port-forward, through a
//! daemon of tokyo that reaches osaka straight and nagoya as a peer. The kubelet is a stand-in
//! (`integration/kubelet`).

mod commands;
mod forward;
mod talk;

use std::sync::LazyLock;

use anyhow::{Result, ensure};
use serde_json::json;
use tenbin_integration::{Cluster, Fleet, FleetBuilder, Kubectl, eventually};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("streams").clusters(["tokyo", "osaka", "nagoya"]).nodes(1).kubelet().shared()
});

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
        ("1.32 by SPDY", spdy(Kubectl::v1_32(kubeconfig)?)),
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

/// Runs kubectl, which must succeed and say exactly this.
fn says(kubectl: &Kubectl, args: &[&str], stdin: Option<&str>, wanted: &str) -> Result<()> {
    let output = kubectl.run_with(args, stdin)?;
    ensure!(output.code == 0 && output.stdout == wanted, "kubectl {args:?}: {output:?}");
    Ok(())
}
