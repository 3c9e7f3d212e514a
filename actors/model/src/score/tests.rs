use proptest::prelude::*;

use super::*;

const MAX_AGE: Duration = Duration::from_secs(90);

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn sample(watts: f64, second: i64) -> Sample {
    Sample {
        watts,
        provenance: Provenance::Measured,
        sampled_at: at(second),
        nodes: Vec::new(),
        missing: Vec::new(),
    }
}

fn node(watts: f64, cpu_percent: Option<f64>) -> NodeScore {
    let name = "n0".to_owned();
    NodeScore { name, watts, cpu_percent, inlet_celsius: Some(22.5), delta_p_pascal: None }
}

fn member(text: &str, own: bool, reachable: bool) -> MemberView {
    MemberView { name: name(text), own, region: format!("{text}-region"), reachable }
}

fn board() -> ScoreBoard {
    let measured = Sample {
        nodes: vec![node(61.25, Some(40.0))],
        missing: vec![Missing {
            node: "n3".into(),
            reason: "no metrics".into(),
            watts: Some(50.0),
            last_watts: None,
            measured_at: None,
        }],
        ..sample(123.4, 1000)
    };
    let remembered = Score::new(sample(200.0, 950)).unwrap();
    ScoreBoard::recovered([(name("osaka"), remembered)])
        .with_sample(name("tokyo"), measured)
        .unwrap()
        .with_sample(name("nagoya"), sample(1.0, 0))
        .unwrap()
}

fn page() -> ScoresPage {
    let members = [
        member("tokyo", true, true),
        member("osaka", false, false),
        member("nagoya", false, true),
        member("kyoto", false, false),
    ];
    let now = at(1001) + Duration::from_millis(250);
    ScoresPage::new(&board(), &members, now, MAX_AGE)
}

#[test]
fn watts_that_no_machine_has_never_become_a_score() {
    for watts in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let board = board().with_sample(name("tokyo"), sample(watts, 1001));
        assert!(matches!(board, Err(InvalidSample::Watts { .. })), "{watts}");

        let nodes = vec![node(watts, None)];
        let score = Score::new(Sample { nodes, ..sample(100.0, 1001) });
        assert!(matches!(score, Err(InvalidSample::Watts { .. })), "{watts}");
    }
    let nodes = vec![node(50.0, Some(f64::NAN))];
    let error = Score::new(Sample { nodes, ..sample(100.0, 1001) }).unwrap_err();
    assert_eq!(error.to_string(), "the CPU percentage of node n0 is not a finite number");

    for (watts, last_watts) in [(0.0, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
        let missing = vec![Missing {
            node: "n1".into(),
            reason: "no metrics".into(),
            watts: Some(watts),
            last_watts: Some(last_watts),
            measured_at: Some(at(1000)),
        }];
        let score = Score::new(Sample { missing, ..sample(100.0, 1001) });
        assert!(matches!(score, Err(InvalidSample::Watts { .. })), "{watts} {last_watts}");
    }

    let unknown = Sample { provenance: Provenance::Unknown, ..sample(100.0, 1001) };
    assert_eq!(Score::new(unknown), Err(InvalidSample::Unknown));
}

#[test]
fn a_score_read_from_json_is_checked_too() {
    let json = serde_json::to_string(&Score::new(sample(100.0, 1000)).unwrap()).unwrap();
    assert!(serde_json::from_str::<Score>(&json).is_ok());
    assert!(serde_json::from_str::<Score>(&json.replace("100.0", "0.0")).is_err());
    assert!(serde_json::from_str::<Score>(&json.replace("100.0", "null")).is_err());
}

#[test]
fn a_missing_score_is_unknown_and_a_stale_one_too() {
    let board = board();
    assert_eq!(board.watts(&name("tokyo"), at(1000), MAX_AGE), Some(123.4));
    assert_eq!(board.watts(&name("tokyo"), at(1090), MAX_AGE), Some(123.4));
    assert_eq!(board.watts(&name("tokyo"), at(1091), MAX_AGE), None);
    assert_eq!(board.watts(&name("kyoto"), at(1000), MAX_AGE), None);
}

#[test]
fn a_score_from_a_clock_that_ran_ahead_is_unknown_until_the_next_sample() {
    let ahead = board().with_sample(name("tokyo"), sample(50.0, 100_000)).unwrap();
    assert_eq!(ahead.watts(&name("tokyo"), at(1000), MAX_AGE), None);
    let next = ahead.with_sample(name("tokyo"), sample(60.0, 1000)).unwrap();
    assert_eq!(next.watts(&name("tokyo"), at(1000), MAX_AGE), Some(60.0));
}

#[test]
fn what_the_ledger_remembered_says_so_until_a_sample_comes() {
    let board = board();
    let provenance = |board: &ScoreBoard| board.get(&name("osaka")).unwrap().provenance();
    assert_eq!(provenance(&board), Provenance::Ledger);
    let fresh = board.with_sample(name("osaka"), sample(210.0, 1001)).unwrap();
    assert_eq!(provenance(&fresh), Provenance::Measured);
    assert_eq!(fresh.without(&name("osaka")).get(&name("osaka")), None);
}

#[test]
fn the_page_is_the_json_of_the_design() {
    let page = page();
    let rows: Vec<_> =
        page.clusters.iter().take(3).map(|it| serde_json::to_string(it).unwrap()).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"name":"tokyo","own":true,"region":"tokyo-region","watts":123.4,"provenance":"measured","sampled_at":"1970-01-01T00:16:40Z","age_seconds":1.25,"reachable":true,"nodes":[{"name":"n0","watts":61.25,"cpu_percent":40.0,"inlet_celsius":22.5,"delta_p_pascal":null}],"missing":[{"node":"n3","reason":"no metrics","watts":50.0,"last_watts":null,"measured_at":null}]}
    {"name":"osaka","own":false,"region":"osaka-region","watts":200.0,"provenance":"ledger","sampled_at":"1970-01-01T00:15:50Z","age_seconds":51.25,"reachable":false,"nodes":[],"missing":[]}
    {"name":"nagoya","own":false,"region":"nagoya-region","watts":null,"provenance":"unknown","sampled_at":null,"age_seconds":null,"reachable":true,"nodes":[],"missing":[]}
    "#);
    assert!(serde_json::to_string(&page).unwrap().starts_with(r#"{"clusters":[{"name":"tokyo""#));
}

#[test]
fn the_page_reads_back_as_it_was_written() {
    let json = serde_json::to_string(&page()).unwrap();
    assert_eq!(serde_json::from_str::<ScoresPage>(&json).unwrap(), page());
}

#[test]
fn the_table_aligns_its_columns_and_tells_below_which_nodes_are_missing() {
    insta::assert_snapshot!(page().table(), @r"
    NAME     OWN   REGION          WATTS   NODES   PROVENANCE   AGE   REACHABLE
    tokyo    yes   tokyo-region    123.4   1/2     measured     1s    yes
    osaka    no    osaka-region    200.0   -       ledger       51s   no
    nagoya   no    nagoya-region   -       -       unknown      -     yes
    kyoto    no    kyoto-region    -       -       unknown      -     no

    tokyo n3: no metrics; counted at 50.0 W, the mean of its like
    ");
}

fn missing(count: usize, watts: f64, last: Option<(f64, i64)>) -> Vec<Missing> {
    let missing = |it| Missing {
        node: format!("n{it}"),
        reason: "no metrics".into(),
        watts: Some(watts),
        last_watts: last.map(|(watts, _)| watts),
        measured_at: last.map(|(_, second)| at(second)),
    };
    (0..count).map(missing).collect()
}

fn page_with(missing: Vec<Missing>, now: i64) -> ScoresPage {
    let sample = Sample { missing, ..sample(100.0, 1000) };
    let board = ScoreBoard::default().with_sample(name("tokyo"), sample).unwrap();
    ScoresPage::new(&board, &[member("tokyo", true, true)], at(now), MAX_AGE)
}

#[test]
fn a_missing_node_is_told_with_the_watts_that_it_is_counted_at() {
    let line = |watts, last| {
        let table = page_with(missing(1, watts, last), 1000).table();
        table.lines().last().unwrap().to_owned()
    };
    insta::assert_snapshot!(line(80.0, Some((80.0, 990))), @"tokyo n0: no metrics; counted at 80.0 W, last measured at 1970-01-01T00:16:30Z");
    insta::assert_snapshot!(line(95.5, Some((80.0, 0))), @"tokyo n0: no metrics; counted at 95.5 W, the mean of its like");
    insta::assert_snapshot!(line(95.5, None), @"tokyo n0: no metrics; counted at 95.5 W, the mean of its like");
}

#[test]
fn an_unknown_score_still_tells_what_its_nodes_failed_of() {
    let page = page_with(missing(1, 80.0, Some((80.0, 0))), 2000);
    assert_eq!((page.clusters[0].watts, page.clusters[0].missing.len()), (None, 1));
    insta::assert_snapshot!(page.table(), @r"
    NAME    OWN   REGION         WATTS   NODES   PROVENANCE   AGE   REACHABLE
    tokyo   yes   tokyo-region   -       -       unknown      -     yes

    tokyo n0: no metrics
    ");
}

#[test]
fn only_the_first_missing_nodes_are_listed() {
    let table = page_with(missing(21, 80.0, None), 1000).table();
    assert_eq!(table.lines().count(), 1 + 1 + 1 + 20 + 1);
    assert_eq!(table.lines().last(), Some("and 1 more"));
    assert!(table.contains("   0/21   "), "{table}");
    let table = page_with(missing(20, 80.0, None), 1000).table();
    assert!(table.ends_with("mean of its like\n"), "{table}");
}

#[test]
fn ages_are_written_as_kubectl_does() {
    let mut page = page();
    let ages = [0.4, 119.9, 120.0, 7199.0, 7200.0, 172_800.0].map(|seconds| {
        page.clusters[0].age_seconds = Some(seconds);
        page.clusters[0].cells()[6].clone()
    });
    assert_eq!(ages, ["0s", "119s", "2m", "119m", "2h", "2d"]);
}

proptest! {
    #[test]
    fn known_watts_are_always_positive_and_finite(
        watts in any::<f64>(),
        sampled in -1_000_000_i64..1_000_000,
        now in -1_000_000_i64..1_000_000,
    ) {
        let board = board().with_sample(name("tokyo"), sample(watts, sampled)).unwrap_or(board());
        if let Some(known) = board.watts(&name("tokyo"), at(now), MAX_AGE) {
            prop_assert!(known.is_finite() && known > 0.0);
        }
    }
}

#[test]
fn of_a_failure_one_short_line_is_kept_whatever_a_foreign_server_said() {
    let said = format!("no score: the peer\nsays {}", "x".repeat(4 << 20));
    let board = ScoreBoard::default().with_failure(name("tokyo"), &said);
    let kept = board.failure(&name("tokyo")).unwrap();
    assert!(kept.starts_with("no score: the peer says xx") && kept.len() <= 200, "{kept}");
}
