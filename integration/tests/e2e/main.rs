//! What users see of a healthy fleet: kubectl and raw requests through the daemon, before three
//! real clusters with controllers and nodes. One test is one namespace.

#![expect(
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod custom;
mod discovery;
mod identity;
mod lists;
mod objects;
mod replicate;
mod rollout;
mod sizes;
mod split;
mod stateful;
mod unmanaged;
mod watches;

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Daemon, Fleet, FleetBuilder, Kubectl, Output, Space};

/// 100, 200 and 300 W. Nagoya answers as an older server, without streaming lists.
static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("e2e")
        .clusters(["tokyo", "osaka", "nagoya"])
        .controllers(true)
        .nodes(2)
        .without_watch_list("nagoya")
        .shared()
});

/// A daemon of tokyo whose administrators may act in the other clusters too.
static DAEMON: LazyLock<Daemon> =
    LazyLock::new(|| FLEET.daemon().config("[auth]\ncross = ['system:masters']").shared());

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

/// A namespace for one test.
fn space(name: &str) -> Result<Space> {
    Space::new(&FLEET, name)
}

/// kubectl through the daemon, as administrator, in the namespace of a test.
fn kubectl(space: &Space) -> Result<Kubectl> {
    Ok(DAEMON.kubectl()?.namespace(space.name()))
}

/// The same with kubectl 1.32.
fn older_kubectl(space: &Space) -> Result<Kubectl> {
    Ok(Kubectl::v1_32(DAEMON.kubeconfig()?)?.namespace(space.name()))
}

/// Runs kubectl, which must succeed, for what it also says on stderr.
fn said(kubectl: &Kubectl, args: &[&str]) -> Result<Output> {
    let output = kubectl.run(args)?;
    anyhow::ensure!(output.code == 0, "kubectl {args:?}: {output:?}");
    Ok(output)
}

/// A string at a JSON pointer.
fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("no string at {pointer} in {value:#}"))
}

/// The items of a list.
fn items(list: &Value) -> Result<&[Value]> {
    let items = list.get("items").and_then(Value::as_array);
    Ok(items.with_context(|| format!("no items in {list:#}"))?)
}

/// The cluster that an object read through the daemon says it is in.
fn cluster(object: &Value) -> &str {
    let annotation = object.pointer("/metadata/annotations/tenbin~1cluster");
    annotation.and_then(Value::as_str).unwrap_or("(none)")
}

/// `name@cluster` of every item of a list, sorted.
fn placed(list: &Value) -> Result<Vec<String>> {
    let placed = |item| Ok(format!("{}@{}", text(item, "/metadata/name")?, cluster(item)));
    let mut all = items(list)?.iter().map(placed).collect::<Result<Vec<_>>>()?;
    all.sort();
    Ok(all)
}
