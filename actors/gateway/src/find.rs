//! Finds the member that has an object.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tenbin_fleet::member::Member;
use tenbin_model::request::path::Object;
use tenbin_model::status::Status;

use crate::asked::Asked;
use crate::respond::Answered;
use crate::{pass, serving};

/// The cheapest form of an object; a member that cannot make it sends the whole.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The head of an object that is only looked for.
const LIMIT: usize = 8 * 1024 * 1024;
/// How long what was found counts.
const LATELY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Here,
    /// It is not there, or nobody can tell.
    NotHere,
    /// The member does not tell the caller.
    Hidden,
}

/// The member that has `object`, own first; where no member shows it, the one that serves the kind.
pub(crate) async fn holder(asked: &Asked, object: &Object) -> Result<Arc<Member>, Status> {
    let own = pass::own(asked)?;
    let others = asked.table.fleet.members().get(1..).unwrap_or_default();
    if others.is_empty() {
        return Ok(own);
    }
    let path = object.whole().path();
    let first = look(asked, &own, &path).await;
    if matches!(first, Found::Here) {
        return Ok(own);
    }
    let found = join_all(others.iter().map(|member| look(asked, member, &path))).await;
    let holder = |wanted: Found| {
        found.iter().position(|found| *found == wanted).and_then(|index| others.get(index)).cloned()
    };
    if let Some(member) = holder(Found::Here) {
        return Ok(member);
    }
    if first == Found::Hidden {
        return Ok(own);
    }
    if let Some(member) = holder(Found::Hidden) {
        return Ok(member);
    }
    // What nobody shows is own's to refuse or to make, or that of who serves the kind; if own is dead,
    // sending it there says so.
    serving::holder(asked, &object.collection).await
}

/// As [`holder`], for reads: who had the object lately is not looked for again.
pub(crate) async fn reader(asked: &Asked, object: &Object) -> Result<Arc<Member>, Status> {
    match lately(asked, object) {
        Some(member) => Ok(member),
        None => holder(asked, object).await,
    }
}

/// The member that had an object lately, which all before it lacked.
///
/// Reads of it can do without asking those again; writes cannot, since one of them may have made its
/// own meanwhile.
pub(crate) fn lately(asked: &Asked, object: &Object) -> Option<Arc<Member>> {
    let (worker, path) = (&asked.worker, object.whole().path());
    let name = worker.holders.get(&path, worker.shared.clock.elapsed(), LATELY)?;
    asked.table.fleet.get(name.as_str()).cloned()
}

/// Notes the member that has an object, and that all before it lack it.
pub(crate) fn remember(asked: &Asked, object: &Object, member: &Member) {
    let (worker, path) = (&asked.worker, object.whole().path());
    worker.holders.put(path, worker.shared.clock.elapsed(), member.name.clone());
}

/// Whether a member shows the caller that there is something at a path.
pub(crate) async fn has(asked: &Asked, member: &Arc<Member>, path: &str) -> bool {
    look(asked, member, path).await == Found::Here
}

/// Passes a watch of one object to the member that has it.
pub(crate) async fn watch(asked: &Asked, object: &Object) -> Answered {
    let member = holder(asked, object).await?;
    let query = asked.watch_query(&member)?;
    pass::to(asked, &member, &asked.path, &query).await
}

async fn look(asked: &Asked, member: &Arc<Member>, path: &str) -> Found {
    let Ok(call) = asked.get(member, path.to_owned(), METADATA) else { return Found::NotHere };
    match asked.worker.lanes.send(member, call).await {
        Ok(answer) => {
            let code = answer.status.as_u16();
            // Read to its end, so that the connection is kept.
            match (code, answer.whole(LIMIT).await) {
                (200..=299, Ok(_)) => Found::Here,
                (401 | 403, _) => Found::Hidden,
                (_, _) => Found::NotHere,
            }
        }
        Err(_) => Found::NotHere,
    }
}
