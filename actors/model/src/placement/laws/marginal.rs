//! The laws of the strategy `marginal`.

use proptest::prelude::Strategy;

use super::*;
use crate::power::{Curve, MAX_PODS};

/// A division and its price: milliwatts first, then the squares of the shares.
type Priced = (u64, u64, Vec<u32>);

fn with_curve(name: &str, watts: &[f64]) -> Candidate {
    Candidate { curve: Some(Curve::new(watts.iter().copied())), ..candidate(name, None) }
}

fn marginally(total: u32, candidates: Vec<Candidate>, min_clusters: u32) -> Problem {
    Problem { strategy: config::Strategy::Marginal, ..inversely(total, candidates, min_clusters) }
}

fn fallback(problem: &Problem) -> String {
    match ideal(problem).unwrap().rule {
        Rule::Fallback(obstacle) => obstacle.to_string(),
        rule @ (Rule::Inverse | Rule::Marginal) => panic!("{rule:?}"),
    }
}

/// Bounded fleets whose curves bend any way, tie, fall, and end early.
fn fleet() -> impl Strategy<Value = Problem> {
    let step = prop_oneof![Just(10.0), Just(0.0), -5.0_f64..100.0];
    let curve = vec(step, 0..14).prop_map(|steps| {
        let sums = steps.into_iter().scan(0.0, |sum, step| {
            *sum += step;
            Some(*sum)
        });
        Curve::new(sums.collect::<Vec<_>>())
    });
    let bounds = (0_u32..5, option::of(0_u32..9), option::of(0_u32..9), curve);
    (0_u32..12, vec(bounds, 1..5), 0_u32..5).prop_map(|(total, bounds, min_clusters)| {
        let named = bounds.into_iter().enumerate();
        let fleet = named.map(|(index, (min, max, capacity, curve))| Candidate {
            min: min.saturating_sub(2),
            max,
            capacity,
            curve: Some(curve),
            ..candidate(&format!("m{index}"), None)
        });
        marginally(total, fleet.collect(), min_clusters)
    })
}

/// Those that the curves can decide.
fn decidable() -> impl Strategy<Value = Problem> {
    fleet().prop_filter("not by curves", |problem| {
        ideal(problem).is_ok_and(|division| division.rule == Rule::Marginal)
    })
}

fn room(candidate: &Candidate) -> u32 {
    candidate.limit().min(candidate.curve.as_ref().unwrap().room())
}

/// Every division within bounds and room.
fn divisions(total: u32, candidates: &[Candidate]) -> Vec<Vec<u32>> {
    let Some((first, others)) = candidates.split_first() else {
        return if total == 0 { vec![Vec::new()] } else { Vec::new() };
    };
    let with = |share| {
        let rest = divisions(total - share, others).into_iter();
        rest.map(move |rest| std::iter::once(share).chain(rest).collect())
    };
    (first.min..=room(first).min(total)).flat_map(with).collect()
}

fn served(shares: &[u32]) -> usize {
    shares.iter().filter(|share| **share > 0).count()
}

fn priced(problem: &Problem, shares: Vec<u32>) -> Priced {
    let milliwatts = problem.candidates.iter().zip(&shares).map(|(candidate, share)| {
        let curve = candidate.curve.as_ref().unwrap().watts();
        let watts = share.checked_sub(1).map_or(0.0, |last| curve[last as usize]);
        problem::milliwatts(watts)
    });
    let squares = shares.iter().map(|share| u64::from(share * share)).sum();
    (milliwatts.sum(), squares, shares)
}

/// The best division by trying all: widest spread that is wanted and possible, then price, then the
/// earlier names get more.
fn brute_force(problem: &Problem) -> Vec<u32> {
    let all = divisions(problem.total, &problem.candidates);
    let widest = all.iter().map(|shares| served(shares)).max().unwrap();
    let wide = widest.min(problem.min_clusters as usize);
    let wide = all.into_iter().filter(|shares| served(shares) >= wide);
    let by_price = |one: &Priced, other: &Priced| {
        (one.0, one.1).cmp(&(other.0, other.1)).then_with(|| other.2.cmp(&one.2))
    };
    wide.map(|shares| priced(problem, shares)).min_by(by_price).unwrap().2
}

#[test]
fn a_second_pod_goes_where_the_first_has_woken_a_server() {
    let idle = [39.6, 50.6, 59.6, 69.6];
    let busy = [20.0, 40.0, 60.0, 80.0];
    let candidates = || vec![with_curve("idle", &idle), with_curve("busy", &busy)];
    assert_eq!(solve(&marginally(2, candidates(), 1)), [0, 2]);
    assert_eq!(solve(&marginally(3, candidates(), 1)), [3, 0]);
    assert_eq!(solve(&marginally(3, candidates(), 2)), [2, 1]);
}

#[test]
fn equal_watts_are_divided_evenly_and_the_rest_goes_by_name() {
    let watts: Vec<f64> = (1..=8).map(|pods| 5.0 * f64::from(pods)).collect();
    let candidates = ["c", "a", "b"].map(|name| with_curve(name, &watts)).to_vec();
    assert_eq!(solve(&marginally(8, candidates, 2)), [2, 3, 3]);
}

#[test]
fn what_curves_cannot_decide_is_divided_by_scores_and_says_why() {
    let three = with_curve("three", &[1.0, 2.0, 3.0]);
    let none = candidate("none", Some(100.0));
    let problem = |total, candidates: &[&Candidate]| {
        marginally(total, candidates.iter().map(|it| (*it).clone()).collect(), 2)
    };
    insta::assert_snapshot!(fallback(&problem(2, &[&three, &none])), @"none has no curve");
    insta::assert_snapshot!(fallback(&problem(4, &[&three])), @"the members have room for 3 more pods, under total 4");
    insta::assert_snapshot!(fallback(&problem(MAX_PODS + 1, &[&three])), @"by curves 1000 pods can be divided here, under total 1001");
    let four = Candidate { min: 4, ..three.clone() };
    insta::assert_snapshot!(fallback(&problem(4, &[&four])), @"three has room for 3 more pods, under its minimum 4");

    let wide = Problem { min_clusters: 64, ..problem(900, &[&three; 64]) };
    insta::assert_snapshot!(fallback(&wide), @"by curves 310 pods can be divided here, under total 900");

    let mut all = problem(4, &[&three, &none]);
    let by_scores = solve(&Problem { strategy: config::Strategy::Inverse, ..all.clone() });
    assert_eq!(solve(&all), by_scores);
    // Who may take nothing needs no curve.
    all.candidates[1].capacity = Some(0);
    all.total = 3;
    assert_eq!(ideal(&all).unwrap().rule, Rule::Marginal);
    assert_eq!(solve(&all), [3, 0]);
}

#[test]
fn auto_goes_by_curves_where_all_have_one() {
    let mut problem = marginally(1, vec![with_curve("a", &[1.0]), with_curve("b", &[2.0])], 2);
    problem.strategy = config::Strategy::Auto;
    assert_eq!(ideal(&problem).unwrap().rule, Rule::Marginal);
    problem.candidates[1].curve = None;
    let member = ClusterName::new("b").unwrap();
    assert_eq!(ideal(&problem).unwrap().rule, Rule::Fallback(Obstacle::NoCurve { member }));
    problem.total = 0;
    assert_eq!(ideal(&problem).unwrap().rule, Rule::Marginal);
}

proptest! {
    #[test]
    fn no_division_adds_fewer_watts(problem in decidable()) {
        prop_assert_eq!(solve(&problem), brute_force(&problem));
    }

    #[test]
    fn every_share_is_within_its_bounds_and_the_member_s_room(problem in decidable()) {
        let shares = ideal(&problem).unwrap().shares;
        prop_assert_eq!(shares.total(), problem.total);
        for candidate in &problem.candidates {
            let share = shares.of(&candidate.member);
            prop_assert!(candidate.min <= share && share <= room(candidate));
        }
    }

    #[test]
    fn too_little_room_makes_nothing_infeasible(problem in fleet()) {
        let inverse = Problem { strategy: config::Strategy::Inverse, ..problem.clone() };
        prop_assert_eq!(ideal(&problem).is_ok(), ideal(&inverse).is_ok());
        let decided = ideal(&problem).map(|division| division.rule == Rule::Marginal);
        let fits = !divisions(problem.total, &problem.candidates).is_empty();
        prop_assert_eq!(decided.unwrap_or(false), fits);
    }

    #[test]
    fn the_order_of_the_members_changes_no_share(
        (problem, shuffled) in decidable().prop_flat_map(|problem| {
            let candidates = Just(problem.candidates.clone()).prop_shuffle();
            (Just(problem), candidates)
        }),
    ) {
        let shares = ideal(&problem).unwrap().shares;
        let other = ideal(&Problem { candidates: shuffled, ..problem }).unwrap().shares;
        for (member, share) in other.iter() {
            prop_assert_eq!(*share, shares.of(member));
        }
    }

    #[test]
    fn the_spread_is_as_wide_as_of_the_strategy_inverse_where_it_can_be(problem in decidable()) {
        let possible = problem.candidates.iter().filter(|it| room(it) > 0).count();
        let wished = problem.candidates.iter().filter(|it| it.min > 0).count();
        let free = problem.total - problem.candidates.iter().map(|it| it.min).sum::<u32>();
        let expected = (problem.min_clusters as usize).min(possible).min(wished + free as usize);
        prop_assert!(served(&solve(&problem)) >= expected);
    }
}
