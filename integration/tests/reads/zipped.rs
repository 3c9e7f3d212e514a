//! Merged answers on the wire: compressed for who takes it, plain below 128 KiB.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Mode, Response, Space, config_map};

use super::{DAEMON, FLEET, NAMES, daemon, names, person, warnings};

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
            // The version moves on with what other tests write.
            let read: Value = serde_json::from_slice(&gunzip(&answer.body)?)?;
            assert_eq!(read["items"], plain.json()?["items"], "{accepted}");
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

/// An operator asks for compression on the way from a cluster that is far away.
#[test]
fn members_compress_where_their_kubeconfig_says_so() -> Result<()> {
    let space = big("zip-upstream")?;
    let path = space.path("configmaps");
    let mut daemon = daemon("zip-upstream").prepare()?;
    let config = std::fs::read_to_string(daemon.config_path())?.parse::<toml::Table>()?;
    let members = config["member"].as_array().into_iter().flatten();
    let osaka =
        members.filter_map(toml::Value::as_table).find(|it| it["name"].as_str() == Some("osaka"));
    let file = osaka.and_then(|it| it["kubeconfig"].as_str()).context("no kubeconfig")?.to_owned();
    let mut kubeconfig: Value = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    kubeconfig["clusters"][0]["cluster"]["disable-compression"] = Value::from(false);
    std::fs::write(&file, kubeconfig.to_string())?;
    daemon.start()?;
    let all = daemon.client()?.get(&path)?.success()?;
    assert_eq!(names(&all.json()?)?, NAMES);
    // Osaka's 200 KiB of one letter now fit through where they did not.
    daemon.shim("osaka")?.set(Mode::CutAfter(100 << 10))?;
    let again = daemon.client()?.get(&path)?.success()?.json()?;
    assert_eq!(again["items"], all.json()?["items"]);
    daemon.shim("osaka")?.set(Mode::Pass)?;
    daemon.shim("nagoya")?.set(Mode::CutAfter(100 << 10))?;
    let cut = daemon.client()?.get(&path);
    let short = cut.is_err() || cut.is_ok_and(|answer| !warnings(&answer).is_empty());
    assert!(short, "nagoya's are not compressed");
    Ok(())
}

fn gunzip(body: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain)?;
    Ok(plain)
}
