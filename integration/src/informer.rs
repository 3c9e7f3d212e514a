//! The informer of client-go (`integration/informer`), whose store tests compare with the truth.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::eventually::patience;
use crate::http::Client;
use crate::ports::Port;
use crate::process::{Process, Spec};
use crate::tools;

/// What to watch, and how.
#[derive(Debug, Clone, Copy)]
pub struct Watched<'n> {
    /// The group, empty for the core group.
    pub group: &'n str,
    /// The plural name of a resource of version v1.
    pub resource: &'n str,
    /// The namespace, empty for all.
    pub namespace: &'n str,
    /// Begin with a watch that asks for the initial events, as client-go does since 1.35; else with
    /// a list.
    pub watch_list: bool,
}

/// A running informer. Its events are JSON lines of its log.
#[derive(Debug)]
pub struct Informer {
    process: Process,
    port: Port,
}

/// What an informer holds at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Whether its first list is in.
    pub synced: bool,
    /// The last resourceVersion that its reflector saw.
    pub version: String,
    /// How many events (`added`, `modified`, `deleted`) and requests (`list`, `watch`,
    /// `watch-list`) there were so far.
    pub counts: BTreeMap<String, u64>,
    /// uid and resourceVersion of each object by its key `namespace/name`.
    pub items: BTreeMap<String, (String, String)>,
}

impl Informer {
    /// Starts it with its log at `log`; it may not have synced yet.
    pub fn start(kubeconfig: &Path, watched: Watched<'_>, log: &Path) -> Result<Self> {
        let port = Port::reserve()?;
        let process = Spec::new("informer", tools::program("informer")?)
            .path("--kubeconfig", kubeconfig)
            .arg(format!("--group={}", watched.group))
            .arg(format!("--resource={}", watched.resource))
            .arg(format!("--namespace={}", watched.namespace))
            .arg(format!("--listen={}", port.address()))
            .env("KUBE_FEATURE_WatchListClient", watched.watch_list.to_string())
            .start(log)?;
        let mut informer = Self { process, port };
        let client = Client::plain(informer.port.address());
        informer.process.wait_until(patience(), || client.get("/healthz")?.success())?;
        Ok(informer)
    }

    /// What it holds now.
    pub fn store(&self) -> Result<Store> {
        let answer = Client::plain(self.port.address()).json("/store")?;
        Store::read(&answer).with_context(|| format!("not a store: {answer:#}"))
    }

    /// Its process and log.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

impl Store {
    fn read(answer: &Value) -> Option<Self> {
        let counts = answer.get("counts")?.as_object()?.iter();
        let item = |item: &Value| {
            let text = |key: &str| Some(item.get(key)?.as_str()?.to_owned());
            Some((text("key")?, (text("uid")?, text("resourceVersion")?)))
        };
        Some(Self {
            synced: answer.get("synced")?.as_bool()?,
            version: answer.get("resourceVersion")?.as_str()?.to_owned(),
            counts: counts
                .map(|(kind, count)| Some((kind.clone(), count.as_u64()?)))
                .collect::<Option<_>>()?,
            items: answer.get("items")?.as_array()?.iter().map(item).collect::<Option<_>>()?,
        })
    }

    /// How many events or requests of this kind there were.
    pub fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    /// The keys, sorted.
    pub fn keys(&self) -> Vec<&str> {
        self.items.keys().map(String::as_str).collect()
    }
}
