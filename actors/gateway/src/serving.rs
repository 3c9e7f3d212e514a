//! Which member serves a kind.

use std::borrow::Cow;
use std::sync::Arc;

use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::Member;
use tenbin_model::discovery::catalogue::Catalogue;
use tenbin_model::ids::ClusterName;
use tenbin_model::request::path::{Collection, RequestPath, Resource};
use tenbin_model::status::{Reason, Status};
use tracing::debug;

use crate::asked::Asked;
use crate::discoverer::{PATIENCE, Refresh, Subject};
use crate::find::{self, Found};
use crate::pass;
use crate::respond::{self, Answered};

/// Passes a request to own, or to the first member that serves the kind where own does not.
pub(crate) async fn pass(asked: &Asked, collection: &Collection) -> Answered {
    let member = holder(asked, collection).await?;
    let mut response = pass::to(asked, &member, &asked.path, &asked.query).await?;
    if !member.own {
        respond::warn(&mut response, choice(asked, &collection.resource).as_ref());
    }
    Ok(response)
}

/// Own, or the first member that serves the kind where own does not; own where nobody does.
///
/// # Errors
/// To a write what own is silent for: it may serve the kind since this moment, and then it is meant.
pub(crate) async fn holder(asked: &Asked, collection: &Collection) -> Result<Arc<Member>, Status> {
    let own = pass::own(asked)?;
    let resource = &collection.resource;
    let is_own = |catalogue: &Catalogue| {
        // Who serves nothing at all has not been asked yet.
        catalogue
            .known(&own.name)
            .is_none_or(|known| known.groups.is_none() || known.serves(resource))
    };
    if asked.table.fleet.members().len() == 1 || is_own(&asked.catalogue()) {
        return Ok(own);
    }
    refresh(asked, Subject::Groups).await;
    let catalogue = asked.catalogue();
    let Some(member) = serving(asked, &catalogue, resource).next().cloned() else { return Ok(own) };
    if is_own(&catalogue) {
        return Ok(own);
    }
    // A kind that was defined this second is served before discovery names it.
    match find::look(asked, &own, &format!("{}?limit=1", collection.path())).await {
        Found::Here => Ok(own),
        Found::Silent(fault) if !asked.reads() => Err(fault.to_status()),
        Found::NotHere | Found::Hidden | Found::Silent(_) => Ok(member),
    }
}

/// The path of a collection in the version in which a member serves the kind.
///
/// Rows of a table and bare metadata read the same in each version. Whole objects do not, and nobody
/// here can convert them: where the member serves another version only, that is a refusal.
pub(crate) fn path_in<'p>(
    asked: &Asked,
    member: &Member,
    path: &'p str,
    whole: bool,
) -> Result<Cow<'p, str>, Status> {
    let catalogue = asked.catalogue();
    let Ok(RequestPath::Collection(mut collection)) = RequestPath::parse(path) else {
        return Ok(path.into());
    };
    let Some(version) = catalogue.other_version(&member.name, &collection.resource) else {
        return Ok(path.into());
    };
    if whole {
        let message = only(&member.name, version, &collection.resource);
        return Err(Status::new(Reason::NotFound, message));
    }
    version.clone_into(&mut collection.resource.version);
    Ok(collection.path().into())
}

/// What is said of the members that serve a kind, but not in the version that is asked for.
pub(crate) fn in_other_versions(
    asked: &Asked,
    members: &[Arc<Member>],
    resource: &Resource,
) -> Vec<String> {
    let catalogue = asked.catalogue();
    let said = |member: &Arc<Member>| {
        let version = catalogue.other_version(&member.name, resource)?;
        Some(only(&member.name, version, resource))
    };
    members.iter().filter_map(said).collect()
}

fn only(member: &ClusterName, version: &str, Resource { group, plural, .. }: &Resource) -> String {
    format!("{member} serves {plural} of {group} as {version}: ask for {plural}.{version}.{group}")
}

/// Waits until the members have said what they serve now, but not for long.
pub(crate) async fn refresh(asked: &Asked, subject: Subject) {
    let discoverer = &asked.worker.shared.discovery.discoverer;
    if let Err(error) = discoverer.ask(Refresh(subject), PATIENCE).await {
        debug!(%error, "discovery is what was known before");
    }
}

/// Says what it means for a kind that nobody else serves that some members are silent.
///
/// # Errors
/// 503 where one of them serves it: the kind is not gone, nor are its objects.
pub(crate) fn missed(asked: &Asked, resource: &Resource, silent: &[Fault]) -> Result<(), Status> {
    let catalogue = asked.catalogue();
    let serves = |fault: &&Fault| {
        catalogue.known(fault.member()).is_some_and(|known| known.serves(resource))
    };
    match silent.iter().find(serves) {
        Some(fault) => Err(Status::new(Reason::ServiceUnavailable, fault.to_string())),
        None => Ok(()),
    }
}

/// What is said of a choice between several members that serve a kind.
fn choice(asked: &Asked, resource: &Resource) -> Option<String> {
    let catalogue = asked.catalogue();
    let names: Vec<&str> =
        serving(asked, &catalogue, resource).map(|member| member.name.as_str()).collect();
    let (first, others) = names.split_first().filter(|(_, others)| !others.is_empty())?;
    let Resource { group, plural, .. } = resource;
    Some(format!(
        "{plural}.{group} is served by {first}, {} and not here: this went to {first}",
        others.join(", ")
    ))
}

/// The members that serve a kind, in their order.
fn serving<'a>(
    asked: &'a Asked,
    catalogue: &'a Catalogue,
    resource: &'a Resource,
) -> impl Iterator<Item = &'a Arc<Member>> {
    members(asked, catalogue.having(move |known| known.serves(resource)))
}

/// The members of these names, as far as they are members still.
pub(crate) fn members<'a>(
    asked: &'a Asked,
    names: impl Iterator<Item = &'a ClusterName>,
) -> impl Iterator<Item = &'a Arc<Member>> {
    names.filter_map(|name| asked.table.fleet.get(name.as_str()))
}
