//! Merged answers on the wire: compressed for who takes it, plain below 128 KiB.

use anyhow::Result;
use tenbin_integration::{Response, Space, config_map};

use super::{DAEMON, FLEET, NAMES, names, person};

/// 200 KiB in each cluster.
fn big(name: &str) -> Result<Space> {
    let space = Space::new(&FLEET, name)?;
    for cluster in NAMES {
        space.create_in(cluster, "configmaps", &config_map(cluster, &"x".repeat(200 << 10)))?;
    }
    Ok(space)
}

fn coding(answer: &Response) -> &str {
    answer.header("content-encoding").unwrap_or("none")
}

#[test]
fn long_answers_are_compressed_for_who_asks() -> Result<()> {
    let space = big("zip-long")?;
    let path = space.path("configmaps");
    let plain = DAEMON.client()?.get(&path)?.success()?;
    assert_eq!((coding(&plain), names(&plain.json()?)?.len()), ("none", 3));
    for (accepted, wanted) in [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("gzip;q=0", "none"),
        ("br", "none"),
        ("identity", "none"),
    ] {
        let client = DAEMON.client()?.header("Accept-Encoding", accepted);
        let answer = client.get(&path)?.success()?;
        assert_eq!(coding(&answer), wanted, "{accepted}");
        let short = client.get(&format!("{path}?fieldSelector=metadata.name%3Dnobody"))?;
        assert_eq!(coding(&short.success()?), "none", "{accepted}");
        if wanted == "gzip" {
            assert!(answer.body.len() < plain.body.len() / 10, "{}", answer.body.len());
            assert_eq!(gunzip(&answer.body)?, plain.body, "{accepted}");
        }
    }
    // kubectl takes gzip and reads it.
    let kubectl = DAEMON.kubectl()?.namespace(space.name());
    let json = kubectl.ok(["get", "configmaps", "-o", "json"])?;
    assert_eq!(names(&serde_json::from_str(&json)?)?.len(), 3);
    let table = person(&DAEMON)?.header("Accept-Encoding", "gzip");
    let table = table.get(&format!("{path}?includeObject=Object"))?.success()?;
    assert_eq!(coding(&table), "gzip");
    Ok(())
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain)?;
    Ok(plain)
}
