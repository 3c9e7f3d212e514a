//! The documents themselves, beside own's.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::{Client, FleetBuilder, Response, eventually};

use super::{DAEMON, FLEET, V2, V2BETA1, accepting, both, define, groups};

fn direct() -> Result<Client> {
    FLEET.cluster("tokyo")?.client()
}

/// Whether all that `part` has stands in `whole`, in its order and before anything else.
fn begins_with(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() >= part.len()
                && whole.iter().zip(part).all(|(it, its)| begins_with(it, its))
        }
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| begins_with(&whole[key], part))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn what_own_serves_comes_first_and_unchanged_and_what_others_serve_behind_it() -> Result<()> {
    define("osaka", "behind.test", "v1")?;
    for path in ["/api", "/apis"] {
        let through = accepting(DAEMON.client()?, V2).get(path)?.success()?;
        assert_eq!(through.header("content-type"), Some(V2), "{path}");
        // Other tests define kinds in tokyo meanwhile.
        eventually!(
            Ok::<_, anyhow::Error>((
                accepting(DAEMON.client()?, V2).json(path)?,
                accepting(direct()?, V2).json(path)?,
            )),
            |(through, direct): &(Value, Value)| begins_with(through, direct)
        );
    }
    let through = accepting(DAEMON.client()?, V2).json("/apis")?;
    assert!(groups(&through).contains(&"behind.test"), "{through:#}");
    Ok(())
}

#[test]
fn each_form_that_a_client_may_ask_for_is_answered() -> Result<()> {
    for (accept, form, api_version) in [
        (format!("{V2},{V2BETA1},application/json"), V2, "apidiscovery.k8s.io/v2"),
        (format!("{V2};profile=nopeer,{V2},application/json"), V2, "apidiscovery.k8s.io/v2"),
        (format!("{V2BETA1},application/json"), V2BETA1, "apidiscovery.k8s.io/v2beta1"),
        ("application/json, */*".to_owned(), "application/json", "v1"),
    ] {
        let answer = accepting(DAEMON.client()?, &accept).get("/apis")?.success()?;
        assert_eq!(answer.header("content-type"), Some(form), "{accept}");
        assert_eq!(answer.json()?["apiVersion"], api_version, "{accept}");
    }
    let protobuf = "application/vnd.kubernetes.protobuf";
    let answer = accepting(DAEMON.client()?, protobuf).get("/apis")?.success()?;
    assert_eq!(answer.header("content-type"), Some(protobuf));
    Ok(())
}

/// But for what aggregated discovery does not tell: see `model/src/discovery/classic.rs`.
#[test]
fn the_documents_of_old_read_as_owns() -> Result<()> {
    let (through, direct) = (DAEMON.client()?, direct()?);
    let list = direct.json("/apis")?;
    let groups = list["groups"].as_array().context("no groups")?;
    let built_in = groups.iter().filter(|group| {
        group["name"].as_str().is_some_and(|name| name.strip_suffix(".test").is_none())
    });
    let mut paths = vec!["/api/v1".to_owned()];
    for group in built_in {
        paths.push(format!("/apis/{}", group["name"].as_str().unwrap_or_default()));
        let versions = group["versions"].as_array().into_iter().flatten();
        paths.extend(
            versions.filter_map(|it| Some(format!("/apis/{}", it["groupVersion"].as_str()?))),
        );
    }
    assert!(paths.len() > 40, "{paths:?}");
    for path in paths {
        let mut expected = direct.json(&path)?;
        for resource in expected["resources"].as_array_mut().into_iter().flatten() {
            resource.as_object_mut().context("no object")?.shift_remove("storageVersionHash");
        }
        if expected["resources"].is_null() {
            expected.as_object_mut().context("no object")?.shift_remove("resources");
        }
        assert_eq!(through.json(&path)?, expected, "{path}");
    }
    assert_eq!(through.json("/api")?["versions"], direct.json("/api")?["versions"]);
    for path in ["/apis/nowhere.test", "/apis/nowhere.test/v1", "/apis/apps/v9"] {
        assert_eq!(through.get(path)?.status, direct.get(path)?.status, "{path}");
    }
    Ok(())
}

#[test]
fn a_client_that_has_a_document_is_not_sent_it_again() -> Result<()> {
    define("osaka", "etag.test", "v1")?;
    for path in ["/api", "/apis", "/openapi/v3"] {
        let accept = if path == "/openapi/v3" { "application/json" } else { V2 };
        // Other tests define kinds meanwhile, so the answer may have changed in between.
        eventually!({
            let client = accepting(DAEMON.client()?, accept);
            let answer = client.get(path)?.success()?;
            let etag = answer.header("etag").context("no ETag")?.to_owned();
            let again = client.header("If-None-Match", &etag).get(path)?;
            anyhow::ensure!(again.status == 304, "{path}: {}", again.status);
            assert_eq!((again.header("etag"), again.text().as_str()), (Some(etag.as_str()), ""));
            Ok(())
        });
    }
    let old = accepting(DAEMON.client()?, V2).header("If-None-Match", "\"OLD\"");
    assert_eq!(old.get("/apis")?.status, 200);
    Ok(())
}

/// Clients may keep a schema for ever by its hash: it must be that of who names the hash.
#[test]
fn every_schema_of_the_index_is_the_one_that_its_hash_names() -> Result<()> {
    define("osaka", "schema.test", "v1")?;
    let client = DAEMON.client()?;
    let index = eventually!(client.json("/openapi/v3"), |index: &Value| {
        index["paths"]["apis/schema.test/v1"].is_object()
    });
    for path in ["api/v1", "apis/apps/v1", "apis/schema.test/v1"] {
        let url = index["paths"][path]["serverRelativeURL"].as_str().context("no URL")?;
        let answer = client.get(url)?.success()?;
        let (_, hash) = url.split_once("hash=").context("no hash")?;
        assert_eq!(answer.header("etag"), Some(format!("\"{hash}\"").as_str()), "{path}");
        assert!(answer.header("cache-control").is_some_and(|it| it.contains("immutable")));
    }
    let moved = client.get("/openapi/v3/apis/apps/v1?hash=OLD")?;
    assert_eq!(moved.status, 301, "{}", moved.text());
    assert_eq!(client.get("/openapi/v3/apis/nowhere.test/v1")?.status, 404);
    Ok(())
}

#[test]
fn kubectl_knows_owns_kinds_and_those_of_others() -> Result<()> {
    define("tokyo", "here.test", "v1")?;
    define("osaka", "there.test", "v1")?;
    for kubectl in both(&DAEMON)? {
        let resources = kubectl.ok(["api-resources", "--no-headers"])?;
        for line in ["here.test/v1", "there.test/v1", "apps/v1", "pods"] {
            assert!(resources.contains(line), "{line}: {resources}");
        }
        let versions = kubectl.ok(["api-versions"])?;
        assert!(versions.contains("there.test/v1"), "{versions}");
        for (kind, says) in [
            ("scales.spec.grams --api-version=here.test/v1", "What lies on it"),
            ("scales.spec.grams --api-version=there.test/v1", "What lies on it"),
            ("deployment.spec.replicas", "desired pods"),
        ] {
            let said = kubectl.ok(["explain"].into_iter().chain(kind.split(' ')))?;
            assert!(said.contains(says), "{kind}: {said}");
        }
    }
    Ok(())
}

/// An aggregated API whose server is not there makes its version stale.
#[test]
fn a_stale_version_is_told_as_own_tells_it_and_a_fleet_of_one_reads_byte_for_byte() -> Result<()> {
    let fleet = FleetBuilder::new("stale").clusters(["tokyo"]).start()?;
    let direct = accepting(fleet.cluster("tokyo")?.client()?, V2);
    let service = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": "v1.gone.test"},
        "spec": {"group": "gone.test", "version": "v1", "groupPriorityMinimum": 100,
            "versionPriority": 1, "insecureSkipTLSVerify": true,
            "service": {"namespace": "default", "name": "nowhere"}},
    });
    let client = fleet.cluster("tokyo")?.client()?;
    client.send_json("POST", "/apis/apiregistration.k8s.io/v1/apiservices", &service)?.success()?;
    eventually!(direct.get("/apis"), |answer: &Response| answer.text().contains("Stale"));
    let daemon = fleet.daemon().name("stale-daemon").start()?;
    eventually!({
        let (through, direct) =
            (accepting(daemon.client()?, V2).get("/apis")?, direct.get("/apis")?);
        anyhow::ensure!(through.text() == direct.text(), "{}\n{}", through.text(), direct.text());
        Ok(())
    });
    let version = "/apis/gone.test/v1";
    assert_eq!(daemon.client()?.get(version)?.status, direct.get(version)?.status);
    Ok(())
}
