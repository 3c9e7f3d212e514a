//! Finds the member that has an object.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Method;
use actix_http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::body::{Present, may_demand_merged};
use tenbin_model::ids::ClusterName;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::status::{Reason, Status};

use crate::asked::Asked;
use crate::respond::{self, Answered};
use crate::{pass, serving};

/// The cheapest form of an object; a member that cannot make it sends the whole.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The head of an object that is only looked for.
const LIMIT: usize = 8 * 1024 * 1024;
/// How long reads of an object go where it was seen, without a search.
const LATELY: Duration = Duration::from_secs(3);

/// What one member shows.
pub(crate) enum Found {
    Here,
    NotHere,
    /// The member does not tell the caller.
    Hidden,
    Silent(Fault),
}

/// What the members said of where an object is.
pub(crate) struct Sought {
    /// The first member that shows it.
    pub(crate) holder: Option<Arc<Member>>,
    /// Whether no other shows one of its name.
    alone: bool,
    /// The first member that tells the caller nothing.
    hidden: Option<Arc<Member>>,
    /// Why others could not be asked.
    silent: Vec<Fault>,
}

/// Who a request for an object goes to.
pub(crate) struct Holder {
    pub(crate) member: Arc<Member>,
    /// Why it may be elsewhere, for a person.
    pub(crate) warnings: Vec<String>,
}

/// Looks for `object`, in own first.
///
/// # Errors
/// 503 where it was last seen in a member that does not answer.
pub(crate) async fn seek(asked: &Asked, object: &Object) -> Result<Sought, Status> {
    let own = pass::own(asked)?;
    let others = asked.table.fleet.members().get(1..).unwrap_or_default();
    if others.is_empty() {
        return Ok(Sought { holder: Some(own), alone: true, hidden: None, silent: Vec::new() });
    }
    let path = object.whole().path();
    let mut sought = Sought { holder: None, alone: true, hidden: None, silent: Vec::new() };
    sought.note(&own, look(asked, &own, &path).await);
    if sought.holder.is_none() {
        let looks = others.iter().map(|member| look(asked, member, &path));
        for (member, found) in others.iter().zip(join_all(looks).await) {
            sought.note(member, found);
        }
    }
    missed(asked, object, &sought.silent)?;
    if let Some(holder) = &sought.holder {
        remember(asked, object, &holder.name, sought.alone, &sought.silent);
    }
    Ok(sought)
}

/// The member that has `object`; where no member shows it, the one that serves the kind.
///
/// # Errors
/// 503 where it was last seen in a member that does not answer. A write gets it where own does not
/// answer, too, unless the object was seen elsewhere: it is own's that such names mean.
pub(crate) async fn holder(asked: &Asked, object: &Object) -> Result<Holder, Status> {
    let Sought { holder, hidden, silent, .. } = seek(asked, object).await?;
    let own = pass::own(asked)?;
    let of_own = silent.iter().find(|fault| *fault.member() == own.name);
    if let (Some(fault), false, None) = (of_own, asked.reads(), seen_in(asked, object)) {
        return Err(fault.to_status());
    }
    if let Some(member) = holder.or(hidden) {
        return Ok(Holder::sure(member));
    }
    // What nobody shows is own's to refuse or to make, or that of who serves the kind; if own is dead,
    // sending it there says so.
    let member = serving::holder(asked, &object.collection).await?;
    Ok(Holder { member, warnings: silent.iter().map(ToString::to_string).collect() })
}

/// As [`holder`], for reads: where the object was seen a moment ago it is not looked for again.
pub(crate) async fn reader(asked: &Asked, object: &Object) -> Result<Holder, Status> {
    match lately(asked, object) {
        Some(member) => Ok(Holder::sure(member)),
        None => holder(asked, object).await,
    }
}

/// The member other than own that an object was seen in a moment ago.
///
/// Reads of it can do without asking those before it again; writes cannot, since one of them may have
/// made its own meanwhile.
pub(crate) fn lately(asked: &Asked, object: &Object) -> Option<Arc<Member>> {
    let (shared, fleet) = (&asked.worker.shared, &asked.table.fleet);
    let seen = shared.holders.get(&object.whole().path(), &fleet.space)?;
    let is_late = shared.clock.elapsed().saturating_sub(seen.at) > LATELY;
    fleet.get(seen.member.as_str()).filter(|member| !is_late && !member.own).cloned()
}

fn seen_in<'a>(asked: &'a Asked, object: &Object) -> Option<&'a ClusterName> {
    let (holders, space) = (&asked.worker.shared.holders, &asked.table.fleet.space);
    holders.get(&object.whole().path(), space).map(|seen| seen.member)
}

/// The member that the one object of a name was last seen in: it is enough to hear that one, as in a
/// GET.
pub(crate) fn last_holder(
    asked: &Asked,
    collection: &Collection,
    name: &str,
) -> Option<ClusterName> {
    let object =
        Object { collection: collection.clone(), name: name.to_owned(), subresource: None };
    seen_in(asked, &object).cloned()
}

/// Notes where an object is, unless own, which may have it as well, is `silent`.
///
/// Where it is not `alone` of its name, those who read it are told so each time: it is searched again.
pub(crate) fn remember(
    asked: &Asked,
    object: &Object,
    member: &ClusterName,
    alone: bool,
    silent: &[Fault],
) {
    let (shared, fleet) = (&asked.worker.shared, &asked.table.fleet);
    let is_own = |fault: &Fault| fleet.own().is_some_and(|own| own.name == *fault.member());
    if !silent.iter().any(is_own) {
        let path = object.whole().path();
        let now = if alone { shared.clock.elapsed() } else { Duration::ZERO };
        shared.holders.put(&path, &fleet.space, member, now);
    }
}

/// Says what it means that some members are silent about an object.
///
/// # Errors
/// 503 where it was last seen in one of them: to say that there is none would be a deletion, and
/// another of its name is another object; 429 where one has too much to do. Without `Retry-After`, for which kubectl would wait 50 s.
pub(crate) fn missed(asked: &Asked, object: &Object, silent: &[Fault]) -> Result<(), Status> {
    if silent.is_empty() {
        return Ok(());
    }
    let is_overloaded = |fault: &&Fault| matches!(fault, Fault::Overloaded { .. });
    if let Some(fault) = silent.iter().find(is_overloaded) {
        return Err(fault.to_status());
    }
    let Some(member) = seen_in(asked, object) else { return Ok(()) };
    match silent.iter().find(|fault| fault.member() == member) {
        Some(fault) => Err(Status::new(Reason::ServiceUnavailable, fault.to_string())),
        None => Ok(()),
    }
}

/// Forgets an object that no member has.
pub(crate) fn forget(asked: &Asked, object: &Object) {
    let (holders, space) = (&asked.worker.shared.holders, &asked.table.fleet.space);
    holders.forget(&object.whole().path(), space);
}

/// A member's code that says nothing of an object.
pub(crate) fn unwell(member: &ClusterName, code: u16) -> Option<Fault> {
    let reason = || format!("it answers {code}");
    respond::is_ill(code).then(|| Fault::Lost { member: member.clone(), reason: reason() })
}

/// Passes a request for an object, or for a part of it, to the member that has it.
pub(crate) async fn pass(mut asked: Asked, object: &Object) -> Answered {
    let Holder { member, warnings } =
        if asked.reads() { reader(&asked, object).await? } else { holder(&asked, object).await? };
    // What an application behind a proxy reads is no object of the API.
    if object.subresource.as_ref().is_some_and(|part| part.name == "proxy") {
        return pass::as_it_came(&asked, &member).await;
    }
    if let Some(body) = demanded(&asked, object, &member).await? {
        asked.body = body;
    }
    let mut response = match asked.method {
        Method::PUT | Method::PATCH => pass::change(&asked, &member).await?,
        _ => pass::to(&asked, &member, &asked.path, &asked.query).await?,
    };
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// The body in the words of the member that has the object, where it demands a merged version.
async fn demanded(
    asked: &Asked,
    object: &Object,
    member: &Arc<Member>,
) -> Result<Option<Bytes>, Status> {
    if !may_demand_merged(&asked.body) {
        return Ok(None);
    }
    let call = asked.get(member, object.whole().path(), METADATA)?;
    let answer = asked.worker.lanes.send(member, call).await.map_err(|fault| fault.to_status())?;
    let copy = answer.whole(LIMIT).await.map_err(|fault| fault.to_status())?;
    let copy = serde_json::from_slice::<Value>(&copy).unwrap_or_default();
    let version = copy.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    let Some(version) = version.and_then(|text| text.parse().ok()) else { return Ok(None) };
    let space = &asked.table.fleet.space;
    let present = Present { space, slot: space.slot_of(&member.name), version };
    present.demanded(asked.header(&CONTENT_TYPE), &asked.body)
}

/// Passes a watch of one object to the member that has it.
pub(crate) async fn watch(asked: &Asked, object: &Object) -> Answered {
    let Holder { member, warnings } = holder(asked, object).await?;
    let query = asked.watch_query(&member)?;
    let mut response = pass::to(asked, &member, &asked.path, &query).await?;
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// Whether a member shows the caller that there is something at a path.
pub(crate) async fn look(asked: &Asked, member: &Arc<Member>, path: &str) -> Found {
    let Ok(call) = asked.get(member, path.to_owned(), METADATA) else { return Found::NotHere };
    let answer = match asked.worker.lanes.send(member, call).await {
        Ok(answer) => answer,
        Err(fault) => return Found::Silent(fault),
    };
    let code = answer.status.as_u16();
    // Read to its end, so that the connection is kept.
    if let Err(fault) = answer.whole(LIMIT).await {
        return Found::Silent(fault);
    }
    match (code, unwell(&member.name, code)) {
        (_, Some(fault)) => Found::Silent(fault),
        (200..=299, None) => Found::Here,
        (403, None) => Found::Hidden,
        (_, None) => Found::NotHere,
    }
}

// === impl Sought ===

impl Sought {
    fn note(&mut self, member: &Arc<Member>, found: Found) {
        match found {
            Found::Here => {
                self.alone = self.holder.is_none();
                self.holder = self.holder.take().or_else(|| Some(Arc::clone(member)));
            }
            Found::Hidden => self.hidden = self.hidden.take().or_else(|| Some(Arc::clone(member))),
            Found::Silent(fault) => self.silent.push(fault),
            Found::NotHere => {}
        }
    }
}

// === impl Holder ===

impl Holder {
    fn sure(member: Arc<Member>) -> Self {
        Self { member, warnings: Vec::new() }
    }
}
