//! What `resourceVersion` and `resourceVersionMatch` mean to a list of three clusters.

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::config_map;

use super::{DAEMON, FLEET, filled, filled_names, names, person};

fn version(list: &Value) -> Result<&str> {
    list["metadata"]["resourceVersion"].as_str().context("no version")
}

#[test]
fn a_list_is_read_again_exactly_as_it_was() -> Result<()> {
    let counts = [2, 2, 2];
    let space = filled("version-exact", counts)?;
    let path = space.path("configmaps");
    for client in [DAEMON.client()?, person(&DAEMON)?] {
        let before = client.json(&path)?;
        let was = names(&before)?;
        let late = format!("{}-late", was.len());
        space.create_in("osaka", "configmaps", &config_map(&late, "1"))?;
        let exact = format!("{path}?resourceVersion={}", version(&before)?);
        let again = client.json(&format!("{exact}&resourceVersionMatch=Exact"))?;
        assert_eq!((names(&again)?, version(&again)?), (was.clone(), version(&before)?));
        let newer = client.json(&format!("{exact}&resourceVersionMatch=NotOlderThan"))?;
        assert!(names(&newer)?.contains(&late), "{newer:#}");
        // Without a limit a version is a lower bound, with one it is meant exactly.
        assert!(names(&client.json(&exact)?)?.contains(&late));
        assert!(!names(&client.json(&format!("{exact}&limit=99"))?)?.contains(&late));
        let cached = client.json(&format!("{path}?resourceVersion=0&limit=1"))?;
        assert!(names(&cached)?.len() >= filled_names(counts).len(), "any state has no pages");
    }
    Ok(())
}

/// The status code of the same wrong query from a real API server and from tenbin.
#[test]
fn wrong_queries_are_refused_as_an_api_server_refuses_them() -> Result<()> {
    let space = filled("version-wrong", [1, 1, 1])?;
    let path = space.path("configmaps");
    let real = FLEET.cluster("tokyo")?.client()?;
    for query in [
        "resourceVersionMatch=Exact",
        "resourceVersionMatch=NotOlderThan",
        "resourceVersionMatch=Exact&resourceVersion=0",
        "resourceVersionMatch=Sometimes&resourceVersion=5",
        "resourceVersion=x",
        "resourceVersion=-1",
        "resourceVersion=x&limit=2",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=0",
        "sendInitialEvents=true",
        "continue=garbage",
        "continue=&limit=1",
        "fieldSelector=spec.nodeName%3Dx",
        "labelSelector=%21%21",
        "timeoutSeconds=x",
    ] {
        let wanted = real.get(&format!("{path}?{query}"))?;
        for client in [DAEMON.client()?, person(&DAEMON)?] {
            let answer = client.get(&format!("{path}?{query}"))?;
            assert_eq!(answer.status, wanted.status, "{query}: {}", answer.text());
            if wanted.status != 200 {
                let (answer, wanted) = (answer.json()?, wanted.json()?);
                assert_eq!(answer["reason"], wanted["reason"], "{query}");
            }
        }
    }
    Ok(())
}

#[test]
fn versions_of_one_member_and_of_nobody_are_told_apart() -> Result<()> {
    let space = filled("version-bare", [1, 1, 1])?;
    let path = space.path("configmaps");
    let client = DAEMON.client()?;
    // A bare version may be any member's: the newest state is not older than it.
    let osaka = FLEET.cluster("osaka")?.client()?.json(&path)?;
    let bare = version(&osaka)?;
    assert_eq!(names(&client.json(&format!("{path}?resourceVersion={bare}"))?)?.len(), 3);
    let exact = client.get(&format!("{path}?resourceVersion={bare}&resourceVersionMatch=Exact"))?;
    assert_eq!((exact.status, &exact.json()?["reason"]), (410, &Value::from("Expired")));
    let narrow = format!("{path}?labelSelector=tenbin%2Fcluster%3Dosaka&resourceVersion={bare}");
    assert_eq!(names(&client.json(&format!("{narrow}&resourceVersionMatch=Exact"))?)?, ["osaka-0"]);
    // Of another epoch.
    let list = client.json(&path)?;
    let other = format!("9{}", &version(&list)?[1..]);
    let expired = client.get(&format!("{path}?resourceVersion={other}"))?;
    assert_eq!((expired.status, &expired.json()?["reason"]), (410, &Value::from("Expired")));
    // Not there yet.
    let mut ahead = version(&list)?.to_owned();
    let epoch = ahead.len() % 20;
    ahead.replace_range(epoch + 1..epoch + 2, "1");
    let ahead = client.get(&format!("{path}?resourceVersion={ahead}"))?;
    assert_eq!(ahead.status, 504, "{}", ahead.text());
    assert_eq!(ahead.json()?["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    Ok(())
}
