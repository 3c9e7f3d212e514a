//! The plan against an API server that is a map: what is written, how often, and what never is.

mod laws;
mod rig;

use std::collections::BTreeMap;

use tenbin_fleet::health::Health;
use tenbin_fleet::registry::PeerSpec;

use self::rig::{Server, Tenbin, at, name, object, secs};
use super::plan::Write;
use super::view::Seen;

#[test]
fn owns_object_is_made_and_says_what_is_known() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    tokyo.measured("tokyo", 123.456, at(secs(0)));
    tokyo.settle(&mut server, secs(1));
    let own = server.get("tokyo");
    assert!(own.managed && own.spec.owncluster);
    assert_eq!(
        (own.spec.endpoint.as_str(), own.spec.region.as_str()),
        ("https://10.96.0.1:443", "kanto")
    );
    let status = own.status.as_ref().unwrap();
    assert_eq!((status.score, status.watts), (Some(123), Some(123.456)));
    assert_eq!(
        server.condition("tokyo", "Ready"),
        "True Ready: it answers, and its score is fresh"
    );
}

#[test]
fn a_users_object_becomes_a_peer_and_is_filled_in() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    server.put("osaka", object("https://osaka:18081", true, "nowhere at all"));
    let peer =
        PeerSpec { name: name("osaka"), endpoint: "https://osaka:18081".to_owned(), region: None };
    assert_eq!(tokyo.peers(&server), BTreeMap::from([(name("osaka"), peer)]));
    tokyo.settle(&mut server, secs(1));
    let osaka = &server.get("osaka").spec;
    assert_eq!((osaka.owncluster, osaka.region.as_str()), (false, ""));
    assert_eq!(server.condition("osaka", "Ready"), "Unknown NotAskedYet: it was not asked yet");

    tokyo.member("osaka", Some("kansai"), Health::Up);
    tokyo.measured("osaka", 200.0, at(secs(2)));
    tokyo.settle(&mut server, secs(3));
    assert_eq!(server.get("osaka").spec.region, "kansai");
    assert_eq!(server.get("osaka").status.as_ref().unwrap().score, Some(200));
    assert_eq!(
        server.condition("osaka", "Ready"),
        "True Ready: it answers, and its score is fresh"
    );
}

#[test]
fn what_cannot_be_a_member_reads_why() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    let long = "a".repeat(64);
    server.put("nara", object("http://nara", false, ""));
    server.put(&long, object("https://nara:18081", false, ""));
    tokyo.refused.insert(name("nara"), "the server \"http://nara\" is not https".to_owned());
    tokyo.settle(&mut server, secs(1));
    assert_eq!(
        server.condition("nara", "Ready"),
        "False NotAMember: the server \"http://nara\" is not https"
    );
    assert_eq!(
        server.condition(&long, "Ready"),
        "False NotAMember: a cluster name has 1 to 63 characters, this one has 64"
    );
    assert!(!tokyo.peers(&server).keys().any(|name| name.as_str() == long));
}

#[test]
fn a_score_is_written_once_an_interval_and_a_changed_condition_at_once() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    tokyo.measured("tokyo", 100.0, at(secs(0)));
    tokyo.settle(&mut server, secs(0));
    for second in 1..30 {
        tokyo.measured("tokyo", 100.0, at(secs(second)));
        assert_eq!(tokyo.look(&mut server, secs(second)), [], "{second}");
    }
    assert_eq!(tokyo.look(&mut server, secs(30)).len(), 1);

    let down = Health::Down { since: at(secs(31)), reason: "reset".to_owned(), untrusted: false };
    tokyo.member("tokyo", Some("kanto"), down);
    let writes = tokyo.look(&mut server, secs(31));
    let [Write::Status(write)] = writes.as_slice() else { panic!("{writes:?}") };
    assert_eq!(write.event.as_ref().unwrap().reason, "Unreachable");
    assert_eq!(tokyo.look(&mut server, secs(32)), []);
    assert_eq!(server.condition("tokyo", "Stale"), "False Fresh: its score is fresh");
}

#[test]
fn a_score_that_grows_too_old_is_taken_away_with_the_reason() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    tokyo.measured("tokyo", 100.0, at(secs(0)));
    tokyo.settle(&mut server, secs(1));
    tokyo.board = tokyo.board.with_failure(name("tokyo"), "no answer: metrics-server");
    assert_eq!(tokyo.look(&mut server, secs(301)).len(), 1);
    let status = server.get("tokyo").status.as_ref().unwrap();
    assert_eq!((status.score, status.watts), (None, None));
    assert_eq!(status.update_timestamp, Some(at(secs(0))));
    let ready = server.condition("tokyo", "Ready");
    assert!(ready.starts_with("False Stale: its last score is of 2023-11-14T22:13:20Z"), "{ready}");
    assert!(ready.ends_with("no answer: metrics-server"), "{ready}");
}

#[test]
fn owns_object_of_a_former_name_goes_once_it_stands_still() {
    let (mut kanto, mut server) = (Tenbin::named("kanto"), Server::default());
    kanto.settle(&mut server, secs(0));
    let mut tokyo = Tenbin::named("tokyo");
    assert!(tokyo.peers(&server).is_empty());
    for second in 0..90 {
        tokyo.look(&mut server, secs(second));
        assert!(server.view.objects.contains_key("kanto"), "{second}");
    }
    tokyo.look(&mut server, secs(90));
    assert!(!server.view.objects.contains_key("kanto"));
    // It comes back: another tenbin of this cluster insists on its name.
    kanto.settle(&mut server, secs(100));
    for second in 100..1000 {
        tokyo.look(&mut server, secs(second));
    }
    assert!(server.view.objects.contains_key("kanto"));
}

#[test]
fn an_own_object_of_another_cluster_that_a_user_copied_is_a_peer() {
    let (mut tokyo, mut server) = (Tenbin::named("tokyo"), Server::default());
    let copied = object("https://osaka-api:6443", true, "kansai");
    server.put("osaka", Seen { managed: true, ..copied });
    for second in 0..200 {
        tokyo.look(&mut server, secs(second));
    }
    assert!(!server.get("osaka").spec.owncluster);
    assert!(tokyo.peers(&server).contains_key(&name("osaka")));
}

#[test]
fn two_tenbins_of_one_cluster_do_not_fight() {
    let (mut one, mut other) = (Tenbin::named("tokyo"), Tenbin::named("tokyo"));
    other.own.endpoint = "https://127.0.0.1:6443".to_owned();
    other.own.region = "elsewhere".to_owned();
    let mut server = Server::default();
    let mut count = 0;
    for second in 0..3000 {
        one.measured("tokyo", 100.0, at(secs(second)));
        other.measured("tokyo", 200.0, at(secs(second)));
        count += one.look(&mut server, secs(second)).len();
        count += other.look(&mut server, secs(second)).len();
    }
    // Each writes spec and status once an interval, and no more.
    assert!(count <= 2 * 2 * (3000 / 30 + 2), "{count}");
}
