//! What users ask of the division, by annotations on a workload.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Candidate, Problem};
use crate::config::Strategy;
use crate::ids::ClusterName;

/// Annotation: the members that may get replicas, as `osaka,tokyo`.
pub const CLUSTERS: &str = "tenbin/clusters";
/// Annotation: the fewest replicas of members, as `osaka=2,tokyo=1`, or `1` for each.
pub const MIN: &str = "tenbin/min";
/// Annotation: the most replicas of members, in the same form.
pub const MAX: &str = "tenbin/max";
/// Annotation: how many members get a replica at least, from 1 on.
pub const MIN_CLUSTERS: &str = "tenbin/min-clusters";
/// Annotation: the rule of division, `auto`, `marginal` or `inverse`.
pub const STRATEGY: &str = "tenbin/strategy";

/// What the annotations of one workload ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    clusters: Option<BTreeSet<ClusterName>>,
    min: Option<Bound>,
    max: Option<Bound>,
    min_clusters: Option<u32>,
    strategy: Option<Strategy>,
}

/// Why annotations cannot be granted; the user's mistake, so 422.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWish {
    /// Something that should be a member's name is none.
    #[error("{annotation}: {text:?} is no name of a cluster")]
    Name {
        /// The annotation.
        annotation: &'static str,
        /// The text in question, cut where it is long.
        text: String,
    },
    /// Something that should be a number is none.
    #[error("{annotation}: {text:?} is no whole number from {from} to 4294967295")]
    Number {
        /// The annotation.
        annotation: &'static str,
        /// The text in question, cut where it is long.
        text: String,
        /// The least that is legal.
        from: u32,
    },
    /// Something that should be a rule of division is none.
    #[error("{STRATEGY}: {text:?} is none of auto, marginal and inverse")]
    Strategy {
        /// The text in question, cut where it is long.
        text: String,
    },
    /// Something between two commas is no member with its number.
    #[error("{annotation}: {text:?} is no pair such as osaka=2")]
    Pair {
        /// The annotation.
        annotation: &'static str,
        /// The text in question, cut where it is long.
        text: String,
    },
    /// A member is named twice.
    #[error("{annotation}: {name} is named twice")]
    Twice {
        /// The annotation.
        annotation: &'static str,
        /// The name.
        name: ClusterName,
    },
    /// No member has this name.
    #[error("{annotation}: no member is called {name}, there are {members}")]
    Unknown {
        /// The annotation.
        annotation: &'static str,
        /// The name.
        name: ClusterName,
        /// The names that there are.
        members: String,
    },
    /// A minimum for a member that the list of members leaves out.
    #[error("{MIN}: {name} is left out by {CLUSTERS}")]
    LeftOut {
        /// The member.
        name: ClusterName,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bound {
    Each(u32),
    Named(BTreeMap<ClusterName, u32>),
}

// === impl Wishes ===

impl Wishes {
    /// Reads the annotations of a workload; `annotation` looks one up.
    pub fn parse<'a>(
        annotation: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Result<Self, InvalidWish> {
        let min_clusters = |text| number(MIN_CLUSTERS, text, 1);
        Ok(Self {
            clusters: annotation(CLUSTERS).map(members).transpose()?,
            min: annotation(MIN).map(|text| Bound::parse(MIN, text)).transpose()?,
            max: annotation(MAX).map(|text| Bound::parse(MAX, text)).transpose()?,
            min_clusters: annotation(MIN_CLUSTERS).map(min_clusters).transpose()?,
            strategy: annotation(STRATEGY).map(strategy).transpose()?,
        })
    }

    /// Narrows a problem, whose candidates are all members of the fleet, to what is wished.
    ///
    /// A member that is left out stays a candidate that gets nothing. On an error the problem is
    /// not to be used.
    pub fn apply(&self, problem: &mut Problem) -> Result<(), InvalidWish> {
        self.check_names(&problem.candidates)?;
        for candidate in &mut problem.candidates {
            let name = &candidate.member;
            let is_left_out = self.clusters.as_ref().is_some_and(|names| !names.contains(name));
            let min = self.min.as_ref().and_then(|bound| bound.of(name));
            let max = self.max.as_ref().and_then(|bound| bound.of(name));
            if is_left_out {
                candidate.min = 0;
                candidate.max = Some(0);
            } else {
                candidate.min = min.unwrap_or(candidate.min);
                candidate.max = max.or(candidate.max);
            }
        }
        problem.min_clusters = self.min_clusters.unwrap_or(problem.min_clusters);
        problem.strategy = self.strategy.unwrap_or(problem.strategy);
        Ok(())
    }

    fn check_names(&self, candidates: &[Candidate]) -> Result<(), InvalidWish> {
        let clusters = self.clusters.iter().flatten().map(|name| (CLUSTERS, name));
        let min = self.min.iter().flat_map(Bound::names).map(|name| (MIN, name));
        let max = self.max.iter().flat_map(Bound::names).map(|name| (MAX, name));
        let known: BTreeSet<_> = candidates.iter().map(|candidate| &candidate.member).collect();
        for (annotation, name) in clusters.chain(min).chain(max) {
            if !known.contains(name) {
                let members: Vec<_> = known.iter().map(|known| known.as_str()).collect();
                let members = members.join(", ");
                return Err(InvalidWish::Unknown { annotation, name: name.clone(), members });
            }
        }
        let Some(allowed) = &self.clusters else {
            return Ok(());
        };
        let left_out = self.min.iter().flat_map(Bound::names).find(|name| !allowed.contains(*name));
        left_out.map_or(Ok(()), |name| Err(InvalidWish::LeftOut { name: name.clone() }))
    }
}

// === impl Bound ===

impl Bound {
    fn parse(annotation: &'static str, text: &str) -> Result<Self, InvalidWish> {
        if !text.contains('=') {
            return number(annotation, text, 0).map(Self::Each);
        }
        let mut bounds = BTreeMap::new();
        for part in text.split(',') {
            let Some((member, count)) = part.split_once('=') else {
                return Err(InvalidWish::Pair { annotation, text: cut(part) });
            };
            let name = name(annotation, member)?;
            if bounds.insert(name.clone(), number(annotation, count, 0)?).is_some() {
                return Err(InvalidWish::Twice { annotation, name });
            }
        }
        Ok(Self::Named(bounds))
    }

    fn of(&self, member: &ClusterName) -> Option<u32> {
        match self {
            Self::Each(count) => Some(*count),
            Self::Named(bounds) => bounds.get(member).copied(),
        }
    }

    fn names(&self) -> impl Iterator<Item = &ClusterName> {
        match self {
            Self::Each(_) => None,
            Self::Named(bounds) => Some(bounds.keys()),
        }
        .into_iter()
        .flatten()
    }
}

fn members(text: &str) -> Result<BTreeSet<ClusterName>, InvalidWish> {
    let mut names = BTreeSet::new();
    for part in text.split(',') {
        let name = name(CLUSTERS, part)?;
        if !names.insert(name.clone()) {
            return Err(InvalidWish::Twice { annotation: CLUSTERS, name });
        }
    }
    Ok(names)
}

fn name(annotation: &'static str, text: &str) -> Result<ClusterName, InvalidWish> {
    ClusterName::new(text.trim()).map_err(|_| InvalidWish::Name { annotation, text: cut(text) })
}

fn number(annotation: &'static str, text: &str, from: u32) -> Result<u32, InvalidWish> {
    let count = text.trim().parse().ok().filter(|count| *count >= from);
    count.ok_or_else(|| InvalidWish::Number { annotation, text: cut(text), from })
}

fn strategy(text: &str) -> Result<Strategy, InvalidWish> {
    let strategy = Strategy::parse(text.trim());
    strategy.ok_or_else(|| InvalidWish::Strategy { text: cut(text) })
}

/// An annotation may hold 256 KiB, an answer need not repeat them.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Strategy;

    fn fleet() -> Problem {
        let candidate = |name| Candidate {
            member: ClusterName::new(name).unwrap(),
            watts: None,
            min: 0,
            max: None,
            capacity: None,
            curve: None,
        };
        let candidates = ["tokyo", "osaka", "nagoya"].map(candidate).to_vec();
        Problem { total: 10, candidates, min_clusters: 2, strategy: Strategy::Auto }
    }

    fn wish(annotations: &[(&str, &str)]) -> Result<Problem, InvalidWish> {
        let look_up =
            |key| annotations.iter().find(|(name, _)| *name == key).map(|(_, text)| *text);
        let mut problem = fleet();
        Wishes::parse(look_up)?.apply(&mut problem)?;
        Ok(problem)
    }

    fn bounds(problem: &Problem) -> Vec<(u32, Option<u32>)> {
        problem.candidates.iter().map(|candidate| (candidate.min, candidate.max)).collect()
    }

    #[test]
    fn without_annotations_nothing_changes() {
        assert_eq!(wish(&[]).unwrap(), fleet());
    }

    #[test]
    fn bounds_are_for_named_members_or_for_each() {
        let problem = wish(&[(MIN, "osaka=2, tokyo=1"), (MAX, "7"), (MIN_CLUSTERS, "3")]).unwrap();
        assert_eq!(bounds(&problem), [(1, Some(7)), (2, Some(7)), (0, Some(7))]);
        assert_eq!(problem.min_clusters, 3);
    }

    #[test]
    fn members_that_are_not_listed_stay_candidates_that_get_nothing() {
        let problem = wish(&[(CLUSTERS, "osaka , tokyo"), (MIN, "1"), (MAX, "tokyo=4")]).unwrap();
        assert_eq!(bounds(&problem), [(1, Some(4)), (1, None), (0, Some(0))]);
    }

    #[test]
    fn the_rule_of_division_is_wished_by_its_name() {
        for (text, strategy) in [
            ("auto", Strategy::Auto),
            ("marginal", Strategy::Marginal),
            (" inverse ", Strategy::Inverse),
        ] {
            assert_eq!(wish(&[(STRATEGY, text)]).unwrap().strategy, strategy);
        }
    }

    #[test]
    fn what_cannot_be_granted_is_named() {
        let refusal = |annotation, text| wish(&[(annotation, text)]).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(CLUSTERS, "osaka,kyoto"), @"tenbin/clusters: no member is called kyoto, there are nagoya, osaka, tokyo");
        insta::assert_snapshot!(refusal(CLUSTERS, ""), @r#"tenbin/clusters: "" is no name of a cluster"#);
        insta::assert_snapshot!(refusal(CLUSTERS, "osaka,osaka"), @"tenbin/clusters: osaka is named twice");
        insta::assert_snapshot!(refusal(MIN, "many"), @r#"tenbin/min: "many" is no whole number from 0 to 4294967295"#);
        insta::assert_snapshot!(refusal(MIN, "osaka=1,2"), @r#"tenbin/min: "2" is no pair such as osaka=2"#);
        insta::assert_snapshot!(refusal(MAX, "osaka=-1"), @r#"tenbin/max: "-1" is no whole number from 0 to 4294967295"#);
        insta::assert_snapshot!(refusal(MAX, "osaka=1,osaka=1"), @"tenbin/max: osaka is named twice");
        insta::assert_snapshot!(refusal(MIN_CLUSTERS, "0"), @r#"tenbin/min-clusters: "0" is no whole number from 1 to 4294967295"#);
        insta::assert_snapshot!(refusal(STRATEGY, "Marginal"), @r#"tenbin/strategy: "Marginal" is none of auto, marginal and inverse"#);
        let left_out = wish(&[(CLUSTERS, "tokyo"), (MIN, "osaka=1")]).unwrap_err();
        insta::assert_snapshot!(left_out, @"tenbin/min: osaka is left out by tenbin/clusters");
    }

    proptest! {
        #[test]
        fn no_annotation_makes_a_panic_or_a_long_answer(text in "[a-z0-9,=. é-]{0,300}") {
            for annotation in [CLUSTERS, MIN, MAX, MIN_CLUSTERS, STRATEGY] {
                if let Err(error) = wish(&[(annotation, &text)]) {
                    prop_assert!(error.to_string().len() < 400);
                }
            }
        }
    }
}
