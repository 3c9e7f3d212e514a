//! Who writes: each member behind the daemon's back, and managed objects through it.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Client, Random, config_map, deployment};

use super::scene::Running;
use super::truth::Kind;

/// This one is always in nagoya, whatever happens elsewhere.
pub(crate) const ALIVE: &str = "alive";
const NAMES: u64 = 8;
/// The member in which [`ALIVE`] lives.
const HOME: usize = 2;

/// What always lives is there from the beginning.
pub(crate) fn begin(members: &[Client], began: Instant) -> Result<()> {
    let body = config_map(ALIVE, &value(0, began));
    members[HOME].send_json("POST", Kind::ConfigMaps.path(), &body)?.success()?;
    Ok(())
}

/// A number that grows, and when it was written, in microseconds.
fn value(count: u64, began: Instant) -> String {
    format!("{count}@{}", began.elapsed().as_micros())
}

/// Creates, changes and deletes config maps in one member. Its faults are not ours.
pub(crate) fn write(
    place: usize,
    client: &Client,
    mut random: Random,
    began: Instant,
    running: &Running,
) {
    let mut count = 1;
    while running.goes_on() {
        let name = match random.below(NAMES + 1) {
            0 => ALIVE.to_owned(),
            n => format!("n{n}"),
        };
        let stays = name == ALIVE && place == HOME;
        let one = format!("{}/{name}", Kind::ConfigMaps.path());
        let answer = if random.below(3) == 0 && !stays {
            client.send("DELETE", &one, None)
        } else {
            count += 1;
            let body = config_map(&name, &value(count, began));
            match client.send_json("PUT", &one, &body) {
                Ok(answer) if answer.status == 404 => {
                    client.send_json("POST", Kind::ConfigMaps.path(), &body)
                }
                other => other,
            }
        };
        let wait = if answer.is_ok() { 5 + random.below(20) } else { 200 };
        running.pause(Duration::from_millis(wait));
    }
}

/// Creates, scales and deletes managed Deployments.
pub(crate) fn manage(client: &Client, mut random: Random, running: &Running) {
    while running.goes_on() {
        let name = format!("d{}", random.below(4));
        let one = format!("{}/{name}", Kind::Deployments.path());
        let replicas = i64::try_from(random.below(20)).unwrap_or(1);
        let scaled = json!({"spec": {"replicas": replicas}});
        let answer = match random.below(4) {
            0 => client.send("DELETE", &one, None),
            1 => client.send_json("POST", Kind::Deployments.path(), &deployment(&name, replicas)),
            _ => patch(client, &one, &scaled),
        };
        let wait = if answer.is_ok() { 50 + random.below(100) } else { 200 };
        running.pause(Duration::from_millis(wait));
    }
}

fn patch(client: &Client, one: &str, change: &Value) -> Result<tenbin_integration::Response> {
    let body = change.to_string();
    client.send("PATCH", one, Some(("application/merge-patch+json", body.as_bytes())))
}
