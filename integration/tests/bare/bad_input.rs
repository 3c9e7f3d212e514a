//! Hostile or broken requests: each gets a `Status`, and the daemon lives.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use tenbin_integration::{Daemon, Response, deployment};

use super::{daemon, shares, space};

/// Nothing here breaks the network, so the tests share a daemon.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("bad-input").shared());

const JSON: &str = "application/json";

/// A `Status` with one of these codes, and the process that gave it still serves.
fn refused(answer: &Response, codes: &[u16], what: &str) -> Result<()> {
    assert!(codes.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    let status = answer.json().with_context(|| what.to_owned())?;
    assert_eq!(
        (&status["kind"], &status["apiVersion"]),
        (&"Status".into(), &"v1".into()),
        "{what}"
    );
    assert_eq!(status["code"], answer.status, "{what}");
    assert_eq!(status["status"], "Failure", "{what}");
    assert_eq!(DAEMON.client()?.get("/version")?.status, 200, "after {what}");
    Ok(())
}

#[test]
fn broken_bodies() -> Result<()> {
    let space = space("bad-bodies")?;
    let path = space.path("deployments");
    let client = DAEMON.client()?;
    let whole = deployment("web", 10).to_string();
    let half = whole.get(..whole.len() / 2).context("half")?;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_field = format!(r#"{{"apiVersion":"apps/v1","kind":"Deployment","x":{deep}}}"#);
    let protobuf = "application/vnd.kubernetes.protobuf";
    for (what, kind, body) in [
        ("truncated JSON", JSON, half.as_bytes()),
        ("empty", JSON, b""),
        ("null", JSON, b"null"),
        ("a list", JSON, b"[1]"),
        ("no UTF-8", JSON, b"{\"apiVersion\":\"apps/v1\",\"kind\":\"\xff\xfe\"}"),
        ("deep", JSON, deep.as_bytes()),
        ("deep inside", JSON, deep_field.as_bytes()),
        ("broken YAML", "application/yaml", b"a: [b\n  - : }"),
        ("YAML aliases", "application/yaml", LAUGHS.as_bytes()),
        ("truncated protobuf", protobuf, b"k8s\0\x0a\xff\xff\xff\xff\x0f"),
        ("protobuf without its mark", protobuf, b"\x0a\x02hi"),
    ] {
        let answer = client.send("POST", &path, Some((kind, body)))?;
        refused(&answer, &[400, 413, 415, 422], what)?;
    }
    Ok(())
}

const LAUGHS: &str = "
a: &a [x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]
h: [*g, *g, *g, *g, *g, *g, *g, *g, *g]
";

#[test]
fn a_body_of_four_mebibytes_is_too_large() -> Result<()> {
    let space = space("bad-large")?;
    let mut body = deployment("web", 10);
    body["metadata"]["annotations"] = serde_json::json!({"filler": "x".repeat(4 << 20)});
    let body = body.to_string();
    for resource in ["deployments", "services", "configmaps"] {
        let path = space.path(resource);
        let answer = DAEMON.client()?.send("POST", &path, Some((JSON, body.as_bytes())))?;
        refused(&answer, &[413], resource)?;
    }
    Ok(())
}

#[test]
fn unknown_media_types() -> Result<()> {
    let space = space("bad-media")?;
    let body = deployment("web", 10).to_string();
    let client = DAEMON.client()?;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "nonsense", "application/cbor"]
    {
        let path = space.path("deployments");
        let answer = client.send("POST", &path, Some((kind, body.as_bytes())))?;
        refused(&answer, &[415], kind)?;
        client.send("POST", &path, Some((JSON, body.as_bytes())))?;
        let answer = client.send("PATCH", &space.path("deployments/web"), Some((kind, b"{}")))?;
        refused(&answer, &[415], kind)?;
    }
    let answer = client.header("Accept", "image/png").get(&space.path("deployments"))?;
    refused(&answer, &[406], "Accept")
}

#[test]
fn negative_huge_and_odd_replicas() -> Result<()> {
    let space = space("bad-replicas")?;
    let path = space.path("deployments");
    for replicas in
        ["-1", "-2147483648", "2147483648", "99999999999999999999", "1e400", "1.5", "\"3\"", "{}"]
    {
        let body = deployment("web", 10).to_string().replace(":10", &format!(":{replicas}"));
        assert!(body.contains(replicas), "{body}");
        let answer = DAEMON.client()?.send("POST", &path, Some((JSON, body.as_bytes())))?;
        refused(&answer, &[400, 422], replicas)?;
        assert_eq!(shares(&space, "web")?, [None, None, None], "{replicas}");
    }
    let answer =
        DAEMON.client()?.send_json("POST", &path, &deployment("most", i64::from(i32::MAX)))?;
    answer.success()?;
    let sum: u64 = shares(&space, "most")?.into_iter().flatten().sum();
    assert_eq!(sum, 2_147_483_647);
    Ok(())
}

#[test]
fn odd_paths_and_heads() -> Result<()> {
    let client = DAEMON.client()?;
    for path in [
        "/api/v1/namespaces/%ff%fe/pods",
        "/api/v1/namespaces/%zz/pods",
        "/%",
        "/api/v1/pods?labelSelector=%ff",
        "/api/v1/pods?labelSelector=tenbin/cluster%20in%20(((",
        "/api/v1/namespaces/a%00b/pods/c",
        "/clusters/../../etc/passwd",
        "/clusters/%2e%2e/api",
        "/clusters//api/v1/nodes",
        "/api/v1/namespaces/..%2f..%2fkube-system/secrets",
    ] {
        let answer = client.get(path)?;
        refused(&answer, &[400, 404], path)?;
    }
    let raw = |bytes: &[u8]| client.send_raw(bytes);
    let headers: Vec<String> = (0..5_000).map(|n| format!("X-Flood-{n}: x")).collect();
    let flood = headers.join("\r\n");
    let flood = format!("GET /version HTTP/1.1\r\nHost: x\r\n{flood}\r\n\r\n");
    let long =
        format!("GET /version HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let long_path = format!("GET /api/v1/{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    for (what, bytes) in [
        ("a header flood", flood.as_bytes()),
        ("a long header", long.as_bytes()),
        ("a long path", long_path.as_bytes()),
        ("bytes beyond ASCII in a path", b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00nonsense\r\n\r\n"),
    ] {
        let answer = raw(bytes).with_context(|| what.to_owned())?;
        refused(&answer, &[400, 404, 413, 414, 431], what)?;
    }
    Ok(())
}

/// Smuggling needs two servers that disagree about where a request ends.
#[test]
fn requests_without_a_clear_end() -> Result<()> {
    let post = "POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    for (what, rest) in [
        ("two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{} x"),
        ("a length and chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("a bad chunk", "Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    ] {
        let answer = DAEMON
            .client()?
            .send_raw(format!("{post}{rest}").as_bytes())
            .with_context(|| what.to_owned())?;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(DAEMON.client()?.get("/version")?.status, 200, "after {what}");
    }
    Ok(())
}
