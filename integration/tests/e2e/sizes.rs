//! Big answers: compressed on the way, with items larger than any buffer.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Space, config_map};

use super::{DAEMON, NAMES, items, kubectl, older_kubectl, placed, space};

/// Text that does not compress to nothing.
fn filler(length: usize) -> String {
    let mut random = tenbin_integration::Random::new(7);
    let letter = |_| char::from(b'a' + u8::try_from(random.below(26)).unwrap_or_default());
    (0..length).map(letter).collect()
}

/// 400 KiB in each cluster, so that each API server compresses its list.
fn big(space: &Space) -> Result<()> {
    for cluster in NAMES {
        for n in 0..4 {
            let body = config_map(&format!("{cluster}-{n}"), &filler(100 << 10));
            space.create_in(cluster, "configmaps", &body)?;
        }
    }
    Ok(())
}

fn ours(list: &Value) -> Result<usize> {
    let root = |it: &&Value| it["metadata"]["name"] != "kube-root-ca.crt";
    Ok(items(list)?.iter().filter(root).count())
}

#[test]
fn compressed_lists_are_merged() -> Result<()> {
    let space = space("size-gzip")?;
    big(&space)?;
    let path = space.path("configmaps");
    assert_eq!(ours(&DAEMON.client()?.json(&path)?)?, 12);
    for kubectl in [kubectl(&space)?, older_kubectl(&space)?] {
        let list: Value =
            serde_json::from_str(&kubectl.ok(["get", "configmaps", "-o", "json"])?)?;
        assert_eq!(ours(&list)?, 12);
    }
    let zipped = DAEMON.client()?.header("Accept-Encoding", "gzip").get(&path)?.success()?;
    match zipped.header("content-encoding") {
        Some("gzip") => assert!(zipped.body.starts_with(b"\x1f\x8b")),
        None => assert_eq!(ours(&zipped.json()?)?, 12),
        other => anyhow::bail!("{other:?}"),
    }
    Ok(())
}

#[test]
fn an_item_may_be_larger_than_any_buffer() -> Result<()> {
    let space = space("size-item")?;
    for cluster in NAMES {
        let body = config_map(cluster, &filler(1_000_000));
        space.create_in(cluster, "configmaps", &body)?;
    }
    let list = DAEMON.client()?.json(&space.path("configmaps"))?;
    assert_eq!(ours(&list)?, 3);
    let longest =
        items(&list)?.iter().filter_map(|it| it["data"]["key"].as_str()).map(str::len).max();
    assert_eq!(longest.context("no data")?, 1_000_000);
    Ok(())
}

#[test]
fn metadata_alone_is_merged() -> Result<()> {
    let space = space("size-metadata")?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(cluster, "1"))?;
    }
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let list = DAEMON.client()?.header("Accept", accept).json(&space.path("configmaps"))?;
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(ours(&list)?, 3);
    assert!(placed(&list)?.contains(&"osaka@osaka".to_owned()));
    assert!(items(&list)?.iter().all(|it| it.get("data").is_none()));
    Ok(())
}
