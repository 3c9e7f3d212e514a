//! The histories of all clusters, and the records that they are: one for each cluster and hour, so
//! that a new point rewrites few bytes and the manifest counts few records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tenbin_model::history::{History, Hour, Point};
use tenbin_model::ids::ClusterName;
use tenbin_model::score::Score;

use super::LedgerError;
use super::keeper::encode;

const HISTORY: &str = "history/";
/// More clusters than any fleet has; beyond, the one that was silent longest loses its history.
const MOST_CLUSTERS: usize = 256;

/// What the clusters have cost, also those that have left.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Histories(BTreeMap<ClusterName, History>);

/// Records to write; `None` removes one.
pub(super) type Changes = BTreeMap<String, Option<Vec<u8>>>;

// === impl Histories ===

impl Histories {
    /// Takes new scores in and lets all others age; tells the records that change by it.
    pub(super) fn record<'a>(
        &mut self,
        scores: impl Iterator<Item = (&'a ClusterName, &'a Score)>,
        now: Timestamp,
    ) -> Result<Changes, LedgerError> {
        let mut changed = BTreeSet::new();
        let of = |name: &ClusterName, hours: BTreeSet<Hour>| {
            let name = name.clone();
            hours.into_iter().map(move |hour| (name.clone(), hour))
        };
        for (name, score) in scores {
            let history = self.0.entry(name.clone()).or_default();
            changed.extend(of(name, history.record(Point::from(score), now)));
        }
        for (name, history) in &mut self.0 {
            changed.extend(of(name, history.age(now)));
        }
        self.0.retain(|_, history| !history.is_empty());
        while self.0.len() > MOST_CLUSTERS {
            let last = |history: &History| history.points().next_back().map(Point::at);
            let silent = self.0.iter().min_by_key(|(_, history)| last(history));
            let Some((name, history)) = silent.map(|(name, history)| (name.clone(), history))
            else {
                break;
            };
            changed.extend(of(&name, history.hours()));
            self.0.remove(&name);
        }
        changed.into_iter().map(|(name, hour)| self.payload(&name, hour)).collect()
    }

    /// Takes in what was found on disk, and tells the records that it lacks.
    pub(super) fn join(&mut self, on_disk: &Self) -> Result<Changes, LedgerError> {
        for (name, history) in &on_disk.0 {
            let ours = self.0.entry(name.clone()).or_default();
            ours.restore(history.points().copied());
        }
        let mut lacking = Changes::new();
        for (name, history) in &self.0 {
            let there = on_disk.0.get(name);
            for hour in history.hours() {
                if there.is_none_or(|it| it.of_hour(hour) != history.of_hour(hour)) {
                    lacking.extend([self.payload(name, hour)?]);
                }
            }
        }
        Ok(lacking)
    }

    /// Takes in the record of this key; `None` when it is not one of a history.
    pub(super) fn restore(
        &mut self,
        key: &str,
        payload: &[u8],
    ) -> Option<Result<(), serde_json::Error>> {
        let (name, _hour) = key.strip_prefix(HISTORY)?.rsplit_once('/')?;
        let name = ClusterName::new(name).ok()?;
        let points = serde_json::from_slice::<Vec<Point>>(payload);
        Some(points.map(|points| self.0.entry(name).or_default().restore(points)))
    }

    /// By cluster a line for each point.
    pub(super) fn lines(&self) -> BTreeMap<ClusterName, Vec<String>> {
        let lines = |history: &History| history.points().map(Point::to_string).collect();
        self.0.iter().map(|(name, history)| (name.clone(), lines(history))).collect()
    }

    fn payload(
        &self,
        name: &ClusterName,
        hour: Hour,
    ) -> Result<(String, Option<Vec<u8>>), LedgerError> {
        let key = format!("{HISTORY}{name}/{hour}");
        let points = self.0.get(name).map_or_else(Vec::new, |history| history.of_hour(hour));
        let payload = if points.is_empty() { None } else { Some(encode(&key, &points)?) };
        Ok((key, payload))
    }
}

#[cfg(test)]
mod tests {
    use tenbin_model::score::{Provenance, Sample};

    use super::*;

    fn score(minute: i64) -> Score {
        let sampled_at = Timestamp::from_second(minute * 60).unwrap();
        let (provenance, nodes, missing) = (Provenance::Peer, Vec::new(), Vec::new());
        Score::new(Sample { watts: 1.5, provenance, sampled_at, nodes, missing }).unwrap()
    }

    #[test]
    fn names_without_end_do_not_make_it_grow_and_its_records_go_with_the_history() {
        let (mut histories, mut records) = (Histories::default(), BTreeMap::new());
        for number in 0..600 {
            let (name, score) = (ClusterName::new(&format!("c{number}")).unwrap(), score(number));
            let changes = histories.record([(&name, &score)].into_iter(), score.sampled_at());
            for (key, payload) in changes.unwrap() {
                match payload {
                    Some(payload) => drop(records.insert(key, payload)),
                    None => assert!(records.remove(&key).is_some(), "{key}"),
                }
            }
        }
        assert_eq!(histories.0.len(), MOST_CLUSTERS);
        assert!(histories.0.contains_key(&ClusterName::new("c599").unwrap()));
        let mut read = Histories::default();
        for (key, payload) in &records {
            read.restore(key, payload).unwrap().unwrap();
        }
        assert_eq!((records.len(), read), (MOST_CLUSTERS, histories));
    }

    #[test]
    fn what_the_disk_lost_is_written_again_and_what_only_the_disk_knows_is_kept() {
        let name = ClusterName::new("tokyo").unwrap();
        let with = |minutes: &[i64]| {
            let mut histories = Histories::default();
            for minute in minutes {
                let score = score(*minute);
                histories.record([(&name, &score)].into_iter(), score.sampled_at()).unwrap();
            }
            histories
        };
        let mut memory = with(&[60, 120, 121]);
        let lacking = memory.join(&with(&[0, 60, 120])).unwrap();
        assert_eq!(memory, with(&[0, 60, 120, 121]));
        let keys: Vec<_> = lacking.keys().map(String::as_str).collect();
        assert_eq!(keys, ["history/tokyo/1970-01-01T02"]);
    }
}
