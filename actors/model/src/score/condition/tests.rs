use proptest::prelude::*;

use super::*;
use crate::score::{Missing, NodeScore, Provenance, Sample};

const MAX_AGE: Duration = Duration::from_secs(90);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A score of four nodes, of which some are missing.
fn score(missing: usize) -> Score {
    let name = |it| format!("n{it}");
    let node = |it| NodeScore {
        name: name(it),
        watts: 50.0,
        cpu_percent: None,
        inlet_celsius: None,
        delta_p_pascal: None,
    };
    let missed = |it| Missing {
        node: name(it),
        reason: "no NodeConfig".to_owned(),
        watts: Some(50.0),
        last_watts: None,
        measured_at: None,
    };
    let sample = Sample {
        watts: 200.0,
        provenance: Provenance::Measured,
        sampled_at: at(1000),
        nodes: (missing..4).map(node).collect(),
        missing: (0..missing).map(missed).collect(),
    };
    Score::new(sample).unwrap()
}

fn down(reason: &str, untrusted: bool) -> Health<'_> {
    Health::Down { since: at(990), reason, untrusted }
}

/// Facts of a member that answers and has this score.
fn up(score: Option<&Score>) -> Facts<'_> {
    Facts { health: Health::Up, score, failure: None, refusal: None }
}

fn lines(facts: &Facts<'_>, now: i64) -> String {
    let line = |it: Condition| format!("{}={} {}: {}", it.type_, it.status, it.reason, it.message);
    conditions(facts, at(now), MAX_AGE, &[]).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_member_that_answers_with_a_fresh_score_is_ready() {
    insta::assert_snapshot!(lines(&up(Some(&score(0))), 1090), @r"
    Ready=True Ready: it answers, and its score is fresh
    Stale=False Fresh: its score is fresh
    Unreachable=False Answers: it answers
    Untrusted=False Trusted: its certificate is trusted
    ");
}

#[test]
fn missing_nodes_are_named_with_their_reasons() {
    insta::assert_snapshot!(lines(&up(Some(&score(1))), 1000), @r"
    Ready=True NodesMissing: 1 of 4 nodes not measured: n0: no NodeConfig
    Stale=False Fresh: 1 of 4 nodes not measured: n0: no NodeConfig
    Unreachable=False Answers: it answers
    Untrusted=False Trusted: its certificate is trusted
    ");
    insta::assert_snapshot!(lines(&up(Some(&score(4))), 1000).lines().next().unwrap(), @"Ready=True NodesMissing: 4 of 4 nodes not measured: n0: no NodeConfig; n1: no NodeConfig; n2: no NodeConfig; and 1 more");
}

#[test]
fn a_score_that_is_too_old_says_what_the_last_attempt_failed_of() {
    let score = score(1);
    let facts = Facts { failure: Some("the adapter\nanswers 503"), ..up(Some(&score)) };
    insta::assert_snapshot!(lines(&facts, 1091), @r"
    Ready=False Stale: its last score is of 1970-01-01T00:16:40Z; the adapter answers 503; 1 of 4 nodes not measured: n0: no NodeConfig
    Stale=True TooOld: its last score is of 1970-01-01T00:16:40Z; the adapter answers 503; 1 of 4 nodes not measured: n0: no NodeConfig
    Unreachable=False Answers: it answers
    Untrusted=False Trusted: its certificate is trusted
    ");
}

#[test]
fn a_member_without_any_score_is_not_ready_once_the_first_attempt_has_failed() {
    insta::assert_snapshot!(lines(&up(None), 1000).lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    Ready=Unknown NoScoreYet: no score was taken yet
    Stale=Unknown NoScore: no score was taken yet
    ");
    let facts = Facts { failure: Some("none of the 4 nodes was ever measured"), ..up(None) };
    insta::assert_snapshot!(lines(&facts, 1000).lines().take(2).collect::<Vec<_>>().join("\n"), @r"
    Ready=False NoScore: none of the 4 nodes was ever measured
    Stale=Unknown NoScore: none of the 4 nodes was ever measured
    ");
}

#[test]
fn a_member_that_does_not_answer_is_unreachable_and_may_be_trusted_or_not() {
    let score = score(0);
    let facts = Facts { health: down("connect: timed out", false), ..up(Some(&score)) };
    insta::assert_snapshot!(lines(&facts, 1000), @r"
    Ready=False Unreachable: no answer since 1970-01-01T00:16:30Z: connect: timed out
    Stale=False Fresh: its score is fresh
    Unreachable=True NoAnswer: no answer since 1970-01-01T00:16:30Z: connect: timed out
    Untrusted=Unknown NoAnswer: it does not answer
    ");
}

#[test]
fn a_certificate_outside_of_the_trust_is_said_to_be_one() {
    let facts = Facts { health: down("UnknownIssuer", true), ..up(None) };
    insta::assert_snapshot!(lines(&facts, 1000), @r"
    Ready=False Untrusted: not trusted since 1970-01-01T00:16:30Z: UnknownIssuer
    Stale=Unknown NoScore: no score was taken yet
    Unreachable=True NotTrusted: not trusted since 1970-01-01T00:16:30Z: UnknownIssuer
    Untrusted=True NotTrusted: not trusted since 1970-01-01T00:16:30Z: UnknownIssuer
    ");
}

#[test]
fn of_a_member_that_was_not_asked_nothing_is_known() {
    let facts = Facts { health: Health::Unknown, ..up(None) };
    let all = conditions(&facts, at(1000), MAX_AGE, &[]);
    assert!(all.iter().all(|it| it.status == "Unknown"), "{all:?}");
}

#[test]
fn what_is_no_member_is_not_ready_and_nothing_else_is_known_of_it() {
    let score = score(0);
    let facts = Facts { refusal: Some("osaka is the name of another member"), ..up(Some(&score)) };
    insta::assert_snapshot!(lines(&facts, 1000), @r"
    Ready=False NotAMember: osaka is the name of another member
    Stale=Unknown NotAMember: it is not asked
    Unreachable=Unknown NotAMember: it is not asked
    Untrusted=Unknown NotAMember: it is not asked
    ");
}

#[test]
fn a_condition_keeps_its_time_while_its_status_stays_the_same() {
    let (whole, part) = (score(0), score(2));
    let times = |all: &[Condition]| -> Vec<_> {
        all.iter().map(|it| it.last_transition_time.as_second()).collect()
    };
    let now = at(1000) + Duration::from_millis(999);
    let first = conditions(&up(Some(&whole)), now, MAX_AGE, &[]);
    assert_eq!(times(&first), [1000; 4]);
    assert_eq!(first[0].last_transition_time, at(1000));
    // Another reason is not another status.
    let second = conditions(&up(Some(&part)), at(1030), MAX_AGE, &first);
    assert_eq!((second[0].reason.as_str(), times(&second)), ("NodesMissing", vec![1000; 4]));
    let third = conditions(&up(Some(&part)), at(1100), MAX_AGE, &second);
    assert_eq!(times(&third), [1100, 1100, 1000, 1000]);
}

#[test]
fn a_status_that_says_nothing_new_reads_the_same() {
    let score = score(2);
    let first = conditions(&up(Some(&score)), at(1000), MAX_AGE, &[]);
    assert_eq!(conditions(&up(Some(&score)), at(1060), MAX_AGE, &first), first);
    let stale = conditions(&up(Some(&score)), at(2000), MAX_AGE, &first);
    assert_eq!(conditions(&up(Some(&score)), at(3000), MAX_AGE, &stale), stale);
}

#[test]
fn each_change_of_what_troubles_a_member_is_one_event() {
    let (whole, part) = (score(0), score(1));
    let steps = [
        (1000, Facts { health: Health::Unknown, ..up(None) }),
        (1001, up(None)),
        (1002, up(Some(&whole))),
        (1003, up(Some(&whole))),
        (1004, up(Some(&part))),
        (1005, up(Some(&whole))),
        (1006, Facts { health: down("refused", false), ..up(Some(&whole)) }),
        (1200, Facts { health: down("refused", false), ..up(Some(&whole)) }),
        (1201, Facts { health: down("UnknownIssuer", true), ..up(Some(&whole)) }),
        (1202, up(Some(&whole))),
        (1203, Facts { refusal: Some("two of one name"), ..up(Some(&whole)) }),
        (1204, Facts { failure: Some("it answers 403"), ..up(None) }),
    ];
    let (mut before, mut seen) = (Vec::new(), Vec::new());
    for (now, facts) in steps {
        let after = conditions(&facts, at(now), MAX_AGE, &before);
        if let Some(event) = event(&before, &after) {
            seen.push(format!("{now} {} {}: {}", event.type_, event.reason, event.note));
        }
        before = after;
    }
    insta::assert_snapshot!(seen.join("\n"), @r"
    1002 Normal Ready: it answers, and its score is fresh
    1004 Warning NodesMissing: 1 of 4 nodes not measured: n0: no NodeConfig
    1005 Normal Ready: it answers, and its score is fresh
    1006 Warning Unreachable: no answer since 1970-01-01T00:16:30Z: refused
    1201 Warning Untrusted: not trusted since 1970-01-01T00:16:30Z: UnknownIssuer
    1202 Warning Stale: its last score is of 1970-01-01T00:16:40Z
    1203 Warning NotAMember: two of one name
    1204 Warning NoScore: it answers 403
    ");
}

proptest! {
    #[test]
    fn whatever_foreign_servers_say_conditions_stay_short_lines(
        text in "\\PC{0,2000}|[\\x00-\\x1f電]{0,2000}",
        nodes in 0..6_usize,
        health in 0..3_u8,
    ) {
        let mut sample = Sample::clone(&score(nodes.min(4)).0);
        for missing in &mut sample.missing {
            missing.reason.clone_from(&text);
        }
        let score = Score::new(sample).unwrap();
        let health = match health {
            0 => Health::Up,
            1 => down(&text, false),
            _ => down(&text, true),
        };
        let facts = Facts { health, score: Some(&score), failure: Some(&text), refusal: None };
        let all = conditions(&facts, at(9000), MAX_AGE, &[]);
        for condition in &all {
            prop_assert!(condition.message.chars().count() < 1100, "{condition:?}");
            prop_assert!(!condition.message.contains(char::is_control), "{condition:?}");
        }
        prop_assert!(event(&[], &all).is_some_and(|event| event.note.len() <= 1024));
    }
}
