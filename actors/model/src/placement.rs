//! How many replicas each member gets.
//!
//! Pure: integers in and out, no clock. `placement/README.md` states the problem, its laws and
//! the test that holds each.

mod inverse;
#[cfg(test)]
mod laws;
mod marginal;
mod problem;
mod wishes;

pub use self::problem::{Candidate, Infeasible, Obstacle, Problem};
pub use self::wishes::{CLUSTERS, InvalidWish, MAX, MIN, MIN_CLUSTERS, STRATEGY, Wishes};
use crate::config::Strategy;
use crate::managed::Shares;

/// How a total is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Division {
    /// In the order of the candidates, members that get nothing included.
    pub shares: Shares,
    /// The rule that made them.
    pub rule: Rule,
}

/// The rule by which a total was divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// In proportion to 1/watts, as was asked.
    Inverse,
    /// Least added watts.
    Marginal,
    /// In proportion to 1/watts, because the curves cannot decide.
    Fallback(Obstacle),
}

/// Divides the total within every bound, by the problem's strategy.
///
/// May take a third of a second by curves: not on a thread of actors.
pub fn ideal(problem: &Problem) -> Result<Division, Infeasible> {
    problem.check()?;
    let (shares, rule) = match problem.strategy {
        Strategy::Inverse => (by_scores(problem), Rule::Inverse),
        Strategy::Auto | Strategy::Marginal => match marginal::bids(problem) {
            Ok(bids) => (marginal::divide(problem, &bids), Rule::Marginal),
            Err(obstacle) => (by_scores(problem), Rule::Fallback(obstacle)),
        },
    };
    let mut all = vec![0; problem.candidates.len()];
    for (index, share) in shares {
        if let Some(place) = all.get_mut(index) {
            *place = share;
        }
    }
    let names = problem.candidates.iter().map(|candidate| candidate.member.clone());
    Ok(Division { shares: Shares::new(names.zip(all).collect()), rule })
}

/// Takes O(n log(watts × total)) for n candidates, whatever the total.
fn by_scores(problem: &Problem) -> Vec<(usize, u32)> {
    let mut claims = inverse::claims(problem);
    inverse::spread(&mut claims, problem);
    inverse::divide(problem.total, &claims)
}
