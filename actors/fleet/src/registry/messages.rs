//! What the registry is told, and what it answers.

use actix::Message;
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;

use super::TrustRules;
use crate::access::{AccessError, AccessSource};
use crate::region;

/// A member as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberSpec {
    /// Its name; own's may be left to the region label of its nodes.
    pub name: Option<ClusterName>,
    /// Whether this daemon belongs to it.
    pub own: bool,
    /// Its label value; `None` leaves it to the region label of its nodes, else its name.
    pub region: Option<String>,
    /// How it is reached.
    pub source: AccessSource,
}

/// Makes these the members by configuration; peers that were joined are judged anew.
///
/// All or nothing: an error changes nothing. A full mailbox: ask again.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), EnrolError>")]
pub struct Enrol {
    /// Own and the other members that the configuration names.
    pub members: Vec<MemberSpec>,
    /// By what trust the peers are reached that ClusterScores name.
    pub trust: TrustRules,
}

/// Reads anew how the members are reached, because certificates or passwords have changed.
///
/// An error changes nothing. A full mailbox: ask again.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<(), EnrolError>")]
pub struct Reopen;

/// What a ClusterScore says of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSpec {
    /// The object's name, which is the member's.
    pub name: ClusterName,
    /// The URL of the peers port.
    pub endpoint: String,
    /// The region that the peer itself told the last time, if ever.
    pub region: Option<String>,
}

/// A peer that is not a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name it would have had.
    pub name: ClusterName,
    /// Why not, for a person.
    pub reason: String,
}

/// Makes these, beside the configured ones, the members; the others that were joined leave.
///
/// One that cannot be a member stops no other. A full mailbox: ask again.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Refused>, EnrolError>")]
pub struct JoinPeers(pub Vec<PeerSpec>);

/// A peer has told its region. A full mailbox: it tells again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RegionTold {
    /// The member.
    pub cluster: ClusterName,
    /// Its region, a label value.
    pub region: String,
}

/// Lets the published places in versions agree with these, which were kept elsewhere.
///
/// An error changes nothing. A full mailbox: ask again.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), EnrolError>")]
pub struct Settle(pub VersionSpace);

/// Why the members stay as they were.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EnrolError {
    #[error("member {member}")]
    Open { member: String, source: AccessError },
    #[error("own has no name, and its nodes tell no label {}: set own.name", region::LABEL)]
    Unnamed,
    #[error("the region {region:?} of own's nodes cannot be its name: set own.name")]
    BadName { region: String },
    #[error("two members are named {0}")]
    Twice(ClusterName),
    #[error("the fleet has too many members: {0}")]
    TooMany(String),
    #[error("cannot start a forwarder: {0}")]
    Spawn(String),
}
