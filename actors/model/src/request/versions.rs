//! A query's resourceVersion in the words of one member (`reads.md`, Coming back).

use super::query::Query;
use crate::ids::ClusterName;
use crate::resource_version::{ResourceVersion, VersionSpace};
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
/// # Errors
/// 400 where it is no version, 410 where it is of another epoch.
pub fn in_words_of(
    query: &mut Query,
    space: &VersionSpace,
    member: &ClusterName,
    bare: BareMeans,
) -> Result<(), Status> {
    let Some(text) = query.resource_version() else { return Ok(()) };
    let parsed = ResourceVersion::parse(text)
        .map_err(|error| Status::new(Reason::BadRequest, error.to_string()))?;
    let version = match parsed {
        ResourceVersion::Unset | ResourceVersion::Any => return Ok(()),
        ResourceVersion::Bare(version) => (bare == BareMeans::Its).then_some(version),
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn said(query: &str, member: &str, bare: BareMeans) -> Result<String, u16> {
        let name = |text| ClusterName::new(text).unwrap();
        let epoch = NonZeroU64::new(7).unwrap();
        let space = VersionSpace::new(epoch, vec![name("tokyo"), name("osaka")]).unwrap();
        let mut query = Query::parse(query).unwrap();
        in_words_of(&mut query, &space, &name(member), bare).map_err(|status| status.code)?;
        Ok(query.to_string())
    }

    const SEEN: &str = "watch=true&resourceVersion=70000000000000000001200000000000000000000";

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
    fn versions_of_another_epoch_and_garbage_are_refused() {
        let other = SEEN.replace("=7", "=8");
        assert_eq!(said(&other, "tokyo", BareMeans::Its), Err(410));
        assert_eq!(said("resourceVersion=x", "tokyo", BareMeans::Its), Err(400));
    }
}
