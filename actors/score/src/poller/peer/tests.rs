mod wire;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use tenbin_model::score::Provenance;

use super::told::{Mute, Times, Told, date};

/// A `ClusterScoreList` of one item that is the peer's own.
fn list(region: &str, status: &Value) -> Vec<u8> {
    let spec = json!({"endpoint": "https://10.96.0.1:443", "owncluster": true, "region": region});
    json!({"kind": "ClusterScoreList", "items": [{"spec": spec, "status": status}]})
        .to_string()
        .into_bytes()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[test]
fn a_tenbin_tells_the_fraction_and_its_nodes() {
    let status = json!({
        "score": 123, "watts": 123.456, "updateTimestamp": "2023-11-14T22:13:20.123Z",
        "nodes": [{"name": "n0", "score": 62, "watts": 61.75}, {"name": "n1", "score": 0}],
    });
    let told = Told::read(&list("kanto", &status)).unwrap();
    assert_eq!(told.region, "kanto");
    assert_eq!(told.measured_at, Some("2023-11-14T22:13:20.123Z".parse().unwrap()));
    let sample = told.sample(at(7));
    assert_eq!((sample.watts, sample.provenance), (123.456, Provenance::Peer));
    assert_eq!(sample.sampled_at, at(7));
    let nodes: Vec<_> = sample.nodes.iter().map(|it| (it.name.as_str(), it.watts)).collect();
    assert_eq!(nodes, [("n0", 61.75)]);
}

#[test]
fn an_original_tells_whole_watts_and_its_first_release_no_more() {
    let v30 = json!({
        "score": 310, "updateTimestamp": "2025-09-30T01:02:03Z",
        "nodes": [{"name": "worker", "score": 310}],
    });
    let told = Told::read(&list("kansai", &v30)).unwrap();
    assert_eq!((told.watts, told.nodes[0].watts), (310.0, 310.0));
    assert_eq!(told.measured_at, Some("2025-09-30T01:02:03Z".parse().unwrap()));

    let told = Told::read(&list("kansai", &json!({"score": 310}))).unwrap();
    assert_eq!((told.watts, told.measured_at), (310.0, None));
}

#[test]
fn only_the_item_that_is_the_peers_own_counts() {
    let other = json!({"spec": {"endpoint": "https://x"}, "status": {"score": 1, "nodes": null}});
    let own = json!({
        "spec": {"endpoint": "https://y", "owncluster": true, "region": "kansai"},
        "status": {"score": 2, "nodes": null},
    });
    let both = json!({"items": [other, own]}).to_string();
    assert_eq!(Told::read(both.as_bytes()).unwrap().region, "kansai");
    let one = json!({"items": [other]}).to_string();
    assert_eq!(Told::read(one.as_bytes()), Err(Mute::NoOwn));
}

#[test]
fn what_is_missing_or_impossible_is_no_score() {
    for status in [
        json!(null),
        json!({}),
        json!({"score": 0}),
        json!({"score": -5}),
        json!({"score": 100, "watts": 0.0}),
        json!({"score": 100, "watts": -1.5}),
    ] {
        assert_eq!(Told::read(&list("kanto", &status)), Err(Mute::Unknown), "{status}");
    }
    for region in ["", "a b", "-x", &"a".repeat(64)] {
        let told = Told::read(&list(region, &json!({"score": 1})));
        assert_eq!(told, Err(Mute::Region(region.to_owned())));
    }
    let late = json!({"score": 1, "updateTimestamp": "yesterday"});
    for body in [b"<html>".to_vec(), b"{}".to_vec(), list("kanto", &late)] {
        assert!(matches!(Told::read(&body), Err(Mute::Unreadable(_))));
    }
}

#[test]
fn the_age_is_told_by_the_peers_own_clock() {
    assert_eq!(
        date(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        Some("1994-11-06T08:49:37Z".parse().unwrap())
    );
    assert_eq!(date(b"once"), None);

    // The peer's clock is an hour behind; what it measured 20 s ago is 20 s old here.
    let now = at(100_000);
    let told = now - seconds(3600) - seconds(20);
    let ours = Times::default().ours(Some(told), Some(now - seconds(3600)), now);
    assert_eq!(ours, now - seconds(20));
    // Without a date the clocks are taken to agree, and nothing is of the future.
    assert_eq!(Times::default().ours(Some(now + seconds(60)), None, now), now);
    assert_eq!(Times::default().ours(None, None, now), now);
}

proptest! {
    /// C1: whatever a peer says, a time that stands still grows old by itself, and no sample is
    /// from the future.
    #[test]
    fn a_time_that_stands_still_grows_old(
        told in -10_000i64..10_000,
        polls in prop::collection::vec((0i64..100, prop::option::of(-10_000i64..10_000)), 1..20),
    ) {
        let (mut times, mut now) = (Times::default(), at(1_000_000));
        let told = now + seconds(told);
        let mut first = None;
        for (later, ahead) in polls {
            now += seconds(later);
            let date = ahead.map(|ahead| now + seconds(ahead));
            let ours = times.ours(Some(told), date, now);
            prop_assert!(ours <= now);
            prop_assert!(ours <= *first.get_or_insert(now));
        }
    }

    /// The difference of two clocks does not matter where the peer sends a date.
    #[test]
    fn clocks_that_differ_change_no_age(age in 0i64..10_000, skew in -1_000_000i64..1_000_000) {
        let now = at(1_000_000_000);
        let date = now + seconds(skew);
        let ours = Times::default().ours(Some(date - seconds(age)), Some(date), now);
        prop_assert_eq!(ours, now - seconds(age));
    }
}
