//! What an operator may write in `config.toml`, and what it means.
//!
//! `config.toml.example` shows every key. Reading is one step from the file's tree to a valid
//! [`Config`]: serde would stop at the first mistake, an operator wants to see them all.

mod kinds;
mod pattern;
mod problems;
mod section;
mod sections;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::pattern::NamespacePattern;
use self::problems::Report;
pub use self::problems::{ConfigErrors, Place, Problem};
use crate::ids::ClusterName;

/// A fleet has at most this many members, own included: the slots of a composite version.
pub const MAX_MEMBERS: usize = 64;

/// A configuration in which every value is legal and every path is resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the ledger and the lock live.
    pub state_dir: PathBuf,
    /// The addresses of the listeners.
    pub listen: Listen,
    /// The serving certificate of the users and peers ports.
    pub tls: KeyPair,
    /// How callers prove who they are.
    pub auth: Auth,
    /// The member this daemon belongs to.
    pub own: Own,
    /// The members reached straight at their API servers, in the order of the file.
    pub members: Vec<Member>,
    /// Trust of the peers port, both ways; without it there is no peers port.
    pub peers: Option<Peers>,
    /// What differs for single peers, in the order of the file.
    pub peer: Vec<Peer>,
    /// How often watts are measured, and how long a value counts.
    pub score: Score,
    /// How replicas are divided.
    pub placement: Placement,
    /// What is sent where.
    pub routing: Routing,
    /// The label of managed objects.
    pub label: Label,
    /// What a read answers while a member is dead.
    pub reads: Reads,
    /// What one user may have under way.
    pub limits: Limits,
}

/// Addresses to listen on; port 0 is any free one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The port that kubectl is pointed at.
    pub users: SocketAddr,
    /// The port for other tenbins.
    pub peers: SocketAddr,
    /// Plain HTTP for operators.
    pub admin: SocketAddr,
}

/// PEM files of a certificate chain and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How callers prove who they are, and who may act beyond own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// PEM file of the authorities of users' client certificates.
    pub client_ca: PathBuf,
    /// Whether bearer tokens are accepted, by TokenReview on own.
    pub tokens: bool,
    /// Privileged users and groups that may act in other members too.
    pub cross: Vec<String>,
}

/// The member this daemon belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Own {
    /// Its name; absent: the region label of its nodes.
    pub name: Option<ClusterName>,
    /// Its region; absent: the region label of its nodes.
    pub region: Option<String>,
    /// How to reach it; absent: the service account of the Pod.
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; absent: the current one.
    pub context: Option<String>,
    /// A stated score in watts, for a cluster without sensors; absent: measured.
    pub watts: Option<f64>,
    /// How its kube-scheduler spreads pods over its nodes.
    pub scheduler: Scheduler,
}

/// A member reached straight at its API server.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Its name, unique in the fleet.
    pub name: ClusterName,
    /// Its region, a label value; absent: its nodes' region label, else its name.
    pub region: Option<String>,
    /// How to reach it.
    pub kubeconfig: PathBuf,
    /// The context of the kubeconfig; absent: the current one.
    pub context: Option<String>,
    /// A stated score in watts, for a cluster without sensors; absent: measured.
    pub watts: Option<f64>,
    /// How its kube-scheduler spreads pods over its nodes.
    pub scheduler: Scheduler,
    /// Whether an operator has declared it gone.
    pub absent: bool,
}

/// Trust of the peers port, both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// PEM file of the fleet's authorities.
    pub ca: PathBuf,
    /// What this tenbin shows to its peers.
    pub identity: KeyPair,
}

/// What differs for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The URL of its peers port, as `spec.endpoint` of its ClusterScore says it.
    pub endpoint: String,
    /// Its name: with one it is a member also without a ClusterScore.
    pub name: Option<ClusterName>,
    /// PEM file of the authorities of its serving certificate; absent: `[peers]`'.
    pub ca: Option<PathBuf>,
    /// What this tenbin shows to it; absent: `[peers]`'.
    pub identity: Option<KeyPair>,
    /// HTTP Basic instead of certificates: a peer of the original program.
    pub basic: Option<Basic>,
}

/// The shared password of an original program, for both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    /// The user name.
    pub username: String,
    /// The file of the password, without its last newline.
    pub password_file: PathBuf,
    /// The user as whom its requests act in own, since it tells no identity; absent: it may read
    /// scores only.
    pub act_as: Option<String>,
}

/// How often watts are measured, and how long a value counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// The time between two rounds.
    pub interval: Duration,
    /// The age from which on a score is unknown; never under the interval.
    pub max_age: Duration,
    /// How long a metric's timestamp may stand still before its value is not believed any more.
    pub stuck_after: Duration,
    /// The namespace of ClusterScores, NodeConfigs and their Secrets, in every cluster.
    pub namespace: String,
    /// Whether ClusterScores are kept in the group of the original program too.
    pub original_group: bool,
    /// PEM file of the authorities of predictors and BMCs; absent: the system's.
    pub predictor_ca: Option<PathBuf>,
}

/// How replicas are divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The rule of division.
    pub strategy: Strategy,
    /// At least so many members get a replica, where the total allows: 1 to 64.
    pub min_clusters: u32,
}

/// How a cluster's scheduler spreads pods over its nodes (`placement.md`, Curves).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// kube-scheduler's own: least allocated first.
    Default,
    /// wao-scheduler: least added watts.
    Wao,
}

/// A rule of division (`placement.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `Marginal` when every member that may take work has a fresh curve, else `Inverse`.
    Auto,
    /// Least added watts.
    Marginal,
    /// In proportion to 1/watts of the whole cluster.
    Inverse,
}

/// What is sent where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// Namespaces whose objects are never split nor fanned out.
    pub exclude: Vec<NamespacePattern>,
    /// Which copies a PATCH or DELETE of an unmanaged object touches.
    pub unmanaged: Unmanaged,
    /// More resources to replicate: `configmaps`, or with a group `ingresses.networking.k8s.io`.
    pub replicate: Vec<String>,
}

/// Which copies a PATCH or DELETE of what tenbin did not make touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmanaged {
    /// The one that a GET shows.
    One,
    /// Every member's.
    All,
}

/// The label of managed objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its key.
    pub key: String,
    /// Its value on own's copies; other members' copies carry their region.
    pub own_value: String,
}

/// What one user may have under way at a time; more is answered with 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests but for streams.
    pub requests_per_user: u32,
    /// Watches, and logs that follow.
    pub streams_per_user: u32,
}

/// What a read answers while a member is dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// Who gets an answer without the dead member's objects.
    pub partial: Partial,
}

/// Who gets an answer without a dead member's objects (`reads.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partial {
    /// Everybody, caches included.
    Always,
    /// People: Tables and lists without a resourceVersion.
    People,
    /// Nobody: 503 until the member is back or declared absent.
    Never,
}

// === impl Partial ===

impl Partial {
    /// Whether an answer, for a person or for a cache, may come without a dead member's objects.
    pub fn allows(self, for_people: bool) -> bool {
        match self {
            Self::Always => true,
            Self::People => for_people,
            Self::Never => false,
        }
    }
}

// === impl Strategy ===

impl Strategy {
    /// The rule of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "marginal" => Some(Self::Marginal),
            "inverse" => Some(Self::Inverse),
            _ => None,
        }
    }
}

/// Reads the text of a configuration.
///
/// `base` is the folder of the file: relative paths resolve against it. `environment` looks a
/// variable up; an empty one counts as unset. All problems are reported at once.
pub fn parse(
    text: &str,
    base: &Path,
    environment: &impl Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    let mut report = Report::new(text);
    if text.len() > MAX_BYTES {
        report.problem(String::new(), Place::File, "the file is larger than 1 MiB".to_owned());
        return Err(report.errors());
    }
    let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
    for error in syntax {
        report.syntax(&error);
    }
    let config = sections::read(document.get_ref(), base, environment, &mut report);
    match config {
        Some(config) if report.is_clean() => Ok(config),
        Some(_) | None => Err(report.errors()),
    }
}

/// Every key with its default, its unit and a line of explanation.
pub fn default_text() -> &'static str {
    include_str!("../../../config.toml.example")
}

// === impl Config ===

impl Config {
    /// The keys in which `new` differs and that a running daemon cannot take over.
    pub fn changes_needing_restart(&self, new: &Self) -> Vec<&'static str> {
        let changes = [
            ("state_dir", self.state_dir != new.state_dir),
            ("listen.users", self.listen.users != new.listen.users),
            ("listen.peers", self.listen.peers != new.listen.peers),
            ("listen.admin", self.listen.admin != new.listen.admin),
        ];
        changes.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
    }
}

/// No configuration of 64 members comes near; a wrong file passed by mistake does.
const MAX_BYTES: usize = 1 << 20;
