use serde_json::{Value, json};

use super::*;
use crate::ids::ClusterName;
use crate::managed::{self, Shares};
use crate::status::Status;

mod laws;
mod protobuf;

/// A stamp for `member` of an object whose home is tokyo.
pub(super) fn stamp(member: &str) -> Stamp {
    let elsewhere = member != "tokyo";
    Stamp {
        label_key: "tenbin".into(),
        label_value: if elsewhere { member.into() } else { "local".into() },
        member: ClusterName::new(member).unwrap(),
        home: ClusterName::new("tokyo").unwrap(),
        home_uid: Some("uid-of-home".into()),
        epoch: 1,
        shares: Shares::parse("tokyo:3,osaka:2,nagoya:0"),
        ordinals_base: if elsewhere { managed::ordinals_base(0) } else { 0 },
        name: None,
        resource_version: None,
    }
}

pub(super) fn parse(kind: BodyKind, body: &Value) -> Body {
    Body::parse(Encoding::Json, kind, body.to_string().as_bytes()).unwrap()
}

pub(super) fn written(body: &Body, stamp: &Stamp) -> Value {
    let encoded = body.for_member(stamp).unwrap();
    assert_eq!(encoded.content_type, "application/json");
    serde_json::from_slice(&encoded.bytes).unwrap()
}

/// One line for each leaf, as `metadata.name = "web"`.
pub(super) fn lines(value: &Value) -> String {
    fn leaves(path: &str, value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let dot = if path.is_empty() { "" } else { "." };
                for (key, value) in map {
                    leaves(&format!("{path}{dot}{key}"), value, lines);
                }
            }
            leaf => lines.push(format!("{path} = {leaf}")),
        }
    }
    let mut lines = Vec::new();
    leaves("", value, &mut lines);
    lines.join("\n")
}

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 4,
            "labels": {"app": "web", "tenbin": "forged"},
            "annotations": {"tenbin/min": "1", "tenbin/home": "forged", "tenbin/cluster": "tokyo"},
            "ownerReferences": [{"kind": "Parent", "name": "p", "uid": "x"}],
        },
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        },
        "status": {"replicas": 5},
    })
}

#[test]
fn a_deployment_at_home_keeps_what_is_its_own() {
    let body = parse(BodyKind::Deployment, &deployment());
    insta::assert_snapshot!(lines(&written(&body, &stamp("tokyo"))), @r#"
apiVersion = "apps/v1"
kind = "Deployment"
metadata.name = "web"
metadata.generation = 4
metadata.labels.app = "web"
metadata.labels.tenbin = "local"
metadata.annotations.tenbin/min = "1"
metadata.annotations.tenbin/home = "tokyo"
metadata.annotations.tenbin/epoch = "1"
metadata.annotations.tenbin/total = "5"
metadata.annotations.tenbin/shares = "tokyo:3,osaka:2,nagoya:0"
metadata.ownerReferences = [{"kind":"Parent","name":"p","uid":"x"}]
spec.replicas = 3
spec.selector.matchLabels.app = "web"
spec.template.metadata.labels.app = "web"
spec.template.metadata.labels.tenbin = "local"
spec.template.spec.containers = []
status.replicas = 5
"#);
}

#[test]
fn a_deployment_elsewhere_has_nothing_of_homes_own() {
    let body = parse(BodyKind::Deployment, &deployment());
    insta::assert_snapshot!(lines(&written(&body, &stamp("osaka"))), @r#"
apiVersion = "apps/v1"
kind = "Deployment"
metadata.name = "web"
metadata.labels.app = "web"
metadata.labels.tenbin = "osaka"
metadata.annotations.tenbin/min = "1"
metadata.annotations.tenbin/home = "tokyo"
metadata.annotations.tenbin/home-uid = "uid-of-home"
metadata.annotations.tenbin/epoch = "1"
metadata.annotations.tenbin/total = "5"
metadata.annotations.tenbin/shares = "tokyo:3,osaka:2,nagoya:0"
spec.replicas = 2
spec.selector.matchLabels.app = "web"
spec.template.metadata.labels.app = "web"
spec.template.metadata.labels.tenbin = "osaka"
spec.template.spec.containers = []
"#);
}

#[test]
fn a_stateful_set_gets_disjoint_ordinals_and_an_explicit_share() {
    let set = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  ordinals: {start: 5}
  template: {metadata: {labels: {app: db}}}
";
    let body = Body::parse(Encoding::Yaml, BodyKind::StatefulSet, set.as_bytes()).unwrap();
    assert_eq!(body.summary().total(), 1);
    assert_eq!(body.summary().ordinals_start, 5);
    insta::assert_snapshot!(lines(&written(&body, &stamp("tokyo"))), @r#"
apiVersion = "apps/v1"
kind = "StatefulSet"
metadata.name = "db"
metadata.labels.tenbin = "local"
metadata.annotations.tenbin/home = "tokyo"
metadata.annotations.tenbin/epoch = "1"
metadata.annotations.tenbin/total = "5"
metadata.annotations.tenbin/shares = "tokyo:3,osaka:2,nagoya:0"
spec.serviceName = "db"
spec.ordinals.start = 5
spec.template.metadata.labels.app = "db"
spec.template.metadata.labels.tenbin = "local"
spec.replicas = 3
"#);
    insta::assert_snapshot!(lines(&written(&body, &stamp("nagoya"))), @r#"
apiVersion = "apps/v1"
kind = "StatefulSet"
metadata.name = "db"
metadata.labels.tenbin = "nagoya"
metadata.annotations.tenbin/home = "tokyo"
metadata.annotations.tenbin/home-uid = "uid-of-home"
metadata.annotations.tenbin/epoch = "1"
metadata.annotations.tenbin/total = "5"
metadata.annotations.tenbin/shares = "tokyo:3,osaka:2,nagoya:0"
spec.serviceName = "db"
spec.ordinals.start = 10005
spec.template.metadata.labels.app = "db"
spec.template.metadata.labels.tenbin = "nagoya"
spec.replicas = 0
"#);
}

#[test]
fn a_summary_says_what_the_writer_has_to_know() {
    let body = parse(BodyKind::Deployment, &deployment());
    insta::assert_debug_snapshot!(body.summary(), @r#"
Summary {
    name: Some(
        "web",
    ),
    generate_name: None,
    namespace: None,
    uid: Some(
        "u",
    ),
    resource_version: Some(
        "7",
    ),
    has_owner_references: true,
    replicas: Some(
        5,
    ),
    ordinals_start: 0,
    pod: PodShape {
        cpu_milli: 0,
        memory_bytes: 0,
    },
    inputs: [
        (
            "tenbin/min",
            "1",
        ),
    ],
}
"#);
    assert_eq!(body.summary().input("tenbin/min"), Some("1"));
}

#[test]
fn a_resolved_name_and_the_members_own_version_are_written() {
    let body = parse(BodyKind::Other, &json!({"metadata": {"generateName": "x-", "uid": "u"}}));
    let stamp =
        Stamp { name: Some("x-abc".into()), resource_version: Some("9".into()), ..stamp("tokyo") };
    let written = written(&body, &stamp);
    assert_eq!(written["metadata"]["name"], "x-abc");
    assert_eq!(written["metadata"]["generateName"], "x-");
    assert_eq!(written["metadata"]["resourceVersion"], "9");
    assert_eq!(written["metadata"].get("uid"), None);
    assert_eq!(written.get("spec"), None);
}

#[test]
fn a_volume_is_not_bound_to_the_claim_of_another_cluster() {
    let claim = json!({"name": "c", "namespace": "n", "uid": "u", "resourceVersion": "3"});
    let volume = json!({"metadata": {"name": "v"}, "spec": {"claimRef": claim}});
    let body = parse(BodyKind::PersistentVolume, &volume);
    assert_eq!(written(&body, &stamp("tokyo"))["spec"]["claimRef"], claim);
    assert_eq!(
        written(&body, &stamp("osaka"))["spec"]["claimRef"],
        json!({"name": "c", "namespace": "n"})
    );
}

#[test]
fn replicas_that_no_cluster_takes_are_invalid() {
    for replicas in [-1_i64, i64::from(i32::MAX) + 1] {
        let body = json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas}});
        let bytes = body.to_string();
        let error =
            Body::parse(Encoding::Json, BodyKind::Deployment, bytes.as_bytes()).unwrap_err();
        assert_eq!(error.reason().code(), 422);
        assert!(error.to_string().contains("spec.replicas: Invalid value: "), "{error}");
    }
}

#[test]
fn errors_read_like_an_api_servers() {
    let json = |kind, text: &str| Body::parse(Encoding::Json, kind, text.as_bytes()).unwrap_err();
    let errors = [
        Encoding::of(Some("application/cbor")).unwrap_err(),
        json(BodyKind::Deployment, r#"{"metadata":{"name":"web"},"spec":{"replicas":-1}}"#),
        json(BodyKind::Deployment, r#"{"spec":{"replicas":"1"}}"#),
        json(BodyKind::Deployment, r#"{"spec":[]}"#),
        json(BodyKind::Other, "[]"),
        json(BodyKind::Other, "{"),
        Body::parse(Encoding::Yaml, BodyKind::Other, b"a: 1\n---\nb: 2\n").unwrap_err(),
        Body::parse(Encoding::Protobuf, BodyKind::Other, b"{}").unwrap_err(),
        Body::parse(Encoding::Json, BodyKind::Other, &vec![b' '; MAX_BODY + 1]).unwrap_err(),
    ];
    let lines = errors.map(|error| {
        let status = Status::from(&error);
        format!("{} {:?} {}", status.code, status.reason, status.message)
    });
    insta::assert_snapshot!(lines.join("\n"), @r#"
415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf
422 Invalid Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0
400 BadRequest error decoding the body: spec.replicas must be a 32-bit integer
400 BadRequest error decoding the body: spec must be an object
400 BadRequest error decoding the body: the root must be an object
400 BadRequest error decoding the body as JSON: EOF while parsing an object at line 1 column 1
400 BadRequest error decoding the body as YAML: multiple YAML documents detected; use from_str_multiple or from_str_multiple_with_options at line 3, column 1
400 BadRequest provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]
413 RequestEntityTooLarge Request entity too large: limit is 3145728
"#);
}

#[test]
fn a_content_type_is_read_without_its_parameters() {
    assert_eq!(Encoding::of(None).unwrap(), Encoding::Json);
    assert_eq!(Encoding::of(Some("")).unwrap(), Encoding::Json);
    assert_eq!(Encoding::of(Some("Application/JSON; charset=utf-8")).unwrap(), Encoding::Json);
    assert_eq!(Encoding::of(Some("application/yaml")).unwrap(), Encoding::Yaml);
    assert_eq!(
        Encoding::of(Some("application/vnd.kubernetes.protobuf")).unwrap(),
        Encoding::Protobuf
    );
}

#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let text = "{a: 0644, b: yes, c: '1', 1: d, e: &x [1], f: *x, g: 2024-01-01, h: ~}";
    let body = Body::parse(Encoding::Yaml, BodyKind::Other, text.as_bytes()).unwrap();
    insta::assert_snapshot!(written(&body, &stamp("tokyo")), @r#"{"a":420,"b":true,"c":"1","1":"d","e":[1],"f":[1],"g":"2024-01-01","h":null,"metadata":{"labels":{"tenbin":"local"},"annotations":{"tenbin/home":"tokyo","tenbin/epoch":"1"}}}"#);
}

#[test]
fn bombs_end_quickly_with_an_error() {
    let deep = "[".repeat(100_000);
    let deep_map = "{\"a\":".repeat(100_000);
    let deep_block: Vec<_> = (0..1_000).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
    let aliases = (1..30).map(|level| {
        let nine = vec![format!("*a{}", level - 1); 9].join(",");
        format!("a{level}: &a{level} [{nine}]")
    });
    let laughs: Vec<_> = ["a0: &a0 [lol,lol,lol]".to_owned()].into_iter().chain(aliases).collect();
    let heavy = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(1_000));
    for bomb in [deep, deep_map, deep_block.join("\n"), laughs.join("\n"), heavy] {
        for encoding in [Encoding::Json, Encoding::Yaml] {
            let started = jiff::Timestamp::now();
            assert!(Body::parse(encoding, BodyKind::Other, bomb.as_bytes()).is_err());
            assert!(jiff::Timestamp::now().duration_since(started).as_secs() < 5);
        }
    }
}
