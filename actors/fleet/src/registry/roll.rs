//! Which of the peers that ClusterScores name become members. Pure.

use std::collections::BTreeMap;

use tenbin_model::config::MAX_MEMBERS;
use tenbin_model::ids::ClusterName;

use super::{PeerSpec, Refused};
use crate::access::{Endpoint, PeerSource, Trust};

/// By what trust the peers are reached that ClusterScores name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustRules {
    /// That of most peers; `None`: only those of `by_endpoint` may be members.
    pub general: Option<Trust>,
    /// What differs for single peers.
    pub by_endpoint: BTreeMap<Endpoint, Trust>,
}

/// A peer that may be a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) name: ClusterName,
    pub(super) region: Option<String>,
    pub(super) source: PeerSource,
}

/// Chooses among `joined`; `configured` are the members by configuration, own included, with what
/// their connections lead to.
///
/// Configured members win, then the first by name. A peer that is a configured member under its
/// own name and endpoint is neither chosen nor refused.
pub(super) fn choose(
    configured: &[(ClusterName, String)],
    rules: &TrustRules,
    joined: &[PeerSpec],
) -> (Vec<Chosen>, Vec<Refused>) {
    let mut sorted: Vec<&PeerSpec> = joined.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    let (mut taken, mut chosen, mut refused) = (configured.to_vec(), Vec::new(), Vec::new());
    for peer in sorted {
        match judge(&taken, rules, peer) {
            Ok(Some(source)) => {
                taken.push((peer.name.clone(), source.endpoint.as_str().to_owned()));
                let (name, region) = (peer.name.clone(), peer.region.clone());
                chosen.push(Chosen { name, region, source });
            }
            Ok(None) => {}
            Err(reason) => refused.push(Refused { name: peer.name.clone(), reason }),
        }
    }
    (chosen, refused)
}

/// How a peer is reached; `None` where it is a member already, an error where it cannot be one.
fn judge(
    taken: &[(ClusterName, String)],
    rules: &TrustRules,
    peer: &PeerSpec,
) -> Result<Option<PeerSource>, String> {
    let endpoint = Endpoint::new(&peer.endpoint).map_err(|error| error.to_string())?;
    match taken.iter().find(|(name, _)| *name == peer.name) {
        Some((_, base)) if base == endpoint.as_str() => return Ok(None),
        Some((_, base)) => return Err(format!("the member of this name is reached at {base}")),
        None => {}
    }
    if let Some((name, _)) = taken.iter().find(|(_, base)| base == endpoint.as_str()) {
        return Err(format!("its endpoint is that of the member {name}"));
    }
    if taken.len() >= MAX_MEMBERS {
        return Err(format!("the fleet has {MAX_MEMBERS} members, and there is room for no more"));
    }
    let trust = rules.by_endpoint.get(&endpoint).or(rules.general.as_ref()).ok_or(
        "no trust is configured for it: [peers], or a [[peer]] of this endpoint, is missing",
    )?;
    Ok(Some(PeerSource { endpoint, trust: trust.clone() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ClusterName {
        ClusterName::new(text).unwrap()
    }

    fn trust(ca: &str) -> Trust {
        Trust::Mutual { ca: ca.into(), cert: "peer.crt".into(), key: "peer.key".into() }
    }

    fn peer(text: &str, endpoint: &str) -> PeerSpec {
        PeerSpec { name: name(text), endpoint: endpoint.to_owned(), region: None }
    }

    fn rules() -> TrustRules {
        let kobe = Endpoint::new("https://kobe:1").unwrap();
        let by_endpoint = BTreeMap::from([(kobe, trust("kobe-ca.crt"))]);
        TrustRules { general: Some(trust("ca.crt")), by_endpoint }
    }

    fn outcome(rules: &TrustRules, joined: &[PeerSpec]) -> String {
        let configured = [
            (name("tokyo"), "https://10.0.0.1:6443".to_owned()),
            (name("osaka"), "https://osaka:18081".to_owned()),
        ];
        let (chosen, refused) = choose(&configured, rules, joined);
        let chosen = chosen.iter().map(|one| format!("{}: member", one.name));
        let refused = refused.iter().map(|one| format!("{}: {}", one.name, one.reason));
        chosen.chain(refused).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn configured_members_win_then_the_first_by_name() {
        let joined = [
            peer("nara", "https://kyoto:18081/"),
            peer("kyoto", "https://kyoto:18081"),
            peer("tokyo", "https://elsewhere:18081"),
            peer("osaka", "https://osaka:18081"),
            peer("sakai", "https://OSAKA:18081"),
        ];
        insta::assert_snapshot!(outcome(&rules(), &joined), @r"
        kyoto: member
        nara: its endpoint is that of the member kyoto
        sakai: its endpoint is that of the member osaka
        tokyo: the member of this name is reached at https://10.0.0.1:6443
        ");
    }

    #[test]
    fn what_is_not_trusted_or_not_https_is_refused_alone() {
        let joined = [
            peer("a", "http://a:18081"),
            peer("b", "https://b:18081"),
            peer("kobe", "https://kobe:1"),
        ];
        let only_kobe = TrustRules { general: None, ..rules() };
        insta::assert_snapshot!(outcome(&only_kobe, &joined), @r#"
        kobe: member
        a: the server "http://a:18081" is not https
        b: no trust is configured for it: [peers], or a [[peer]] of this endpoint, is missing
        "#);
    }

    #[test]
    fn what_is_said_of_one_endpoint_wins_over_what_is_said_of_all() {
        let joined = [peer("kobe", "https://kobe:1/"), peer("kyoto", "https://kyoto:1")];
        let (chosen, _) = choose(&[], &rules(), &joined);
        let trusts: Vec<_> = chosen.into_iter().map(|one| one.source.trust).collect();
        assert_eq!(trusts, [trust("kobe-ca.crt"), trust("ca.crt")]);
    }

    proptest! {
        #[test]
        fn names_and_endpoints_are_unique_the_fleet_is_bounded_and_order_does_not_matter(
            hosts in prop::collection::vec((0_u8..90, 0_u8..90), 0..120),
            seed in any::<prop::sample::Index>(),
        ) {
            let mut joined: Vec<_> = hosts
                .iter()
                .map(|(name, host)| peer(&format!("c{name}"), &format!("https://h{host}:1")))
                .collect();
            // Objects of one kind have different names.
            joined.sort_by(|one, other| one.name.cmp(&other.name));
            joined.dedup_by(|one, other| one.name == other.name);
            let configured = [(name("tokyo"), "https://h0:1".to_owned())];
            let (chosen, refused) = choose(&configured, &rules(), &joined);
            prop_assert_eq!(chosen.len() + refused.len(), joined.len());
            prop_assert!(chosen.len() < MAX_MEMBERS);
            for (index, one) in chosen.iter().enumerate() {
                prop_assert!(one.source.endpoint.as_str() != "https://h0:1");
                for other in chosen.iter().skip(index + 1) {
                    prop_assert!(one.name != other.name);
                    prop_assert!(one.source.endpoint != other.source.endpoint);
                }
            }
            if !joined.is_empty() {
                let middle = seed.index(joined.len());
                joined.rotate_left(middle);
            }
            prop_assert_eq!(choose(&configured, &rules(), &joined).0, chosen);
        }
    }
}
