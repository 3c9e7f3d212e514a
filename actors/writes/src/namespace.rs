//! The namespace that follows an object to a member that lacks it.

use actix_http::Method;
use bytes::Bytes;
use serde_json::{Value, json};
use tenbin_model::body::{Body, BodyKind, Encoded, Encoding, Stamp};
use tenbin_model::managed::Mark;

use crate::copies::uid;
use crate::engine::Part;
use crate::session::Session;
use crate::take_back::Made;
use crate::verdict::{self, Done, Step, Verdict};

const NAMESPACES: &str = "/api/v1/namespaces";

/// The request that makes the namespace in `target` as the home of the object has it, read with the
/// caller's rights; why it cannot be made otherwise.
pub(crate) async fn step(
    session: &Session<'_>,
    home: usize,
    target: usize,
    name: &str,
) -> Result<Step, String> {
    let unread =
        |why: String| format!("the namespace is not there, and home's is not known: {why}");
    let member = session.targets.get(home).filter(|_| !name.is_empty());
    let member = member.ok_or_else(|| unread("it has no name".to_owned()))?;
    let object = match verdict::send(session, member, Step::get(format!("{NAMESPACES}/{name}")))
        .await
    {
        Verdict::Done(done) => done.object,
        Verdict::Refused(refusal) => return Err(unread(refusal.message())),
        Verdict::Unsent(fault) | Verdict::Unknown(fault) => return Err(unread(fault.to_string())),
    };
    let bytes = match stamp(session, home, target, &object) {
        Some(stamp) => managed(&object, &stamp).map_err(|error| unread(error.to_string()))?.bytes,
        None => unmanaged(&object, name, session.label_key),
    };
    Ok(Step {
        method: Method::POST,
        content_type: Some("application/json".to_owned()),
        body: bytes,
        ..Step::get(NAMESPACES)
    })
}

/// What is to be taken back of a namespace that was made.
pub(crate) fn made(target: usize, done: Done) -> Option<Made> {
    let name = done.object.pointer("/metadata/name")?.as_str()?;
    Some(Made { path: format!("{NAMESPACES}/{name}"), part: Part::first(target), done })
}

/// The stamp of the member's copy, where home's namespace is managed.
fn stamp(session: &Session<'_>, holder: usize, target: usize, object: &Value) -> Option<Stamp> {
    let mark = Mark::of(object, session.label_key)?;
    let home = session.index(&mark.home).filter(|home| *home != target)?;
    let home_uid = if home == holder { uid(object).map(str::to_owned) } else { mark.home_uid };
    Some(Stamp {
        label_key: session.label_key.to_owned(),
        label_value: session.label_value(target, home),
        member: session.name(target)?.clone(),
        home: mark.home,
        home_uid,
        epoch: mark.epoch,
        shares: None,
        ordinals_base: 0,
        name: None,
        resource_version: None,
    })
}

fn managed(object: &Value, stamp: &Stamp) -> Result<Encoded, tenbin_model::body::BodyError> {
    let text = object.to_string();
    Body::parse(Encoding::Json, BodyKind::Other, text.as_bytes())?.for_member(stamp)
}

/// The labels follow: by them the pod security standards are enforced.
fn unmanaged(object: &Value, name: &str, label_key: &str) -> Bytes {
    let mut labels = object.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    if let Some(labels) = labels.as_object_mut() {
        labels.remove(label_key);
    }
    let metadata = json!({"name": name, "labels": labels});
    let body = json!({"kind": "Namespace", "apiVersion": "v1", "metadata": metadata});
    Bytes::from(body.to_string())
}

#[cfg(test)]
mod tests {
    use tenbin_model::ids::ClusterName;

    use super::*;

    fn object() -> Value {
        json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {
            "name": "shop", "uid": "u", "resourceVersion": "7",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "tenbin": "local"},
            "annotations": {"tenbin/home": "tokyo", "tenbin/epoch": "1", "a": "b"},
        }, "status": {"phase": "Active"}})
    }

    #[test]
    fn an_unmanaged_namespace_keeps_its_labels_and_gets_no_mark() {
        let body = unmanaged(&object(), "shop", "tenbin");
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap()["metadata"],
            json!({"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}})
        );
    }

    #[test]
    fn a_managed_namespace_follows_as_a_copy_of_homes() {
        let name = |text| ClusterName::new(text).unwrap();
        let stamp = Stamp {
            label_key: "tenbin".to_owned(),
            label_value: "osaka".to_owned(),
            member: name("osaka"),
            home: name("tokyo"),
            home_uid: Some("u".to_owned()),
            epoch: 1,
            shares: None,
            ordinals_base: 0,
            name: None,
            resource_version: None,
        };
        let body = managed(&object(), &stamp).unwrap().bytes;
        assert_eq!(
            serde_json::from_slice::<Value>(&body).unwrap()["metadata"],
            json!({
                "name": "shop",
                "labels": {"pod-security.kubernetes.io/enforce": "restricted", "tenbin": "osaka"},
                "annotations": {
                    "a": "b", "tenbin/home": "tokyo", "tenbin/home-uid": "u", "tenbin/epoch": "1",
                },
            })
        );
    }
}
