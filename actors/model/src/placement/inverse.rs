//! Strategy `inverse`: bounded Sainte-Laguë (Webster) with weights 1/watts, exact.
//!
//! Seats go one by one to the member with the greatest weight / (2 × seats + 1). As the weight is
//! 1/watts, that is the least watts × (2 × seats + 1): an integer *price*, so nothing is rounded
//! after watts became milliwatts. All seats under a price are found at once, by bisection.

use std::cmp::Ordering;

use super::problem::{self, Candidate, Problem};

/// What one member brings into the division.
pub(super) struct Claim {
    /// Its place among the candidates.
    index: usize,
    milliwatts: u64,
    floor: u32,
    ceiling: u32,
}

/// The claims of all candidates, best first: fewer watts, known before unknown, then by name.
///
/// Unknown members weigh as the worst known one; where none is known, all weigh the same.
pub(super) fn claims(problem: &Problem) -> Vec<Claim> {
    let candidates = &problem.candidates;
    let worst =
        candidates.iter().filter_map(Candidate::known_watts).max_by(f64::total_cmp).unwrap_or(1.0);
    let mut ranked: Vec<(usize, &Candidate)> = candidates.iter().enumerate().collect();
    ranked.sort_by(|(_, one), (_, other)| rank(one, other));
    let claim = |(index, candidate): (usize, &Candidate)| Claim {
        index,
        milliwatts: milliwatts(candidate.known_watts().unwrap_or(worst)),
        floor: candidate.min,
        ceiling: candidate.limit().min(problem.total),
    };
    ranked.into_iter().map(claim).collect()
}

/// Gives a first replica to as many members as `min_clusters` says, best first.
///
/// Only floors rise, from 0 to 1, and only as far as the minima leave some of the total.
pub(super) fn spread(claims: &mut [Claim], problem: &Problem) {
    let served = claims.iter().filter(|claim| claim.floor > 0).count();
    let missing =
        usize::try_from(problem.min_clusters).unwrap_or(usize::MAX).saturating_sub(served);
    let minima: u64 = claims.iter().map(|claim| u64::from(claim.floor)).sum();
    let left =
        usize::try_from(u64::from(problem.total).saturating_sub(minima)).unwrap_or(usize::MAX);
    let empty = claims.iter_mut().filter(|claim| claim.floor == 0 && claim.ceiling > 0);
    for claim in empty.take(missing.min(left)) {
        claim.floor = 1;
    }
}

/// The share of each claim's candidate, by its index.
///
/// Expects Σ floors ≤ total ≤ Σ ceilings, which `Problem::check` has made sure of.
pub(super) fn divide(total: u32, claims: &[Claim]) -> Vec<(usize, u32)> {
    let price = last_affordable_price(total, claims);
    let taken = claims.iter().map(|claim| u64::from(claim.seats_within(price))).sum();
    let mut left = u64::from(total).saturating_sub(taken);
    let share = |claim: &Claim| {
        let seats = claim.seats_within(price);
        // At the next price there are more seats than replicas left: the best ranked take them.
        let one_more = u32::from(left > 0 && claim.seats_within(price + 1) > seats);
        left = left.saturating_sub(u64::from(one_more));
        (claim.index, seats + one_more)
    };
    claims.iter().map(share).collect()
}

// === impl Claim ===

impl Claim {
    /// How many replicas it gets where every seat up to `price` is taken.
    fn seats_within(&self, price: u128) -> u32 {
        let seats = (price / u128::from(self.milliwatts)).div_ceil(2);
        let seats = u32::try_from(seats).unwrap_or(u32::MAX);
        seats.max(self.floor).min(self.ceiling)
    }
}

/// The greatest price up to which all seats together stay within the total.
fn last_affordable_price(total: u32, claims: &[Claim]) -> u128 {
    let affordable = |price| {
        let seats: u64 = claims.iter().map(|claim| u64::from(claim.seats_within(price))).sum();
        seats <= u64::from(total)
    };
    let worst = claims.iter().map(|claim| u128::from(claim.milliwatts)).max().unwrap_or(0);
    // At price 0 all stand at their floors, at the high end at their ceilings.
    let (mut low, mut high) = (0, worst * (2 * u128::from(total) + 1));
    while low < high {
        let middle = high - (high - low) / 2;
        if affordable(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

fn rank(one: &Candidate, other: &Candidate) -> Ordering {
    // An unknown score sorts behind all numbers.
    let watts = |candidate: &Candidate| candidate.known_watts().unwrap_or(f64::INFINITY);
    watts(one).total_cmp(&watts(other)).then_with(|| one.member.cmp(&other.member))
}

/// Whole milliwatts, from 1 on: a price of nothing would take everything.
pub(super) fn milliwatts(watts: f64) -> u64 {
    problem::milliwatts(watts).max(1)
}
