//! What the configuration means for each part of the daemon.

use std::sync::Arc;

use anyhow::Context as _;
use tenbin_fleet::access::AccessSource;
use tenbin_fleet::registry::{Enrol, MemberSpec};
use tenbin_gateway::router::Rules;
use tenbin_gateway::tls::{ClientCa, TlsFiles};
use tenbin_model::config::{Config, Unmanaged};
use tenbin_model::request::kinds::Kinds;
use tenbin_model::request::route::RoutePolicy;
use tenbin_placement::placer;
use tenbin_score::estimator;

use crate::exit::Exit;
use crate::peers;

/// The members, own first; those that an operator has declared absent are nobody's.
pub(crate) fn enrol(config: &Config) -> anyhow::Result<Enrol> {
    let own = MemberSpec {
        name: config.own.name.clone(),
        own: true,
        region: config.own.region.clone(),
        source: match &config.own.kubeconfig {
            Some(path) => {
                AccessSource::Kubeconfig { path: path.clone(), context: config.own.context.clone() }
            }
            None => AccessSource::InCluster,
        },
    };
    let others = config.members.iter().filter(|member| !member.absent).map(|member| MemberSpec {
        name: Some(member.name.clone()),
        own: false,
        region: member.region.clone(),
        source: AccessSource::Kubeconfig {
            path: member.kubeconfig.clone(),
            context: member.context.clone(),
        },
    });
    let (peers, trust) = peers::rules(config)?;
    Ok(Enrol { members: std::iter::once(own).chain(others).chain(peers).collect(), trust })
}

/// What the router and the gateway go by.
pub(crate) fn rules(config: &Config) -> anyhow::Result<Arc<Rules>> {
    let kinds = Kinds::new(config.routing.replicate.iter().map(String::as_str))
        .context("routing.replicate")
        .context(Exit::Config)?;
    Ok(Arc::new(Rules {
        policy: RoutePolicy::new(kinds, config.routing.exclude.clone()),
        cross: config.auth.cross.clone(),
        tokens: config.auth.tokens,
        label_key: config.label.key.clone(),
        own_value: config.label.own_value.clone(),
        partial: config.reads.partial,
        limits: config.limits,
        unmanaged_everywhere: config.routing.unmanaged == Unmanaged::All,
    }))
}

/// The files of the users port.
pub(crate) fn tls_files(config: &Config) -> TlsFiles {
    TlsFiles {
        cert: config.tls.cert.clone(),
        key: config.tls.key.clone(),
        client_cas: vec![ClientCa { path: config.auth.client_ca.clone(), only: None }],
    }
}

/// The placer's settings.
pub(crate) fn placement(config: &Config) -> placer::Configure {
    placer::Configure {
        min_clusters: config.placement.min_clusters,
        max_age: config.score.max_age,
        strategy: config.placement.strategy,
    }
}

/// The estimator's settings.
pub(crate) fn estimates(config: &Config) -> estimator::Configure {
    estimator::Configure { interval: config.score.interval }
}
