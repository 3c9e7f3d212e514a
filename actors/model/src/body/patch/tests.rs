use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::body::tests::stamp;
use crate::managed;

/// Osaka's copy of a managed StatefulSet whose user asked for ordinals from 5.
fn live() -> Value {
    let stamp = stamp("osaka");
    let state =
        stamp.annotations(true).into_iter().map(|(key, value)| (key.to_owned(), value.into()));
    let mut annotations: Map<String, Value> = state.collect();
    annotations.insert("note".to_owned(), "live".into());
    json!({
        "metadata": {
            "name": "db",
            "labels": {"app": "db", "old": "1", "tenbin": "osaka"},
            "annotations": annotations,
        },
        "spec": {
            "replicas": 2,
            "ordinals": {"start": 10_005},
            "template": {"metadata": {"labels": {"app": "db", "tenbin": "osaka"}}, "spec": {}},
        },
    })
}

fn parse(kind: PatchKind, patch: &Value) -> Patch {
    Patch::parse(kind, BodyKind::StatefulSet, patch.to_string().as_bytes()).unwrap()
}

fn rewritten(kind: PatchKind, patch: &Value) -> Value {
    let encoded = parse(kind, patch).for_member(&stamp("osaka"), &live()).unwrap();
    assert_eq!(encoded.content_type, kind.media_type());
    serde_json::from_slice(&encoded.bytes).unwrap()
}

/// What an API server makes of a patch, for maps only (`strategicpatch.mergeMap`, RFC 7396).
fn apply(live: &mut Value, patch: &Value, strategic: bool) {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return;
    };
    if !live.is_object() {
        *live = json!({});
    }
    let map = live.as_object_mut().unwrap();
    let directive = patch.get("$patch").filter(|_| strategic);
    if let Some(directive) = directive {
        *map = if directive == "replace" { patch.clone() } else { Map::new() };
        map.shift_remove("$patch");
        return;
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array).filter(|_| strategic) {
        for key in patch.keys().filter(|key| *key != "$retainKeys") {
            assert!(kept.iter().any(|kept| kept == key), "{key} is not retained: refused");
        }
        map.retain(|key, _| kept.iter().any(|kept| kept == key));
    }
    for (key, value) in patch.iter().filter(|(key, _)| *key != "$retainKeys") {
        if value.is_null() {
            map.shift_remove(key);
        } else {
            apply(map.entry(key.clone()).or_insert(Value::Null), value, strategic);
        }
    }
}

fn after(kind: PatchKind, patch: &Value) -> Value {
    let mut copy = live();
    apply(&mut copy, &rewritten(kind, patch), kind == PatchKind::Strategic);
    copy
}

#[test]
fn a_patch_of_something_else_is_sent_as_it_is() {
    let patch =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "b"}]}}}});
    assert_eq!(rewritten(PatchKind::Strategic, &patch), patch);
    assert_eq!(parse(PatchKind::Merge, &patch).summary().replicas, ReplicasChange::Untouched);
}

#[test]
fn replicas_become_the_members_share() {
    let patch = parse(PatchKind::Merge, &json!({"spec": {"replicas": 5}}));
    assert_eq!(patch.summary().replicas, ReplicasChange::Set(5));
    insta::assert_snapshot!(rewritten(PatchKind::Merge, &json!({"spec": {"replicas": 5}})), @r#"{"spec":{"replicas":2},"metadata":{"annotations":{"tenbin/total":"5","tenbin/shares":"tokyo:3,osaka:2,nagoya:0"}}}"#);
    let reset = json!({"spec": {"replicas": null}});
    assert_eq!(parse(PatchKind::Merge, &reset).summary().replicas, ReplicasChange::Reset);
    assert_eq!(rewritten(PatchKind::Merge, &reset)["spec"]["replicas"], 2);
}

#[test]
fn preconditions_are_told_and_the_members_own_version_is_written() {
    let patch =
        json!({"metadata": {"resourceVersion": "123", "uid": "u", "ownerReferences": [{}]}});
    let parsed = parse(PatchKind::Merge, &patch);
    insta::assert_debug_snapshot!(parsed.summary(), @r#"
PatchSummary {
    replicas: Untouched,
    uid: Some(
        "u",
    ),
    resource_version: Some(
        "123",
    ),
    has_owner_references: true,
}
"#);
    let own = Stamp { resource_version: Some("9".to_owned()), ..stamp("osaka") };
    let text = parsed.for_member(&own, &live()).unwrap().bytes;
    assert_eq!(text, br#"{"metadata":{"resourceVersion":"9"}}"#.as_slice());
}

#[test]
fn nobody_unlabels_or_forges() {
    let patch = json!({
        "metadata": {
            "labels": {"tenbin": null, "a": "b"},
            "annotations": {"tenbin/shares": "x:1", "tenbin/cluster": "x", "tenbin/min": "2"},
        },
        "spec": {"template": {"metadata": {"labels": {"tenbin": "x"}}}},
    });
    insta::assert_snapshot!(rewritten(PatchKind::Merge, &patch), @r#"{"metadata":{"labels":{"a":"b"},"annotations":{"tenbin/min":"2"}},"spec":{"template":{"metadata":{"labels":{}}}}}"#);
}

#[test]
fn a_statefulsets_rollback_replaces_the_template_and_keeps_the_label() {
    // What `kubectl rollout undo statefulset` sends.
    let template = json!({"$patch": "replace", "metadata": {"labels": {"app": "db"}}, "spec": {}});
    let patch = json!({"spec": {"template": template}});
    assert_eq!(after(PatchKind::Strategic, &patch), live());
}

#[test]
fn clearing_all_labels_or_annotations_keeps_tenbins() {
    let clear = json!({"metadata": {"labels": null, "annotations": null}});
    let delete =
        json!({"metadata": {"labels": {"$patch": "delete"}, "annotations": {"$patch": "delete"}}});
    let mut expected = live();
    expected["metadata"]["labels"] = json!({"tenbin": "osaka"});
    expected["metadata"]["annotations"].as_object_mut().unwrap().shift_remove("note");
    assert_eq!(after(PatchKind::Merge, &clear), expected);
    assert_eq!(after(PatchKind::Strategic, &clear), expected);
    assert_eq!(after(PatchKind::Strategic, &delete), expected);
}

#[test]
fn a_replaced_spec_resets_replicas_and_ordinals() {
    let spec = json!({"$patch": "replace", "template": {"metadata": {"labels": {"app": "db"}}}});
    let patch = json!({"spec": spec});
    assert_eq!(parse(PatchKind::Strategic, &patch).summary().replicas, ReplicasChange::Reset);
    insta::assert_snapshot!(rewritten(PatchKind::Strategic, &patch), @r#"{"spec":{"$patch":"replace","template":{"metadata":{"labels":{"app":"db","tenbin":"osaka"}}},"ordinals":{"start":10000},"replicas":2},"metadata":{"annotations":{"tenbin/total":"5","tenbin/shares":"tokyo:3,osaka:2,nagoya:0"}}}"#);
}

#[test]
fn a_patch_that_retains_keys_names_ours_too() {
    let patch = json!({"metadata": {"$retainKeys": ["name", "finalizers"], "finalizers": []}});
    let after = after(PatchKind::Strategic, &patch);
    assert_eq!(after["metadata"]["labels"], json!({"tenbin": "osaka"}));
    assert_eq!(after["metadata"]["annotations"][managed::HOME], "tokyo");
    assert_eq!(after["metadata"]["finalizers"], json!([]));
    let kept = json!({"spec": {"$retainKeys": ["replicas", "template", "ordinals"]}});
    assert_eq!(parse(PatchKind::Strategic, &kept).summary().replicas, ReplicasChange::Untouched);
}

#[test]
fn ordinals_stay_disjoint() {
    let start = |ordinals: Value| {
        let patch = json!({"spec": {"ordinals": ordinals}});
        rewritten(PatchKind::Merge, &patch)["spec"]["ordinals"]["start"].clone()
    };
    assert_eq!(start(json!({"start": 7})), 10_007);
    assert_eq!(start(json!({"start": null})), 10_000);
    assert_eq!(start(Value::Null), 10_000);
}

#[test]
fn what_an_api_server_refuses_is_passed_on_for_it_to_refuse() {
    for patch in
        [json!({"spec": null}), json!({"metadata": null}), json!({"spec": {"template": null}})]
    {
        assert_eq!(rewritten(PatchKind::Merge, &patch), patch);
    }
}

#[test]
fn patches_that_are_not_divided_yet_say_so() {
    let refusal = |content_type| {
        let kind = PatchKind::of(Some(content_type))?;
        Patch::parse(kind, BodyKind::Deployment, b"[]").map(|_| ())
    };
    let apply = refusal("application/apply-patch+yaml").unwrap_err();
    assert_eq!(apply.reason().code(), 415);
    insta::assert_snapshot!(apply, @"tenbin does not divide a server-side apply among clusters yet: apply without --server-side");
    assert_eq!(refusal("application/json").unwrap_err().reason().code(), 415);
    assert_eq!(refusal("application/merge-patch+json").unwrap_err().reason().code(), 400);
}

fn map_patch() -> impl Strategy<Value = Value> {
    let value = prop_oneof![Just(Value::Null), "[a-z]{1,3}".prop_map(Value::from)];
    let key = "(tenbin|tenbin/home|tenbin/shares|app|note|x)";
    let map = prop::collection::btree_map(key, value, 0..4);
    let directive = prop::option::of("(replace|delete)");
    let map = (map, directive).prop_map(|(map, directive)| {
        let mut map: Map<String, Value> = map.into_iter().collect();
        map.extend(directive.map(|directive| ("$patch".to_owned(), directive.into())));
        Value::Object(map)
    });
    prop_oneof![1 => Just(Value::Null), 4 => map]
}

proptest! {
    /// Whatever a patch says, the copy stays managed, and the rest is what the user asked for.
    #[test]
    fn a_patched_copy_keeps_tenbins_marks(
        labels in prop::option::of(map_patch()),
        annotations in prop::option::of(map_patch()),
        replace in any::<bool>(),
        replicas in prop::option::of(0_u32..9),
        strategic in any::<bool>(),
    ) {
        let mut metadata = json!({"name": "db"});
        for (key, value) in [("labels", &labels), ("annotations", &annotations)] {
            if let Some(value) = value {
                metadata[key] = value.clone();
            }
            // Inside a replaced map an API server reads no directives.
            if let Some(map) = metadata.get_mut(key).and_then(Value::as_object_mut)
                && replace
            {
                map.shift_remove("$patch");
            }
        }
        if replace {
            metadata["$patch"] = "replace".into();
        }
        let mut patch = json!({"metadata": metadata});
        if let Some(replicas) = replicas {
            patch["spec"] = json!({"replicas": replicas});
        }
        let kind = if strategic { PatchKind::Strategic } else { PatchKind::Merge };
        let after = after(kind, &patch);
        let mut asked = live();
        apply(&mut asked, &patch, strategic);

        prop_assert_eq!(&after["metadata"]["labels"]["tenbin"], "osaka");
        for (key, value) in stamp("osaka").annotations(true) {
            prop_assert_eq!(&after["metadata"]["annotations"][key], &value);
        }
        prop_assert_eq!(&after["spec"], &live()["spec"]);
        for (key, ours) in [("labels", "tenbin"), ("annotations", "tenbin/")] {
            let users = |object: &Value| {
                let mut map = object["metadata"][key].as_object().cloned().unwrap_or_default();
                map.retain(|key, value| !key.starts_with(ours) && !value.is_null());
                map
            };
            prop_assert_eq!(users(&after), users(&asked));
        }
    }
}
