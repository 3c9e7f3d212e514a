//! Laws that hold for every body.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{parse, stamp, written};
use crate::body::{Body, BodyKind, DeleteBody, Encoding, Patch, PatchKind, ScaleBody};
use crate::ids::ClusterName;
use crate::managed::{self, Shares};
use crate::request::query::Query;

const KINDS: [BodyKind; 4] =
    [BodyKind::Deployment, BodyKind::StatefulSet, BodyKind::PersistentVolume, BodyKind::Other];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z$/]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("x[a-z]{1,4}", any_json(), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

/// A workload with fields that nobody knows at every level that stamping touches.
fn workload() -> impl Strategy<Value = Value> {
    let texts =
        prop::collection::btree_map("(tenbin|tenbin/[a-z]{3,5}|x[a-z]{1,4})", ".{0,4}", 0..4);
    let parts =
        (fields(), fields(), fields(), fields(), texts.clone(), texts, any::<Option<u16>>());
    parts.prop_map(|(root, metadata, spec, template, labels, annotations, replicas)| {
        let mut body = json!({
            "metadata": {"name": "web", "uid": "u", "labels": labels, "annotations": annotations},
            "spec": {
                "replicas": replicas,
                "template": {"metadata": {"labels": labels}, "spec": {}},
            },
            "status": {"replicas": 1},
        });
        body.as_object_mut().unwrap().extend(root);
        body["metadata"].as_object_mut().unwrap().extend(metadata);
        body["spec"].as_object_mut().unwrap().extend(spec);
        body["spec"]["template"].as_object_mut().unwrap().extend(template);
        body
    })
}

/// The object without the paths that stamping edits.
fn unedited(mut body: Value) -> Value {
    body.as_object_mut().unwrap().shift_remove("status");
    let metadata = body["metadata"].as_object_mut().unwrap();
    metadata.shift_remove("uid");
    metadata["labels"].as_object_mut().unwrap().shift_remove("tenbin");
    let annotations = metadata["annotations"].as_object_mut().unwrap();
    annotations.retain(|key, _| {
        !managed::STATE.contains(&key.as_str()) && key.as_str() != managed::CLUSTER
    });
    body["spec"].as_object_mut().unwrap().shift_remove("replicas");
    let labels = &mut body["spec"]["template"]["metadata"]["labels"];
    labels.as_object_mut().unwrap().shift_remove("tenbin");
    body
}

proptest! {
    #[test]
    fn stamping_loses_nothing_else(body in workload(), home in any::<bool>()) {
        let stamp = stamp(if home { "tokyo" } else { "osaka" });
        let written = written(&parse(BodyKind::Deployment, &body), &stamp);
        prop_assert_eq!(unedited(written), unedited(body));
    }

    #[test]
    fn stamping_twice_is_stamping_once(body in workload(), home in any::<bool>()) {
        let stamp = stamp(if home { "tokyo" } else { "osaka" });
        let once = written(&parse(BodyKind::Deployment, &body), &stamp);
        prop_assert_eq!(written(&parse(BodyKind::Deployment, &once), &stamp), once);
    }

    #[test]
    fn the_shares_that_are_written_sum_up_to_the_total(
        body in workload(),
        counts in prop::collection::vec(0_u32..1_000_000, 1..6),
    ) {
        let names = ["tokyo", "osaka", "nagoya", "sendai", "naha"];
        let members = names.iter().map(|name| ClusterName::new(name).unwrap());
        let shares = Shares::new(members.zip(counts).collect());
        let body = parse(BodyKind::Deployment, &body);
        let mut sum = 0;
        for (member, _) in shares.iter() {
            let mut stamp = stamp(member.as_str());
            stamp.shares = Some(shares.clone());
            let written = written(&body, &stamp);
            sum += written["spec"]["replicas"].as_u64().unwrap();
            let annotations = &written["metadata"]["annotations"];
            prop_assert_eq!(&annotations[managed::TOTAL], &shares.total().to_string());
            prop_assert_eq!(&annotations[managed::SHARES], &shares.to_string());
        }
        prop_assert_eq!(sum, u64::from(shares.total()));
    }

    #[test]
    fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
        let enveloped = [b"k8s\0\x12", &[u8::try_from(bytes.len()).unwrap()][..], &bytes].concat();
        read_everything(&enveloped);
    }

    #[test]
    fn no_tree_makes_parsing_panic(root in any_json(), metadata in any_json(), spec in any_json()) {
        read_everything(root.to_string().as_bytes());
        let body = json!({"metadata": metadata, "spec": {"template": spec, "ordinals": root}});
        read_everything(body.to_string().as_bytes());
        read_everything(json!({"metadata": root, "spec": spec}).to_string().as_bytes());
    }
}

/// Reads `bytes` as everything that a body can be, and writes what could be read.
fn read_everything(bytes: &[u8]) {
    let stamps = [stamp("tokyo"), stamp("osaka")];
    for encoding in [Encoding::Json, Encoding::Yaml, Encoding::Protobuf] {
        for kind in KINDS {
            let Ok(body) = Body::parse(encoding, kind, bytes) else {
                continue;
            };
            for stamp in &stamps {
                let Ok(encoded) = body.for_member(stamp) else {
                    continue;
                };
                let again = Encoding::of(Some(encoded.content_type)).unwrap();
                Body::parse(again, kind, &encoded.bytes).unwrap();
            }
        }
        drop(ScaleBody::parse(encoding, bytes));
        if let Ok(body) = DeleteBody::parse(encoding, bytes, &Query::default()) {
            drop(body.for_member(body.preconditions()).unwrap());
        }
    }
    for kind in [PatchKind::Merge, PatchKind::Strategic] {
        for body in KINDS {
            let Ok(patch) = Patch::parse(kind, body, bytes) else {
                continue;
            };
            for stamp in &stamps {
                drop(patch.for_member(stamp, &json!({"metadata": {"labels": {"a": "b"}}})));
            }
        }
    }
}
