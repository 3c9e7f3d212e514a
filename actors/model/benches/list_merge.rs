//! CPU time of a merge, per megabyte of the members' answers: `cargo bench -p tenbin-model`.

#![expect(clippy::expect_used, reason = "a bench that fails may stop")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::list::{IncludeObject, ListMerge, MergeOptions};
use tenbin_model::resource_version::VersionSpace;

const MEMBERS: usize = 3;
const ITEMS: usize = 2_000;
const CHUNK_BYTES: usize = 16 << 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Once,
    Each,
    Folded,
}

#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
fn main() {
    let pods: Vec<String> = (0..MEMBERS).map(|member| list(member, false)).collect();
    let workloads: Vec<String> = (0..MEMBERS).map(|member| list(member, true)).collect();
    let tables: Vec<String> = (0..MEMBERS).map(table).collect();
    for (name, answers, shown) in [
        ("pods", &pods, Shown::Once),
        ("table of pods", &tables, Shown::Each),
        ("folded workloads", &workloads, Shown::Folded),
    ] {
        let bytes: usize = answers.iter().map(String::len).sum();
        let best = (0..10).map(|_| seconds(answers, shown)).fold(f64::INFINITY, f64::min);
        let megabytes = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6;
        println!("{name}: {megabytes:.1} MB, {:.2} ms/MB", best * 1e3 / megabytes);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn seconds(answers: &[String], shown: Shown) -> f64 {
    let start = Instant::now();
    let written = merge(answers, shown);
    assert!(written > 0);
    start.elapsed().as_secs_f64()
}

fn merge(answers: &[String], shown: Shown) -> usize {
    let name = |index| ClusterName::new(&format!("m{index}")).expect("a name");
    let members: Vec<_> = (0..answers.len()).map(name).collect();
    let space = VersionSpace::new(NonZeroU64::MIN, members.clone()).expect("a space");
    let mut merge = ListMerge::new(MergeOptions {
        members,
        space: Arc::new(space),
        label_key: "tenbin".to_owned(),
        fold: (shown == Shown::Folded).then_some(FoldClass::Split),
        one_key_once: shown != Shown::Each,
        show_state: false,
        include_object: IncludeObject::Metadata,
        page: None,
    });
    let mut chunks: Vec<_> =
        answers.iter().map(|answer| answer.as_bytes().chunks(CHUNK_BYTES)).collect();
    let mut written = 0;
    while !merge.finished() {
        while let Some(chunk) = merge.next_chunk().expect("a merge") {
            written += chunk.len();
        }
        for (index, chunks) in chunks.iter_mut().enumerate() {
            if merge.wants(index) {
                match chunks.next() {
                    Some(chunk) => merge.push(index, chunk).expect("a push"),
                    None => merge.end(index).expect("an end"),
                }
            }
        }
    }
    written
}

fn list(member: usize, managed: bool) -> String {
    let items: Vec<_> = (0..ITEMS).map(|index| item(member, index, managed)).collect();
    let list = json!({
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "4711"},
        "items": items,
    });
    list.to_string()
}

fn table(member: usize) -> String {
    let row = |index| {
        let mut object = item(member, index, false);
        object.as_object_mut().expect("an object").retain(|key, _| key == "metadata");
        json!({"cells": [format!("pod-{index}"), "1/1", "Running", 0, "5d"], "object": object})
    };
    let column = |name: &&str| json!({"name": name, "type": "string", "priority": 0});
    let columns: Vec<_> =
        ["Name", "Ready", "Status", "Restarts", "Age"].iter().map(column).collect();
    let table = json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "4711"},
        "columnDefinitions": columns,
        "rows": (0..ITEMS).map(row).collect::<Vec<_>>(),
    });
    table.to_string()
}

/// About 4 KB, as a pod of a Deployment has them.
fn item(member: usize, index: usize, managed: bool) -> Value {
    let name = if managed { format!("w{index}") } else { format!("pod-{member}-{index}") };
    let owned = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}, "f:ownerReferences": {".": {}, "k:{\"uid\":\"0b1f\"}": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {".": {}, "f:requests": {".": {}, "f:cpu": {}, "f:memory": {}}}, "f:terminationMessagePath": {}}}, "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:terminationGracePeriodSeconds": {}}});
    let env: Vec<_> = (0..12)
        .map(|index| json!({"name": format!("VARIABLE_{index}"), "value": "http://backend.default.svc.cluster.local:8080/path"}))
        .collect();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-11-21T08:00:00Z"});
    json!({
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": format!("uid-{member}-{index}"),
            "resourceVersion": "4242",
            "creationTimestamp": "2026-11-21T08:00:00Z",
            "labels": if managed { json!({"app": "web", "tenbin": "local"}) } else { json!({"app": "web"}) },
            "annotations": {
                "kubectl.kubernetes.io/restartedAt": "2026-11-21T08:00:00Z",
                "tenbin/home": "m0",
                "tenbin/home-uid": format!("uid-0-{index}"),
            },
            "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-21T08:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": owned}],
        },
        "spec": {
            "replicas": 3,
            "containers": [{"name": "web", "image": "registry.example.com/team/web:1.2.3", "env": env, "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}, "imagePullPolicy": "IfNotPresent"}],
            "restartPolicy": "Always",
            "nodeName": "node-1",
        },
        "status": {
            "phase": "Running",
            "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
            "hostIP": "10.0.0.1",
            "podIP": "10.1.2.3",
        },
    })
}
