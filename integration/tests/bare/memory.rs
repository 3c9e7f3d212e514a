//! Memory does not grow with the size or the number of lists.

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Daemon, Space};

use super::{FLEET, daemon, space};

const PODS: usize = 5_000;
const BOUND_KIB: u64 = 30 << 10;

/// The resident set as `/proc/PID/status` says it.
fn resident_kib(daemon: &Daemon) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.process()?.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

fn fill(space: &Space, cluster: &str) -> Result<()> {
    let client = FLEET.cluster(cluster)?.client()?;
    let path = space.path("pods");
    let annotation = "x".repeat(1_000);
    for n in 0..PODS {
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("{cluster}-{n}"), "annotations": {"filler": annotation}},
            "spec": {"containers": [{"name": "web", "image": "nginx"}]}});
        client.send_json("POST", &path, &pod)?.success()?;
    }
    Ok(())
}

/// Measured by `cargo test --release -p tenbin-integration --test bare -- --ignored --nocapture memory`.
#[test]
#[ignore = "long; run by make soak"]
fn ten_lists_of_fifteen_thousand_pods_leave_the_resident_set_within_30_mib() -> Result<()> {
    let space = space("memory")?;
    let clusters = ["tokyo", "osaka", "nagoya"];
    std::thread::scope(|scope| {
        let all = clusters.map(|cluster| {
            scope.spawn({
                let space = &space;
                move || fill(space, cluster)
            })
        });
        all.into_iter().try_for_each(|it| it.join().expect("a thread"))
    })?;
    let daemon = daemon("memory").start()?;
    let client = daemon.client()?;
    let path = space.path("pods");
    client.get(&format!("{path}?labelSelector=nothing"))?.success()?;
    let idle = resident_kib(&daemon)?;
    for _ in 0..10 {
        let list = client.get(&path)?.success()?.json()?;
        assert_eq!(list["items"].as_array().map(Vec::len), Some(3 * PODS));
    }
    let after = resident_kib(&daemon)?;
    eprintln!("resident: {idle} KiB idle, {after} KiB after ten lists of {} pods", 3 * PODS);
    assert!(after <= idle + BOUND_KIB, "{idle} KiB, then {after} KiB");
    Ok(())
}
