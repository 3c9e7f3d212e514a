//! From who is wanted to who is published.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::join_all;
use tenbin_kernel::{ChildSpec, GuardianHandle};
use tenbin_model::ids::ClusterName;
use tracing::warn;

use super::opening::{self, Opened};
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
    let opening = join_all(chosen.into_iter().map(opening::open_peer));
    opening.into_actor(registry).then(move |outcomes, registry, _ctx| {
        let mut candidates = configured;
        for outcome in outcomes {
            match outcome {
                Ok(opened) => candidates.push(Candidate::Opened(Box::new(opened))),
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
