//! The list that other tenbins and the original program read on the peers port.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tenbin_model::score::ScoreBoard;

use super::Own;
use super::resource::{ClusterScoreStatus, Group};

/// The `ClusterScoreList` of a group, answered from memory: own's object alone, since each member
/// speaks for itself.
pub fn list(
    group: Group,
    namespace: &str,
    own: &Own,
    board: &ScoreBoard,
    now: Timestamp,
    max_age: Duration,
) -> Value {
    let score = board.get(&own.name);
    json!({
        "apiVersion": group.api_version(),
        "kind": "ClusterScoreList",
        "metadata": {"resourceVersion": ""},
        "items": [{
            "apiVersion": group.api_version(),
            "kind": "ClusterScore",
            "metadata": {"name": own.name, "namespace": namespace},
            "spec": own.spec(),
            "status": ClusterScoreStatus::of(score.map(AsRef::as_ref), &[], now, max_age),
        }],
    })
}

#[cfg(test)]
mod tests {
    use tenbin_model::ids::ClusterName;
    use tenbin_model::score::{NodeScore, Provenance, Sample};

    use super::*;

    fn own() -> Own {
        Own {
            name: ClusterName::new("tokyo").unwrap(),
            endpoint: "https://10.96.0.1:443".to_owned(),
            region: "kanto".to_owned(),
        }
    }

    fn board(watts: f64, node: f64) -> ScoreBoard {
        let node = NodeScore {
            name: "n0".to_owned(),
            watts: node,
            cpu_percent: Some(12.0),
            inlet_celsius: None,
            delta_p_pascal: None,
        };
        let sample = Sample {
            watts,
            provenance: Provenance::Measured,
            sampled_at: Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap(),
            nodes: vec![node],
            missing: Vec::new(),
        };
        ScoreBoard::default().with_sample(own().name, sample).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    const MAX_AGE: Duration = Duration::from_mins(1);

    #[test]
    fn the_list_is_what_both_programs_read() {
        let list =
            list(Group::Original, "wao-system", &own(), &board(123.456, 123.456), at(1), MAX_AGE);
        insta::assert_json_snapshot!(list);
    }

    #[test]
    fn watts_that_round_to_zero_are_still_a_score() {
        let list = list(Group::Tenbin, "wao-system", &own(), &board(0.25, 0.25), at(1), MAX_AGE);
        let status = &list["items"][0]["status"];
        assert_eq!((&status["score"], &status["watts"]), (&json!(1), &json!(0.25)));
        assert_eq!(status["nodes"][0]["score"], 1);
    }

    #[test]
    fn an_unknown_or_stale_score_is_left_out_and_is_never_zero() {
        for (board, now) in [(ScoreBoard::default(), at(1)), (board(123.0, 123.0), at(120))] {
            let list = list(Group::Tenbin, "wao-system", &own(), &board, now, MAX_AGE);
            let status = &list["items"][0]["status"];
            assert_eq!(status.get("score"), None);
            assert_eq!(status.get("watts"), None);
            assert_eq!(status["nodes"], json!([]));
            assert_eq!(list["items"][0]["spec"]["owncluster"], true);
        }
    }
}
