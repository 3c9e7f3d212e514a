//! Members with objects, logs and compactions, and a client that keeps a store.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fold::FoldClass;
use crate::ids::ClusterName;
use crate::list::{IncludeObject, ListMerge, MergeOptions};
use crate::resource_version::{ResourceVersion, VersionSpace};
use crate::watch::{Fetch, Fetched, Next, Start, WatchError, WatchMerge, WatchOptions};

pub(super) const NAMES: [&str; 3] = ["tokyo", "osaka", "nagoya"];

#[derive(Default)]
pub(super) struct Member {
    pub(super) objects: BTreeMap<String, Value>,
    log: Vec<(u64, String)>,
    pub(super) version: u64,
    compacted: u64,
    uids: u64,
}

enum Link {
    Off,
    List(Vec<u8>),
    Watch(u64),
}

pub(super) struct World {
    pub(super) members: Vec<Member>,
    /// Whether the last of them is a member at present.
    pub(super) guest: bool,
    pub(super) fold: Option<FoldClass>,
    space: Arc<VersionSpace>,
}

/// What a member says to a question.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    List,
    Silent,
    Away,
}

/// A client with its watch.
pub(super) struct Client {
    pub(super) store: HashMap<String, Value>,
    /// Each event: its type, and the name.
    pub(super) events: Vec<(String, String)>,
    pub(super) relists: usize,
    seen: String,
    merge: WatchMerge,
    links: Vec<Link>,
    /// What was asked for, with the answer of that moment.
    asked: Vec<(Fetch, Vec<u8>)>,
    /// Whether it was told of deletions while a member was away.
    pub(super) misses: bool,
    /// Whether members have come and gone.
    joined: bool,
    /// What the present watch has told, as it is.
    told: HashMap<String, Value>,
}

fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

// === impl Member ===

impl Member {
    pub(super) fn put(&mut self, name: &str, annotations: &Value) -> String {
        self.version += 7;
        self.uids += 1;
        let known = self.objects.get(name);
        let kind = if known.is_some() { "MODIFIED" } else { "ADDED" };
        let uid = match known {
            Some(known) => known["metadata"]["uid"].as_str().unwrap().to_owned(),
            None => format!("uid-{}-{}", self.version, self.uids),
        };
        let object = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": name, "uid": uid, "resourceVersion": self.version.to_string(),
                "labels": if annotations.is_null() { Value::Null } else { json!({"tenbin": "x"}) },
                "annotations": annotations,
            },
            "content": self.version,
        });
        self.say(kind, &object);
        self.objects.insert(name.to_owned(), object);
        uid
    }

    pub(super) fn delete(&mut self, name: &str) {
        let Some(mut object) = self.objects.remove(name) else { return };
        self.version += 7;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.say("DELETED", &object);
    }

    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
    }

    fn say(&mut self, kind: &str, object: &Value) {
        let line = json!({"type": kind, "object": object});
        self.log.push((self.version, format!("{line}\n")));
    }

    fn list(&self, name: Option<&str>) -> Vec<u8> {
        let items = self.objects.iter().filter(|(known, _)| name.is_none_or(|it| it == *known));
        let bare = |object: &Value| {
            let mut object = object.clone();
            object.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
            object
        };
        let items: Vec<_> = items.map(|(_, object)| bare(object)).collect();
        let version = self.version.to_string();
        json!({"kind": "PodList", "apiVersion": "v1",
               "metadata": {"resourceVersion": version}, "items": items})
        .to_string()
        .into_bytes()
    }
}

// === impl World ===

impl World {
    pub(super) fn new(fold: Option<FoldClass>) -> Self {
        let member = |version| Member { version, ..Member::default() };
        let slots = NAMES.map(cluster).to_vec();
        let space = Arc::new(VersionSpace::new(NonZeroU64::MIN, slots).unwrap());
        let members = vec![member(100), member(5000), member(30)];
        Self { members, guest: true, fold, space }
    }

    /// The members' names in the order of the fleet.
    fn fleet(&self) -> Vec<ClusterName> {
        let present = if self.guest { &NAMES[..] } else { &NAMES[..2] };
        present.iter().copied().map(cluster).collect()
    }

    /// What a list shows: the name, and what it is.
    pub(super) fn truth(&self) -> (HashMap<String, Value>, String) {
        let mut merge = ListMerge::new(MergeOptions {
            members: self.fleet(),
            space: Arc::clone(&self.space),
            label_key: "tenbin".to_owned(),
            fold: self.fold,
            one_key_once: true,
            show_state: false,
            include_object: IncludeObject::Metadata,
            page: None,
        });
        let present = self.fleet().len();
        for (index, member) in self.members.iter().take(present).enumerate() {
            merge.push(index, &member.list(None)).unwrap();
            merge.end(index).unwrap();
        }
        let mut list = Vec::new();
        while let Some(chunk) = merge.next_chunk().unwrap() {
            list.extend_from_slice(&chunk);
        }
        let list: Value = serde_json::from_slice(&list).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        let store = items.map(|item| (name(item), essence(item))).collect();
        (store, list["metadata"]["resourceVersion"].as_str().unwrap().to_owned())
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// What a client has to know right: who it is, where it is, and its content.
fn essence(object: &Value) -> Value {
    json!([
        object["metadata"]["uid"],
        object["metadata"]["annotations"]["tenbin/cluster"],
        object["content"],
    ])
}

// === impl Client ===

impl Client {
    /// A client whose watch sends all that exists.
    pub(super) fn fresh(world: &World) -> Self {
        Self::new(world, HashMap::new(), &[Start::Fresh; 3])
    }

    /// A client that has listed.
    pub(super) fn listed(world: &World) -> Self {
        let (store, version) = world.truth();
        let mut client = Self::new(world, store, &starts(&version));
        client.seen = version;
        client
    }

    fn new(world: &World, store: HashMap<String, Value>, starts: &[Start]) -> Self {
        Self {
            store,
            events: Vec::new(),
            relists: 0,
            seen: String::new(),
            merge: merge(world, starts),
            links: NAMES.iter().map(|_| Link::Off).collect(),
            asked: Vec::new(),
            misses: false,
            joined: false,
            told: HashMap::new(),
        }
    }

    /// Comes back with the last version that it saw.
    pub(super) fn resume(&mut self, world: &World) {
        if self.seen.is_empty() {
            return;
        }
        let seen = starts(&self.seen.clone());
        if !world.guest && seen[2] != Start::Fresh {
            // Who has seen a member that has left since, lists.
            return self.relist(world);
        }
        self.merge = merge(world, &seen);
        self.links.iter_mut().for_each(|link| *link = Link::Off);
        self.asked.clear();
        self.misses = false;
        self.told.clear();
    }

    /// Takes the fleet as it is now.
    pub(super) fn reorder(&mut self, world: &World) {
        self.joined = true;
        if self.merge.reorder(&world.fleet(), Arc::clone(&world.space)).is_err() {
            return self.relist(world);
        }
        if !world.guest {
            self.links[2] = Link::Off;
        }
        self.take(world);
    }

    /// Lets those be asked again who could not answer.
    pub(super) fn retry(&mut self, world: &World) -> bool {
        let owing: Vec<_> = (0..NAMES.len()).filter(|member| self.merge.owes(*member)).collect();
        for member in &owing {
            self.merge.retry(*member);
        }
        self.take(world);
        self.misses &= !owing.is_empty();
        !owing.is_empty()
    }

    /// Lists again, as a client does that is told 410.
    fn relist(&mut self, world: &World) {
        let (store, version) = world.truth();
        self.store = store;
        self.seen = version;
        self.relists += 1;
        self.resume(world);
    }

    pub(super) fn cut(&mut self, world: &World, member: usize) {
        self.links[member] = Link::Off;
        self.merge.ended(member);
        self.take(world);
    }

    /// Moves some bytes of one member; false where there is nothing to move.
    pub(super) fn read(&mut self, world: &World, member: usize, bytes: usize) -> bool {
        let moved = self.step(world, member, bytes);
        self.take(world) | moved
    }

    /// Answers the oldest question about one name.
    pub(super) fn answer(&mut self, world: &World, answer: Answer) -> bool {
        if self.asked.is_empty() {
            return false;
        }
        let (fetch, list) = self.asked.remove(0);
        let answer = match answer {
            Answer::List => Fetched::List(list.into()),
            Answer::Silent => Fetched::Silent,
            Answer::Away => {
                self.misses = true;
                Fetched::Away
            }
        };
        if self.merge.fetched(&fetch, answer).is_err() {
            self.relist(world);
        }
        self.take(world);
        true
    }

    fn step(&mut self, world: &World, member: usize, bytes: usize) -> bool {
        let from = &world.members[member];
        if let Link::Off = self.links[member] {
            let next = self.merge.next(member);
            self.links[member] = match next {
                Next::Nothing => return false,
                Next::List | Next::Version => Link::List(from.list(None)),
                Next::Watch(version) if version < from.compacted => {
                    if self.merge.expired(member).is_err() {
                        self.relist(world);
                    }
                    return true;
                }
                Next::Watch(version) => Link::Watch(version),
            };
            self.merge.opened(member, next);
            return true;
        }
        if !self.merge.wants(member) {
            return false;
        }
        match &mut self.links[member] {
            Link::Off => false,
            Link::List(rest) => {
                let tail = rest.split_off(rest.len().min(bytes));
                self.merge.push(member, rest);
                *rest = tail;
                if rest.is_empty() {
                    self.cut(world, member);
                }
                true
            }
            Link::Watch(at) => {
                let next = from.log.iter().find(|(version, _)| version > at);
                let Some((version, line)) = next else {
                    if from.version > *at && bytes.is_multiple_of(2) {
                        let line = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1",
                            "metadata": {"resourceVersion": from.version.to_string()}}});
                        *at = from.version;
                        self.merge.push(member, format!("{line}\n").as_bytes());
                        return true;
                    }
                    return false;
                };
                *at = *version;
                let (one, other) = line.as_bytes().split_at(line.len().min(bytes));
                self.merge.push(member, one);
                self.merge.push(member, other);
                true
            }
        }
    }

    fn take(&mut self, world: &World) -> bool {
        let mut moved = false;
        loop {
            match self.merge.next_chunk() {
                Ok(Some(chunk)) => {
                    for line in chunk.split(|byte| *byte == b'\n').filter(|it| !it.is_empty()) {
                        self.event(&serde_json::from_slice(line).unwrap());
                    }
                    moved = true;
                }
                Ok(None) => break,
                Err(WatchError::Expired(_) | WatchError::Left(_)) => {
                    self.relist(world);
                    return true;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let fetches = self.merge.fetches();
        moved |= !fetches.is_empty();
        let answer = |fetch: Fetch| {
            let list = world.members[fetch.asked].list(Some(&fetch.name));
            (fetch, list)
        };
        self.asked.extend(fetches.into_iter().map(answer));
        moved
    }

    fn event(&mut self, event: &Value) {
        let (kind, object) = (event["type"].as_str().unwrap(), &event["object"]);
        let seen = object["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        if !self.seen.is_empty() {
            // Only the guest comes and goes.
            for (was, is) in starts(&self.seen).into_iter().zip(starts(&seen)).take(2) {
                let back = matches!((was, is), (Start::At(was), Start::At(is)) if is < was);
                assert!(!back, "back from {} to {seen}", self.seen);
            }
        }
        self.seen = seen;
        if kind == "BOOKMARK" {
            self.events.push((kind.to_owned(), String::new()));
            return;
        }
        assert_eq!(object["kind"], "Pod", "{event}");
        if kind == "DELETED" {
            self.store.remove(&name(object));
            self.told.remove(&name(object));
        } else {
            let told = self.told.insert(name(object), essence(object));
            let managed = object["metadata"]["labels"].is_object();
            // A copy that was looked up when its member had just joined may come again.
            let again = managed || self.joined;
            assert!(again || told != Some(essence(object)), "told twice: {event}");
            self.store.insert(name(object), essence(object));
        }
        self.events.push((kind.to_owned(), name(object)));
    }
}

fn starts(version: &str) -> Vec<Start> {
    let ResourceVersion::Composite(composite) = ResourceVersion::parse(version).unwrap() else {
        panic!("{version} is not composite");
    };
    (0..NAMES.len())
        .map(|slot| match composite.component(slot) {
            Some(0) | None => Start::Fresh,
            Some(version) => Start::At(version),
        })
        .collect()
}

fn merge(world: &World, starts: &[Start]) -> WatchMerge {
    let options = WatchOptions {
        space: Arc::clone(&world.space),
        label_key: "tenbin".to_owned(),
        fold: world.fold,
        one_key_once: true,
        show_state: false,
        include_object: IncludeObject::Metadata,
        bookmarks: true,
        tell_initial_end: true,
    };
    WatchMerge::new(options, world.fleet().into_iter().zip(starts.iter().copied()))
}
