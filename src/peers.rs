//! What the configuration says of peers: who they are, and by what trust they are reached.

use std::collections::BTreeMap;

use anyhow::Context as _;
use tenbin_fleet::access::{AccessSource, Endpoint, PeerSource, Trust};
use tenbin_fleet::registry::{MemberSpec, TrustRules};
use tenbin_model::config::{Config, Peer};

use crate::exit::Exit;

/// The peers that are members without a `ClusterScore`, and the trust of those that have one.
pub(crate) fn rules(config: &Config) -> anyhow::Result<(Vec<MemberSpec>, TrustRules)> {
    let general = config.peers.as_ref().map(|peers| Trust::Mutual {
        ca: peers.ca.clone(),
        cert: peers.identity.cert.clone(),
        key: peers.identity.key.clone(),
    });
    let (mut members, mut by_endpoint) = (Vec::new(), BTreeMap::new());
    for peer in &config.peer {
        let endpoint = Endpoint::new(&peer.endpoint)
            .with_context(|| format!("peer {}", peer.endpoint))
            .context(Exit::Config)?;
        let Some(trust) = trust(config, peer) else { continue };
        by_endpoint.insert(endpoint.clone(), trust.clone());
        members.extend(peer.name.as_ref().map(|name| MemberSpec {
            name: Some(name.clone()),
            own: false,
            region: None,
            source: AccessSource::Peer(PeerSource { endpoint, trust }),
        }));
    }
    Ok((members, TrustRules { general, by_endpoint }))
}

/// What is said of one peer, completed by what is said of all; the configuration is refused where
/// that is not enough.
fn trust(config: &Config, peer: &Peer) -> Option<Trust> {
    let general = config.peers.as_ref();
    let ca = peer.ca.clone().or_else(|| Some(general?.ca.clone()));
    if let Some(basic) = &peer.basic {
        let (username, password_file) = (basic.username.clone(), basic.password_file.clone());
        return Some(Trust::Basic { ca, username, password_file });
    }
    let identity = peer.identity.clone().or_else(|| Some(general?.identity.clone()))?;
    Some(Trust::Mutual { ca: ca?, cert: identity.cert, key: identity.key })
}
