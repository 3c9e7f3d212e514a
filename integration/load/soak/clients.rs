//! Who asks, all at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tenbin_integration::eventually::now;
use tenbin_integration::{Client, Cluster, Daemon, Kubectl, Random, config_map};

use super::{CONFIG_MAPS, NAMESPACE};
use crate::pace::pause;
use crate::rig::{NAMES, USER, user};

const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
/// What the clients do, how many do it, and how long each waits before it does it again.
const TASKS: [(Task, u64, Duration); 7] = [
    (Clients::list, 2, Duration::from_millis(200)),
    (Clients::table, 1, Duration::from_millis(200)),
    (Clients::page, 1, Duration::from_millis(200)),
    (Clients::get, 3, Duration::from_millis(10)),
    (Clients::write, 3, Duration::from_millis(25)),
    (Clients::watch, 30, Duration::from_millis(100)),
    (Clients::exec, 1, Duration::from_millis(500)),
];

type Task = fn(&Clients, &mut Random) -> Result<()>;

/// What the clients know.
pub(super) struct Clients {
    client: Client,
    kubectl: Kubectl,
}

/// How many requests were answered, and how many were not.
#[derive(Debug, Default)]
pub(super) struct Tally {
    done: AtomicU64,
    failed: AtomicU64,
}

// === impl Clients ===

impl Clients {
    pub(super) fn new(clusters: &[Cluster], daemon: &Daemon) -> Result<Self> {
        let own = clusters.first().context("no cluster")?;
        // Longer than tenbin waits for a member that was stopped, so that it is tenbin who answers.
        let client = daemon.client_of(Some(&user(own)?))?.patience(Duration::from_secs(5));
        let kubectl = Kubectl::new(daemon.kubeconfig_for(own, USER, &[])?)?.namespace(NAMESPACE);
        Ok(Self { client, kubectl })
    }

    /// Starts them all; they go on until `end`.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        end: Instant,
        tally: &'scope Tally,
    ) {
        for (kind, (task, clients, wait)) in (0..).zip(TASKS) {
            for n in 0..clients {
                let mut random = Random::new(kind * 1_000 + n);
                scope.spawn(move || {
                    while now() < end {
                        tally.count(task(self, &mut random).is_ok());
                        pause(wait);
                    }
                });
            }
        }
    }

    fn list(&self, _: &mut Random) -> Result<()> {
        self.client.get(&path("pods"))?.success().map(drop)
    }

    fn table(&self, _: &mut Random) -> Result<()> {
        let client = self.client.clone().header("Accept", TABLE);
        client.get(&path("pods"))?.success().map(drop)
    }

    fn page(&self, _: &mut Random) -> Result<()> {
        let mut query = "?limit=100".to_owned();
        loop {
            let page = self.client.json(&format!("{}{query}", path("pods")))?;
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) => query = format!("?limit=100&continue={token}"),
                None => return Ok(()),
            }
        }
    }

    fn get(&self, random: &mut Random) -> Result<()> {
        self.client.get(&config_map_path(&any(random)))?.success().map(drop)
    }

    fn write(&self, random: &mut Random) -> Result<()> {
        let name = any(random);
        let body = config_map(&name, &random.below(1 << 32).to_string());
        self.client.send_json("PUT", &config_map_path(&name), &body)?.success().map(drop)
    }

    /// Watches for a while, and leaves.
    fn watch(&self, random: &mut Random) -> Result<()> {
        let end = now() + Duration::from_millis(500 + random.below(4_000));
        let mut watch = self.client.open("GET", &path("configmaps?watch=true"), None)?;
        ensure!(watch.status == 200, "status {}", watch.status);
        while now() < end {
            watch.line()?.context("the watch ended")?;
        }
        Ok(())
    }

    fn exec(&self, random: &mut Random) -> Result<()> {
        let pod = format!("runs-{}", name(random));
        let said = self.kubectl.ok(["exec", &pod, "--", "echo", "hello"])?;
        ensure!(said.trim() == "hello", "it said {said}");
        Ok(())
    }
}

// === impl Tally ===

impl Tally {
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, is_done: bool) {
        let count = if is_done { &self.done } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn path(resource: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/{resource}")
}

fn config_map_path(name: &str) -> String {
    format!("{}/{name}", path("configmaps"))
}

/// The name of any ConfigMap of any cluster.
fn any(random: &mut Random) -> String {
    let bound = u64::try_from(CONFIG_MAPS).unwrap_or(1);
    format!("{}-{}", name(random), random.below(bound))
}

fn name(random: &mut Random) -> &'static str {
    let place = usize::try_from(random.below(3)).unwrap_or(0);
    NAMES.get(place).copied().unwrap_or_default()
}
