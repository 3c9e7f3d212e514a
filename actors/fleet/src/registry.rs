//! The actor that decides who is a member, and publishes the fleet.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use serde_json::json;
use tenbin_kernel::{ChildSpec, Clock, Drain, GuardianHandle, Lifeline, Observe, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::forwarder::{self, Forwarder};
use crate::health::Health;
use crate::member::{Fleet, Member, Reach};
use crate::places::Places;

mod arrange;
mod messages;
mod opening;
mod roll;
#[cfg(test)]
mod tests;

pub use messages::{
    Enrol, EnrolError, JoinPeers, MemberSpec, PeerSpec, Refused, RegionTold, Reopen, Settle,
};
pub use roll::TrustRules;

use arrange::{Arranged, Candidate, Enrolled, arrange, enrol, forwarder_name};
use opening::{Nodes, Opened, Region};

/// How often regions that could not be had are asked for again.
const REGION_RETRY: Duration = Duration::from_secs(2);

/// Decides who is a member; starts and stops their forwarders.
pub struct Registry {
    parts: Parts,
    /// Members whose nodes have not told their region in this life of the daemon.
    unasked: Vec<ClusterName>,
    /// The regions that members have told, in this life or an earlier one.
    regions: BTreeMap<ClusterName, String>,
    generation: u64,
    _lifeline: Lifeline,
}

/// What a registry needs of its surroundings; a restarted one gets the same.
#[derive(Clone)]
pub struct Parts {
    /// Starts and stops forwarders.
    pub guardian: GuardianHandle,
    /// Where forwarders live.
    pub data: ArbiterHandle,
    /// Time.
    pub clock: Clock,
    /// Where the fleet is published; it outlives the registry.
    pub fleet: Arc<watch::Sender<Arc<Fleet>>>,
    /// The name that own had the last time, for a start at which its API server is dead.
    pub own: Option<ClusterName>,
    /// Who is wanted; it outlives the registry. Begin with the default.
    pub wanted: Arc<ArcSwap<Wanted>>,
}

/// Who the configuration and the ClusterScores want as members.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Those by configuration.
    members: Vec<MemberSpec>,
    trust: TrustRules,
    joined: Vec<PeerSpec>,
}

// === impl Registry ===

impl Registry {
    /// Makes a registry that goes on from the fleet that is published.
    pub fn new(parts: Parts, lifeline: Lifeline) -> Self {
        let generation =
            parts.fleet.borrow().members().iter().map(|member| member.generation).max();
        let generation = generation.unwrap_or_default();
        let regions = (*parts.fleet.borrow().regions).clone();
        Self { parts, unasked: Vec::new(), regions, generation, _lifeline: lifeline }
    }

    /// What the configuration says, else the member, now or before, else the name.
    fn region(&mut self, opened: &Opened) -> String {
        let name = &opened.name;
        match &opened.region {
            Region::Configured(region) => region.clone(),
            Region::Told(region) => {
                self.regions.insert(name.clone(), region.clone());
                region.clone()
            }
            Region::Unasked => {
                self.unasked.push(name.clone());
                self.known_region(name, None)
            }
            Region::OfPeer(region) => self.known_region(name, region.as_ref()),
        }
    }

    fn known_region(&self, name: &ClusterName, hint: Option<&String>) -> String {
        self.regions.get(name).or(hint).cloned().unwrap_or_else(|| name.to_string())
    }

    /// The present member of the name, if it is reached in the same way.
    fn unchanged(&self, opened: &Opened) -> Option<Arc<Member>> {
        let fleet = self.parts.fleet.borrow();
        let member = fleet.get(opened.name.as_str())?;
        let same = member.own == opened.own
            && member.reach == opened.reach
            && member.access.base == opened.access.base
            && member.access.fingerprint == opened.access.fingerprint;
        same.then(|| Arc::clone(member))
    }

    /// Makes the members of the candidates, and starts forwarders for the new ones.
    fn admit(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> (Vec<Arc<Member>>, Vec<ChildSpec<Forwarder>>) {
        let mut specs = Vec::new();
        let members = candidates.into_iter().map(|candidate| {
            let opened = match candidate {
                Candidate::Kept(member) => return member,
                Candidate::Opened(opened) => opened,
            };
            let region = self.region(&opened);
            match self.unchanged(&opened) {
                Some(member) if member.region == region => member,
                Some(member) => Arc::new(member.with_region(region)),
                None => {
                    self.generation += 1;
                    let member = Arc::new(Member {
                        name: opened.name,
                        own: opened.own,
                        region,
                        reach: opened.reach,
                        access: opened.access,
                        generation: self.generation,
                        health: Arc::new(ArcSwap::from_pointee(Health::Unknown)),
                        places: Places::default(),
                        forwarder: Slot::empty(),
                    });
                    specs.push(self.forwarder(&member));
                    member
                }
            }
        });
        (members.collect(), specs)
    }

    fn forwarder(&self, member: &Arc<Member>) -> ChildSpec<Forwarder> {
        let (slot, clock) = (member.forwarder.clone(), self.parts.clock.clone());
        let member = Arc::clone(member);
        ChildSpec {
            name: forwarder_name(&member),
            order: forwarder::DRAIN_ORDER,
            arbiter: self.parts.data.clone(),
            slot,
            mailbox: forwarder::MAILBOX,
            factory: Box::new(move |lifeline| Forwarder::new(&member, clock.clone(), lifeline)),
        }
    }

    /// Publishes the members, unless they and their regions are those that are published.
    fn publish(&mut self, members: Vec<Arc<Member>>) -> Result<(), EnrolError> {
        let space = Arc::clone(&self.parts.fleet.borrow().space);
        self.publish_in(&space, members)
    }

    /// Publishes the members with their slots in a space, or in one that follows it.
    fn publish_in(
        &mut self,
        space: &VersionSpace,
        members: Vec<Arc<Member>>,
    ) -> Result<(), EnrolError> {
        let before = Arc::clone(&self.parts.fleet.borrow());
        let space = self.space(space, &members)?;
        // Peers come and go: nothing is kept of those whose slot is gone as well.
        self.regions.retain(|name, _| space.slots().contains(name));
        let next = Fleet::new(members, Arc::new(space), Arc::new(self.regions.clone()));
        let mut pairs = before.members().iter().zip(next.members());
        let same = before.members().len() == next.members().len()
            && pairs.all(|(old, new)| Arc::ptr_eq(old, new))
            && before.regions == next.regions
            && before.space == next.space;
        if !same {
            info!(members = next.members().len(), "fleet published");
            self.parts.fleet.send_replace(Arc::new(next));
        }
        Ok(())
    }

    /// Slots of versions for all members; when they are used up by members that left, a new epoch
    /// begins, and clients list anew.
    fn space(
        &self,
        before: &VersionSpace,
        members: &[Arc<Member>],
    ) -> Result<VersionSpace, EnrolError> {
        let names = || members.iter().map(|member| &member.name);
        if let Ok(space) = before.extended(names()) {
            return Ok(space);
        }
        VersionSpace::new(self.epoch_after(before), names().cloned().collect())
            .map_err(|error| EnrolError::TooMany(error.to_string()))
    }

    /// An epoch that nobody had yet: the time in seconds, unless that is not later.
    fn epoch_after(&self, space: &VersionSpace) -> NonZeroU64 {
        let now = u64::try_from(self.parts.clock.now().as_second()).unwrap_or_default();
        NonZeroU64::MIN.saturating_add(now.max(space.epoch()))
    }

    /// Asks for regions that were not asked for, of members that answer by now.
    fn retry_regions(&mut self, ctx: &mut Context<Self>) {
        let fleet = Arc::clone(&self.parts.fleet.borrow());
        let waiting = self.unasked.iter().filter_map(|name| fleet.get(name.as_str()).cloned());
        let asking: Vec<_> = waiting
            .filter(|member| member.is_up())
            .map(|member| async move {
                (opening::region_of(&member.name, &member.access).await, member)
            })
            .collect();
        let asking = join_all(asking).into_actor(self);
        ctx.spawn(asking.map(|answers, registry, ctx| {
            for (nodes, member) in answers {
                match nodes {
                    Nodes::In(region) => registry.resolve(&member.name, &region),
                    Nodes::Unlabelled => registry.resolve(&member.name, member.name.as_str()),
                    Nodes::Silent => {}
                }
            }
            ctx.run_later(REGION_RETRY, Self::retry_regions);
        }));
    }

    fn resolve(&mut self, name: &ClusterName, region: &str) {
        self.unasked.retain(|other| other != name);
        self.regions.insert(name.clone(), region.to_owned());
        let fleet = Arc::clone(&self.parts.fleet.borrow());
        let members = fleet.members().iter().map(|member| {
            if member.name == *name && member.region != region {
                Arc::new(member.with_region(region.to_owned()))
            } else {
                Arc::clone(member)
            }
        });
        if let Err(error) = self.publish(members.collect()) {
            warn!(cluster = %name, %error, "region cannot be published");
        }
    }

    /// The name that own goes by when nobody says another.
    fn own(&self) -> Option<ClusterName> {
        let fleet = self.parts.fleet.borrow();
        fleet.own().map(|own| own.name.clone()).or_else(|| self.parts.own.clone())
    }

    /// The members by configuration, as they are published.
    fn configured(&self) -> Vec<Arc<Member>> {
        let wanted = self.parts.wanted.load();
        let fleet = self.parts.fleet.borrow();
        let is_configured = |member: &&Arc<Member>| {
            member.own || wanted.members.iter().any(|spec| spec.name.as_ref() == Some(&member.name))
        };
        fleet.members().iter().filter(is_configured).cloned().collect()
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.retry_regions(ctx);
    }
}

impl Handler<Enrol> for Registry {
    type Result = Enrolled;

    fn handle(&mut self, enrolled: Enrol, _: &mut Self::Context) -> Self::Result {
        let Enrol { members, trust } = enrolled;
        let joined = self.parts.wanted.load().joined.clone();
        enrol(self, Wanted { members, trust, joined })
    }
}

impl Handler<Reopen> for Registry {
    type Result = Enrolled;

    fn handle(&mut self, _: Reopen, _: &mut Self::Context) -> Self::Result {
        let wanted = Wanted::clone(&self.parts.wanted.load());
        enrol(self, wanted)
    }
}

impl Handler<JoinPeers> for Registry {
    type Result = AtomicResponse<Self, Arranged>;

    fn handle(&mut self, join: JoinPeers, _: &mut Self::Context) -> Self::Result {
        let wanted = Wanted { joined: join.0, ..Wanted::clone(&self.parts.wanted.load()) };
        let kept = self.configured().into_iter().map(Candidate::Kept).collect();
        AtomicResponse::new(Box::pin(arrange(self, kept, wanted)))
    }
}

impl Handler<RegionTold> for Registry {
    type Result = ();

    fn handle(&mut self, told: RegionTold, _: &mut Self::Context) {
        let member = self.parts.fleet.borrow().get(told.cluster.as_str()).cloned();
        // Of those that are reached straight the configuration and the nodes tell.
        if member.is_some_and(|member| member.reach != Reach::Direct) {
            self.resolve(&told.cluster, &told.region);
        }
    }
}

impl Handler<Settle> for Registry {
    type Result = Result<(), EnrolError>;

    fn handle(&mut self, settle: Settle, _: &mut Self::Context) -> Self::Result {
        let fleet = Arc::clone(&self.parts.fleet.borrow());
        let agreed = fleet.space.agreed(&settle.0, self.epoch_after(&settle.0));
        let agreed = agreed.map_err(|error| EnrolError::TooMany(error.to_string()))?;
        self.publish_in(&agreed, fleet.members().to_vec())
    }
}

impl Handler<Observe> for Registry {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let fleet = self.parts.fleet.borrow();
        let members: Vec<_> = fleet.members().iter().map(|member| json!({
            "name": member.name, "own": member.own, "region": member.region, "server": member.access.base,
            "reach": format!("{:?}", member.reach),
        })).collect();
        MessageResult(json!({"members": members, "regions_to_ask": self.unasked}))
    }
}

impl Handler<Drain> for Registry {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}
