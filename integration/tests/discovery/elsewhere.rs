//! Kinds that own does not serve: they are made, read, changed and deleted where they are served.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::{Table, eventually};

use super::{DAEMON, FLEET, both, define, path, scale};

/// What kubectl does with a kind that osaka alone serves, from the moment that it is served.
#[test]
fn a_kind_of_another_cluster_is_used_like_any_other() -> Result<()> {
    define("osaka", "used.test", "v1")?;
    let direct = FLEET.cluster("osaka")?.client()?;
    for (kubectl, name) in both(&DAEMON)?.iter().zip(["new", "old"]) {
        let object = path("used.test", "v1") + "/" + name;
        let created = kubectl.apply(&scale("used.test", "v1", name, 5).to_string())?;
        assert!(created.contains("created"), "{created}");
        assert_eq!(direct.json(&object)?["spec"]["grams"], 5);
        let again = kubectl.apply(&scale("used.test", "v1", name, 7).to_string())?;
        assert!(again.contains("configured"), "{again}");
        assert_eq!(direct.json(&object)?["spec"]["grams"], 7);

        let table = Table::read(&kubectl.ok(["get", "scales.used.test"])?)?;
        assert_eq!(table.cell(name, "CLUSTER")?, "osaka");
        let grams = ["get", "scales.used.test", name, "-o", "jsonpath={.spec.grams}"];
        assert_eq!(kubectl.ok(grams)?, "7");

        let patch = r#"{"spec":{"grams":9}}"#;
        kubectl.ok(["patch", "scales.used.test", name, "--type=merge", "-p", patch])?;
        kubectl.ok(["wait", "--for=jsonpath={.spec.grams}=9", "scales.used.test", name])?;
        kubectl.ok(["delete", "scales.used.test", name])?;
        assert_eq!(direct.get(&object)?.status, 404);
        let gone = kubectl.run(["get", "scales.used.test", name])?;
        assert!(
            gone.stderr.contains(&format!("scales.used.test \"{name}\" not found")),
            "{gone:?}"
        );
    }
    Ok(())
}

#[test]
fn a_watch_shows_what_happens_to_it_there() -> Result<()> {
    define("osaka", "watched.test", "v1")?;
    let (client, collection) = (DAEMON.client()?, path("watched.test", "v1"));
    let list = client.json(&collection)?;
    let version = list["metadata"]["resourceVersion"].as_str().context("no version")?;
    let watch = format!("{collection}?watch=true&resourceVersion={version}&timeoutSeconds=60");
    let mut events = client.open("GET", &watch, None)?;
    client.send_json("POST", &collection, &scale("watched.test", "v1", "one", 1))?.success()?;
    client.send("DELETE", &format!("{collection}/one"), None)?.success()?;
    for expected in ["ADDED", "DELETED"] {
        let event = events.event()?.context("the watch ended")?;
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["name"]),
            (&expected.into(), &"one".into())
        );
    }
    Ok(())
}

#[test]
fn a_server_side_apply_makes_it_where_the_kind_is_served() -> Result<()> {
    define("nagoya", "applied.test", "v1")?;
    let client = DAEMON.client()?;
    let body = scale("applied.test", "v1", "one", 3).to_string();
    let apply = ("application/apply-patch+yaml", body.as_bytes());
    let object = path("applied.test", "v1") + "/one";
    let query = "?fieldManager=test&force=true";
    let answer = client.send("PATCH", &format!("{object}{query}"), Some(apply))?.success()?;
    assert_eq!(answer.status, 201);
    assert_eq!(FLEET.cluster("nagoya")?.client()?.json(&object)?["spec"]["grams"], 3);
    client.send("DELETE", &path("applied.test", "v1"), None)?.success()?;
    assert_eq!(FLEET.cluster("nagoya")?.client()?.get(&object)?.status, 404);
    Ok(())
}

#[test]
fn where_several_serve_it_the_first_gets_it_and_a_warning_says_so() -> Result<()> {
    define("osaka", "several.test", "v1")?;
    define("nagoya", "several.test", "v1")?;
    let (client, collection) = (DAEMON.client()?, path("several.test", "v1"));
    let made = client.send_json("POST", &collection, &scale("several.test", "v1", "one", 1))?;
    let made = made.success()?;
    let warnings = made.header_all("warning").join(" ");
    assert!(warnings.contains("osaka, nagoya") && warnings.contains("went to osaka"), "{warnings}");
    let one = format!("{collection}/one");
    let status = |cluster: &str| anyhow::Ok(FLEET.cluster(cluster)?.client()?.get(&one)?.status);
    assert_eq!((status("osaka")?, status("nagoya")?), (200, 404));
    Ok(())
}

/// Discovery is asked for again before a write leaves own, so that none goes astray.
#[test]
fn a_kind_that_own_serves_since_this_moment_is_made_in_own() -> Result<()> {
    let client = DAEMON.client()?;
    define("osaka", "late.test", "v1")?;
    eventually!(client.json("/apis/late.test"));
    define("tokyo", "late.test", "v1")?;
    let collection = path("late.test", "v1");
    // Where tokyo is too busy to tell, it is refused.
    let body = scale("late.test", "v1", "one", 1);
    eventually!(client.send_json("POST", &collection, &body)?.success());
    let one = format!("{collection}/one");
    assert_eq!(FLEET.cluster("tokyo")?.client()?.json(&one)?["spec"]["grams"], 1);
    assert_eq!(FLEET.cluster("osaka")?.client()?.get(&one)?.status, 404);
    Ok(())
}

#[test]
fn a_kind_that_nobody_serves_is_answered_as_by_own() -> Result<()> {
    let (client, collection) = (DAEMON.client()?, path("nobody.test", "v1"));
    let made = client.send_json("POST", &collection, &scale("nobody.test", "v1", "one", 1))?;
    assert_eq!(made.status, 404);
    let got = client.get(&format!("{collection}/one"))?;
    let status: Value = got.json()?;
    assert_eq!((got.status, &status["reason"]), (404, &"NotFound".into()));
    Ok(())
}
