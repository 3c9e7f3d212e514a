//! What one write may use: connections, targets, the divider.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_http::header::HeaderMap;
use futures_util::future::LocalBoxFuture;
use tenbin_fleet::lane::Lanes;
use tenbin_fleet::member::Member;
use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::managed::Shares;
use tenbin_model::power::PodShape;
use tenbin_model::resource_version::VersionSpace;
use tenbin_model::status::{Reason, Status};

/// One write of one caller.
pub struct Session<'a> {
    /// The worker's connections.
    pub lanes: &'a Lanes,
    /// All members, own first.
    pub targets: Vec<Target>,
    /// The label of managed objects.
    pub label_key: &'a str,
    /// Its value in home.
    pub own_value: &'a str,
    /// How versions of folds are written.
    pub space: Arc<VersionSpace>,
    /// Divides replicas.
    pub divider: &'a dyn Divide,
    /// Whether PATCH and DELETE of unmanaged objects touch every member.
    pub unmanaged_everywhere: bool,
    /// Whether the object is split or replicated.
    pub class: FoldClass,
    /// The path of the object's collection.
    pub collection: String,
    /// The query as the user sent it.
    pub query: String,
    /// Whether the user asked for a dry run.
    pub dry_run: bool,
}

/// One member, as the caller may approach it.
pub struct Target {
    /// The member.
    pub member: Arc<Member>,
    /// Its slot in the versions of folds, by which ordinals are kept apart too.
    pub slot: Option<usize>,
    /// The headers of the caller's identity there, or why the caller may not go there.
    pub passage: Result<HeaderMap, String>,
    /// Why the member is out of reach, if that is known before the write begins.
    pub down: Option<String>,
}

/// A question to the divider.
#[derive(Debug, Clone)]
pub struct Order {
    /// Replicas to divide.
    pub total: u32,
    /// The workload's annotations; those of the user's wishes count.
    pub annotations: BTreeMap<String, String>,
    /// What each pod asks for.
    pub shape: PodShape,
    /// The members that take part; nobody else gets any.
    pub among: Vec<ClusterName>,
}

/// The divider's answer.
#[derive(Debug, Clone)]
pub struct Divided {
    /// The shares of those who take part; their sum is the total.
    pub shares: Shares,
    /// What the user should know of the division.
    pub note: Option<String>,
}

/// Divides replicas over the members.
pub trait Divide {
    /// Divides an order.
    fn divide(&self, order: Order) -> LocalBoxFuture<'_, Result<Divided, Status>>;
}

// === impl Session ===

impl Session<'_> {
    /// The label value of a copy in `target` of an object whose home is `home`.
    pub(crate) fn label_value(&self, target: usize, home: usize) -> String {
        match self.targets.get(target) {
            Some(_) if target == home => self.own_value.to_owned(),
            Some(target) => target.member.region.clone(),
            None => String::new(),
        }
    }

    /// The name of a target.
    pub(crate) fn name(&self, target: usize) -> Option<&ClusterName> {
        self.targets.get(target).map(|target| &target.member.name)
    }

    /// `text`, begun with the member's name.
    pub(crate) fn named(&self, target: usize, text: &str) -> String {
        match self.name(target) {
            Some(name) if !text.starts_with(name.as_str()) => format!("{name}: {text}"),
            Some(_) | None => text.to_owned(),
        }
    }

    /// The target of a name.
    pub(crate) fn index(&self, name: &ClusterName) -> Option<usize> {
        self.targets.iter().position(|target| target.member.name == *name)
    }

    /// The first member that the caller may not approach, as an answer.
    pub(crate) fn barred(&self) -> Option<Status> {
        self.targets.iter().find_map(|target| {
            let reason = target.passage.as_ref().err()?;
            Some(Status::new(Reason::Forbidden, format!("{}: {reason}", target.member.name)))
        })
    }
}
