//! A tenbin that plans, and an API server that is a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tenbin_fleet::health::Health;
use tenbin_fleet::registry::PeerSpec;
use tenbin_model::ids::ClusterName;
use tenbin_model::score::{Provenance, Sample, ScoreBoard};

use super::super::plan::{Memory, Write, writes};
use super::super::view::{Seen, View};
use super::super::world::{self, Known, World};
use super::super::{ClusterScoreSpec, Own};

pub(super) const INTERVAL: Duration = Duration::from_secs(30);
const MAX_AGE: Duration = Duration::from_mins(5);

/// What one tenbin knows, and what it wrote.
#[derive(Debug)]
pub(super) struct Tenbin {
    pub(super) own: Own,
    pub(super) members: BTreeMap<ClusterName, Known>,
    pub(super) refused: BTreeMap<ClusterName, String>,
    pub(super) board: ScoreBoard,
    memory: Memory,
}

/// An API server.
#[derive(Default)]
pub(super) struct Server {
    pub(super) view: View,
    version: u64,
}

pub(super) fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

pub(super) fn at(elapsed: Duration) -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap() + elapsed
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn object(endpoint: &str, owncluster: bool, region: &str) -> Seen {
    let spec = ClusterScoreSpec { endpoint: endpoint.into(), owncluster, region: region.into() };
    Seen { uid: "u".to_owned(), version: "0".to_owned(), spec, ..Seen::default() }
}

// === impl Tenbin ===

impl Tenbin {
    pub(super) fn named(text: &str) -> Self {
        let endpoint = "https://10.96.0.1:443".to_owned();
        let own = Own { name: name(text), endpoint, region: "kanto".to_owned() };
        let mut tenbin = Self {
            own,
            members: BTreeMap::new(),
            refused: BTreeMap::new(),
            board: ScoreBoard::default(),
            memory: Memory::default(),
        };
        tenbin.member(text, Some("kanto"), Health::Up);
        tenbin
    }

    pub(super) fn member(&mut self, text: &str, region: Option<&str>, health: Health) {
        let known = Known { region: region.map(str::to_owned), health: Arc::new(health) };
        self.members.insert(name(text), known);
    }

    pub(super) fn measured(&mut self, text: &str, watts: f64, at: Timestamp) {
        let (nodes, missing) = (Vec::new(), Vec::new());
        let sample = Sample { watts, provenance: Provenance::Peer, sampled_at: at, nodes, missing };
        self.board = self.board.with_sample(name(text), sample).unwrap();
    }

    pub(super) fn peers(&self, server: &Server) -> BTreeMap<ClusterName, PeerSpec> {
        world::peers([&server.view], &self.own, &BTreeMap::new())
    }

    /// What it would write, where it remembers that.
    pub(super) fn plan(
        &self,
        server: &Server,
        memory: &mut Memory,
        elapsed: Duration,
    ) -> Vec<Write> {
        let world = World {
            own: &self.own,
            members: &self.members,
            peers: &self.peers(server),
            refused: &self.refused,
            board: &self.board,
            now: at(elapsed),
            max_age: MAX_AGE,
        };
        writes(&server.view, &world, memory, elapsed, INTERVAL)
    }

    /// Writes what is due, and tells what that was.
    pub(super) fn look(&mut self, server: &mut Server, elapsed: Duration) -> Vec<Write> {
        let mut memory = std::mem::take(&mut self.memory);
        let writes = self.plan(server, &mut memory, elapsed);
        for write in &writes {
            server.apply(write);
            memory.wrote(write.clone(), elapsed);
        }
        self.memory = memory;
        writes
    }

    /// Looks until nothing is left to be written.
    pub(super) fn settle(&mut self, server: &mut Server, elapsed: Duration) {
        for _ in 0..3 {
            if self.look(server, elapsed).is_empty() {
                return;
            }
        }
        panic!("it never settles");
    }
}

// === impl Server ===

impl Server {
    pub(super) fn put(&mut self, name: &str, seen: Seen) {
        self.version += 1;
        let version = self.version.to_string();
        self.view.objects.insert(name.to_owned(), Seen { version, ..seen });
    }

    pub(super) fn get(&self, name: &str) -> &Seen {
        &self.view.objects[name]
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Seen)) {
        let mut seen = self.get(name).clone();
        edit(&mut seen);
        self.put(name, seen);
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Own { name, spec } => {
                let status = self.view.objects.get(name).and_then(|seen| seen.status.clone());
                let made = object("", true, "");
                self.put(name, Seen { managed: true, spec: spec.clone(), status, ..made });
            }
            Write::Spec { name, spec } => self.edit(name, |seen| {
                seen.spec.owncluster = spec.owncluster;
                seen.spec.region.clone_from(&spec.region);
            }),
            Write::Status(write) => {
                self.edit(&write.name, |seen| seen.status = Some(write.status.clone()));
            }
            Write::Remove { name, uid, version } => {
                assert_eq!((&self.get(name).uid, &self.get(name).version), (uid, version));
                self.view.objects.remove(name);
            }
        }
    }

    pub(super) fn condition(&self, name: &str, type_: &str) -> String {
        let status = self.get(name).status.as_ref().unwrap();
        let condition = status.conditions.iter().find(|it| it.type_ == type_).unwrap();
        format!("{} {}: {}", condition.status, condition.reason, condition.message)
    }
}
