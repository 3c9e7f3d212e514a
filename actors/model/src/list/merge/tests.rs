mod laws;

use std::num::NonZeroU64;

use serde_json::{Value, json};

use super::*;

const TYPED: &str = r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"VERSION"},"items":[ITEMS]}"#;
const CUSTOM: &str = r#"{"apiVersion":"a/v1","items":[ITEMS],"kind":"AList","metadata":{"continue":"","resourceVersion":"VERSION"}}"#;
const TABLE: &str = r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"VERSION"},"columnDefinitions":[COLUMNS],"rows":[ITEMS]}"#;

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn options() -> MergeOptions {
    let members = ["tokyo", "osaka", "nagoya"].map(name).to_vec();
    let space = Arc::new(VersionSpace::new(NonZeroU64::MIN, members.clone()).unwrap());
    MergeOptions {
        members,
        space,
        label_key: "tenbin".to_owned(),
        fold: None,
        one_key_once: true,
        show_state: false,
        include_object: IncludeObject::Metadata,
        page: None,
    }
}

fn document(frame: &str, version: u64, items: &str) -> String {
    frame.replace("VERSION", &version.to_string()).replace("ITEMS", items)
}

/// Merges whole answers, in chunks of the sizes given in turn; `None` is a member without answer.
fn merge_in(
    options: MergeOptions,
    answers: &[Option<String>],
    chunks: &[usize],
) -> Result<String, MergeError> {
    let mut merge = ListMerge::new(options);
    let mut rests: Vec<Option<&[u8]>> = Vec::new();
    for (index, answer) in answers.iter().enumerate() {
        rests.push(answer.as_ref().map(String::as_bytes));
        if answer.is_none() {
            merge.absent(index)?;
        }
    }
    let mut out = Vec::new();
    let mut sizes = chunks.iter().cycle();
    loop {
        while let Some(chunk) = merge.next_chunk()? {
            assert!(chunk.len() <= MAX_CHUNK_BYTES);
            out.extend_from_slice(&chunk);
        }
        if merge.finished() {
            return Ok(String::from_utf8(out).unwrap());
        }
        let mut moved = false;
        for (index, rest) in rests.iter_mut().enumerate() {
            let Some(bytes) = rest.filter(|_| merge.wants(index)) else {
                continue;
            };
            moved = true;
            let (chunk, tail) = bytes.split_at(bytes.len().min(*sizes.next().unwrap()));
            merge.push(index, chunk)?;
            *rest = Some(tail);
            if tail.is_empty() {
                merge.end(index)?;
                *rest = None;
            }
        }
        assert!(moved, "the merge wants nothing and gives nothing");
    }
}

fn merge(
    options: MergeOptions,
    answers: impl Into<Vec<Option<String>>>,
) -> Result<String, MergeError> {
    merge_in(options, &answers.into(), &[usize::MAX])
}

fn pod(name: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"a"}},"n":1.50}}"#)
}

#[test]
fn typed_lists_become_one_with_the_version_in_front() {
    let answers = [
        Some(document(TYPED, 11, &pod("x"))),
        Some(document(TYPED, 22, &format!("{},{}", pod("x"), pod("y")))),
        None,
    ];
    insta::assert_snapshot!(merge(options(), answers).unwrap(), @r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"100000000000000000011000000000000000000220000000000000000000000000000000000000000"},"items":[{"metadata":{"annotations":{"tenbin/cluster":"tokyo"},"name":"x","namespace":"a"},"n":1.50},{"metadata":{"annotations":{"tenbin/cluster":"osaka"},"name":"y","namespace":"a"},"n":1.50}]}"#);
}

#[test]
fn lists_of_custom_resources_have_the_version_behind() {
    let answers = [Some(document(TYPED, 1, "")), Some(document(CUSTOM, 2, &pod("y"))), None];
    insta::assert_snapshot!(merge(options(), answers).unwrap(), @r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"annotations":{"tenbin/cluster":"osaka"},"name":"y","namespace":"a"},"n":1.50}],"metadata":{"resourceVersion":"100000000000000000001000000000000000000020000000000000000000000000000000000000000"}}"#);
    let answers = [None, Some(document(CUSTOM, 2, "")), None];
    insta::assert_snapshot!(merge(options(), answers).unwrap(), @r#"{"apiVersion":"a/v1","items":[],"kind":"AList","metadata":{"resourceVersion":"100000000000000000000000000000000000000020000000000000000000000000000000000000000"}}"#);
}

#[test]
fn a_fleet_of_one_keeps_its_version_and_null_items_are_none() {
    let mut options = options();
    options.members.truncate(1);
    options.space = Arc::new(VersionSpace::new(NonZeroU64::MIN, options.members.clone()).unwrap());
    let answer = "{\n \"items\": null ,\n \"metadata\": {\"resourceVersion\":\"7\"}\n}\n";
    insta::assert_snapshot!(merge_in(options, &[Some(answer.to_owned())], &[3]).unwrap(), @r#"{"items":[],"metadata":{"resourceVersion":"7"}}"#);
}

#[test]
fn annotations_are_edited_and_nothing_else_is() {
    let items = [
        r#"{"apiVersion":"v1","x":[],"metadata":{"name":"a"}}"#,
        r#"{ "metadata" : { "name" : "b" , "annotations" : { "k" : "v" , "tenbin/cluster" : "forged", "l":"w" } } , "z" : 1e400 }"#,
        r#"{"metadata":{"name":"c","annotations":{"tenbin\/home":"x","tenbin/total":"3"}}}"#,
        r#"{"metadata":{"annotations":null,"name":"d"}}"#,
        r#"{"metadata":{}}"#,
        r#"{"metadata":null,"y":"\"}"}"#,
        r#"{"y":1}"#,
        "{}",
    ]
    .join(",");
    let merged = merge(options(), [Some(document(CUSTOM, 1, &items)), None, None]).unwrap();
    insta::assert_snapshot!(merged.replace("\"tenbin/cluster\":\"tokyo\"", "@"), @r#"{"apiVersion":"a/v1","items":[{"apiVersion":"v1","x":[],"metadata":{"annotations":{@},"name":"a"}},{ "metadata" : { "name" : "b" , "annotations" : {@, "k" : "v" , "l":"w" } } , "z" : 1e400 },{"metadata":{"name":"c","annotations":{@}}},{"metadata":{"annotations":{@},"name":"d"}},{"metadata":{"annotations":{@}}},{"metadata":{"annotations":{@}},"y":"\"}"},{"metadata":{"annotations":{@}},"y":1},{"metadata":{"annotations":{@}}}],"kind":"AList","metadata":{"resourceVersion":"100000000000000000001000000000000000000000000000000000000000000000000000000000000"}}"#);
}

#[test]
fn unfolded_copies_keep_their_state_and_come_each() {
    let copy = r#"{"metadata":{"name":"w","annotations":{"tenbin/home":"tokyo"}}}"#;
    let options = MergeOptions { one_key_once: false, show_state: true, ..options() };
    let answers = [Some(document(TYPED, 1, copy)), Some(document(TYPED, 2, copy)), None];
    let merged: Value = serde_json::from_str(&merge(options, answers).unwrap()).unwrap();
    let annotations = |index: usize| &merged["items"][index]["metadata"]["annotations"];
    assert_eq!(*annotations(0), json!({"tenbin/cluster": "tokyo", "tenbin/home": "tokyo"}));
    assert_eq!(*annotations(1), json!({"tenbin/cluster": "osaka", "tenbin/home": "tokyo"}));
}

fn column(name: &str) -> String {
    format!(r#"{{"name":"{name}","type":"string","priority":0}}"#)
}

fn table(columns: &[&str], version: u64, rows: &str) -> String {
    let columns: Vec<_> = columns.iter().map(|name| column(name)).collect();
    document(TABLE, version, rows).replace("COLUMNS", &columns.join(","))
}

#[test]
fn columns_are_aligned_by_name_and_the_cluster_comes_last() {
    let options = || MergeOptions { one_key_once: false, ..options() };
    let answers = || {
        [
            Some(table(
                &["Name", "Age"],
                1,
                r#"{"cells":["x", "1d"],"object":{"metadata":{"name":"x"}}}"#,
            )),
            Some(table(
                &["Age", "New", "Name"],
                2,
                r#"{"cells":["2d",7,"x"],"conditions":[],"object":{"metadata":{"name":"x"}}}"#,
            )),
            Some(table(&["Name"], 3, r#"{"cells":["z"],"object":null}"#)),
        ]
    };
    let merged: Value = serde_json::from_str(&merge(options(), answers()).unwrap()).unwrap();
    let names: Vec<_> = merged["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Name", "Age", "New", "Cluster"]);
    assert_eq!(merged["rows"][0]["cells"], json!(["x", "1d", null, "tokyo"]));
    assert_eq!(merged["rows"][1]["cells"], json!(["x", "2d", 7, "osaka"]));
    assert_eq!(merged["rows"][1]["conditions"], json!([]));
    assert_eq!(
        merged["rows"][1]["object"]["metadata"],
        json!({"annotations": {"tenbin/cluster": "osaka"}, "name": "x"})
    );
    assert_eq!(merged["rows"][2], json!({"cells": ["z", null, null, "nagoya"], "object": null}));

    let bare = MergeOptions { include_object: IncludeObject::None, ..options() };
    let merged: Value = serde_json::from_str(&merge(bare, answers()).unwrap()).unwrap();
    assert_eq!(merged["rows"][0], json!({"cells": ["x", "1d", null, "tokyo"], "object": null}));
}

#[test]
fn a_table_among_lists_is_an_error_that_names_its_member() {
    let answers = [Some(document(TYPED, 1, "")), None, Some(table(&["Name"], 1, ""))];
    assert_eq!(merge(options(), answers), Err(MergeError::MixedShapes(name("nagoya"))));
}

#[test]
fn a_list_that_ends_half_way_is_never_ended_as_if_whole() {
    let whole = document(TYPED, 1, &pod("x"));
    for end in 0..whole.len() {
        let answers = [Some(whole[..end].to_owned()), Some(document(TYPED, 2, "")), None];
        let error = merge_in(options(), &answers, &[usize::MAX]).unwrap_err();
        assert_eq!(error, MergeError::Scan { member: name("tokyo"), source: ScanError::Truncated });
    }
}

#[test]
fn a_page_and_a_silent_fleet_are_errors() {
    let page = r#"{"metadata":{"continue":"t"},"items":[]}"#.to_owned();
    let answers = [None, Some(page), None];
    assert_eq!(merge(options(), answers), Err(MergeError::Paged(name("osaka"))));
    assert_eq!(merge(options(), [None, None, None]), Err(MergeError::NobodyAnswers));
}

#[test]
fn a_member_lost_half_way_spoils_the_answer_and_one_that_waits_does_not_fill_the_memory() {
    let mut merge = ListMerge::new(options());
    merge.absent(2).unwrap();
    merge.push(0, document(TYPED, 1, "").split_at(70).0.as_bytes()).unwrap();
    let head = document(TYPED, 1, &pod("x"));
    merge.push(1, head.as_bytes()).unwrap();
    assert_eq!(merge.next_chunk(), Ok(None));
    assert!(merge.wants(1) && !merge.wants(2));
    merge.push(0, &document(TYPED, 1, "").as_bytes()[70..]).unwrap();
    assert!(merge.next_chunk().is_ok());
    let error = MergeError::LostHalfWay(name("osaka"));
    assert_eq!(merge.absent(1), Err(error.clone()));
    assert_eq!(merge.next_chunk(), Err(error));
    assert!(!merge.finished());
}

#[test]
fn a_waiting_member_is_held_at_one_mebibyte_and_a_large_item_is_not() {
    let large = pod("x").replace("1.50", &format!("\"{}\"", "y".repeat(3 * BUFFER_BYTES)));
    let head = document(TYPED, 1, &large);
    let mut merge = ListMerge::new(options());
    merge.absent(2).unwrap();
    merge.push(0, &head.as_bytes()[..2 * BUFFER_BYTES]).unwrap();
    merge.push(1, &head.as_bytes()[..2 * BUFFER_BYTES]).unwrap();
    assert_eq!(merge.next_chunk(), Ok(None));
    assert!(merge.wants(0), "an item that is not whole yet must be read on");
    assert!(!merge.wants(1));
    merge.read_ahead(3 * BUFFER_BYTES);
    assert!(merge.wants(1), "now it may be ahead");
    merge.read_ahead(0);
    assert!(!merge.wants(1));
}

fn workload(member: &str, replicas: i64, ready: i64) -> String {
    let home = member == "tokyo";
    let mut annotations = json!({"tenbin/home": "tokyo", "mine": "yes"});
    if home {
        annotations["tenbin/total"] = json!("10");
        annotations["tenbin/shares"] = json!("tokyo:5,osaka:3,nagoya:2");
    } else {
        annotations["tenbin/home-uid"] = json!("uid-tokyo");
    }
    json!({
        "metadata": {
            "name": "web", "namespace": "a", "uid": format!("uid-{member}"),
            "resourceVersion": "7", "generation": 2,
            "labels": {"tenbin": "x"}, "annotations": annotations,
        },
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2, "replicas": replicas, "readyReplicas": ready},
    })
    .to_string()
}

fn folding() -> MergeOptions {
    MergeOptions { fold: Some(FoldClass::Split), ..options() }
}

#[test]
fn a_managed_workload_is_shown_once_behind_the_others() {
    let answers = [
        Some(document(TYPED, 1, &format!("{},{}", workload("tokyo", 5, 5), pod("other")))),
        Some(document(TYPED, 2, &workload("osaka", 3, 2))),
        Some(document(TYPED, 3, &pod("web"))),
    ];
    let merged: Value = serde_json::from_str(&merge(folding(), answers).unwrap()).unwrap();
    let items = merged["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "the namesake in nagoya comes later than the managed one");
    assert_eq!(items[0]["metadata"]["name"], "other");
    assert_eq!(items[1]["spec"]["replicas"], 10);
    assert_eq!(items[1]["status"]["readyReplicas"], 7);
    assert_eq!(items[1]["metadata"]["uid"], "uid-tokyo");
    assert_eq!(
        items[1]["metadata"]["annotations"],
        json!({"mine": "yes", "tenbin/cluster": "tokyo:5 osaka:3 nagoya:2"})
    );
}

#[test]
fn a_copy_that_belongs_to_no_home_is_an_object_of_its_member() {
    let forged = workload("osaka", 3, 3).replace("uid-tokyo", "forged");
    let answers = || [Some(document(TYPED, 1, "")), Some(document(TYPED, 2, &forged)), None];
    let merged: Value = serde_json::from_str(&merge(folding(), answers()).unwrap()).unwrap();
    assert_eq!(merged["items"][0]["spec"]["replicas"], 3);
    assert_eq!(
        merged["items"][0]["metadata"]["annotations"],
        json!({"mine": "yes", "tenbin/cluster": "osaka"})
    );
}

#[test]
fn a_row_of_a_managed_workload_counts_shares_of_silent_members() {
    let row = |member, replicas, ready, cells: &str| {
        let object = workload(member, replicas, ready);
        format!(r#"{{"cells":{cells},"object":{object}}}"#)
    };
    let options = MergeOptions { one_key_once: false, ..folding() };
    let answers = [
        Some(table(&["Name", "Ready", "Up"], 1, &row("tokyo", 5, 5, r#"["web","5/5",5]"#))),
        Some(table(&["Ready", "Name", "Up"], 1, &row("osaka", 3, 2, r#"["2/3","web",3]"#))),
        None,
    ];
    let merged: Value = serde_json::from_str(&merge(options, answers).unwrap()).unwrap();
    assert_eq!(merged["rows"][0]["cells"], json!(["web", "7/10", 8, "tokyo:5 osaka:3 nagoya:2"]));
    assert_eq!(merged["rows"].as_array().unwrap().len(), 1);
}
