//! CPU time of a merged watch, per event: `cargo bench -p tenbin-model --bench watch_merge`.

#![expect(clippy::expect_used, reason = "a bench that fails may stop")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::list::IncludeObject;
use tenbin_model::resource_version::VersionSpace;
use tenbin_model::watch::{Fetched, Next, Start, WatchMerge, WatchOptions};

const MEMBERS: u64 = 3;
const ITEMS: u64 = 1_000;
const EVENTS: u64 = 10_000;

#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
fn main() {
    for (name, managed, start) in [
        ("pods, listed by the watch", false, Start::Fresh),
        ("pods, resumed", false, Start::At(1)),
        ("folded workloads", true, Start::Fresh),
    ] {
        let lines: Vec<_> = (0..EVENTS).map(|event| line(event, managed)).collect();
        let bytes: usize = lines.iter().map(String::len).sum::<usize>() / lines.len();
        let best = (0..5).map(|_| seconds(&lines, managed, start)).fold(f64::INFINITY, f64::min);
        println!("{name}: events of {bytes} bytes, {:.1} us each", best * 1e6 / 10_000.0);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn seconds(lines: &[String], managed: bool, start: Start) -> f64 {
    let mut merge = merge(managed, start);
    for member in 0..MEMBERS {
        let index = usize::try_from(member).expect("a number");
        if merge.next(index) == Next::List {
            merge.opened(index, Next::List);
            merge.push(index, list(member, managed).as_bytes());
            merge.ended(index);
            while merge.next_chunk().expect("a list").is_some() {}
        }
        let next = merge.next(index);
        merge.opened(index, next);
    }
    let began = Instant::now();
    let mut written = 0;
    for (event, line) in lines.iter().enumerate() {
        merge.push(event % 3, line.as_bytes());
        written += drain(&mut merge);
    }
    assert!(written > lines.len());
    began.elapsed().as_secs_f64()
}

/// Takes what there is to write; nobody has what is looked up.
fn drain(merge: &mut WatchMerge) -> usize {
    let mut written = 0;
    loop {
        while let Some(chunk) = merge.next_chunk().expect("events") {
            written += chunk.len();
        }
        let fetches = merge.fetches();
        if fetches.is_empty() {
            return written;
        }
        for fetch in fetches {
            merge.fetched(&fetch, Fetched::Nothing).expect("an answer");
        }
    }
}

fn merge(managed: bool, start: Start) -> WatchMerge {
    let name = |index| ClusterName::new(&format!("m{index}")).expect("a name");
    let members: Vec<_> = (0..MEMBERS).map(name).collect();
    let space = VersionSpace::new(NonZeroU64::MIN, members.clone()).expect("a space");
    let options = WatchOptions {
        space: Arc::new(space),
        label_key: "tenbin".to_owned(),
        fold: managed.then_some(FoldClass::Split),
        one_key_once: true,
        show_state: false,
        include_object: IncludeObject::Metadata,
        bookmarks: true,
        tell_initial_end: false,
    };
    WatchMerge::new(options, members.into_iter().map(|name| (name, start)))
}

/// Each member's objects change in turn.
fn line(event: u64, managed: bool) -> String {
    let (member, number) = (event % MEMBERS, event / MEMBERS % ITEMS);
    let object = object(member, number, 10_000 + event, managed);
    format!("{}\n", json!({"type": "MODIFIED", "object": object}))
}

fn list(member: u64, managed: bool) -> String {
    let items: Vec<_> =
        (0..ITEMS).map(|number| object(member, number, 10 + number, managed)).collect();
    let metadata = json!({"resourceVersion": "9000"});
    json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}).to_string()
}

/// Managed objects have a copy in each member, home in the first.
fn object(member: u64, number: u64, version: u64, managed: bool) -> Value {
    let uid = |member| format!("00000000-0000-0000-{member:04}-{number:012}");
    let annotations = match (managed, member) {
        (false, _) => json!({"checksum/config": "0123456789abcdef"}),
        (true, 0) => json!({"tenbin/home": "m0", "tenbin/epoch": "1", "tenbin/total": "12"}),
        (true, _) => json!({"tenbin/home": "m0", "tenbin/epoch": "1", "tenbin/home-uid": uid(0)}),
    };
    let name = if managed { format!("web-{number}") } else { format!("web-{member}-{number}") };
    let environment: Vec<_> =
        (0..20).map(|n| json!({"name": format!("VAR_{n}"), "value": "some value"})).collect();
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": "default", "uid": uid(member),
            "resourceVersion": version.to_string(),
            "labels": if managed { json!({"tenbin": "split", "app": "web"}) } else { json!({"app": "web"}) },
            "annotations": annotations,
        },
        "spec": {"replicas": 4, "containers": [{"name": "c", "image": "i", "env": environment}]},
        "status": {"phase": "Running", "readyReplicas": 4, "replicas": 4},
    })
}
