//! API servers alone, without controllers: nothing happens behind the daemon's back, so counts are
//! exact. Each test has a daemon of its own with shims of its own, so that a fault is nobody
//! else's; sapporo is only there to be stopped.

#![expect(
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod admin;
mod after_death;
mod bad_config;
mod bad_input;
mod concurrency;
mod connections;
mod crashes;
mod dead_member;
mod dead_writes;
mod manifests;
mod memory;
mod patches;
mod random_splits;
mod reload;
mod restart;
mod take_back;
mod writes;

use std::sync::LazyLock;

use anyhow::Result;
use tenbin_integration::{Client, Daemon, DaemonBuilder, Fleet, FleetBuilder, Space};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("bare").clusters(["tokyo", "osaka", "nagoya", "sapporo"]).shared()
});

const CROSS: &str = "[auth]\ncross = ['system:masters']";

/// A daemon of tokyo with osaka and nagoya; its administrators may act everywhere.
fn daemon(name: &str) -> DaemonBuilder<'static> {
    FLEET.daemon().name(name).members(&["osaka", "nagoya"]).config(CROSS)
}

/// A namespace of one test in the three clusters.
fn space(name: &str) -> Result<Space> {
    Space::only_in(&FLEET, name, &["tokyo", "osaka", "nagoya"])
}

/// `spec.replicas` in tokyo, osaka and nagoya.
fn shares(space: &Space, name: &str) -> Result<Vec<Option<u64>>> {
    let mut shares = space.shares(&format!("deployments/{name}"))?;
    shares.truncate(3);
    Ok(shares)
}

/// The warnings of an answer, one a line.
fn warnings(answer: &tenbin_integration::Response) -> String {
    answer.header_all("warning").join("\n")
}

/// A client that asks for a table, as a person's kubectl does.
fn person(daemon: &Daemon) -> Result<Client> {
    let accept = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";
    Ok(daemon.client()?.header("Accept", accept))
}
