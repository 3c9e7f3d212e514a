//! The laws of `README.md`.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Strategy, *};
use proptest::sample::Index;

use super::*;
use crate::config;
use crate::ids::ClusterName;

mod marginal;

fn candidate(name: &str, watts: Option<f64>) -> Candidate {
    let member = ClusterName::new(name).unwrap();
    Candidate { member, watts, min: 0, max: None, capacity: None, curve: None }
}

fn inversely(total: u32, candidates: Vec<Candidate>, min_clusters: u32) -> Problem {
    Problem { total, candidates, min_clusters, strategy: config::Strategy::Inverse }
}

fn solve(problem: &Problem) -> Vec<u32> {
    ideal(problem).unwrap().shares.iter().map(|(_, share)| *share).collect()
}

/// Watts of few different values (ties), of neighbouring prices, of any, and of no use.
fn watts() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        3 => (1_u32..6).prop_map(|hundreds| Some(100.0 * f64::from(hundreds))),
        3 => (1_u32..6).prop_map(|milliwatts| Some(f64::from(milliwatts) / 1000.0)),
        3 => (0.001_f64..100_000.0).prop_map(Some),
        1 => Just(None),
        1 => prop_oneof![Just(0.0), Just(-5.0), Just(f64::NAN), Just(f64::INFINITY), Just(1e300)]
            .prop_map(Some),
    ]
}

/// A fleet without bounds.
fn free_fleet() -> impl Strategy<Value = Vec<Candidate>> {
    vec(watts(), 1..12).prop_map(|watts| {
        let named = |(index, watts): (usize, _)| candidate(&format!("m{index}"), watts);
        watts.into_iter().enumerate().map(named).collect()
    })
}

/// A fleet with bounds, which may contradict each other.
fn bounded_fleet() -> impl Strategy<Value = Vec<Candidate>> {
    let bounds = (0_u32..4, option::of(0_u32..12), option::of(0_u32..12));
    (free_fleet(), vec(bounds, 12)).prop_map(|(mut fleet, bounds)| {
        for (candidate, (min, max, capacity)) in fleet.iter_mut().zip(bounds) {
            (candidate.min, candidate.max, candidate.capacity) =
                (min.saturating_sub(1), max, capacity);
        }
        fleet
    })
}

fn problem() -> impl Strategy<Value = Problem> {
    (0_u32..60, bounded_fleet(), 0_u32..5)
        .prop_map(|(total, candidates, min_clusters)| inversely(total, candidates, min_clusters))
}

fn solvable() -> impl Strategy<Value = Problem> {
    problem().prop_filter("no division exists", |problem| ideal(problem).is_ok())
}

/// The rule of `README.md` word by word: one replica after the other.
fn one_by_one(problem: &Problem) -> Vec<u32> {
    let known = problem.candidates.iter().filter_map(Candidate::known_watts);
    let worst = known.max_by(f64::total_cmp).unwrap_or(1.0);
    let price = |c: &Candidate| u128::from(inverse::milliwatts(c.known_watts().unwrap_or(worst)));
    let mut ranked: Vec<usize> = (0..problem.candidates.len()).collect();
    ranked.sort_by(|one, other| {
        let (one, other) = (&problem.candidates[*one], &problem.candidates[*other]);
        let watts = |c: &Candidate| c.known_watts().unwrap_or(f64::INFINITY);
        watts(one).total_cmp(&watts(other)).then(one.member.cmp(&other.member))
    });
    let mut shares: Vec<u32> = problem.candidates.iter().map(|c| c.min).collect();
    while shares.iter().sum::<u32>() < problem.total {
        let served = shares.iter().filter(|share| **share > 0).count();
        let open = ranked.iter().filter(|i| shares[**i] < problem.candidates[**i].limit());
        let empty = open
            .clone()
            .find(|i| shares[**i] == 0)
            .filter(|_| served < problem.min_clusters as usize);
        let cheapest =
            open.min_by_key(|i| price(&problem.candidates[**i]) * u128::from(2 * shares[**i] + 1));
        shares[*empty.or(cheapest).unwrap()] += 1;
    }
    shares
}

#[test]
fn ten_replicas_over_100_200_and_300_watts_are_5_3_2() {
    let candidates = [("tokyo", 100.0), ("osaka", 200.0), ("nagoya", 300.0)];
    let candidates = candidates.map(|(name, watts)| candidate(name, Some(watts))).to_vec();
    let division = ideal(&inversely(10, candidates, 2)).unwrap();
    assert_eq!(division.shares.to_string(), "tokyo:5,osaka:3,nagoya:2");
}

#[test]
fn without_scores_the_shares_are_equal_and_the_rest_goes_by_name() {
    let candidates = ["c", "a", "b"].map(|name| candidate(name, None)).to_vec();
    assert_eq!(solve(&inversely(8, candidates, 2)), [2, 3, 3]);
}

#[test]
fn a_tie_at_one_price_is_not_won_by_a_better_member_at_the_next() {
    let milliwatts = [("a", 0.001), ("b", 0.002), ("c", 0.002)];
    let candidates = milliwatts.map(|(name, watts)| candidate(name, Some(watts)));
    let problem = inversely(2, candidates.to_vec(), 1);
    assert_eq!(solve(&problem), [1, 1, 0]);
}

#[test]
fn two_replicas_are_spread_unless_one_cluster_is_enough() {
    let candidates = vec![candidate("tokyo", Some(1.0)), candidate("osaka", Some(500.0))];
    let mut problem = inversely(2, candidates, 2);
    assert_eq!(solve(&problem), [1, 1]);
    problem.min_clusters = 1;
    assert_eq!(solve(&problem), [2, 0]);
    problem.min_clusters = 2;
    problem.candidates[0].min = 2;
    assert_eq!(solve(&problem), [2, 0]);
}

#[test]
fn the_greatest_total_is_divided_exactly() {
    let total = u32::try_from(i32::MAX).unwrap();
    let watts = |index: u32| f64::from(index * index + 1) * 0.317;
    let candidates =
        (0..64).map(|index| candidate(&format!("m{index}"), Some(watts(index)))).collect();
    let problem = inversely(total, candidates, 64);
    let shares = solve(&problem);
    assert_eq!(shares.iter().sum::<u32>(), total);
    assert!(shares.is_sorted_by(|one, other| one >= other));
    let equal = (0..64).map(|index| candidate(&format!("m{index}"), Some(1e300))).collect();
    let shares = solve(&inversely(u32::MAX, equal, 2));
    assert_eq!(shares.iter().max(), Some(&(u32::MAX / 64 + 1)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn shares_sum_to_the_total_for_a_thousand_random_fleets(
        watts in vec(watts(), 1..=64),
        total in prop_oneof![0_u32..200, 0_u32..=2_147_483_647],
        min_clusters in 1_u32..=64,
    ) {
        let named = |(index, watts): (usize, _)| candidate(&format!("m{index}"), watts);
        let candidates = watts.into_iter().enumerate().map(named).collect();
        let shares = ideal(&inversely(total, candidates, min_clusters)).unwrap().shares;
        prop_assert_eq!(shares.total(), total);
    }
}

proptest! {
    #[test]
    fn every_share_is_within_its_bounds(problem in solvable()) {
        let shares = ideal(&problem).unwrap().shares;
        prop_assert_eq!(shares.total(), problem.total);
        for candidate in &problem.candidates {
            let share = shares.of(&candidate.member);
            prop_assert!(candidate.min <= share);
            prop_assert!(candidate.max.is_none_or(|max| share <= max));
            prop_assert!(candidate.capacity.is_none_or(|capacity| share <= capacity));
        }
    }

    #[test]
    fn an_error_is_given_exactly_where_no_division_exists(problem in problem()) {
        let upper = |c: &Candidate| c.max.unwrap_or(1_000).min(c.capacity.unwrap_or(1_000));
        let fit = problem.candidates.iter().all(|c| c.min <= upper(c))
            && problem.candidates.iter().map(|c| c.min).sum::<u32>() <= problem.total
            && problem.candidates.iter().map(upper).sum::<u32>() >= problem.total;
        prop_assert_eq!(ideal(&problem).is_ok(), fit);
    }

    #[test]
    fn the_order_of_the_members_changes_nothing(problem in solvable(), seeds in vec(any::<Index>(), 12)) {
        let shares = ideal(&problem).unwrap().shares;
        let mut shuffled = problem.clone();
        for (at, seed) in (0..shuffled.candidates.len()).zip(seeds) {
            let other = seed.index(shuffled.candidates.len());
            shuffled.candidates.swap(at, other);
        }
        for (position, (member, share)) in ideal(&shuffled).unwrap().shares.iter().enumerate() {
            prop_assert_eq!(member, &shuffled.candidates[position].member);
            prop_assert_eq!(*share, shares.of(member));
        }
    }

    #[test]
    fn one_more_replica_takes_nothing_from_anyone(problem in solvable()) {
        let more = Problem { total: problem.total + 1, ..problem.clone() };
        if ideal(&more).is_ok() {
            for (before, after) in solve(&problem).into_iter().zip(solve(&more)) {
                prop_assert!(before <= after);
            }
        }
    }

    #[test]
    fn a_better_score_never_gets_less_under_equal_bounds(
        candidates in free_fleet(),
        bounds in (0_u32..3, option::of(2_u32..20), option::of(2_u32..20)),
        total in 0_u32..60,
        min_clusters in 0_u32..5,
    ) {
        let mut problem = inversely(total, candidates, min_clusters);
        for candidate in &mut problem.candidates {
            (candidate.min, candidate.max, candidate.capacity) = bounds;
        }
        prop_assume!(ideal(&problem).is_ok());
        let shares = solve(&problem);
        for (one, share) in problem.candidates.iter().zip(&shares) {
            for (other, less) in problem.candidates.iter().zip(&shares) {
                if let (Some(better), Some(worse)) = (one.known_watts(), other.known_watts()) && better < worse {
                    prop_assert!(share >= less, "{one:?} {share} {other:?} {less}");
                }
            }
        }
    }

    #[test]
    fn a_member_that_gets_better_never_loses(problem in solvable(), which in any::<Index>(), factor in 0.1_f64..1.0) {
        let which = which.index(problem.candidates.len());
        let mut better = problem.clone();
        let watts = problem.candidates[which].known_watts();
        prop_assume!(watts.is_some());
        better.candidates[which].watts = watts.map(|watts| watts * factor);
        prop_assert!(solve(&better)[which] >= solve(&problem)[which]);
    }

    #[test]
    fn an_unknown_score_never_gets_more_than_a_known_one(
        candidates in free_fleet(), total in 0_u32..60, min_clusters in 0_u32..5,
    ) {
        let shares = solve(&inversely(total, candidates.clone(), min_clusters));
        let (knowns, unknowns): (Vec<_>, Vec<_>) = candidates.iter().zip(&shares).partition(|(c, _)| c.known_watts().is_some());
        if let (Some(least), Some(most)) = (
            knowns.into_iter().map(|(_, share)| share).min(),
            unknowns.into_iter().map(|(_, share)| share).max(),
        ) {
            prop_assert!(most <= least);
        }
    }

    #[test]
    fn the_spread_is_as_wide_as_asked_where_it_can_be(problem in solvable()) {
        let possible = problem.candidates.iter().filter(|c| c.limit() > 0).count();
        let wished = problem.candidates.iter().filter(|c| c.min > 0).count();
        let free = problem.total - problem.candidates.iter().map(|c| c.min).sum::<u32>();
        let expected = (problem.min_clusters as usize).min(possible).min(wished + free as usize);
        let served = solve(&problem).into_iter().filter(|share| *share > 0).count();
        prop_assert!(served >= expected);
    }

    #[test]
    fn bisection_gives_what_handing_out_one_by_one_gives(problem in solvable()) {
        prop_assert_eq!(solve(&problem), one_by_one(&problem));
    }
}
