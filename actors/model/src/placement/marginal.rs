//! Strategy `marginal`: the least added watts over all divisions, exact.
//!
//! A dynamic programme over the members. Curves bend both ways, so replica after replica to the
//! member that is cheapest then would not find the least. Watts become whole milliwatts before
//! anything is added, so that no order of the members matters.

use std::cmp::Reverse;
use std::iter;
use std::ops::Add;

use super::problem::{Candidate, Obstacle, Problem, milliwatts};
use crate::power::MAX_PODS;

/// A third of a second; what would take longer is left to the scores.
const MOST_STEPS: u64 = 200_000_000;

/// What one member that may take work brings into the division.
pub(super) struct Bid<'a> {
    /// Its place among the candidates.
    index: usize,
    candidate: &'a Candidate,
    /// What it costs to give it 0, 1, 2, ... replicas, up to its bounds and its room.
    costs: Vec<Cost>,
}

/// What is made least, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    milliwatts: u64,
    /// The sum of the shares' squares: of equal watts the more even division.
    squares: u64,
}

/// The cheapest divisions among the last members, by what is left for them.
struct Table {
    total: usize,
    /// For each number of members that are yet to be served, and each number of replicas.
    best: Vec<Option<Best>>,
}

#[derive(Debug, Clone, Copy)]
struct Best {
    cost: Cost,
    /// What the first of these members gets.
    share: usize,
}

/// The bids of all candidates that may take work, by name, or why their curves cannot decide.
pub(super) fn bids(problem: &Problem) -> Result<Vec<Bid<'_>>, Obstacle> {
    let total = problem.total;
    let candidates = problem.candidates.iter().enumerate();
    let mut open: Vec<_> = candidates.filter(|(_, it)| it.limit().min(total) > 0).collect();
    let most = most_pods(open.len(), problem.min_clusters);
    if total > most {
        return Err(Obstacle::TooMany { total, most });
    }
    open.sort_by(|(_, one), (_, other)| one.member.cmp(&other.member));
    let bids = open.into_iter().map(|(index, candidate)| Bid::new(index, candidate, total));
    let bids = bids.collect::<Result<Vec<_>, _>>()?;
    let room = bids.iter().map(|bid| bid.most() as u64).sum();
    if room < u64::from(total) {
        return Err(Obstacle::NoRoom { room, total });
    }
    Ok(bids)
}

/// The greatest total whose division takes no more than [`MOST_STEPS`].
fn most_pods(members: usize, min_clusters: u32) -> u32 {
    let unserved = members.min(min_clusters as usize) + 1;
    let total = (2 * MOST_STEPS).checked_div((members * unserved) as u64).map(u64::isqrt);
    total.and_then(|it| u32::try_from(it).ok()).map_or(MAX_PODS, |it| it.min(MAX_PODS))
}

/// The share of each bid's candidate, by its index.
///
/// Takes members × (`min_clusters` + 1) × total² / 2 steps: 7 ms for 1000 replicas among 3 members,
/// 0.17 s among 64 (release build, one core of an EPYC at 2.6 GHz).
pub(super) fn divide(problem: &Problem, bids: &[Bid<'_>]) -> Vec<(usize, u32)> {
    let (mut left, mut unserved) = (problem.total as usize, to_serve(problem, bids));
    // From the last member to the first, then the way back.
    let end = Table::of_nobody(left, unserved);
    let tables = iter::successors(Some((end, bids)), |(after, bids)| {
        let (bid, before) = bids.split_last()?;
        Some((after.before(bid, unserved), before))
    });
    let mut tables: Vec<_> = tables.map(|(table, _)| table).collect();
    let share = |bid: &Bid<'_>| {
        let best = tables.pop().and_then(|table| table.at(unserved, left));
        let share = best.map_or(0, |best| best.share);
        left -= share;
        unserved = unserved.saturating_sub(usize::from(share > 0));
        (bid.index, u32::try_from(share).unwrap_or(MAX_PODS))
    };
    bids.iter().map(share).collect()
}

/// How many members get a replica at least: as many as in `inverse`.
fn to_serve(problem: &Problem, bids: &[Bid<'_>]) -> usize {
    let open = bids.iter().filter(|bid| bid.most() > 0).count();
    let by_minima = bids.iter().filter(|bid| bid.least() > 0).count();
    let minima: usize = bids.iter().map(Bid::least).sum();
    let left = (problem.total as usize).saturating_sub(minima);
    (problem.min_clusters as usize).min(open).min(by_minima + left)
}

// === impl Bid ===

impl<'a> Bid<'a> {
    fn new(index: usize, candidate: &'a Candidate, total: u32) -> Result<Self, Obstacle> {
        let member = || candidate.member.clone();
        let curve =
            candidate.curve.as_ref().ok_or_else(|| Obstacle::NoCurve { member: member() })?;
        if candidate.min > curve.room() {
            let (min, room) = (candidate.min, curve.room());
            return Err(Obstacle::MinimumOverRoom { member: member(), min, room });
        }
        let most = candidate.limit().min(total) as usize;
        let costs =
            curve.watts().iter().take(most).zip(1..).map(|(watts, share)| Cost {
                milliwatts: milliwatts(*watts),
                squares: share * share,
            });
        let costs = iter::once(Cost::default()).chain(costs).collect();
        Ok(Self { index, candidate, costs })
    }

    fn least(&self) -> usize {
        self.candidate.min as usize
    }

    fn most(&self) -> usize {
        self.costs.len() - 1
    }
}

// === impl Cost ===

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            milliwatts: self.milliwatts + other.milliwatts,
            squares: self.squares + other.squares,
        }
    }
}

// === impl Table ===

impl Table {
    /// Behind the last member nothing may be left, neither replicas nor members to serve.
    fn of_nobody(total: usize, to_serve: usize) -> Self {
        let mut best = vec![None; (to_serve + 1) * (total + 1)];
        if let Some(first) = best.first_mut() {
            *first = Some(Best { cost: Cost::default(), share: 0 });
        }
        Self { total, best }
    }

    fn at(&self, unserved: usize, left: usize) -> Option<Best> {
        *self.best.get(unserved * (self.total + 1) + left)?
    }

    /// The table that begins one member earlier.
    fn before(&self, bid: &Bid<'_>, to_serve: usize) -> Self {
        let cells = (0..=to_serve).flat_map(|it| (0..=self.total).map(move |left| (it, left)));
        let best = cells.map(|(unserved, left)| self.cheapest(bid, unserved, left)).collect();
        Self { total: self.total, best }
    }

    /// Of equal costs the one in which this member, the earlier by name, gets the most.
    fn cheapest(&self, bid: &Bid<'_>, unserved: usize, left: usize) -> Option<Best> {
        let shares = bid.costs.iter().enumerate().take(left + 1).skip(bid.least());
        let ways = shares.filter_map(|(share, cost)| {
            let unserved = unserved.saturating_sub(usize::from(share > 0));
            let rest = self.at(unserved, left - share)?;
            Some(Best { cost: *cost + rest.cost, share })
        });
        ways.min_by_key(|best| (best.cost, Reverse(best.share)))
    }
}
