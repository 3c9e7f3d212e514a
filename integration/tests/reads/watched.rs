//! What watches are, as against a real API server: one line an event, and refused where it refuses.

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Response, Space, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, filled, names};

/// API servers indent lists, of which the first events are made, for people's programs.
#[test]
fn an_event_is_one_line_for_every_client() -> Result<()> {
    let space = filled("watched-lines", [1, 1, 1])?;
    let watch = format!("{}?watch=1&timeoutSeconds=1", space.path("configmaps"));
    for agent in ["curl/8.5.0", "Wget/1.21", "Mozilla/5.0"] {
        let client = DAEMON.client()?.header("User-Agent", agent);
        for query in ["", "&pretty=true"] {
            let text = client.get(&format!("{watch}{query}"))?.success()?.text();
            assert_eq!(text.lines().count(), NAMES.len(), "{agent}{query}: {text}");
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_watched_is_refused_as_an_api_server_refuses_it() -> Result<()> {
    let path = "/api/v1/componentstatuses?watch=1&timeoutSeconds=1";
    let wanted = FLEET.cluster("tokyo")?.client()?.get(path)?;
    // Until the daemon knows what there is, it tries.
    let answer = eventually!(DAEMON.client()?.get(path), |it: &Response| it.status == 405);
    assert_eq!((answer.status, answer.json()?), (wanted.status, wanted.json()?));
    let watch = DAEMON.kubectl()?.run(["get", "componentstatuses", "-w"])?;
    assert!(watch.stderr.contains("watch is not supported"), "{watch:?}");
    Ok(())
}

/// Each cluster's events are about its own copy, whose uid the client does not know.
#[test]
fn events_of_a_managed_object_are_watched_as_they_are_listed() -> Result<()> {
    let space = Space::new(&FLEET, "watched-events")?;
    let client = DAEMON.client()?;
    let deployments = space.path("deployments");
    client.send_json("POST", &deployments, &deployment("web", 6))?.success()?;
    let uid = client.json(&format!("{deployments}/web"))?["metadata"]["uid"].clone();
    let uid = uid.as_str().context("no uid")?;
    let copies = space.copies("deployments/web")?;
    for (cluster, copy) in NAMES.iter().zip(&copies) {
        let copy = copy.as_ref().context("a member without a copy")?;
        let involved = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
            "namespace": space.name(), "uid": copy["metadata"]["uid"]});
        let event = json!({"apiVersion": "v1", "kind": "Event", "involvedObject": involved,
            "metadata": {"name": format!("web.{cluster}")}, "reason": "Tested"});
        space.create_in(cluster, "events", &event)?;
    }
    let of = format!(
        "involvedObject.kind=Deployment,involvedObject.name=web,involvedObject.namespace={},involvedObject.uid={uid}",
        space.name()
    );
    let events = format!(
        "{}?fieldSelector={}",
        space.path("events"),
        of.replace('=', "%3D").replace(',', "%2C")
    );
    assert_eq!(names(&client.json(&events)?)?.len(), NAMES.len());
    let watched = client.get(&format!("{events}&watch=1&timeoutSeconds=1"))?.success()?.text();
    assert_eq!(watched.lines().count(), NAMES.len(), "{watched}");
    Ok(())
}
