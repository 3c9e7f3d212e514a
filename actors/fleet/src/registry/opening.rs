//! Reads the members' kubeconfigs and asks for their regions.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use tenbin_model::ids::ClusterName;
use tracing::warn;

use super::{EnrolError, MemberSpec};
use crate::access::Access;
use crate::region;

/// How long a member's nodes are asked for their region before its name stands in for it.
const REGION_LIMIT: Duration = Duration::from_secs(1);

/// A member whose kubeconfig could be read.
pub(super) struct Opened {
    pub(super) name: ClusterName,
    pub(super) own: bool,
    pub(super) region: Region,
    pub(super) access: Access,
}

/// What is known of a member's region.
pub(super) enum Region {
    Configured(String),
    /// By its nodes, just now.
    Told(String),
    /// They could not be asked, or need not be waited for.
    Unasked,
}

/// Opens all members.
///
/// # Errors
/// Where one cannot be opened, or two have one name.
pub(super) async fn open_all(
    specs: Vec<MemberSpec>,
    known: BTreeMap<ClusterName, String>,
) -> Result<Vec<Opened>, EnrolError> {
    let opening = specs.into_iter().map(|spec| open(spec, &known));
    let opened = futures_util::future::try_join_all(opening).await?;
    for (index, one) in opened.iter().enumerate() {
        if opened.iter().skip(index + 1).any(|other| other.name == one.name) {
            return Err(EnrolError::Twice(one.name.clone()));
        }
    }
    Ok(opened)
}

/// Reads a member's kubeconfig. Its nodes are waited for only where nobody knows their region.
async fn open(
    spec: MemberSpec,
    known: &BTreeMap<ClusterName, String>,
) -> Result<Opened, EnrolError> {
    let shown = spec.name.as_ref().map_or("own", ClusterName::as_str).to_owned();
    let access = spec
        .source
        .open()
        .await
        .map_err(|source| EnrolError::Open { member: shown.clone(), source })?;
    let is_known = spec.name.as_ref().is_some_and(|name| known.contains_key(name));
    let region = match spec.region {
        Some(region) => Region::Configured(region),
        None if is_known => Region::Unasked,
        // Nodes without the label have told as well: the name stands in for it.
        None => match (region_of(&shown, &access).await, &spec.name) {
            (Nodes::In(region), _) => Region::Told(region),
            (Nodes::Unlabelled, Some(name)) => Region::Told(name.to_string()),
            (Nodes::Unlabelled | Nodes::Silent, _) => Region::Unasked,
        },
    };
    let name = match (spec.name, &region) {
        (Some(name), _) => name,
        (None, Region::Configured(region) | Region::Told(region)) => {
            ClusterName::new(region).map_err(|_| EnrolError::BadName { region: region.clone() })?
        }
        (None, Region::Unasked) => return Err(EnrolError::Unnamed),
    };
    Ok(Opened { name, own: spec.own, region, access })
}

/// What a member's nodes say of their region.
pub(super) enum Nodes {
    In(String),
    Unlabelled,
    /// They cannot be asked now.
    Silent,
}

pub(super) async fn region_of(cluster: &impl Display, access: &Access) -> Nodes {
    match tokio::time::timeout(REGION_LIMIT, region::of_nodes(&access.config)).await {
        Ok(Ok(regions)) => {
            if regions.len() > 1 {
                warn!(%cluster, ?regions, "nodes disagree about their region: set it in the configuration");
            }
            regions.into_iter().next().map_or(Nodes::Unlabelled, Nodes::In)
        }
        Ok(Err(error)) => {
            warn!(%cluster, %error, "cannot ask for the region of the nodes");
            Nodes::Silent
        }
        Err(_) => {
            warn!(%cluster, "the nodes' region was not told in time");
            Nodes::Silent
        }
    }
}
