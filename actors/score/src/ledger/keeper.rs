//! What the ledger does with its files: all of it blocking, none of it an actor.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tenbin_kernel::Clock;
use tenbin_model::ids::ClusterName;
use tenbin_model::score::{Score, ScoreBoard};
use tracing::error;

use super::book::{Book, Damage, Records};
use super::history::{Changes, Histories};
use super::recover;
use super::{KnownFleet, LedgerError, Recovered, StateLock};

const SCORE: &str = "score/";
const SLOTS: &str = "version-slots";

/// The files of a locked state folder, and what is known to be in them.
pub(super) struct Keeper {
    lock: Arc<StateLock>,
    clock: Clock,
    /// `None` while the files cannot be used; each write tries to open them again.
    book: Option<Book>,
    recovered: Recovered,
    /// The scores that are on disk, when there is a book.
    pub(super) board: Arc<ScoreBoard>,
    pub(super) slots: Option<KnownFleet>,
    pub(super) history: Histories,
    quarantines: u32,
    failures: u32,
    flushed_at: Option<Timestamp>,
}

/// All that was read from the files.
#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) recovered: Recovered,
    pub(super) history: Histories,
}

// === impl Keeper ===

impl Keeper {
    /// Opens the ledger of the locked folder.
    pub(super) fn open(lock: Arc<StateLock>, clock: Clock) -> Self {
        let (book, World { recovered, history }) = recover::open(lock.folder(), clock.now());
        Self {
            lock,
            clock,
            book,
            board: Arc::new(recovered.scores.clone()),
            slots: recovered.fleet.clone(),
            history,
            quarantines: u32::from(recovered.quarantined.is_some()),
            recovered,
            failures: 0,
            flushed_at: None,
        }
    }

    /// What was there when the ledger was opened first.
    pub(super) fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// Writes the scores that differ from those on disk and what they add to the history, and
    /// flushes.
    pub(super) fn persist(&mut self, board: Arc<ScoreBoard>) -> Result<(), LedgerError> {
        self.reopen()?;
        let book = self.book.as_ref().ok_or(LedgerError::NotOpen)?;
        let mut changes: Changes = book
            .keys()
            .filter(|key| key.starts_with(SCORE))
            .map(|key| (key.clone(), None))
            .collect();
        let mut news = Vec::new();
        for (name, score) in board.iter() {
            let key = format!("{SCORE}{name}");
            if self.board.get(name).is_some_and(|it| Arc::ptr_eq(it, score)) {
                changes.remove(&key);
            } else {
                let payload = encode(&key, score.as_ref())?;
                changes.insert(key, Some(payload));
                news.push((name, score.as_ref()));
            }
        }
        changes.extend(self.history.record(news.into_iter(), self.clock.now())?);
        if !changes.is_empty() {
            self.write(changes)?;
        }
        self.board = board;
        Ok(())
    }

    /// Writes the version slots, and flushes.
    pub(super) fn save_slots(&mut self, slots: KnownFleet) -> Result<(), LedgerError> {
        self.reopen()?;
        self.write(Changes::from([(SLOTS.to_owned(), Some(encode(SLOTS, &slots)?))]))?;
        self.slots = Some(slots);
        Ok(())
    }

    /// Flushes and closes the files.
    pub(super) fn close(&mut self) {
        if self.book.is_some()
            && let Err(error) = self.write(Changes::new())
        {
            error!(%error, "last flush of the ledger failed");
        }
        self.book = None;
    }

    /// What `/actors` shows.
    pub(super) fn state(&self) -> Value {
        let scores = |book: &Book| book.keys().filter(|key| key.starts_with(SCORE)).count();
        let age = |at| self.clock.now().duration_since(at).as_secs_f64().max(0.0);
        json!({
            "open": self.book.is_some(),
            "scores": self.book.as_ref().map_or(0, scores),
            "records": self.book.as_ref().map_or(0, |book| book.keys().count()),
            "quarantines": self.quarantines,
            "write_failures": self.failures,
            "last_flush_age_seconds": self.flushed_at.map(age),
        })
    }

    fn write(&mut self, changes: Changes) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let book = self.book.as_mut().ok_or(LedgerError::NotOpen)?;
        match book.write(changes, now) {
            Ok(()) => {
                self.flushed_at = Some(now);
                Ok(())
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                self.book = None;
                Err(LedgerError::Write(error))
            }
        }
    }

    /// After a failed write sled takes no more: its files are opened anew. What they lack of the
    /// scores is written by who asked for this.
    fn reopen(&mut self) -> Result<(), LedgerError> {
        if self.book.is_some() {
            return Ok(());
        }
        let (book, World { recovered: on_disk, history }) =
            recover::open(self.lock.folder(), self.clock.now());
        self.quarantines = self.quarantines.saturating_add(on_disk.quarantined.is_some().into());
        self.book = book;
        self.board = Arc::new(on_disk.scores);
        let mut lacking = self.history.join(&history)?;
        match &self.slots {
            Some(slots) if on_disk.fleet.as_ref() != Some(slots) => {
                lacking.insert(SLOTS.to_owned(), Some(encode(SLOTS, slots)?));
            }
            Some(_) => {}
            None => self.slots = on_disk.fleet,
        }
        if lacking.is_empty() { Ok(()) } else { self.write(lacking) }
    }
}

/// Reads the records that [`Keeper`] writes; others are left alone.
pub(super) fn decode(records: &Records) -> Result<World, Damage> {
    let World { mut recovered, mut history } = World::default();
    let mut scores = Vec::new();
    for (key, record) in records {
        let damaged = |source| Damage::Content { key: key.clone(), source };
        if let Some(name) = key.strip_prefix(SCORE) {
            let name = serde_json::from_value::<ClusterName>(Value::from(name)).map_err(damaged)?;
            let score = serde_json::from_slice::<Score>(&record.payload).map_err(damaged)?;
            scores.push((name, score));
        } else if key == SLOTS {
            let slots = serde_json::from_slice(&record.payload).map_err(damaged)?;
            recovered.fleet = Some(slots);
        } else if let Some(restored) = history.restore(key, &record.payload) {
            restored.map_err(damaged)?;
        }
    }
    recovered.scores = ScoreBoard::recovered(scores);
    Ok(World { recovered, history })
}

pub(super) fn encode(key: &str, content: &impl Serialize) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(content)
        .map_err(|source| LedgerError::Encode { key: key.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tenbin_model::score::{Provenance, Sample};

    use super::*;
    use crate::ledger::store::{ScoreStore, StoreError};

    /// A disk that takes one write, and is full.
    #[derive(Default)]
    struct FullDisk(AtomicBool);

    impl ScoreStore for FullDisk {
        fn load(&self, _limit: usize) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
            Ok(BTreeMap::new())
        }

        fn apply(&self, _: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), StoreError> {
            let full = self.0.swap(true, Ordering::SeqCst);
            if full { Err(StoreError::Flush("no space".into())) } else { Ok(()) }
        }
    }

    #[test]
    fn after_a_failed_write_the_files_are_opened_anew_and_everything_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Arc::new(StateLock::take(folder.path()).unwrap());
        let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut keeper = Keeper::open(Arc::clone(&lock), clock.clone());
        let sample = Sample {
            watts: 200.0,
            provenance: Provenance::Measured,
            sampled_at: Timestamp::UNIX_EPOCH,
            nodes: Vec::new(),
            missing: Vec::new(),
        };
        let [tokyo, osaka] = ["tokyo", "osaka"].map(|name| ClusterName::new(name).unwrap());
        let board = ScoreBoard::default().with_sample(tokyo.clone(), sample.clone()).unwrap();
        let slots = KnownFleet {
            epoch: 1,
            slots: vec![tokyo],
            regions: [].into(),
            own: None,
            peers: Vec::new(),
        };
        keeper.persist(Arc::new(board.clone())).unwrap();
        keeper.save_slots(slots.clone()).unwrap();

        let full_disk = Box::new(FullDisk::default());
        keeper.book = Some(Book::begin(full_disk, Timestamp::UNIX_EPOCH).unwrap());
        let board = Arc::new(board.with_sample(osaka.clone(), sample).unwrap());
        let error = keeper.persist(Arc::clone(&board)).unwrap_err();
        assert!(matches!(error, LedgerError::Write(StoreError::Flush(_))), "{error}");

        keeper.persist(board).unwrap();
        assert_eq!(keeper.state()["write_failures"], 1);
        drop(keeper);
        let again = Keeper::open(lock, clock);
        assert_eq!(again.history.lines().len(), 2);
        assert!(again.recovered().scores.get(&osaka).is_some());
        assert_eq!(again.slots.as_ref(), Some(&slots));
    }
}
