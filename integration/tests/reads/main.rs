//! Lists as clients read them: in pages, at versions, compressed, without the absent. API servers
//! alone, without controllers, so that counts are exact. One test is one namespace.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod absent;
mod columns;
mod holder;
mod lasting;
mod pages;
mod places;
mod six_thousand;
mod versions;
mod watched;
mod written_back;
mod zipped;

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{
    Client, Daemon, DaemonBuilder, Fleet, FleetBuilder, Response, Space, config_map,
};

static FLEET: LazyLock<Fleet> =
    LazyLock::new(|| FleetBuilder::new("reads").clusters(NAMES).shared());

/// A daemon of tokyo that no test breaks.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| FLEET.daemon().config(CROSS).shared());

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];
const CROSS: &str = "[auth]\ncross = ['system:masters']";
/// How kubectl asks for a table.
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json";

/// A daemon of one test.
fn daemon(name: &str) -> DaemonBuilder<'static> {
    FLEET.daemon().name(name).config(CROSS)
}

/// A namespace with so many config maps in each cluster, called `tokyo-0`.
fn filled(name: &str, counts: [usize; 3]) -> Result<Space> {
    let space = Space::new(&FLEET, name)?;
    for (cluster, count) in NAMES.into_iter().zip(counts) {
        for n in 0..count {
            let body = config_map(&format!("{cluster}-{n}"), "1");
            space.create_in(cluster, "configmaps", &body)?;
        }
    }
    Ok(space)
}

/// The names that [`filled`] gives, in the order of the fleet.
fn filled_names(counts: [usize; 3]) -> Vec<String> {
    let of = |(cluster, count)| (0..count).map(move |n| format!("{cluster}-{n}"));
    NAMES.into_iter().zip(counts).flat_map(of).collect()
}

/// A client that asks for tables.
fn person(daemon: &Daemon) -> Result<Client> {
    Ok(daemon.client()?.header("Accept", TABLE))
}

/// The names of a list or table.
fn names(list: &Value) -> Result<Vec<String>> {
    let items = list.get("items").or(list.get("rows")).and_then(Value::as_array);
    let name = |item: &Value| {
        let object = item.get("object").unwrap_or(item);
        object["metadata"]["name"].as_str().map(str::to_owned).context("an item without a name")
    };
    items.with_context(|| format!("no items in {list:#}"))?.iter().map(name).collect()
}

/// The token of a page.
fn rest(page: &Value) -> Option<&str> {
    page["metadata"]["continue"].as_str()
}

/// All pages of a list, as client-go's pager reads them: each must answer.
fn all_pages(client: &Client, path: &str, limit: usize) -> Result<Vec<Value>> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut pages = vec![client.json(&format!("{path}{separator}limit={limit}"))?];
    while let Some(token) = pages.last().and_then(rest) {
        let next = client.json(&format!("{path}{separator}limit={limit}&continue={token}"))?;
        pages.push(next);
        anyhow::ensure!(pages.len() < 10_000, "pages without end");
    }
    Ok(pages)
}

/// The warnings of an answer, one a line.
fn warnings(answer: &Response) -> String {
    answer.header_all("warning").join("\n")
}

/// How many requests for this path kubectl tells of with `-v=6`.
fn requests(log: &str, path: &str) -> usize {
    log.lines().filter(|line| line.contains("\"Response\"") && line.contains(path)).count()
}
