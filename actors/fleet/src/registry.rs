//! The actor that decides who is a member, and publishes the fleet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use arc_swap::ArcSwap;
use serde_json::json;
use tenbin_kernel::{ChildSpec, Clock, Drain, GuardianHandle, Lifeline, Observe, Slot};
use tenbin_model::ids::ClusterName;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::access::{AccessError, AccessSource};
use crate::forwarder::{self, Forwarder};
use crate::health::Health;
use crate::member::{Fleet, Member, Reach};
use crate::region;

mod opening;

use opening::{Nodes, Opened, Region};

/// How often regions that could not be had are asked for again.
const REGION_RETRY: Duration = Duration::from_secs(2);

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

/// Makes these the members. All or nothing: an error changes nothing.
#[derive(Message)]
#[rtype(result = "Result<(), EnrolError>")]
pub struct Enrol(pub Vec<MemberSpec>);

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

/// Why the members stay as they were.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EnrolError {
    #[error("member {member}")]
    Open { member: String, source: AccessError },
    #[error("own has no name, and its nodes carry no label {}: set own.name", region::LABEL)]
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

/// Decides who is a member; starts and stops their forwarders.
pub struct Registry {
    parts: Parts,
    /// Members whose nodes have not told their region in this life of the daemon.
    unasked: Vec<ClusterName>,
    /// The regions that nodes have told, in this life or an earlier one.
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

    /// What the configuration says, else the nodes, now or before, else the name.
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
                self.regions.get(name).cloned().unwrap_or_else(|| name.to_string())
            }
        }
    }

    /// The present member of the name, if it is reached in the same way.
    fn unchanged(&self, opened: &Opened) -> Option<Arc<Member>> {
        let fleet = self.parts.fleet.borrow();
        let member = fleet.get(opened.name.as_str())?;
        let same = member.own == opened.own
            && member.access.base == opened.access.base
            && member.access.fingerprint == opened.access.fingerprint;
        same.then(|| Arc::clone(member))
    }

    /// Makes the members of what was opened, and starts forwarders for the new ones.
    fn admit(&mut self, opened: Vec<Opened>) -> (Vec<Arc<Member>>, Vec<ChildSpec<Forwarder>>) {
        let mut specs = Vec::new();
        self.unasked.clear();
        let members = opened.into_iter().map(|opened| {
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
                        reach: Reach::Direct,
                        access: opened.access,
                        generation: self.generation,
                        health: Arc::new(ArcSwap::from_pointee(Health::Unknown)),
                        forwarder: Slot::empty(),
                    });
                    specs.push(self.forwarder(&member));
                    member
                }
            }
        });
        (members.collect(), specs)
    }

    fn forwarder(&self, member: &Member) -> ChildSpec<Forwarder> {
        let (name, access) = (member.name.clone(), member.access.clone());
        let (health, clock) = (Arc::clone(&member.health), self.parts.clock.clone());
        ChildSpec {
            name: forwarder_name(member),
            order: forwarder::DRAIN_ORDER,
            arbiter: self.parts.data.clone(),
            slot: member.forwarder.clone(),
            mailbox: forwarder::MAILBOX,
            factory: Box::new(move |lifeline| {
                let health = Arc::clone(&health);
                Forwarder::new(name.clone(), access.clone(), health, clock.clone(), lifeline)
            }),
        }
    }

    fn publish(&self, members: Vec<Arc<Member>>) -> Result<(), EnrolError> {
        let names = members.iter().map(|member| &member.name);
        let present = self.parts.fleet.borrow().space.extended(names);
        let space = present.map_err(|error| EnrolError::TooMany(error.to_string()))?;
        info!(members = members.len(), "fleet published");
        let regions = Arc::new(self.regions.clone());
        self.parts.fleet.send_replace(Arc::new(Fleet::new(members, Arc::new(space), regions)));
        Ok(())
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
        let asking = futures_util::future::join_all(asking).into_actor(self);
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
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.retry_regions(ctx);
    }
}

impl Handler<Enrol> for Registry {
    type Result = AtomicResponse<Self, Result<(), EnrolError>>;

    /// Opens all, starts the new forwarders, publishes, and stops the forwarders that nobody needs.
    fn handle(&mut self, enrol: Enrol, _: &mut Self::Context) -> Self::Result {
        let opening = opening::open_all(enrol.0, self.regions.clone());
        let enrolling = opening.into_actor(self).then(|opened, registry, _ctx| {
            let before = Arc::clone(&registry.parts.fleet.borrow());
            let guardian = registry.parts.guardian.clone();
            let admitted = opened.map(|opened| registry.admit(opened));
            let starting = async move {
                let (members, specs) = admitted?;
                start(&guardian, specs).await?;
                Ok(members)
            };
            starting.into_actor(registry).then(|started, registry, _ctx| {
                let published = started.and_then(|members| registry.publish(members));
                let after = Arc::clone(&registry.parts.fleet.borrow());
                let guardian = registry.parts.guardian.clone();
                async move {
                    published?;
                    stop(&guardian, &before, &after).await;
                    Ok(())
                }
                .into_actor(registry)
            })
        });
        AtomicResponse::new(Box::pin(enrolling))
    }
}

impl Handler<Observe> for Registry {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let fleet = self.parts.fleet.borrow();
        let members: Vec<_> = fleet.members().iter().map(|member| json!({
            "name": member.name, "own": member.own, "region": member.region, "server": member.access.base,
        })).collect();
        MessageResult(json!({"members": members, "regions_to_ask": self.unasked}))
    }
}

impl Handler<Drain> for Registry {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {}
}

fn forwarder_name(member: &Member) -> String {
    format!("forwarder/{}/{}", member.name, member.generation)
}

async fn start(
    guardian: &GuardianHandle,
    specs: Vec<ChildSpec<Forwarder>>,
) -> Result<(), EnrolError> {
    for spec in specs {
        guardian.spawn(spec).await.map_err(|error| EnrolError::Spawn(error.to_string()))?;
    }
    Ok(())
}

/// Stops the forwarders of members that are gone or reached otherwise now.
async fn stop(guardian: &GuardianHandle, before: &Fleet, after: &Fleet) {
    for member in before.members() {
        let kept = after.get(member.name.as_str());
        if kept.is_none_or(|kept| kept.generation != member.generation)
            && let Err(error) = guardian.stop(&forwarder_name(member)).await
        {
            warn!(cluster = %member.name, %error, "forwarder cannot be stopped");
        }
    }
}
