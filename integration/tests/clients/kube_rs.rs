//! The watcher and the reflector of kube-rs, with streaming lists and without.

use std::collections::BTreeSet;
use std::pin::pin;

use anyhow::{Context, Result};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, Config, ResourceExt};
use tenbin_integration::eventually::patience;
use tenbin_integration::{Space, config_map};
use tokio::time::timeout;

use super::{DAEMON, FLEET, NAMES, space};

async fn api(space: &Space) -> Result<Api<ConfigMap>> {
    let kubeconfig = Kubeconfig::read_from(DAEMON.kubeconfig()?)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Api::namespaced(Client::try_from(config)?, space.name()))
}

/// The objects of tests, without `kube-root-ca.crt`.
fn ours<'o>(objects: impl IntoIterator<Item = &'o ConfigMap>) -> BTreeSet<String> {
    let names = objects.into_iter().map(ResourceExt::name_any);
    names.filter(|name| !name.starts_with("kube-root")).collect()
}

/// A config map in each cluster, called after it.
fn populated(name: &str) -> Result<Space> {
    let space = space(name)?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    Ok(space)
}

#[tokio::test]
async fn lists_come_whole_and_in_pages() -> Result<()> {
    let space = populated("rust-list")?;
    let api = api(&space).await?;
    let names = BTreeSet::from(NAMES.map(str::to_owned));
    assert_eq!(ours(&api.list(&ListParams::default()).await?.items), names);
    let mut paged = ListParams::default().limit(1);
    let mut seen = Vec::new();
    loop {
        let page = api.list(&paged).await?;
        seen.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => paged = paged.continue_token(&token),
            None => break,
        }
    }
    assert_eq!((ours(&seen), seen.len()), (names, 4));
    let far = api.get("nagoya").await?;
    assert_eq!(far.annotations().get("tenbin/cluster").map(String::as_str), Some("nagoya"));
    Ok(())
}

#[tokio::test]
async fn a_reflector_holds_what_the_clusters_have() -> Result<()> {
    let list = watcher::Config::default();
    for (name, config) in
        [("rust-list-watch", list.clone()), ("rust-stream", list.streaming_lists())]
    {
        let space = populated(name)?;
        let (reader, writer) = reflector::store();
        let events = watcher(api(&space).await?, config).reflect(writer);
        let mut events = pin!(events);
        until(&mut events, |event| matches!(event, watcher::Event::InitDone))
            .await
            .context(name)?;
        let held = || ours(reader.state().iter().map(AsRef::as_ref));
        assert_eq!(held(), BTreeSet::from(NAMES.map(str::to_owned)), "{name}");
        for cluster in NAMES {
            let client = FLEET.cluster(cluster)?.client()?;
            space.create_in(cluster, "configmaps", &config_map("late", cluster))?;
            let applied = |event: &watcher::Event<ConfigMap>| matches!(event, watcher::Event::Apply(it) if it.name_any() == "late");
            until(&mut events, applied).await.with_context(|| format!("{name}: {cluster}"))?;
            assert!(held().contains("late"), "{name}: {cluster}");
            client.send("DELETE", &space.path("configmaps/late"), None)?.success()?;
            let deleted = |event: &watcher::Event<ConfigMap>| matches!(event, watcher::Event::Delete(it) if it.name_any() == "late");
            until(&mut events, deleted).await.with_context(|| format!("{name}: {cluster}"))?;
            assert!(!held().contains("late"), "{name}: {cluster}");
        }
    }
    Ok(())
}

/// Reads events until one is as wanted; a fault of the watch is an error.
async fn until<S>(events: &mut S, wanted: impl Fn(&watcher::Event<ConfigMap>) -> bool) -> Result<()>
where
    S: futures_util::Stream<Item = watcher::Result<watcher::Event<ConfigMap>>> + Unpin,
{
    loop {
        let event = timeout(patience(), events.next()).await.context("no such event came")?;
        if wanted(&event.context("the watch ended")??) {
            return Ok(());
        }
    }
}
