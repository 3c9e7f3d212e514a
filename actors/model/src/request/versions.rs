//! A query's resourceVersion in the words of one member (`reads.md`, Coming back).

use super::query::Query;
use crate::ids::ClusterName;
use crate::resource_version::{InvalidVersion, ResourceVersion, VersionSpace};
use crate::status::{Reason, Status};

/// Whose version a bare number is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareMeans {
    /// This member's: it passes as it is.
    Its,
    /// Another member's: this one is asked without a version.
    Anothers,
}

/// Puts the `resourceVersion` of `query` into the words of `member`.
///
/// A composite becomes the member's component; component 0 is *never seen*, so the parameter goes,
/// and `resourceVersionMatch` with it.
///
/// A bare version of another member becomes the newest state, which is not older than any; but
/// nobody can give exactly that one.
///
/// # Errors
/// 400 where it is no version, 422 where it is to be matched in an unknown way; 410 where it is of another epoch, or another member's and exact.
pub fn in_words_of(
    query: &mut Query,
    space: &VersionSpace,
    member: &ClusterName,
    bare: BareMeans,
) -> Result<(), Status> {
    let Some(text) = query.resource_version() else { return Ok(()) };
    if let Some(other) =
        query.resource_version_match().filter(|it| !matches!(*it, "Exact" | "NotOlderThan"))
    {
        return Err(unsupported(other));
    }
    let parsed = ResourceVersion::parse(text).map_err(|error| unreadable(text, &error))?;
    let version = match parsed {
        ResourceVersion::Unset | ResourceVersion::Any => return Ok(()),
        ResourceVersion::Bare(version) if bare == BareMeans::Its => Some(version),
        ResourceVersion::Bare(_) if is_exact(query) => {
            let message = "The resourceVersion for the provided list is of one member: list again";
            return Err(Status::new(Reason::Expired, message));
        }
        ResourceVersion::Bare(_) => None,
        ResourceVersion::Composite(composite) if composite.epoch() != space.epoch() => {
            let message = "the resourceVersion is of an earlier fleet: list again";
            return Err(Status::new(Reason::Expired, message));
        }
        ResourceVersion::Composite(composite) => {
            space.slot_of(member).and_then(|slot| composite.component(slot))
        }
    };
    if let Some(version) = version.filter(|version| *version > 0) {
        query.set("resourceVersion", version.to_string());
    } else {
        drop(query.take("resourceVersion"));
        drop(query.take("resourceVersionMatch"));
    }
    Ok(())
}

/// Whether `query` asks for exactly a state in which `member` was never seen: it has no part in it.
pub fn leaves_out(query: &Query, space: &VersionSpace, member: &ClusterName) -> bool {
    let version = query.resource_version().map(ResourceVersion::parse);
    match version {
        Some(Ok(ResourceVersion::Composite(composite))) => {
            let component = space.slot_of(member).and_then(|slot| composite.component(slot));
            is_exact(query)
                && composite.epoch() == space.epoch()
                && component.is_none_or(|version| version == 0)
        }
        _ => false,
    }
}

/// Refuses what makes no sense beside a continue token, in the words of an API server.
///
/// # Errors
/// 422 for `resourceVersionMatch`, 400 for a `resourceVersion` other than `0`.
pub fn check_continued(query: &Query) -> Result<(), Status> {
    if query.resource_version_match().is_some() {
        let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided";
        return Err(Status::new(Reason::Invalid, message));
    }
    if query.resource_version().is_some_and(|version| version != "0") {
        let message = "specifying resource version is not allowed when using continue";
        return Err(Status::new(Reason::BadRequest, message));
    }
    Ok(())
}

/// Takes the limit out of the query of a list that is answered whole.
///
/// A limit makes a `resourceVersion` mean exactly that version: the query goes on to mean it.
pub fn drop_limit(query: &mut Query) {
    if is_exact(query) {
        query.set("resourceVersionMatch", "Exact");
    }
    drop(query.take("limit"));
}

/// Whether a version is asked for and no other will do; where nothing is said of that, a limit
/// means it.
fn is_exact(query: &Query) -> bool {
    match query.resource_version_match() {
        Some(text) => text == "Exact",
        None => {
            matches!(query.limit(), Ok(Some(_)))
                && query.resource_version().is_some_and(|version| version != "0")
        }
    }
}

/// What an API server says to a `resourceVersionMatch` that it does not know.
fn unsupported(text: &str) -> Status {
    let message = format!(
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Unsupported value: {text:?}: supported values: \"Exact\", \"NotOlderThan\", \"\""
    );
    Status::new(Reason::Invalid, message)
}

/// What an API server says to a version that it cannot read.
fn unreadable(text: &str, error: &InvalidVersion) -> Status {
    let message =
        format!("invalid resource version: resourceVersion: Invalid value: {text:?}: {error}");
    Status::new(Reason::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn name(text: &str) -> ClusterName {
        ClusterName::new(text).unwrap()
    }

    fn space() -> VersionSpace {
        let epoch = NonZeroU64::new(7).unwrap();
        VersionSpace::new(epoch, vec![name("tokyo"), name("osaka")]).unwrap()
    }

    fn said(query: &str, member: &str, bare: BareMeans) -> Result<String, u16> {
        let space = space();
        let mut query = Query::parse(query).unwrap();
        in_words_of(&mut query, &space, &name(member), bare).map_err(|status| status.code)?;
        Ok(query.to_string())
    }

    const SEEN: &str =
        "watch=true&resourceVersion=7000000000000000000120000000000000000000000000000000000000000";

    #[test]
    fn each_member_hears_its_own_component() {
        let words = said(SEEN, "tokyo", BareMeans::Anothers);
        assert_eq!(words.unwrap(), "watch=true&resourceVersion=12");
    }

    #[test]
    fn a_member_that_was_never_seen_is_asked_without_a_version() {
        let exact = format!("{SEEN}&resourceVersionMatch=Exact");
        assert_eq!(said(&exact, "osaka", BareMeans::Its).unwrap(), "watch=true");
    }

    #[test]
    fn a_bare_version_is_one_members() {
        let bare = "resourceVersion=33";
        assert_eq!(said(bare, "tokyo", BareMeans::Its).unwrap(), bare);
        assert_eq!(said(bare, "osaka", BareMeans::Anothers).unwrap(), "");
    }

    #[test]
    fn exactly_a_bare_version_is_nothing_that_several_members_have() {
        let exact = "resourceVersion=33&resourceVersionMatch=Exact";
        assert_eq!(said(exact, "tokyo", BareMeans::Its).unwrap(), exact);
        assert_eq!(said(exact, "osaka", BareMeans::Anothers), Err(410));
    }

    #[test]
    fn a_member_that_was_never_seen_is_left_out_of_exactly_that_state() {
        let space = space();
        let left_out = |query: &str, member: &str| {
            leaves_out(&Query::parse(query).unwrap(), &space, &name(member))
        };
        let exact = format!("{SEEN}&resourceVersionMatch=Exact");
        assert!(left_out(&exact, "osaka") && left_out(&exact, "kobe"));
        assert!(left_out(&format!("{SEEN}&limit=1"), "osaka"));
        assert!(!left_out(&exact, "tokyo"));
        assert!(!left_out(SEEN, "osaka"), "any later state has it");
        assert!(!left_out(&exact.replace("=7", "=8"), "osaka"), "that is refused");
    }

    #[test]
    fn a_list_that_ignores_its_limit_keeps_what_the_limit_means() {
        let whole = |query: &str| {
            let mut query = Query::parse(query).unwrap();
            drop_limit(&mut query);
            query.to_string()
        };
        assert_eq!(whole("limit=5"), "");
        assert_eq!(whole("limit=5&resourceVersion=0"), "resourceVersion=0");
        let exact = "resourceVersion=9&resourceVersionMatch=Exact";
        assert_eq!(whole("limit=5&resourceVersion=9"), exact);
        let newer = "resourceVersion=9&resourceVersionMatch=NotOlderThan";
        assert_eq!(whole(&format!("limit=5&{newer}")), newer);
        assert_eq!(whole("limit=0&resourceVersion=9"), "resourceVersion=9");
    }

    #[test]
    fn a_token_and_a_version_do_not_go_together() {
        let code = |query: &str| {
            check_continued(&Query::parse(query).unwrap()).map_err(|status| status.code)
        };
        assert_eq!(code("continue=x&limit=1&resourceVersion=0"), Ok(()));
        assert_eq!(code("continue=x&resourceVersion=1"), Err(400));
        assert_eq!(code("continue=x&resourceVersion=1&resourceVersionMatch=Exact"), Err(422));
    }

    #[test]
    fn versions_of_another_epoch_and_garbage_are_refused() {
        let other = SEEN.replace("=7", "=8");
        assert_eq!(said(&other, "tokyo", BareMeans::Its), Err(410));
        assert_eq!(said("resourceVersion=x", "tokyo", BareMeans::Its), Err(400));
        let matched = "resourceVersion=5&resourceVersionMatch=Sometimes";
        assert_eq!(said(matched, "osaka", BareMeans::Anothers), Err(422));
    }
}
