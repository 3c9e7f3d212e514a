//! Protobuf bodies, compared by a message that knows more fields than the editor does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message;

use super::stamp;
use crate::body::{Body, BodyKind, DeleteBody, Encoding, Preconditions, ScaleBody, strip_state};
use crate::managed;
use crate::request::query::Query;

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
    #[prost(string, tag = "4")]
    content_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Workload {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Meta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<Spec>,
    #[prost(bytes = "vec", optional, tag = "3")]
    status: Option<Vec<u8>>,
    #[prost(string, tag = "4000")]
    later: String,
}

#[derive(Clone, PartialEq, Message)]
struct Meta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(int64, tag = "7")]
    generation: i64,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(bytes = "vec", repeated, tag = "13")]
    owners: Vec<Vec<u8>>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
    #[prost(fixed64, tag = "4000")]
    later: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Spec {
    #[prost(int32, optional, tag = "1")]
    replicas: Option<i32>,
    #[prost(bytes = "vec", tag = "2")]
    selector: Vec<u8>,
    #[prost(message, optional, tag = "3")]
    template: Option<Template>,
    #[prost(int32, tag = "5")]
    min_ready_seconds: i32,
    #[prost(bool, tag = "7")]
    paused: bool,
    #[prost(message, optional, tag = "11")]
    ordinals: Option<Ordinals>,
    #[prost(fixed32, tag = "4000")]
    later: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Template {
    #[prost(message, optional, tag = "1")]
    metadata: Option<Meta>,
    #[prost(bytes = "vec", tag = "2")]
    spec: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Ordinals {
    #[prost(int32, tag = "1")]
    start: i32,
    #[prost(string, tag = "4000")]
    later: String,
}

/// `DeleteOptions`.
#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(int64, tag = "1")]
    grace: i64,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(string, tag = "4")]
    policy: String,
}

fn envelope(raw: &impl Message) -> Vec<u8> {
    let type_meta = TypeMeta { api_version: "apps/v1".into(), kind: "StatefulSet".into() };
    let unknown = Unknown {
        type_meta: Some(type_meta),
        raw: raw.encode_to_vec(),
        content_type: "kept".into(),
    };
    [b"k8s\0".to_vec(), unknown.encode_to_vec()].concat()
}

fn open<M: Message + Default>(bytes: &[u8]) -> M {
    let unknown = Unknown::decode(bytes.strip_prefix(b"k8s\0").unwrap()).unwrap();
    assert_eq!(unknown.type_meta.unwrap().kind, "StatefulSet");
    assert_eq!(unknown.content_type, "kept");
    M::decode(unknown.raw.as_slice()).unwrap()
}

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("(tenbin|tenbin/[a-z]{3,5}|[a-z]{0,4})", ".{0,4}", 0..4)
}

fn meta() -> impl Strategy<Value = Meta> {
    let lists =
        (prop::collection::vec(Just(Vec::new()), 0..2), prop::collection::vec(".{0,4}", 0..3));
    (".{0,4}", ".{0,4}", ".{0,4}", any::<i64>(), texts(), texts(), lists, any::<u64>()).prop_map(
        |(name, uid, resource_version, generation, labels, annotations, lists, later)| {
            let (owners, finalizers) = lists;
            Meta {
                name,
                uid,
                resource_version,
                generation,
                labels,
                annotations,
                owners,
                finalizers,
                later,
            }
        },
    )
}

fn workload() -> impl Strategy<Value = Workload> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..6);
    let replicas = prop::option::of(0..i32::MAX);
    let ordinals = prop::option::of((0..1_000_000_i32, ".{0,4}"));
    let spec = (replicas, bytes(), meta(), bytes(), any::<i32>(), any::<bool>(), ordinals);
    (meta(), spec, prop::option::of(bytes()), ".{0,4}", any::<u32>()).prop_map(
        |(metadata, spec, status, later, number)| {
            let (replicas, selector, template, pod, min_ready_seconds, paused, ordinals) = spec;
            let spec = Spec {
                replicas,
                selector,
                template: Some(Template { metadata: Some(template), spec: pod }),
                min_ready_seconds,
                paused,
                ordinals: ordinals.map(|(start, later)| Ordinals { start, later }),
                later: number,
            };
            Workload { metadata: Some(metadata), spec: Some(spec), status, later }
        },
    )
}

/// What a decoder must read after stamping for osaka.
fn expected(mut workload: Workload) -> Workload {
    let label = ("tenbin".to_owned(), "osaka".to_owned());
    let no_state = |annotations: &mut BTreeMap<String, String>| {
        annotations.retain(|key, _| {
            !managed::STATE.contains(&key.as_str()) && key.as_str() != managed::CLUSTER
        });
    };
    let metadata = workload.metadata.as_mut().unwrap();
    metadata.uid.clear();
    metadata.resource_version.clear();
    metadata.generation = 0;
    metadata.owners.clear();
    metadata.labels.extend([label.clone()]);
    no_state(&mut metadata.annotations);
    let state = stamp("osaka").annotations(true);
    metadata.annotations.extend(state.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let spec = workload.spec.as_mut().unwrap();
    spec.replicas = Some(2);
    let ordinals = spec.ordinals.get_or_insert_default();
    ordinals.start += 10_000;
    let template = spec.template.as_mut().unwrap().metadata.as_mut().unwrap();
    template.labels.extend([label]);
    no_state(&mut template.annotations);
    workload.status = None;
    workload
}

proptest! {
    #[test]
    fn a_decoder_reads_the_members_values_and_everything_else(workload in workload()) {
        let bytes = envelope(&workload);
        let body = Body::parse(Encoding::Protobuf, BodyKind::StatefulSet, &bytes).unwrap();
        let encoded = body.for_member(&stamp("osaka")).unwrap();
        prop_assert_eq!(open::<Workload>(&encoded.bytes), expected(workload));
    }

    #[test]
    fn home_keeps_its_status_and_owners(workload in workload()) {
        let bytes = envelope(&workload);
        let body = Body::parse(Encoding::Protobuf, BodyKind::StatefulSet, &bytes).unwrap();
        let written: Workload = open(&body.for_member(&stamp("tokyo")).unwrap().bytes);
        prop_assert_eq!(written.status, workload.status);
        let (after, before) = (written.metadata.unwrap(), workload.metadata.unwrap());
        prop_assert_eq!(after.owners, before.owners);
        prop_assert_eq!(after.generation, before.generation);
        prop_assert_eq!(after.uid, "");
    }

    #[test]
    fn stamping_protobuf_twice_reads_as_once(workload in workload()) {
        let mut stamp = stamp("osaka");
        stamp.ordinals_base = 0;
        stamp.resource_version = Some("9".into());
        let write = |bytes: &[u8]| {
            let body = Body::parse(Encoding::Protobuf, BodyKind::StatefulSet, bytes).unwrap();
            body.for_member(&stamp).unwrap().bytes
        };
        let once = write(&envelope(&workload));
        let twice = write(&once);
        prop_assert_eq!(open::<Workload>(&once).metadata.unwrap().resource_version, "9");
        prop_assert_eq!(open::<Workload>(&twice), open::<Workload>(&once));
    }

    #[test]
    fn json_and_protobuf_are_summed_up_alike(replicas in any::<Option<u16>>(), start in any::<u16>()) {
        let container = serde_json::json!({"resources": {"requests": {"cpu": "250m"}}});
        let template = serde_json::json!({"spec": {"containers": [container]}});
        // Field 2, containers; 8, resources; 2, requests: an entry of a map.
        let pod = b"\x12\x11\x42\x0f\x12\x0d\x0a\x03cpu\x12\x06\x0a\x04250m".to_vec();
        let spec = serde_json::json!({
            "replicas": replicas, "ordinals": {"start": start}, "template": template,
        });
        let json = super::parse(BodyKind::StatefulSet, &serde_json::json!({"spec": spec}));
        let spec = Spec {
            replicas: replicas.map(i32::from),
            ordinals: Some(Ordinals { start: i32::from(start), later: String::new() }),
            template: Some(Template { metadata: None, spec: pod }),
            ..Spec::default()
        };
        let bytes = envelope(&Workload { spec: Some(spec), ..Workload::default() });
        let protobuf = Body::parse(Encoding::Protobuf, BodyKind::StatefulSet, &bytes).unwrap();
        prop_assert_eq!(protobuf.summary(), json.summary());
        prop_assert_eq!(json.summary().pod.cpu_milli, 250);
    }
}

#[test]
fn a_kind_with_other_fields_keeps_them() {
    // Field 3 of a ConfigMap is data, not status.
    let map = Workload { status: Some(b"data".to_vec()), ..Workload::default() };
    let body = Body::parse(Encoding::Protobuf, BodyKind::Other, &envelope(&map)).unwrap();
    let written: Workload = open(&body.for_member(&stamp("osaka")).unwrap().bytes);
    assert_eq!(written.status, Some(b"data".to_vec()));
    assert_eq!(written.spec, None);
}

#[test]
fn a_scale_and_delete_options_are_read_from_protobuf() {
    let spec = Spec { replicas: Some(7), ..Spec::default() };
    let metadata = Meta { resource_version: "12".into(), ..Meta::default() };
    let scale = Workload { metadata: Some(metadata), spec: Some(spec), ..Workload::default() };
    let read = ScaleBody::parse(Encoding::Protobuf, &envelope(&scale)).unwrap();
    assert_eq!((read.replicas, read.resource_version.as_deref()), (Some(7), Some("12")));

    let of = |uid: &str| Preconditions { uid: Some(uid.into()), resource_version: None };
    let options = Options { grace: 3, preconditions: Some(of("home")), policy: "Orphan".into() };
    let body =
        DeleteBody::parse(Encoding::Protobuf, &envelope(&options), &Query::default()).unwrap();
    assert_eq!(body.preconditions(), &of("home"));
    let written = body.for_member(&of("own")).unwrap();
    assert_eq!(
        open::<Options>(&written.bytes),
        Options { preconditions: Some(of("own")), ..options }
    );
}

#[test]
fn a_protobuf_body_that_passes_forges_nothing() {
    let of = |keys: &[&str]| {
        let annotations = keys.iter().map(|key| ((*key).to_owned(), "x".to_owned())).collect();
        let metadata = Meta { name: "web".into(), annotations, ..Meta::default() };
        Workload { metadata: Some(metadata), later: "kept".into(), ..Workload::default() }
    };
    let media = Some("application/vnd.kubernetes.protobuf");
    let forged = of(&["tenbin/home", "tenbin/cluster", "tenbin/min", "a"]);
    let stripped = strip_state(media, &envelope(&forged)).unwrap();
    assert_eq!(open::<Workload>(&stripped), of(&["tenbin/min", "a"]));
    assert_eq!(strip_state(media, &envelope(&of(&["a"]))), None);
    assert_eq!(strip_state(media, b"tenbin/ garbage"), None);
}
