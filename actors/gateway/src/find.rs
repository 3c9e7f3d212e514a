//! Finds the member that has an object.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Method;
use futures_util::future::join_all;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::ids::ClusterName;
use tenbin_model::request::path::Object;
use tenbin_model::status::Status;

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
enum Found {
    Here,
    NotHere,
    /// The member does not tell the caller.
    Hidden,
    Silent(Fault),
}

/// Where an object is.
pub(crate) enum Sought {
    /// The first member that shows it.
    In(Arc<Member>),
    /// No member shows it, and this is the first that tells the caller nothing.
    Hidden(Arc<Member>),
    /// No member shows it; these could not be asked.
    Nowhere(Vec<Fault>),
}

/// Who a request for an object goes to.
pub(crate) struct Holder {
    pub(crate) member: Arc<Member>,
    /// Why it may be elsewhere, for a person.
    pub(crate) warnings: Vec<String>,
}

/// Looks for `object`, in own first.
pub(crate) async fn seek(asked: &Asked, object: &Object) -> Result<Sought, Status> {
    let own = pass::own(asked)?;
    let others = asked.table.fleet.members().get(1..).unwrap_or_default();
    if others.is_empty() {
        return Ok(Sought::In(own));
    }
    let path = object.whole().path();
    let first = look(asked, &own, &path).await;
    if matches!(first, Found::Here) {
        return Ok(Sought::In(own));
    }
    let found = join_all(others.iter().map(|member| look(asked, member, &path))).await;
    let member = |is: fn(&Found) -> bool| found.iter().position(is).and_then(|it| others.get(it));
    if let Some(member) = member(|found| matches!(found, Found::Here)) {
        remember(asked, object, &member.name);
        return Ok(Sought::In(Arc::clone(member)));
    }
    if matches!(first, Found::Hidden) {
        return Ok(Sought::Hidden(own));
    }
    if let Some(member) = member(|found| matches!(found, Found::Hidden)) {
        return Ok(Sought::Hidden(Arc::clone(member)));
    }
    let silent = std::iter::once(first).chain(found).filter_map(|found| match found {
        Found::Silent(fault) => Some(fault),
        Found::Here | Found::NotHere | Found::Hidden => None,
    });
    Ok(Sought::Nowhere(silent.collect()))
}

/// The member that has `object`; where no member shows it, the one that serves the kind.
///
/// # Errors
/// 503 where it was last seen in a member that does not answer.
pub(crate) async fn holder(asked: &Asked, object: &Object) -> Result<Holder, Status> {
    let silent = match seek(asked, object).await? {
        Sought::In(member) | Sought::Hidden(member) => return Ok(Holder::sure(member)),
        Sought::Nowhere(silent) => silent,
    };
    missed(asked, object, &silent)?;
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

/// The member that an object was seen in a moment ago, and no other before it.
///
/// Reads of it can do without asking those again; writes cannot, since one of them may have made its
/// own meanwhile.
pub(crate) fn lately(asked: &Asked, object: &Object) -> Option<Arc<Member>> {
    let (shared, fleet) = (&asked.worker.shared, &asked.table.fleet);
    let seen = shared.holders.get(&object.whole().path(), &fleet.space)?;
    let is_late = shared.clock.elapsed().saturating_sub(seen.at) > LATELY;
    fleet.get(seen.member.as_str()).filter(|_| !is_late).cloned()
}

/// Notes where an object is that own does not show.
pub(crate) fn remember(asked: &Asked, object: &Object, member: &ClusterName) {
    let (shared, space) = (&asked.worker.shared, &asked.table.fleet.space);
    shared.holders.put(&object.whole().path(), space, member, shared.clock.elapsed());
}

/// Says what it means that no member shows an object, while some are silent.
///
/// # Errors
/// 503 where it was last seen in one of them: to say that there is none would be a deletion.
pub(crate) fn missed(asked: &Asked, object: &Object, silent: &[Fault]) -> Result<(), Status> {
    let (holders, space) = (&asked.worker.shared.holders, &asked.table.fleet.space);
    let path = object.whole().path();
    let Some(seen) = holders.get(&path, space) else { return Ok(()) };
    let silent = silent.iter().find(|fault| fault.member() == seen.member);
    if silent.is_none() {
        holders.forget(&path, space);
    }
    silent.map_or(Ok(()), |fault| Err(fault.to_status()))
}

/// Whether a member shows the caller that there is something at a path.
pub(crate) async fn has(asked: &Asked, member: &Arc<Member>, path: &str) -> bool {
    matches!(look(asked, member, path).await, Found::Here)
}

/// Passes a request for an object, or for a part of it, to the member that has it.
pub(crate) async fn pass(asked: &Asked, object: &Object) -> Answered {
    let Holder { member, warnings } = match asked.method {
        Method::GET | Method::HEAD => reader(asked, object).await?,
        _ => holder(asked, object).await?,
    };
    let mut response = match asked.method {
        Method::PUT | Method::PATCH => pass::change(asked, &member).await?,
        _ => pass::to(asked, &member, &asked.path, &asked.query).await?,
    };
    respond::warn(&mut response, &warnings);
    Ok(response)
}

/// Passes a watch of one object to the member that has it.
pub(crate) async fn watch(asked: &Asked, object: &Object) -> Answered {
    let Holder { member, warnings } = holder(asked, object).await?;
    let query = asked.watch_query(&member)?;
    let mut response = pass::to(asked, &member, &asked.path, &query).await?;
    respond::warn(&mut response, &warnings);
    Ok(response)
}

async fn look(asked: &Asked, member: &Arc<Member>, path: &str) -> Found {
    let Ok(call) = asked.get(member, path.to_owned(), METADATA) else { return Found::NotHere };
    let answer = match asked.worker.lanes.send(member, call).await {
        Ok(answer) => answer,
        Err(fault) => return Found::Silent(fault),
    };
    let code = answer.status.as_u16();
    // Read to its end, so that the connection is kept.
    match (code, answer.whole(LIMIT).await) {
        (_, Err(fault)) => Found::Silent(fault),
        (200..=299, Ok(_)) => Found::Here,
        (401 | 403, Ok(_)) => Found::Hidden,
        (_, Ok(_)) => Found::NotHere,
    }
}

// === impl Holder ===

impl Holder {
    fn sure(member: Arc<Member>) -> Self {
        Self { member, warnings: Vec::new() }
    }
}
