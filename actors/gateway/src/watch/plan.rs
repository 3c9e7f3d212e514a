//! What a watch request comes to, before any member is asked.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tenbin_fleet::member::{Fleet, Member};
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::list::IncludeObject;
use tenbin_model::request::accept::{Accepted, AnswerForm};
use tenbin_model::request::kinds::WriteClass;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::request::query::Query;
use tenbin_model::request::selector::{MemberFilter, member_filter, narrowed_to, node_name};
use tenbin_model::resource_version::ResourceVersion;
use tenbin_model::status::{Reason, Status};
use tenbin_model::watch::{Fetch, Next, Start, WatchOptions};

use crate::asked::{Asked, target};
use crate::involved::Involved;
use crate::spare::Spare;
use crate::{find, serving};

/// The shortest time after which a watch without a limit ends, as an API server has it.
const SHORTEST: Duration = Duration::from_mins(30);
/// The longest time that a client can ask for.
const LONGEST: Duration = Duration::from_hours(24);

/// What is asked of the members, and what the answer looks like.
pub(crate) struct Plan {
    collection: Collection,
    /// What all members are asked for: selectors, and what rows carry.
    query: Query,
    accepted: Accepted,
    filter: MemberFilter,
    /// The one member whose node the pods are asked for.
    holder: Option<Arc<Member>>,
    version: ResourceVersion,
    /// Whether what exists is of no interest.
    from_now: bool,
    fold: Option<FoldClass>,
    include_object: IncludeObject,
    bookmarks: bool,
    initial_end: bool,
    pub(crate) spare: Spare,
    /// After what time the watch ends.
    pub(crate) limit: Duration,
}

/// Whether the watch is to begin at one member's own version, in a fleet of several.
pub(crate) fn is_bare(asked: &Asked) -> Result<bool, Status> {
    let version = version(&asked.parsed_query()?)?;
    Ok(matches!(version, ResourceVersion::Bare(_)) && asked.table.fleet.space.slots().len() > 1)
}

// === impl Plan ===

impl Plan {
    pub(crate) fn new(
        asked: &Asked,
        collection: Collection,
        name: Option<&str>,
        class: WriteClass,
    ) -> Result<Self, Status> {
        let mut query = asked.parsed_query()?;
        let filter = member_filter(&mut query)?;
        let (accepted, include_object) = asked.form(&mut query)?;
        let initial = initial_events(&query)?;
        let version = version(&query)?;
        let bookmarks = query.is_set("allowWatchBookmarks");
        let limit = limit(asked, &query)?;
        for key in OURS {
            drop(query.take(key));
        }
        // For curl, wget and browsers lists come in many lines else, and an event is one.
        query.set("pretty", "false");
        if let (Some(name), None) = (name, query.field_selector()) {
            // The deprecated prefix has the name in its path.
            query.set("fieldSelector", narrowed_to(None, name));
        }
        let spare = Spare::new(asked, &collection, name, class.fold(), initial == Some(true));
        Ok(Self {
            collection,
            query,
            accepted,
            holder: None,
            version,
            from_now: initial == Some(false),
            fold: class.fold().filter(|_| !filter.is_unfolding()),
            filter,
            include_object,
            bookmarks,
            initial_end: initial == Some(true) && bookmarks,
            spare,
            limit,
        })
    }

    /// Whether copies are shown one by one.
    pub(crate) fn is_unfolding(&self) -> bool {
        self.filter.is_unfolding()
    }

    /// What is said of the members whose objects cannot be shown in the version that is asked for.
    pub(crate) fn left_out(&self, asked: &Asked) -> Vec<String> {
        if !self.shows_whole() {
            return Vec::new();
        }
        let members = self.members(&asked.table.fleet);
        let said = serving::in_other_versions(asked, &members, &self.collection.resource);
        said.iter().map(|it| format!("left out: {it}")).collect()
    }

    /// Leaves only the member whose node the pods are asked for.
    pub(crate) async fn narrow_to_node(&mut self, asked: &Asked) -> Result<(), Status> {
        if let Some(name) = self.query.field_selector().and_then(node_name) {
            // Where nobody shows the node all are watched: who is silent, or joins, may have it.
            self.holder = find::seek(asked, &Object::node(name)).await?.holder;
        }
        Ok(())
    }

    /// The members of a fleet that take part.
    pub(crate) fn members(&self, fleet: &Fleet) -> Vec<Arc<Member>> {
        let admitted = |member: &&Arc<Member>| {
            let holds = self.holder.as_ref().is_none_or(|holder| holder.name == member.name);
            holds && self.filter.admits(&member.name)
        };
        fleet.members().iter().filter(admitted).cloned().collect()
    }

    /// Whether the client has seen a member that has left since: what it has of it, nobody can tell
    /// it to forget.
    pub(crate) fn has_left(&self, fleet: &Fleet) -> Option<ClusterName> {
        let ResourceVersion::Composite(composite) = &self.version else { return None };
        let resumes = composite.epoch() == fleet.space.epoch() && !self.initial_end;
        let seen = |(slot, name): &(usize, &ClusterName)| {
            let part = composite.component(*slot).unwrap_or(0);
            part > 0 && self.filter.admits(name) && fleet.get(name.as_str()).is_none()
        };
        let mut slots = fleet.space.slots().iter().enumerate();
        slots.find(|slot| resumes && seen(slot)).map(|(_, name)| name.clone())
    }

    /// Where the watch of a member begins.
    ///
    /// # Errors
    /// 410 where the version is of another fleet, or of one member alone.
    pub(crate) fn start(&self, fleet: &Fleet, member: &Member) -> Result<Start, Status> {
        let expired = |message: &str| Err(Status::new(Reason::Expired, message));
        match &self.version {
            ResourceVersion::Unset | ResourceVersion::Any if self.from_now => Ok(Start::Now),
            ResourceVersion::Unset | ResourceVersion::Any => Ok(Start::Fresh),
            // All that exists is told, and it is newer than any version.
            _ if self.initial_end => Ok(Start::Fresh),
            ResourceVersion::Bare(version) if fleet.space.slots().len() == 1 => {
                Ok(Start::At(*version))
            }
            ResourceVersion::Bare(_) => {
                expired("the resourceVersion is one member's, and the watch is the fleet's")
            }
            ResourceVersion::Composite(composite) if composite.epoch() != fleet.space.epoch() => {
                expired("the resourceVersion is of an earlier fleet: list again")
            }
            ResourceVersion::Composite(composite) => {
                let slot = fleet.space.slot_of(&member.name);
                Ok(match slot.and_then(|slot| composite.component(slot)) {
                    Some(0) | None => Start::Fresh,
                    Some(version) => Start::At(version),
                })
            }
        }
    }

    /// What the merged watch looks like.
    pub(crate) fn options(&self, asked: &Asked, fleet: &Fleet) -> WatchOptions {
        let is_table = matches!(self.accepted.form, AnswerForm::Table(_));
        let unfolded = self.is_unfolding();
        WatchOptions {
            space: Arc::clone(&fleet.space),
            label_key: asked.table.rules.label_key.clone(),
            fold: self.fold,
            one_key_once: !is_table && !unfolded,
            show_state: unfolded,
            include_object: self.include_object,
            bookmarks: self.bookmarks,
            tell_initial_end: self.initial_end,
        }
    }

    /// Path, query and `Accept` of what is asked of a member; 404 where it serves the kind in another
    /// version only, and objects are to be shown whole.
    pub(crate) async fn request(
        &self,
        asked: &Asked,
        member: &Arc<Member>,
        next: Next,
    ) -> Result<(String, String), Status> {
        let mut query = self.query_for(asked, member).await;
        let watches = match next {
            Next::Nothing | Next::List => false,
            Next::Version => {
                query.set("limit", "1");
                false
            }
            Next::Watch(version) => {
                query.set("watch", "true");
                query.set("allowWatchBookmarks", "true");
                query.set("resourceVersion", version.to_string());
                true
            }
        };
        let path = self.collection.path();
        let path = serving::path_in(asked, member, &path, self.shows_whole())?;
        Ok((target(&path, &query.to_string()), self.accept(watches)))
    }

    /// As [`Plan::request`], for a list of one object.
    pub(crate) async fn request_for(
        &self,
        asked: &Asked,
        member: &Arc<Member>,
        Fetch { namespace, name, .. }: &Fetch,
    ) -> Result<(String, String), Status> {
        let mut query = self.query_for(asked, member).await;
        let selector = narrowed_to(query.field_selector(), name);
        query.set("fieldSelector", selector);
        let mut collection = self.collection.clone();
        if !namespace.is_empty() {
            collection.namespace = Some(namespace.clone());
        }
        let path = collection.path();
        let path = serving::path_in(asked, member, &path, self.shows_whole())?;
        Ok((target(&path, &query.to_string()), self.accept(false)))
    }

    /// What is asked for, in the words of a member.
    async fn query_for(&self, asked: &Asked, member: &Arc<Member>) -> Query {
        let mut query = self.query.clone();
        let members = slice::from_ref(member);
        // Found anew each time: a copy can be made while the watch lasts.
        let involved = Involved::find(asked, members, &self.collection, &query).await;
        involved.translate(&mut query, &member.name);
        query
    }

    fn shows_whole(&self) -> bool {
        self.accepted.form.shows_whole(self.include_object)
    }

    /// Partial metadata has another name in lists than in watches.
    fn accept(&self, watches: bool) -> String {
        let (one, list) = ("as=PartialObjectMetadata", "as=PartialObjectMetadataList");
        let single = self.accepted.upstream.replace(list, one);
        if watches { single } else { single.replace(one, list) }
    }
}

/// Parameters that are tenbin's to answer, and not passed on.
const OURS: [&str; 9] = [
    "watch",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "allowWatchBookmarks",
    "timeoutSeconds",
    "limit",
    "continue",
    "pretty",
];

fn version(query: &Query) -> Result<ResourceVersion, Status> {
    let text = query.resource_version().unwrap_or_default();
    ResourceVersion::parse(text).map_err(|error| Status::new(Reason::BadRequest, error.to_string()))
}

/// Whether the client wants what exists told, and its end; `None` where it does not say.
///
/// The rules are those of `ValidateListOptions` in apimachinery.
fn initial_events(query: &Query) -> Result<Option<bool>, Status> {
    let matches = query.resource_version_match();
    let refused = |text: &str| {
        let text = format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {text}");
        Err(Status::new(Reason::Invalid, text))
    };
    match (query.first("sendInitialEvents"), matches) {
        (None, None) => Ok(None),
        (None, Some(_)) => refused(
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (Some(_), Some("NotOlderThan")) => Ok(Some(query.sends_initial_events())),
        (Some(_), _) => refused(
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    }
}

/// How long the watch lasts: as asked, or between 30 and 60 minutes, so that not all end at once.
fn limit(asked: &Asked, query: &Query) -> Result<Duration, Status> {
    match query.first("timeoutSeconds").filter(|text| !text.is_empty()) {
        None | Some("0") => {
            let spread = asked.worker.shared.clock.elapsed().subsec_micros();
            Ok(SHORTEST + SHORTEST.mul_f64(f64::from(spread) / 1e6))
        }
        Some(text) => {
            let seconds = text.parse().map_err(|_| {
                let message = format!("timeoutSeconds {text:?} is not a number of seconds");
                Status::new(Reason::BadRequest, message)
            })?;
            Ok(Duration::from_secs(seconds).min(LONGEST))
        }
    }
}
