use std::num::NonZeroU64;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resource_version::VersionSpace;

const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn space() -> VersionSpace {
    VersionSpace::new(NonZeroU64::MIN, NAMES.map(name).to_vec()).unwrap()
}

/// A copy of a workload whose home is tokyo; osaka's and nagoya's are marked with its uid.
fn copy(member: &str, replicas: i64) -> Copy {
    let mut annotations = json!({"tenbin/home": "tokyo", "user": "kept"});
    if member == "tokyo" {
        annotations["tenbin/total"] = json!("10");
        annotations["tenbin/shares"] = json!("tokyo:5,osaka:3,nagoya:2");
    } else {
        annotations["tenbin/home-uid"] = json!("uid-tokyo");
    }
    let object = json!({
        "metadata": {
            "name": "web",
            "uid": format!("uid-{member}"),
            "resourceVersion": "7",
            "generation": 4,
            "labels": {"tenbin": member},
            "annotations": annotations,
        },
        "spec": {"replicas": replicas, "template": {"in": member}},
        "status": {
            "observedGeneration": 4,
            "replicas": replicas,
            "conditions": [
                {"type": "Available", "status": "True", "message": "all well"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
            "currentRevision": format!("web-{member}-1"),
            "updateRevision": format!("web-{member}-1"),
        },
    });
    Copy { member: name(member), object }
}

fn fleet() -> Vec<Copy> {
    vec![copy("tokyo", 5), copy("osaka", 3), copy("nagoya", 2)]
}

fn fold(copies: Vec<Copy>) -> Value {
    fold_object(FoldClass::Split, copies, &space()).unwrap()
}

#[test]
fn a_split_workload_is_homes_with_the_total_and_the_sums() {
    insta::assert_json_snapshot!(fold(fleet()), @r#"
    {
      "metadata": {
        "name": "web",
        "uid": "uid-tokyo",
        "resourceVersion": "100000000000000000007000000000000000000070000000000000000000700000000000000000000",
        "generation": 4,
        "labels": {
          "tenbin": "tokyo"
        },
        "annotations": {
          "user": "kept",
          "tenbin/cluster": "tokyo:5 osaka:3 nagoya:2"
        }
      },
      "spec": {
        "replicas": 10,
        "template": {
          "in": "tokyo"
        }
      },
      "status": {
        "observedGeneration": 4,
        "replicas": 10,
        "conditions": [
          {
            "type": "Available",
            "status": "True",
            "message": "all well"
          },
          {
            "type": "Progressing",
            "status": "True",
            "reason": "NewReplicaSetAvailable"
          }
        ],
        "currentRevision": "web-tokyo-1",
        "updateRevision": "web-tokyo-1"
      }
    }
    "#);
}

#[test]
fn a_replicated_object_is_homes_and_names_its_holders() {
    let folded = fold_object(FoldClass::Replicate, fleet(), &space()).unwrap();
    assert_eq!(folded["spec"]["replicas"], 5);
    assert_eq!(
        folded["metadata"]["annotations"],
        json!({"user": "kept", "tenbin/cluster": "tokyo osaka nagoya"})
    );
}

#[test]
fn without_home_the_highest_epoch_leads_and_replicas_are_the_sum() {
    let mut copies = fleet().split_off(1);
    copies[1].object["metadata"]["annotations"]["tenbin/epoch"] = json!("2");
    let folded = fold(copies);
    assert_eq!(folded["metadata"]["uid"], "uid-nagoya");
    assert_eq!(folded["spec"]["replicas"], 5);
    assert_eq!(folded["metadata"]["annotations"]["tenbin/cluster"], "osaka:3 nagoya:2");
}

#[test]
fn a_member_that_lags_keeps_the_fold_from_being_observed() {
    let mut copies = fleet();
    copies[2].object["status"]["observedGeneration"] = json!(3);
    assert_eq!(fold(copies)["status"]["observedGeneration"], 3);
    let mut copies = fleet();
    copies[0].object["metadata"]["generation"] = json!(1);
    assert_eq!(fold(copies)["status"].get("observedGeneration"), None);
}

#[test]
fn the_worst_condition_of_the_members_with_a_share_is_shown() {
    let mut copies = fleet();
    let condition = |copy: &mut Copy, index: usize, key: &str, value: &str| {
        copy.object["status"]["conditions"][index][key] = json!(value);
    };
    condition(&mut copies[1], 0, "status", "False");
    condition(&mut copies[1], 0, "message", "too few");
    condition(&mut copies[2], 1, "reason", "ReplicaSetUpdated");
    let conditions = fold(copies.clone())["status"]["conditions"].clone();
    assert_eq!(conditions[0]["status"], "False");
    assert_eq!(conditions[0]["message"], "osaka: too few");
    assert_eq!(conditions[1]["reason"], "ReplicaSetUpdated");

    copies[0].object["metadata"]["annotations"]["tenbin/shares"] = json!("tokyo:10");
    assert_eq!(fold(copies)["status"]["conditions"][0]["status"], "True");
}

#[test]
fn a_failure_of_one_member_is_worse_than_its_absence_in_others() {
    let mut copies = fleet();
    let failure = json!([{"type": "ReplicaFailure", "status": "True"}]);
    copies[1].object["status"]["conditions"] = failure;
    let folded = fold(copies);
    let conditions = folded["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 3);
    assert_eq!(conditions[2]["type"], "ReplicaFailure");
}

#[test]
fn revisions_are_equal_exactly_when_they_are_in_each_member_with_a_share() {
    let mut copies = fleet();
    copies[2].object["status"]["updateRevision"] = json!("web-nagoya-2");
    let folded = fold(copies.clone());
    assert_eq!(folded["status"]["currentRevision"], "web-nagoya-1");
    assert_eq!(folded["status"]["updateRevision"], "web-nagoya-2");
    copies[0].object["metadata"]["annotations"]["tenbin/shares"] = json!("tokyo:5,osaka:5");
    let folded = fold(copies);
    assert_eq!(folded["status"]["currentRevision"], folded["status"]["updateRevision"]);
}

#[test]
fn ordinals_are_the_users_own_whoever_leads() {
    let with_start = |member, start| {
        let mut copy = copy(member, 1);
        copy.object["spec"]["ordinals"] = json!({"start": start});
        copy
    };
    let folded = fold(vec![with_start("tokyo", 3), with_start("osaka", 20_003)]);
    assert_eq!(folded["spec"]["ordinals"]["start"], 3);
    let folded = fold(vec![with_start("osaka", 20_003)]);
    assert_eq!(folded["spec"]["ordinals"]["start"], 3);
    assert_eq!(fold(vec![with_start("nagoya", 30_000)])["spec"].get("ordinals"), None);
}

#[test]
fn metadata_alone_is_folded_without_inventing_a_spec() {
    let mut copies = fleet();
    for copy in &mut copies {
        copy.object.as_object_mut().unwrap().retain(|key, _| key == "metadata");
    }
    let folded = fold(copies);
    assert_eq!(folded.as_object().unwrap().len(), 1);
    assert_eq!(folded["metadata"]["annotations"]["tenbin/cluster"], "tokyo:5 osaka:3 nagoya:2");
}

#[test]
fn a_scale_has_the_total_and_the_sum_of_what_runs() {
    let scale = |member: &str, replicas: i64| Copy {
        member: name(member),
        object: json!({
            "metadata": {"name": "web", "uid": member, "resourceVersion": "7"},
            "spec": {"replicas": replicas},
            "status": {"replicas": replicas, "selector": "app=web"},
        }),
    };
    let scales = || vec![scale("osaka", 3), scale("tokyo", 4)];
    let folded = fold_scale(&name("tokyo"), Some(10), scales(), &space()).unwrap();
    assert_eq!(folded["metadata"]["uid"], "tokyo");
    assert_eq!(folded["spec"], json!({"replicas": 10}));
    assert_eq!(folded["status"], json!({"replicas": 7, "selector": "app=web"}));
    let folded = fold_scale(&name("tokyo"), None, scales(), &space()).unwrap();
    assert_eq!(folded["spec"]["replicas"], 7);
    assert_eq!(fold_scale(&name("tokyo"), None, vec![], &space()), None);
}

#[test]
fn a_table_of_a_scale_has_the_counts_of_all() {
    let folded = json!({"kind": "Scale", "spec": {"replicas": 10}, "status": {"replicas": 7}});
    let table = |cells: Value| {
        let columns = ["Name", "Desired", "Available", "Age"].map(|name| json!({"name": name}));
        json!({"kind": "Table", "columnDefinitions": columns, "rows": [{"cells": cells}]})
    };
    let of_home = table(json!(["web", 5, 5, "2d"]));
    let of_all = table(json!(["web", 10, 7, "2d"]));
    assert_eq!(scale_table(of_home, folded.clone()), of_all);
    let scale = json!({"kind": "Scale", "spec": {"replicas": 5}});
    assert_eq!(scale_table(scale, folded.clone()), folded);
}

#[test]
fn a_row_adds_up_counts_and_keeps_the_rest_of_homes() {
    let row = |copy: Copy, cells: Value| Copy {
        member: copy.member,
        object: json!({"cells": cells, "object": copy.object}),
    };
    let rows = || {
        vec![
            row(copy("osaka", 3), json!(["web", "2/3", 3, null, "1d", "nginx/1"])),
            row(copy("tokyo", 5), json!(["web", "5/5", 5, 4, "2d", "nginx/1"])),
        ]
    };
    let folded = fold_row(FoldClass::Split, rows(), &space()).unwrap();
    assert_eq!(
        folded["cells"],
        json!(["web", "7/10", 8, 4, "2d", "nginx/1", "tokyo:5 osaka:3 nagoya:2"])
    );
    assert_eq!(folded["object"]["metadata"]["uid"], "uid-tokyo");
    let folded = fold_row(FoldClass::Replicate, rows(), &space()).unwrap();
    assert_eq!(folded["cells"], json!(["web", "5/5", 5, 4, "2d", "nginx/1", "osaka tokyo"]));
}

/// Objects that are almost workloads, to be folded without a panic.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof!["tokyo|osaka|[0-9]{1,20}|[0-9]{1,3}/[0-9]{1,20}", "osaka:[0-9]{1,12}"]
            .prop_map(Value::from),
    ];
    let key = "metadata|annotations|resourceVersion|generation|spec|replicas|status|conditions|type|\
        observedGeneration|ordinals|start|object|cells|tenbin/home|tenbin/shares|tenbin/total";
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(key, inner, 0..6)
                .prop_map(|map| { Value::Object(map.into_iter().collect()) }),
        ]
    })
}

proptest! {
    #[test]
    fn what_runs_is_the_sum_of_what_runs_in_each(running in vec(0..1_000_i64, 3..=3)) {
        let copies: Vec<_> =
            NAMES.iter().zip(&running).map(|(member, replicas)| copy(member, *replicas)).collect();
        let sum: i64 = running.iter().sum();
        prop_assert_eq!(&fold(copies.clone())["status"]["replicas"], sum);
        let others = copies[1].clone();
        prop_assert_eq!(&fold(vec![others])["spec"]["replicas"], running[1]);
        let mut reversed = copies.clone();
        reversed.reverse();
        prop_assert_eq!(fold(copies), fold(reversed));
    }

    #[test]
    fn odd_objects_are_folded_or_refused(values in vec(any_value(), 0..4), split in any::<bool>()) {
        let class = if split { FoldClass::Split } else { FoldClass::Replicate };
        let copies: Vec<_> = NAMES
            .iter()
            .zip(values)
            .map(|(member, object)| Copy { member: name(member), object })
            .collect();
        drop(fold_object(class, copies.clone(), &space()));
        drop(fold_row(class, copies.clone(), &space()));
        drop(fold_scale(&name("tokyo"), None, copies, &space()));
    }
}
