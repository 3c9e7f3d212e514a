use proptest::prelude::*;

use super::*;
use crate::score::Sample;

/// A Wednesday, 09:00.
const START: i64 = 1_782_896_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn point(second: i64, watts: f64) -> Point {
    let sample = Sample {
        watts,
        provenance: Provenance::Measured,
        sampled_at: at(second),
        nodes: Vec::new(),
        missing: Vec::new(),
    };
    Point::from(&Score::new(sample).unwrap())
}

fn seconds(history: &History) -> Vec<i64> {
    history.points().map(|it| it.at().as_second() - START).collect()
}

/// A history into which a sample went at each interval, as long as said.
fn sampled(interval: i64, days: i64) -> History {
    let mut history = History::default();
    for second in (START..START + days * 86_400).step_by(usize::try_from(interval).unwrap()) {
        history.record(point(second, 100.0), at(second));
    }
    history
}

#[test]
fn of_each_minute_the_first_sample_is_kept() {
    let mut history = History::default();
    for second in [0, 30, 59, 60, 95, 119, 120] {
        history.record(point(START + second, 100.0), at(START + second));
    }
    assert_eq!(seconds(&history), [0, 60, 120]);
}

#[test]
fn the_same_sample_adds_nothing_however_often_it_comes() {
    let mut history = History::default();
    assert_eq!(history.record(point(START, 100.0), at(START)).len(), 1);
    for later in [1, 60, 3600, 86_000] {
        assert!(history.record(point(START, 100.0), at(START + later)).is_empty());
    }
    assert_eq!(seconds(&history), [0]);
}

#[test]
fn a_day_is_kept_by_the_minute_and_a_week_by_the_quarter_of_an_hour() {
    let history = sampled(30, 9);
    let now = minute(at(START + 9 * 86_400 - 30));
    let (fine, coarse): (Vec<&Point>, Vec<&Point>) =
        history.points().partition(|it| now - it.minute() < FINE);
    assert_eq!(fine.len(), 24 * 60);
    assert_eq!(coarse.len(), 6 * 24 * 4);
    assert!(coarse.iter().all(|it| it.minute() % QUARTER == QUARTER - 1));
    assert_eq!(now - coarse[0].minute(), COARSE - QUARTER);
}

#[test]
fn a_slow_source_loses_no_point_within_the_week() {
    assert_eq!(sampled(3600, 7).points().count(), 7 * 24);
}

#[test]
fn a_cluster_that_is_heard_of_no_more_is_forgotten_in_a_week() {
    let mut history = sampled(60, 1);
    let end = START + 86_400;
    history.age(at(end + 6 * 86_400 - 120));
    assert_eq!(history.points().count(), 96);
    history.age(at(end + 7 * 86_400 - 120));
    assert_eq!(history.points().count(), 1);
    history.age(at(end + 7 * 86_400));
    assert!(history.is_empty());
}

#[test]
fn after_a_clock_was_set_back_new_points_come_in_before_the_others() {
    let mut history = History::default();
    for second in [0, 3600, -1800, -1740] {
        history.record(point(START + second, 100.0), at(START + second));
    }
    assert_eq!(seconds(&history), [-1800, -1740, 0, 3600]);
}

#[test]
fn a_sample_of_another_week_is_not_recorded_and_drives_nothing_out() {
    let mut history = sampled(60, 1);
    let before = history.clone();
    let now = at(START + 86_400 - 60);
    for second in [0, START - 8 * 86_400, START + 8 * 86_400, i64::from(u32::MAX)] {
        assert!(history.record(point(second, 1.0), now).is_empty(), "{second}");
    }
    assert_eq!(history, before);
}

#[test]
fn a_point_reads_as_time_watts_and_provenance() {
    let point = point(START, 123.456);
    let json = serde_json::to_string(&point).unwrap();
    assert_eq!(json, r#"["2026-07-01T09:00:00Z",123.456,"measured"]"#);
    assert_eq!(serde_json::from_str::<Point>(&json).unwrap(), point);
    assert_eq!(point.to_string(), "2026-07-01T09:00:00Z 123.5 W measured");
    assert_eq!(Hour::of(point.minute()).to_string(), "2026-07-01T09");
}

proptest! {
    /// A clock that wanders and jumps, samples that are late or ahead: whatever comes, the history
    /// is bounded, in order, and holds nothing but what was recorded.
    #[test]
    fn whatever_comes_it_stays_bounded_sorted_and_true(
        steps in proptest::collection::vec((-100_000_i64..200_000, -2_000_i64..2_000, 1.0..1e6_f64), 1..200),
    ) {
        let mut history = History::default();
        let mut given = Vec::new();
        let mut now = START;
        for (moved, off, watts) in steps {
            // Mostly a few seconds to minutes, sometimes a day.
            now += if moved % 3 == 0 { moved } else { moved.rem_euclid(150) };
            let point = point(now + off, watts);
            given.push(point);
            let before = history.clone();
            let changed = history.record(point, at(now));

            let minutes: Vec<_> = history.points().map(Point::minute).collect();
            prop_assert!(minutes.is_sorted_by(|one, next| one < next));
            prop_assert!(history.points().all(|it| given.contains(it)));
            prop_assert!(minutes.iter().all(|it| kept_by_quarter(*it, at(now))));
            // The newest is there, or one of the same minute that came before it.
            prop_assert!(minutes.contains(&point.minute()));
            // Whoever writes the changed hours alone has all of it on disk.
            for hour in before.hours().union(&history.hours()) {
                let same = before.of_hour(*hour) == history.of_hour(*hour);
                prop_assert!(same || changed.contains(hour));
                prop_assert!(history.of_hour(*hour).len() <= 60);
            }
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn it_never_holds_more_than_its_bound(interval in 40_i64..=60, ahead in 0_i64..90_000) {
        // As if every minute of two weeks had been recorded before the clock was set back.
        let mut history = History::default();
        for second in (START..START + 14 * 86_400).step_by(usize::try_from(interval).unwrap()) {
            history.restore([point(second, 100.0)]);
        }
        history.age(at(START + 10 * 86_400 + ahead));
        prop_assert!(history.points().count() <= 3457);
        prop_assert!(history.hours().len() <= 8 * 24 + 1);
    }

    #[test]
    fn ageing_again_at_once_changes_nothing(days in 1_i64..9, later in 0_i64..1_000_000) {
        let mut history = sampled(300, days);
        history.age(at(START + later));
        prop_assert!(history.age(at(START + later)).is_empty());
    }
}
