use proptest::prelude::*;

use super::*;

const MAX_AGE: Duration = Duration::from_secs(90);
const BROKEN: &str = "the adapter does not answer";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn features() -> Features {
    Features { cpu_percent: 40.0, inlet_celsius: 22.5, delta_p_pascal: 7.5 }
}

fn measured(name: &str, like: &[&str], watts: f64) -> NodeOutcome {
    let outcome = Ok(NodeReading { features: features(), watts });
    NodeOutcome { outcome, ..failed(name, like) }
}

fn failed(name: &str, like: &[&str]) -> NodeOutcome {
    let like = like.iter().map(|group| (*group).to_owned()).collect();
    NodeOutcome { name: name.to_owned(), like, outcome: Err(BROKEN.to_owned()) }
}

/// Settles a round as the score that the next one starts from.
fn settled(nodes: Vec<NodeOutcome>, previous: Option<&Score>, now: i64) -> Score {
    Score::new(settle(nodes, previous, at(now), MAX_AGE).unwrap()).unwrap()
}

fn counted(score: &Score, node: &str) -> f64 {
    score.missing().iter().find(|it| it.node == node).unwrap().watts.unwrap()
}

fn assert_near(left: f64, right: f64) {
    assert!((left - right).abs() < 1e-9, "{left} is not {right}");
}

#[test]
fn nodes_that_are_measured_count_what_is_measured() {
    let score = settled(vec![measured("n0", &[], 100.5), measured("n1", &[], 60.25)], None, 1000);
    assert_near(score.watts(), 160.75);
    assert_eq!((score.provenance(), score.sampled_at()), (Provenance::Measured, at(1000)));
    assert_eq!(score.nodes()[0].cpu_percent, Some(40.0));
    assert_eq!(score.nodes()[0].inlet_celsius, Some(22.5));
    assert_eq!(score.nodes()[0].delta_p_pascal, Some(7.5));
    assert!(score.missing().is_empty());
}

#[test]
fn watts_that_no_machine_has_are_a_failure_with_a_reason() {
    for (watts, said) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (0.0, "0.0"),
        (-3.0, "-3.0"),
        (1e300, "1e300"),
        (1_000_000.1, "1000000.1"),
    ] {
        let nodes = vec![measured("n0", &[], 100.0), measured("n1", &[], watts)];
        let score = settled(nodes, None, 1000);
        assert_eq!(score.missing()[0].reason, format!("its power model says {said} W"));
        assert_near(score.watts(), 200.0);
    }
    settled(vec![measured("n0", &[], 1e6)], None, 1000);
}

#[test]
fn inputs_that_are_not_numbers_are_a_failure_with_a_reason() {
    let mut broken = measured("n1", &[], 100.0);
    let features = Features { inlet_celsius: f64::NAN, ..features() };
    broken.outcome = Ok(NodeReading { features, watts: 100.0 });
    let score = settled(vec![measured("n0", &[], 50.0), broken], None, 1000);
    assert_eq!(score.missing()[0].reason, "its inlet temperature is NaN");
    assert_near(score.watts(), 100.0);
}

#[test]
fn a_node_that_fails_counts_its_last_known_watts_up_to_the_age_limit() {
    let like = ["template"];
    let first =
        settled(vec![measured("n0", &like, 300.0), measured("n1", &like, 80.0)], None, 1000);
    let round = || vec![measured("n0", &like, 310.0), failed("n1", &like)];
    let second = settled(round(), Some(&first), 1030);
    let third = settled(round(), Some(&second), 1090);
    for (score, now) in [(&second, 1030), (&third, 1090)] {
        assert_near(score.watts(), 390.0);
        assert_eq!(score.sampled_at(), at(now));
        let missing = Missing {
            node: "n1".to_owned(),
            reason: BROKEN.to_owned(),
            watts: Some(80.0),
            last_watts: Some(80.0),
            measured_at: Some(at(1000)),
        };
        assert_eq!(score.missing(), [missing]);
    }
}

#[test]
fn a_node_that_fails_for_long_counts_the_mean_of_the_others_of_its_like() {
    let first = settled(vec![measured("n0", &["a"], 300.0), measured("n1", &["a"], 80.0)], None, 0);
    let round = |watts| {
        vec![measured("n0", &["a"], watts), failed("n1", &["a"]), measured("n2", &["b"], 10.0)]
    };
    let hot = settled(round(300.0), Some(&first), 91);
    assert_near(counted(&hot, "n1"), 300.0);
    assert_eq!(hot.missing()[0].last_watts, Some(80.0));
    assert_eq!(hot.missing()[0].measured_at, Some(at(0)));
    // The guess follows its like, both ways, down to what was known.
    assert_near(counted(&settled(round(200.0), Some(&hot), 1000), "n1"), 200.0);
    assert_near(counted(&settled(round(50.0), Some(&hot), 1000), "n1"), 80.0);
}

#[test]
fn a_node_that_was_never_measured_counts_the_mean_of_its_narrowest_group_that_is_known() {
    let nodes = || {
        vec![
            measured("n0", &["template", "labels"], 100.0),
            measured("n1", &["template", "labels"], 200.0),
            measured("n2", &["other", "labels"], 600.0),
            measured("n3", &["other", "others"], 1000.0),
        ]
    };
    for (like, watts) in [
        (&["template", "labels"][..], 150.0),
        (&["lonely", "labels"], 300.0),
        (&["lonely", "alone"], 475.0),
        (&[], 475.0),
    ] {
        let mut nodes = nodes();
        nodes.push(failed("new", like));
        let score = settled(nodes, None, 1000);
        assert_near(counted(&score, "new"), watts);
        assert_eq!(score.missing()[0].last_watts.zip(score.missing()[0].measured_at), None);
        assert_near(score.watts(), 1900.0 + watts);
    }
}

#[test]
fn an_expensive_node_that_fails_does_not_make_its_like_look_cheap() {
    let all =
        || vec![measured("cheap", &[], 100.0), measured("dear", &[], 320.0), failed("new", &[])];
    let first = settled(all(), None, 0);
    assert_near(first.watts(), 420.0 + 210.0);
    let mut nodes = all();
    nodes[1] = failed("dear", &[]);
    for now in [30, 100_000] {
        assert_near(settled(nodes.clone(), Some(&first), now).watts(), 630.0);
    }
}

#[test]
fn a_node_that_exists_no_more_is_not_counted() {
    let first = settled(vec![measured("n0", &[], 100.0), measured("n1", &[], 200.0)], None, 0);
    let second = settled(vec![failed("n0", &[])], Some(&first), 30);
    assert_near(second.watts(), 100.0);
    assert!(second.missing().iter().all(|it| it.node == "n0"));
}

#[test]
fn a_round_in_which_every_node_fails_is_as_old_as_its_youngest_watts() {
    let nodes = || vec![failed("n0", &[]), failed("n1", &[])];
    let first = settled(vec![measured("n0", &[], 100.0), measured("n1", &[], 200.0)], None, 0);
    let second = settled(vec![failed("n0", &[]), measured("n1", &[], 210.0)], Some(&first), 30);
    let third = settled(nodes(), Some(&second), 60);
    assert_near(third.watts(), 310.0);
    assert_eq!(third.sampled_at(), at(30));
    let fourth = settled(nodes(), Some(&third), 120);
    assert!(fourth.is_fresh(at(120), MAX_AGE));
    let fifth = settled(nodes(), Some(&fourth), 121);
    assert!(!fifth.is_fresh(at(121), MAX_AGE));
    assert!(fifth.watts() >= 310.0);
}

#[test]
fn what_the_ledger_remembered_is_counted_and_stays_the_ledgers_until_a_node_is_measured() {
    let nodes = vec![measured("n0", &[], 100.0), measured("n1", &[], 200.0)];
    let sample = settle(nodes, None, at(0), MAX_AGE).unwrap();
    let ledger = Score::new(Sample { provenance: Provenance::Ledger, ..sample }).unwrap();
    let dark = settled(vec![failed("n0", &[]), failed("n1", &[])], Some(&ledger), 30);
    assert_eq!((dark.watts(), dark.provenance()), (300.0, Provenance::Ledger));
    let again = settled(vec![measured("n0", &[], 90.0), failed("n1", &[])], Some(&dark), 60);
    assert_eq!((again.watts(), again.provenance()), (290.0, Provenance::Measured));
}

#[test]
fn a_cluster_of_which_nothing_is_known_has_no_watts_but_reasons() {
    assert_eq!(settle(Vec::new(), None, at(0), MAX_AGE), Err(Unsettled::NoNodes));
    let nodes = (0..5).map(|it| failed(&format!("n{it}"), &[])).collect();
    let error = settle(nodes, None, at(0), MAX_AGE).unwrap_err();
    insta::assert_snapshot!(error, @"none of the 5 nodes was ever measured: n0: the adapter does not answer; n1: the adapter does not answer; n2: the adapter does not answer; and 2 more");

    // A stated score knows nothing of nodes.
    let stated = Sample {
        watts: 100.0,
        provenance: Provenance::Stated,
        sampled_at: at(0),
        nodes: Vec::new(),
        missing: Vec::new(),
    };
    let stated = Score::new(stated).unwrap();
    let error = settle(vec![failed("n0", &[])], Some(&stated), at(0), MAX_AGE).unwrap_err();
    assert!(matches!(error, Unsettled::NothingKnown(_)), "{error}");
}

#[test]
fn a_reason_becomes_one_short_line() {
    let mut broken = failed("n1", &[]);
    broken.outcome = Err(format!("no\nanswer\x1b[2J{}", "電".repeat(10_000)));
    let score = settled(vec![measured("n0", &[], 1.0), broken], None, 0);
    let reason = &score.missing()[0].reason;
    assert!(reason.starts_with("no answer [2J電"), "{reason}");
    assert_eq!(reason.chars().count(), 200);
}

/// A node whose true watts stay the same, or `None` for one that was broken from the beginning.
#[derive(Debug, Clone)]
struct Machine {
    watts: Option<f64>,
    like: Vec<String>,
}

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    let watts = prop_oneof![3 => (1.0..1000.0_f64).prop_map(Some), 1 => Just(None)];
    let like = prop::collection::vec("[abc]", 0..3);
    let machine = (watts, like).prop_map(|(watts, like)| Machine { watts, like });
    prop::collection::vec(machine, 1..8).prop_filter("one works at the beginning", |machines| {
        machines.iter().any(|machine| machine.watts.is_some())
    })
}

/// Which nodes fail in a round, bit by bit, and the seconds since the round before.
fn rounds() -> impl Strategy<Value = Vec<(u8, i64)>> {
    prop::collection::vec((any::<u8>(), 1..200_i64), 1..8)
}

fn outcomes(machines: &[Machine], failing: u8) -> Vec<NodeOutcome> {
    let outcome = |(index, machine): (usize, &Machine)| {
        let watts = machine.watts.filter(|_| failing & (1 << index) == 0);
        let reading = watts.map(|watts| NodeReading { features: features(), watts });
        NodeOutcome {
            name: format!("n{index}"),
            like: machine.like.clone(),
            outcome: reading.ok_or_else(|| BROKEN.to_owned()),
        }
    };
    machines.iter().enumerate().map(outcome).collect()
}

proptest! {
    #[test]
    fn a_failure_never_makes_a_cluster_look_better(machines in machines(), rounds in rounds()) {
        let whole = settled(outcomes(&machines, 0), None, 0);
        let (mut score, mut now) = (whole.clone(), 0);
        for (failing, seconds) in rounds {
            now += seconds;
            score = settled(outcomes(&machines, failing), Some(&score), now);
            prop_assert!(score.watts() >= whole.watts() - 1e-9, "{score:?} {whole:?}");
        }
        let mended = settled(outcomes(&machines, 0), Some(&score), now);
        prop_assert!((mended.watts() - whole.watts()).abs() < 1e-9);
    }

    #[test]
    fn a_failure_that_is_shorter_than_the_age_limit_changes_nothing(
        machines in machines(),
        failing in any::<u8>(),
        seconds in 0..=90_i64,
    ) {
        let whole = settled(outcomes(&machines, 0), None, 0);
        let score = settled(outcomes(&machines, failing), Some(&whole), seconds);
        prop_assert!((score.watts() - whole.watts()).abs() < 1e-9);
    }

    #[test]
    fn every_node_stands_in_the_sample_once_and_the_watts_are_their_sum(
        machines in machines(),
        rounds in rounds(),
    ) {
        let (mut score, mut now) = (settled(outcomes(&machines, 0), None, 0), 0);
        for (failing, seconds) in rounds {
            now += seconds;
            score = settled(outcomes(&machines, failing), Some(&score), now);
            let measured = score.nodes().iter().map(|node| (&node.name, node.watts));
            let missing = score.missing().iter().map(|it| (&it.node, it.watts.unwrap()));
            let mut all: Vec<_> = measured.chain(missing).collect();
            let sum: f64 = all.iter().map(|(_, watts)| watts).sum();
            prop_assert!((score.watts() - sum).abs() < 1e-9);
            all.sort_by_key(|(name, _)| *name);
            let names: Vec<_> = all.into_iter().map(|(name, _)| name.clone()).collect();
            let expected: Vec<_> = (0..machines.len()).map(|it| format!("n{it}")).collect();
            prop_assert_eq!(names, expected);
        }
    }
}
