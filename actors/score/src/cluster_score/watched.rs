//! The watches of the groups, and what they have shown.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::fut::wrap_stream;
use actix::{ActorStreamExt as _, AsyncContext as _, Context, SpawnHandle};
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, Error};
use serde_json::{Value, json};
use tenbin_fleet::member::Fleet;
use tenbin_fleet::registry::PeerSpec;
use tenbin_model::config;
use tenbin_model::ids::ClusterName;
use tracing::{info, warn};

use super::Own;
use super::keeper::Keeper;
use super::plan::{self, Memory, Write};
use super::resource::Group;
use super::view::View;
use super::world::{self, World};
use super::write::Writer;

/// Where the objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) own: Own,
    generation: u64,
    namespace: String,
    groups: &'static [Group],
}

/// The watches of one place.
pub(super) struct Watched {
    pub(super) place: Place,
    watches: BTreeMap<Group, Watch>,
}

/// A write, and who carries it out.
pub(super) struct Due {
    pub(super) group: Group,
    pub(super) writer: Writer,
    pub(super) write: Write,
}

struct Watch {
    view: View,
    memory: Memory,
    writer: Writer,
    /// Whether the CRD is not installed.
    missing: bool,
    /// Whether the watch failed the last time, to log a failure once.
    failing: bool,
    handle: SpawnHandle,
}

// === impl Place ===

impl Place {
    /// Where own and its objects are; `None` before the registry has spoken.
    pub(super) fn of(fleet: &Fleet, config: &config::Score) -> Option<Self> {
        Some(Self {
            own: Own::of(fleet)?,
            generation: fleet.own()?.generation,
            namespace: config.namespace.clone(),
            groups: Group::kept(config.original_group),
        })
    }
}

// === impl Watched ===

impl Watched {
    /// Begins to watch.
    pub(super) fn new(client: &Client, place: Place, context: &mut Context<Keeper>) -> Self {
        let watches = place.groups.iter().map(|group| {
            let writer = Writer::new(client, *group, &place.namespace, place.own.name.as_str());
            let handle = follow(*group, &writer, context);
            let (view, memory) = (View::default(), Memory::default());
            (*group, Watch { view, memory, writer, missing: false, failing: false, handle })
        });
        Self { watches: watches.collect(), place }
    }

    /// What must be cancelled to end the watches.
    pub(super) fn into_handles(self) -> impl Iterator<Item = SpawnHandle> {
        self.watches.into_values().map(|watch| watch.handle)
    }

    pub(super) fn told(&mut self, group: Group, event: watcher::Result<Event<DynamicObject>>) {
        if let Some(watch) = self.watches.get_mut(&group) {
            watch.told(group, event, self.place.own.name.as_str());
        }
    }

    /// Whether all objects have been seen: nobody may be taken to be gone before. Of a kind that is
    /// not installed there are none, but that alone says nothing.
    pub(super) fn is_complete(&self) -> bool {
        let mut watches = self.watches.values();
        watches.clone().all(|watch| watch.view.complete || watch.missing)
            && watches.any(|watch| watch.view.complete)
    }

    pub(super) fn peers(&self, fleet: &Fleet) -> BTreeMap<ClusterName, PeerSpec> {
        let views = self.watches.values().map(|watch| &watch.view);
        world::peers(views, &self.place.own, &fleet.regions)
    }

    /// The writes that are due in all groups.
    pub(super) fn due(
        &mut self,
        world: &World<'_>,
        elapsed: Duration,
        interval: Duration,
    ) -> Vec<Due> {
        let mut due = Vec::new();
        for (group, watch) in self.watches.iter_mut().filter(|(_, watch)| watch.view.complete) {
            let writes = plan::writes(&watch.view, world, &mut watch.memory, elapsed, interval);
            for write in writes {
                due.push(Due { group: *group, writer: watch.writer.clone(), write });
            }
        }
        due
    }

    pub(super) fn wrote(&mut self, group: Group, write: Write, at: Duration) {
        if let Some(watch) = self.watches.get_mut(&group) {
            watch.memory.wrote(write, at);
        }
    }

    /// What an operator may want to see.
    pub(super) fn state(&self) -> Value {
        let watches = self.watches.iter().map(|(group, watch)| {
            json!({
                "group": group.as_str(),
                "namespace": self.place.namespace,
                "objects": watch.view.objects.len(),
                "complete": watch.view.complete,
                "installed": !watch.missing,
                "failing": watch.failing,
            })
        });
        watches.collect()
    }
}

// === impl Watch ===

impl Watch {
    fn told(&mut self, group: Group, event: watcher::Result<Event<DynamicObject>>, own: &str) {
        let group = group.as_str();
        match event {
            Ok(event) => {
                // A list begins also where it will fail.
                if !matches!(event, Event::Init) && std::mem::replace(&mut self.failing, false) {
                    info!(group, "cluster scores are watched again");
                }
                self.missing &= matches!(event, Event::Init);
                self.view.apply(event, own);
            }
            Err(error) => {
                self.missing = is_missing(&error);
                if std::mem::replace(&mut self.failing, true) {
                    return;
                }
                if self.missing {
                    warn!(
                        group,
                        "cluster scores are not installed: kubectl apply what `tenbin crds` prints"
                    );
                } else {
                    warn!(group, %error, "cluster scores cannot be watched");
                }
            }
        }
    }
}

/// Watches a group, for as long as the actor lives and does not cancel it.
fn follow(group: Group, writer: &Writer, context: &mut Context<Keeper>) -> SpawnHandle {
    let events = watcher(writer.api(), watcher::Config::default()).default_backoff();
    let events = wrap_stream::<_, Keeper>(events);
    context.spawn(events.map(move |event, keeper, _| keeper.told(group, event)).finish())
}

/// Whether the API server does not know the kind.
fn is_missing(error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(Error::Api(status)) = error else { return false };
    status.is_not_found()
}
