//! What is to be divided among whom, and whether it can be.

use crate::config::Strategy;
use crate::ids::ClusterName;
use crate::power::Curve;

/// A total to divide among members.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The replicas that the user asked for.
    pub total: u32,
    /// The members, each once; those that may take nothing included.
    pub candidates: Vec<Candidate>,
    /// At least so many members get a replica, where total and bounds allow.
    pub min_clusters: u32,
    /// The rule of division.
    pub strategy: Strategy,
}

/// A member that may get replicas.
///
/// One that is down has `min` 0 and `capacity` 0, whatever was wished of it: nobody waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub member: ClusterName,
    /// Its score in watts; `None`, or what is no positive number, is unknown.
    pub watts: Option<f64>,
    /// It gets no fewer.
    pub min: u32,
    /// It gets no more, by the user's wish.
    pub max: Option<u32>,
    /// It gets no more, because it has no room; 0 takes nothing at all.
    pub capacity: Option<u32>,
    /// What more pods add there; `None` where that is not known. Read by `marginal` alone.
    pub curve: Option<Curve>,
}

/// Why no division exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Infeasible {
    /// The wishes for one member contradict each other.
    #[error("{member}: minimum {min} exceeds maximum {max}")]
    MinimumOverMaximum {
        /// The member.
        member: ClusterName,
        /// Its minimum.
        min: u32,
        /// Its maximum.
        max: u32,
    },
    /// A member has no room for its minimum.
    #[error("{member}: minimum {min} exceeds its capacity {capacity}")]
    MinimumOverCapacity {
        /// The member.
        member: ClusterName,
        /// Its minimum.
        min: u32,
        /// Its capacity.
        capacity: u32,
    },
    /// The members' minima need more than there is.
    #[error("minima {minima} exceed total {total}")]
    MinimaOverTotal {
        /// The sum of the minima.
        minima: u64,
        /// The total.
        total: u32,
    },
    /// The members may not take all there is.
    #[error("maxima and capacities sum to {limits}, under total {total}")]
    LimitsUnderTotal {
        /// The sum of what each member may take at most.
        limits: u64,
        /// The total.
        total: u32,
    },
}

/// Why the members' curves cannot decide.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A member that may take work has none.
    #[error("{member} has no curve")]
    NoCurve {
        /// The member.
        member: ClusterName,
    },
    /// More pods than curves are worked out for, or than are divided in due time among so many.
    #[error("by curves {most} pods can be divided here, under total {total}")]
    TooMany {
        /// The total.
        total: u32,
        /// The greatest total that would do.
        most: u32,
    },
    /// A member must take more pods than its nodes have room for.
    #[error("{member} has room for {room} more pods, under its minimum {min}")]
    MinimumOverRoom {
        /// The member.
        member: ClusterName,
        /// Its minimum.
        min: u32,
        /// Its room.
        room: u32,
    },
    /// The nodes of all members have not room enough.
    #[error("the members have room for {room} more pods, under total {total}")]
    NoRoom {
        /// The sum of what each member may take by its bounds and its room.
        room: u64,
        /// The total.
        total: u32,
    },
}

// === impl Problem ===

impl Problem {
    /// Says what does not fit, if anything: a division exists exactly where this is `Ok`.
    pub(super) fn check(&self) -> Result<(), Infeasible> {
        for candidate in &self.candidates {
            candidate.check()?;
        }
        let total = self.total;
        let minima = self.candidates.iter().map(|candidate| u64::from(candidate.min)).sum();
        if minima > u64::from(total) {
            return Err(Infeasible::MinimaOverTotal { minima, total });
        }
        let limits = self.candidates.iter().map(|candidate| u64::from(candidate.limit())).sum();
        if limits < u64::from(total) {
            return Err(Infeasible::LimitsUnderTotal { limits, total });
        }
        Ok(())
    }
}

// === impl Candidate ===

impl Candidate {
    /// Its score, where it is one.
    pub(super) fn known_watts(&self) -> Option<f64> {
        self.watts.filter(|watts| watts.is_finite() && *watts > 0.0)
    }

    /// What it may take at most.
    pub fn limit(&self) -> u32 {
        self.max.unwrap_or(u32::MAX).min(self.capacity.unwrap_or(u32::MAX))
    }

    fn check(&self) -> Result<(), Infeasible> {
        let (member, min) = (&self.member, self.min);
        if let Some(max) = self.max.filter(|max| min > *max) {
            return Err(Infeasible::MinimumOverMaximum { member: member.clone(), min, max });
        }
        if let Some(capacity) = self.capacity.filter(|capacity| min > *capacity) {
            return Err(Infeasible::MinimumOverCapacity { member: member.clone(), min, capacity });
        }
        Ok(())
    }
}

/// Whole milliwatts, up to a terawatt's worth.
pub(super) fn milliwatts(watts: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0..=1e15, which an f64 holds exactly"
    )]
    let whole = (watts * 1000.0).round().clamp(0.0, 1e15) as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_does_not_fit() {
        let candidate = |name: &str, min, max, capacity| Candidate {
            member: ClusterName::new(name).unwrap(),
            watts: None,
            min,
            max,
            capacity,
            curve: None,
        };
        let refusal = |total, candidates| {
            let problem =
                Problem { total, candidates, min_clusters: 2, strategy: Strategy::Inverse };
            problem.check().unwrap_err().to_string()
        };
        let tokyo = candidate("tokyo", 3, None, None);
        let osaka = candidate("osaka", 4, Some(4), None);
        insta::assert_snapshot!(refusal(5, vec![tokyo, osaka.clone()]), @"minima 7 exceed total 5");
        insta::assert_snapshot!(refusal(10, vec![osaka]), @"maxima and capacities sum to 4, under total 10");
        insta::assert_snapshot!(refusal(9, vec![candidate("osaka", 2, Some(1), None)]), @"osaka: minimum 2 exceeds maximum 1");
        insta::assert_snapshot!(refusal(9, vec![candidate("osaka", 2, None, Some(0))]), @"osaka: minimum 2 exceeds its capacity 0");
        insta::assert_snapshot!(refusal(1, Vec::new()), @"maxima and capacities sum to 0, under total 1");
    }
}
