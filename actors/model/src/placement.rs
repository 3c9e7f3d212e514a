//! How many replicas each member gets.
//!
//! Pure: integers in and out, no clock. `placement/README.md` states the problem, its laws and
//! the test that holds each.

mod inverse;
#[cfg(test)]
mod laws;
mod problem;
mod wishes;

pub use self::problem::{Candidate, Infeasible, Problem};
pub use self::wishes::{CLUSTERS, InvalidWish, MAX, MIN, MIN_CLUSTERS, Wishes};
use crate::managed::Shares;

/// Divides the total in proportion to 1/watts, within every bound (strategy `inverse`).
///
/// The shares stand in the order of the candidates, members that get nothing included. Takes
/// O(n log(watts × total)) for n candidates, whatever the total.
pub fn ideal(problem: &Problem) -> Result<Shares, Infeasible> {
    problem.check()?;
    let mut claims = inverse::claims(problem);
    inverse::spread(&mut claims, problem);
    let mut shares = inverse::divide(problem.total, &claims);
    shares.sort_unstable_by_key(|(index, _)| *index);
    let names = problem.candidates.iter().map(|candidate| candidate.member.clone());
    Ok(Shares::new(names.zip(shares.into_iter().map(|(_, share)| share)).collect()))
}
