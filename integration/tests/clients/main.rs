//! The clients that people and machines use, all through the endpoint of three clusters: kubectl in
//! three versions, helm, kube-rs, the informers of client-go and the watch of Python. One test is
//! one namespace.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod changes;
mod describes;
mod gets;
mod helm;
mod informers;
mod kube_rs;
mod nodes;
mod python;
mod watches;

use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use tenbin_integration::{Daemon, Fleet, FleetBuilder, Kubectl, Output, Space};

/// 100, 200 and 300 W. Nagoya answers as an older server, without streaming lists.
static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("clients")
        .clusters(NAMES)
        .controllers(true)
        .nodes(2)
        .without_watch_list("nagoya")
        .shared()
});

/// A daemon of tokyo whose administrators may act in the other clusters too.
static DAEMON: LazyLock<Daemon> =
    LazyLock::new(|| FLEET.daemon().config("[auth]\ncross = ['system:masters']").shared());

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

/// A namespace for one test, made as users make it.
fn space(name: &str) -> Result<Space> {
    DAEMON.kubectl()?.ok(["create", "namespace", name])?;
    let space = Space::only_in(&FLEET, name, &[])?;
    for cluster in FLEET.clusters() {
        cluster.wait_for(&space.path("serviceaccounts/default"))?;
    }
    Ok(space)
}

/// kubectl through the daemon, as administrator, in the namespace of a test.
fn kubectl(space: &Space) -> Result<Kubectl> {
    Ok(DAEMON.kubectl()?.namespace(space.name()))
}

/// Every version of kubectl, by its name.
fn kubectls(space: &Space) -> Result<[(&'static str, Kubectl); 3]> {
    let kubeconfig = DAEMON.kubeconfig()?;
    let of = |kubectl: Result<Kubectl>| Ok::<_, anyhow::Error>(kubectl?.namespace(space.name()));
    Ok([
        ("v1-36", of(Kubectl::new(&kubeconfig))?),
        ("v1-32", of(Kubectl::v1_32(&kubeconfig))?),
        ("v1-29", of(Kubectl::v1_29(&kubeconfig))?),
    ])
}

/// Runs a client that must succeed and complain of nothing: no warning, no error. That a cluster
/// was silent for seconds is the truth of a machine under load, and no complaint.
fn quiet(client: &Kubectl, args: &[&str]) -> Result<String> {
    let Output { stdout, stderr, code } = client.run(args)?;
    let complains = stderr.lines().any(|line| !line.contains("silent"));
    ensure!(code == 0 && !complains, "{args:?}: exit {code}\n{stdout}{stderr}");
    Ok(stdout)
}

/// A pod in each cluster, called after it: `web-tokyo`, …
fn pods(space: &Space) -> Result<()> {
    for cluster in NAMES {
        space.create_pod_in(cluster, &format!("web-{cluster}"))?;
    }
    Ok(())
}

/// The lines of a text, sorted.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// What stands behind `Title:` in what describe prints.
fn described<'t>(text: &'t str, title: &str) -> Result<&'t str> {
    let found = text.lines().find_map(|line| line.strip_prefix(title)?.strip_prefix(':'));
    Ok(found.with_context(|| format!("no {title} in {text}"))?.trim())
}
