//! Every form of PATCH: replicas mean the total, and nothing is ever multiplied by the members.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Client, Daemon, Response, Space, deployment};

use super::{daemon, shares, space};

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// Nothing here breaks the network, so the tests share a daemon.
static DAEMON: LazyLock<Daemon> = LazyLock::new(|| daemon("patches").shared());

fn sum(space: &Space) -> Result<u64> {
    let shares: Option<Vec<u64>> = shares(space, "web")?.into_iter().collect();
    Ok(shares.context("a copy is missing")?.iter().sum())
}

fn web(space: &Space) -> Result<Client> {
    let client = DAEMON.client()?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    Ok(client)
}

fn patch(client: &Client, space: &Space, what: &str, kind: &str, body: &str) -> Result<Response> {
    client.send("PATCH", &space.path(what), Some((kind, body.as_bytes())))
}

#[test]
fn merge_strategic_and_scale_patches_set_the_total() -> Result<()> {
    let space = space("patch-total")?;
    let client = web(&space)?;
    let body = |total| format!("{{ \"spec\" :\n {{ \"replicas\"  : {total} }} }}");
    for (total, what, kind) in [
        (12, "deployments/web", MERGE),
        (9, "deployments/web", STRATEGIC),
        (17, "deployments/web/scale", MERGE),
        (4, "deployments/web/scale", STRATEGIC),
    ] {
        let answer = patch(&client, &space, what, kind, &body(total))?.success()?.json()?;
        assert_eq!(answer.pointer("/spec/replicas").context("no replicas")?, total, "{kind}");
        assert_eq!(sum(&space)?, total, "{what} {kind}");
    }
    let scale = client.json(&space.path("deployments/web/scale"))?;
    assert_eq!(scale.pointer("/spec/replicas").context("no replicas")?, 4);
    Ok(())
}

#[test]
fn a_put_of_scale_sets_the_total() -> Result<()> {
    let space = space("patch-scale-put")?;
    let client = web(&space)?;
    let path = space.path("deployments/web/scale");
    let mut scale = client.json(&path)?;
    scale["spec"]["replicas"] = json!(13);
    client.send_json("PUT", &path, &scale)?.success()?;
    assert_eq!(sum(&space)?, 13);
    let stale = client.send_json("PUT", &path, &scale)?;
    assert_eq!(stale.status, 409, "the version of before the write: {}", stale.text());
    assert_eq!(sum(&space)?, 13);
    Ok(())
}

#[test]
fn a_patch_of_something_else_reaches_every_copy_and_keeps_the_shares() -> Result<()> {
    let space = space("patch-image")?;
    let client = web(&space)?;
    let body =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:2"}]}}}}"#;
    patch(&client, &space, "deployments/web", STRATEGIC, body)?.success()?;
    for copy in space.copies("deployments/web")?.iter().flatten() {
        let image = copy.pointer("/spec/template/spec/containers/0/image").context("no image")?;
        assert_eq!(image, "nginx:2");
    }
    assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    Ok(())
}

#[test]
fn a_patch_cannot_take_the_label_or_the_stamps_away() -> Result<()> {
    let space = space("patch-label")?;
    let client = web(&space)?;
    let body = r#"{"metadata":{"labels":null,"annotations":null}}"#;
    patch(&client, &space, "deployments/web", MERGE, body)?.success()?;
    for (copy, label) in
        space.copies("deployments/web")?.iter().flatten().zip(["local", "osaka", "nagoya"])
    {
        assert_eq!(copy["metadata"]["labels"]["tenbin"], label);
        assert_eq!(copy["metadata"]["annotations"]["tenbin/home"], "tokyo");
    }
    assert_eq!(client.json(&space.path("deployments/web"))?["spec"]["replicas"], 10);
    Ok(())
}

/// The forms that this version may not know yet are done for the whole fleet or not at all.
#[test]
fn every_other_form_is_done_for_the_fleet_or_refused_and_changes_nothing() -> Result<()> {
    let space = space("patch-others")?;
    let client = web(&space)?;
    let apply = |total| {
        let mut body = deployment("web", total);
        body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(5);
        body.to_string()
    };
    let forced = "deployments/web?fieldManager=test&force=true";
    let replace = r#"[{"op":"replace","path":"/spec/replicas","value":6}]"#;
    let null = r#"{"spec":{"replicas":null}}"#;
    for (wanted, what, kind, body) in [
        (6, "deployments/web", "application/json-patch+json", replace),
        (1, "deployments/web", MERGE, null),
        (8, forced, "application/apply-patch+yaml", &apply(8)),
    ] {
        let before = shares(&space, "web")?;
        let answer = patch(&client, &space, what, kind, body)?;
        if answer.status < 300 {
            assert_eq!(sum(&space)?, wanted, "{kind}");
        } else {
            assert_eq!(answer.json()?["kind"], "Status", "{kind}: {}", answer.text());
            assert_eq!(shares(&space, "web")?, before, "{kind}: {}", answer.text());
        }
    }
    Ok(())
}

#[test]
fn a_huge_or_negative_total_is_refused_as_an_api_server_would() -> Result<()> {
    let space = space("patch-bad")?;
    let client = web(&space)?;
    for (total, status) in [("-1", 422), ("2147483648", 400), ("1.5", 400), ("\"ten\"", 400)] {
        let body = format!(r#"{{"spec":{{"replicas":{total}}}}}"#);
        let answer = patch(&client, &space, "deployments/web", MERGE, &body)?;
        assert!(matches!(answer.status, 400 | 422), "{total} ({status}): {}", answer.text());
        assert_eq!(answer.json()?["kind"], "Status");
        assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    }
    Ok(())
}

/// `kubectl apply --server-side` of something new: made and divided, or refused for what it is.
#[test]
fn a_server_side_apply_that_creates_is_divided_or_refused() -> Result<()> {
    let space = space("patch-creates")?;
    let client = DAEMON.client()?;
    let what = "deployments/web?fieldManager=test";
    let body = deployment("web", 10).to_string();
    let answer = patch(&client, &space, what, "application/apply-patch+yaml", &body)?;
    if answer.status == 201 {
        assert_eq!(shares(&space, "web")?, [Some(5), Some(3), Some(2)]);
    } else {
        assert_eq!(answer.status, 415, "{}", answer.text());
        assert_eq!(shares(&space, "web")?, [None, None, None]);
    }
    Ok(())
}
