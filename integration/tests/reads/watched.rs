//! What watches are, as against a real API server: one line an event, and refused where it refuses.

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::{Mode, Response, Space, config_map, deployment, eventually};

use super::{DAEMON, FLEET, NAMES, daemon, filled, names, person, warnings};

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

/// What goes in a while, such as a pod, is waited for by `kubectl delete`; a cluster that is gone for
/// long may have another of the name, and is not.
#[test]
fn kubectl_sees_the_end_of_what_it_deletes_though_a_cluster_is_gone_for_long() -> Result<()> {
    let space = filled("watched-ends", [0, 0, 1])?;
    let daemon = daemon("watched-ends").start()?;
    // Its copy is still there when it is back.
    space.create_in("osaka", "configmaps", &config_map("nagoya-0", "2"))?;
    let path = space.path("configmaps");
    let object = format!("{path}/nagoya-0");
    let client = daemon.client()?;
    let hold = |finalizers: serde_json::Value| {
        let body = json!({"metadata": {"finalizers": finalizers}}).to_string();
        let merge = ("application/merge-patch+json", body.as_bytes());
        FLEET.cluster("nagoya")?.client()?.send("PATCH", &object, Some(merge))?.success()
    };
    hold(json!(["tenbin.test/held"]))?;
    let version = client.json(&path)?["metadata"]["resourceVersion"].clone();
    let version = version.as_str().context("no version")?.to_owned();
    daemon.shim("osaka")?.set(Mode::Refuse)?;
    let person = person(&daemon)?;
    let gone_for = |answer: &Response| {
        let seconds = warnings(answer).split_once("unreachable for ").and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().ok()
        });
        seconds.is_some_and(|seconds| seconds >= 16)
    };
    eventually!(person.get(&path), gone_for);
    let watch = format!("{path}?watch=true&resourceVersion={version}&timeoutSeconds=60");
    let mut events = client.open("GET", &watch, None)?;
    let log = daemon.folder().join("kubectl.log");
    let kubectl = daemon.kubectl()?.namespace(space.name());
    let mut deleting = kubectl.start(["delete", "configmap", "nagoya-0"], &log)?;
    let mut told = |kind: &str| -> Result<serde_json::Value> {
        let event = events.event()?.context("the watch ended")?;
        assert_eq!(event["type"], kind, "{event}");
        Ok(event["object"]["metadata"].clone())
    };
    assert!(told("MODIFIED")?["deletionTimestamp"].is_string());
    hold(json!(null))?;
    assert_eq!(told("DELETED")?["annotations"]["tenbin/cluster"], "nagoya");
    let ended = deleting.wait(tenbin_integration::eventually::patience())?;
    assert!(ended.success(), "{}", std::fs::read_to_string(&log)?);
    daemon.shim("osaka")?.set(Mode::Pass)?;
    assert_eq!(told("ADDED")?["annotations"]["tenbin/cluster"], "osaka");
    Ok(())
}
