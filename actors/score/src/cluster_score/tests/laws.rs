use std::collections::BTreeMap;

use proptest::prelude::*;
use tenbin_fleet::health::Health;

use super::super::plan::Memory;
use super::super::view::Seen;
use super::super::{ClusterScoreSpec, ClusterScoreStatus};
use super::rig::{INTERVAL, Server, Tenbin, at, name, object, secs};

/// An object that anybody may have left behind.
fn any_object() -> impl Strategy<Value = (String, Seen)> {
    let name = prop::sample::select(vec!["tokyo", "osaka", "kyoto", "nara", "not_a_name"]);
    let endpoint =
        prop::sample::select(vec!["https://10.96.0.1:443", "https://osaka:18081", "nonsense", ""]);
    let region = prop::sample::select(vec!["", "kansai", "kanto", "$$$"]);
    let score = prop::option::of(prop::option::of(-5_i64..500));
    (name, endpoint, region, any::<(bool, bool)>(), score).prop_map(
        |(name, endpoint, region, (owncluster, managed), score)| {
            let status = score.map(|score| ClusterScoreStatus { score, ..Default::default() });
            let seen = object(endpoint, owncluster, region);
            (name.to_owned(), Seen { managed, status, ..seen })
        },
    )
}

fn any_health() -> impl Strategy<Value = Health> {
    let down = any::<bool>().prop_map(|untrusted| Health::Down {
        since: at(secs(0)),
        reason: "gone".to_owned(),
        untrusted,
    });
    prop_oneof![Just(Health::Unknown), Just(Health::Up), down]
}

prop_compose! {
    fn any_tenbin()(
        members in prop::collection::btree_map(
            prop::sample::select(vec!["osaka", "kyoto"]),
            (any_health(), prop::option::of(Just("kansai")), prop::option::of((1.0..1e5, prop_oneof![0_u64..600, 750_u64..900]))),
            0..3,
        ),
        refused in any::<bool>(),
    ) -> Tenbin {
        let mut tenbin = Tenbin::named("tokyo");
        for (name, (health, region, score)) in members {
            tenbin.member(name, region, health);
            if let Some((watts, second)) = score {
                tenbin.measured(name, watts, at(secs(second)));
            }
        }
        if refused {
            tenbin.refused.insert(name("nara"), "too many".to_owned());
        }
        tenbin
    }
}

proptest! {
    /// What was written leaves nothing to be written, by itself or by a tenbin that starts anew;
    /// whatever others then write is put right within an interval; endpoints are the users'.
    #[test]
    fn writing_is_idempotent_and_puts_others_edits_right(
        objects in prop::collection::vec(any_object(), 0..6),
        edits in prop::collection::vec(any_object(), 0..6),
        mut tenbin in any_tenbin(),
    ) {
        let mut server = Server::default();
        for (name, seen) in objects {
            server.put(&name, seen);
        }
        let endpoints: Vec<_> = server.view.objects.iter().filter(|(name, _)| *name != "tokyo")
            .map(|(name, seen)| (name.clone(), seen.spec.endpoint.clone())).collect();
        tenbin.settle(&mut server, secs(1000));
        prop_assert_eq!(tenbin.plan(&server, &mut Memory::default(), secs(1000)), []);
        for (name, endpoint) in endpoints {
            prop_assert_eq!(&server.get(&name).spec.endpoint, &endpoint);
        }
        let right: BTreeMap<_, _> = server.view.objects.iter()
            .map(|(name, seen)| (name.clone(), (seen.spec.clone(), seen.status.clone()))).collect();

        for (name, edit) in edits {
            let Some(seen) = server.view.objects.get(&name).cloned() else { continue };
            if tenbin.own.was(&seen) {
                continue;
            }
            let spec = ClusterScoreSpec { endpoint: seen.spec.endpoint, ..edit.spec };
            let edited = Seen { spec, managed: seen.managed, ..edit };
            if !tenbin.own.was(&edited) {
                server.put(&name, edited);
            }
        }
        tenbin.settle(&mut server, secs(1000) + INTERVAL);
        for (name, (spec, status)) in right {
            prop_assert_eq!(&server.get(&name).spec, &spec);
            prop_assert_eq!(&server.get(&name).status, &status);
        }
    }

    /// Somebody who edits without end costs two requests an interval and object.
    #[test]
    fn nobody_makes_it_write_in_haste(edits in prop::collection::vec(any_object(), 300)) {
        let (mut tenbin, mut server) = (Tenbin::named("tokyo"), Server::default());
        let (mut count, seconds) = (0, u64::try_from(edits.len()).unwrap());
        for (second, (name, seen)) in (0..).zip(edits) {
            server.put(&name, seen);
            count += tenbin.look(&mut server, secs(second)).len();
        }
        let names = u64::try_from(server.view.objects.len()).unwrap();
        let most = names * 2 * (seconds / INTERVAL.as_secs() + 2);
        prop_assert!(u64::try_from(count).unwrap() <= most, "{} > {}", count, most);
    }
}
