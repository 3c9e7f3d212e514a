//! Reads how members are reached, and asks for their regions.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use tenbin_model::ids::ClusterName;
use tracing::warn;

use super::roll::Chosen;
use super::{EnrolError, MemberSpec, Refused};
use crate::access::{Access, AccessError, AccessSource, Trust};
use crate::member::Reach;
use crate::region;

/// How long a member's nodes are asked for their region before its name stands in for it.
const REGION_LIMIT: Duration = Duration::from_secs(1);

/// A member whose kubeconfig, or trust, could be read.
pub(super) struct Opened {
    pub(super) name: ClusterName,
    pub(super) own: bool,
    pub(super) region: Region,
    pub(super) reach: Reach,
    pub(super) access: Access,
}

/// What is known of a member's region.
pub(super) enum Region {
    Configured(String),
    /// By its nodes, just now.
    Told(String),
    /// They could not be asked, or need not be waited for.
    Unasked,
    /// A peer tells it by itself; this is what its ClusterScore has.
    OfPeer(Option<String>),
}

/// Opens all members by configuration; `own` is the name of own where nobody says another.
///
/// # Errors
/// Where one cannot be opened, or two have one name.
pub(super) async fn open_all(
    specs: Vec<MemberSpec>,
    known: BTreeMap<ClusterName, String>,
    own: Option<ClusterName>,
) -> Result<Vec<Opened>, EnrolError> {
    let opening = specs.into_iter().map(|spec| open(spec, &known, own.as_ref()));
    let opened = futures_util::future::try_join_all(opening).await?;
    for (index, one) in opened.iter().enumerate() {
        if opened.iter().skip(index + 1).any(|other| other.name == one.name) {
            return Err(EnrolError::Twice(one.name.clone()));
        }
    }
    Ok(opened)
}

/// Reads how a peer is reached.
pub(super) async fn open_peer(chosen: Chosen) -> Result<Opened, Refused> {
    let Chosen { name, region, source } = chosen;
    let source = AccessSource::Peer(source);
    let reach = reach(&source);
    match source.open().await {
        Ok(access) => {
            Ok(Opened { name, own: false, region: Region::OfPeer(region), reach, access })
        }
        Err(error) => Err(Refused { name, reason: chain(&error) }),
    }
}

/// An error with its cause.
fn chain(error: &AccessError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn reach(source: &AccessSource) -> Reach {
    match source {
        AccessSource::InCluster | AccessSource::Kubeconfig { .. } => Reach::Direct,
        AccessSource::Peer(peer) => match peer.trust {
            Trust::Mutual { .. } => Reach::Peer,
            Trust::Basic { .. } => Reach::Original,
        },
    }
}

/// Reads how a member is reached. Its nodes are waited for only where nobody knows their region.
async fn open(
    spec: MemberSpec,
    known: &BTreeMap<ClusterName, String>,
    own: Option<&ClusterName>,
) -> Result<Opened, EnrolError> {
    let shown = spec.name.as_ref().map_or("own", ClusterName::as_str).to_owned();
    let access = spec
        .source
        .open()
        .await
        .map_err(|source| EnrolError::Open { member: shown.clone(), source })?;
    let reach = reach(&spec.source);
    let is_known = spec.name.as_ref().is_some_and(|name| known.contains_key(name));
    let region = match spec.region {
        Some(region) => Region::Configured(region),
        None if reach != Reach::Direct => Region::OfPeer(None),
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
        (None, Region::Unasked | Region::OfPeer(_)) => own.cloned().ok_or(EnrolError::Unnamed)?,
    };
    Ok(Opened { name, own: spec.own, region, reach, access })
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
