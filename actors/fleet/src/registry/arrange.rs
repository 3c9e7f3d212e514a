//! From who is wanted to who is published.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::join_all;
use tenbin_kernel::{ChildSpec, GuardianHandle};
use tenbin_model::ids::ClusterName;
use tracing::warn;

use super::opening::{self, Opened};
use super::roll::Chosen;
use super::{EnrolError, Refused, Registry, Wanted, roll};
use crate::forwarder::Forwarder;
use crate::member::{Fleet, Member};

/// A member to be: one that is kept, or one that was opened.
pub(super) enum Candidate {
    Kept(Arc<Member>),
    Opened(Box<Opened>),
}

/// What becomes of an attempt to change the fleet.
pub(super) type Arranged = Result<Vec<Refused>, EnrolError>;

/// Joins the peers of `wanted` to the configured members, starts the new forwarders, publishes,
/// and stops the forwarders that nobody needs.
pub(super) fn arrange(
    registry: &Registry,
    configured: Vec<Candidate>,
    wanted: Wanted,
) -> impl ActorFuture<Registry, Output = Arranged> + 'static {
    let (chosen, mut refused) = {
        let bases: Vec<_> = configured.iter().map(Candidate::name_and_base).collect();
        roll::choose(&bases, &wanted.trust, &wanted.joined)
    };
    let opening = join_all(chosen.into_iter().map(|peer| {
        let present = present(registry, &peer);
        open_or_keep(peer, present)
    }));
    opening.into_actor(registry).then(move |outcomes, registry, _ctx| {
        let mut candidates = configured;
        for outcome in outcomes {
            match outcome {
                Ok(candidate) => candidates.push(candidate),
                Err(peer) => refused.push(peer),
            }
        }
        let (members, specs) = registry.admit(candidates);
        let guardian = registry.parts.guardian.clone();
        let starting = async move { start(&guardian, specs).await.map(|()| members) };
        starting.into_actor(registry).then(move |started, registry, _ctx| {
            let before = Arc::clone(&registry.parts.fleet.borrow());
            let published = started.and_then(|members| registry.publish(members));
            if published.is_ok() {
                registry.parts.wanted.store(Arc::new(wanted));
            }
            let after = Arc::clone(&registry.parts.fleet.borrow());
            let guardian = registry.parts.guardian.clone();
            let stopping = async move {
                published?;
                stop(&guardian, &before, &after).await;
                Ok(refused)
            };
            stopping.into_actor(registry)
        })
    })
}

/// The member that a peer is already.
fn present(registry: &Registry, peer: &Chosen) -> Option<Arc<Member>> {
    let fleet = registry.parts.fleet.borrow();
    let member = fleet.get(peer.name.as_str())?;
    let same = !member.own && member.access.base == peer.source.endpoint.as_str();
    same.then(|| Arc::clone(member))
}

/// Opens a peer. One that is a member stays as it is where its files cannot be read now: they may
/// be half written.
async fn open_or_keep(peer: Chosen, present: Option<Arc<Member>>) -> Result<Candidate, Refused> {
    match (opening::open_peer(peer).await, present) {
        (Ok(opened), _) => Ok(Candidate::Opened(Box::new(opened))),
        (Err(Refused { name, reason }), Some(member)) => {
            warn!(cluster = %name, reason, "peer's trust cannot be read: the old one stays");
            Ok(Candidate::Kept(member))
        }
        (Err(refused), None) => Err(refused),
    }
}

pub(super) type Enrolled = AtomicResponse<Registry, Result<(), EnrolError>>;

/// Opens all members by configuration, and arranges the fleet of them and the joined peers.
pub(super) fn enrol(registry: &Registry, wanted: Wanted) -> Enrolled {
    let specs = wanted.members.clone();
    let opening = opening::open_all(specs, registry.regions.clone(), registry.own());
    let enrolling = opening.into_actor(registry).then(move |opened, registry, _ctx| {
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return actix::fut::err(error).boxed_local(),
        };
        registry.unasked.clear();
        let candidates = opened.into_iter().map(Box::new).map(Candidate::Opened).collect();
        arrange(registry, candidates, wanted)
            .map_ok(|refused, _registry, _ctx| {
                for Refused { name, reason } in refused {
                    warn!(cluster = %name, reason, "peer is no member");
                }
            })
            .boxed_local()
    });
    AtomicResponse::new(Box::pin(enrolling))
}

// === impl Candidate ===

impl Candidate {
    fn name_and_base(&self) -> (ClusterName, String) {
        match self {
            Self::Kept(member) => (member.name.clone(), member.access.base.clone()),
            Self::Opened(opened) => (opened.name.clone(), opened.access.base.clone()),
        }
    }
}

pub(super) fn forwarder_name(member: &Member) -> String {
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
