//! The records of the store, and the manifest that tells when some of them are gone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::Changes;
use super::record::{InvalidRecord, Record};
use super::store::{ScoreStore, StoreError};

const MANIFEST: &str = "manifest";
/// More values than any fleet has; a damaged tree must not be walked for ever.
const MOST_VALUES: usize = 100_000;

/// A store whose every record is accounted for.
pub(super) struct Book {
    store: Box<dyn ScoreStore>,
    sums: Sums,
}

/// Records by key.
pub(super) type Records = BTreeMap<String, Record>;

/// Why the store does not hold what was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("record {key:?}: {reason}")]
    Record { key: String, reason: InvalidRecord },
    #[error("the manifest is gone")]
    NoManifest,
    #[error("the records are not those that the manifest counts")]
    Manifest,
    #[error("record {key:?} is not what tenbin writes: {source}")]
    Content { key: String, source: serde_json::Error },
}

/// What the manifest says of all other records.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Manifest {
    count: usize,
    digest: u32,
}

/// The checksum of each stored value by key, the manifest's own left out.
#[derive(Default)]
struct Sums(BTreeMap<String, u32>);

// === impl Book ===

impl Book {
    /// Begins a book in an empty store.
    pub(super) fn begin(store: Box<dyn ScoreStore>, now: Timestamp) -> Result<Self, StoreError> {
        let mut book = Self { store, sums: Sums::default() };
        book.write(Changes::new(), now)?;
        Ok(book)
    }

    /// Opens the book of a store that was written before.
    pub(super) fn open(store: Box<dyn ScoreStore>) -> Result<(Self, Records), Damage> {
        let (records, damage) = examine(store.as_ref())?;
        if let Some(damage) = damage {
            return Err(damage);
        }
        let sums = Sums::of(&records);
        Ok((Self { store, sums }, records))
    }

    /// Sets payloads, removes those that are `None`, and flushes. After an error the book is of no
    /// use any more.
    pub(super) fn write(&mut self, payloads: Changes, now: Timestamp) -> Result<(), StoreError> {
        let mut changes = BTreeMap::new();
        for (key, payload) in payloads {
            let record = payload.map(|payload| Record { written_at: now, payload });
            match &record {
                Some(record) => self.sums.0.insert(key.clone(), record.sum()),
                None => self.sums.0.remove(&key),
            };
            let value = record.map(|it| Record::seal(&key, &it.payload, now));
            changes.insert(key, value);
        }
        let manifest = serde_json::to_vec(&self.sums.manifest())
            .map_err(|error| StoreError::Write(error.into()))?;
        changes.insert(MANIFEST.to_owned(), Some(Record::seal(MANIFEST, &manifest, now)));
        self.store.apply(&changes)
    }

    /// The keys of all records.
    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.sums.0.keys()
    }
}

/// Reads all records that are whole, and tells the first damage.
pub(super) fn examine(store: &dyn ScoreStore) -> Result<(Records, Option<Damage>), StoreError> {
    let mut records = Records::new();
    let mut damage = None;
    for (key, value) in store.load(MOST_VALUES)? {
        match Record::unseal(&key, &value) {
            Ok(record) => drop(records.insert(key, record)),
            Err(reason) => damage = damage.or(Some(Damage::Record { key, reason })),
        }
    }
    let manifest = records.remove(MANIFEST);
    let sums = Sums::of(&records);
    let damage = damage.or_else(|| match manifest {
        None => Some(Damage::NoManifest),
        Some(manifest) => match serde_json::from_slice::<Manifest>(&manifest.payload) {
            Ok(manifest) => (manifest != sums.manifest()).then_some(Damage::Manifest),
            Err(source) => Some(Damage::Content { key: MANIFEST.to_owned(), source }),
        },
    });
    Ok((records, damage))
}

// === impl Record ===

impl Record {
    fn sum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.written_at.as_microsecond().to_le_bytes());
        hasher.update(&self.payload);
        hasher.finalize()
    }
}

// === impl Sums ===

impl Sums {
    fn of(records: &Records) -> Self {
        Self(records.iter().map(|(key, record)| (key.clone(), record.sum())).collect())
    }

    fn manifest(&self) -> Manifest {
        let mut hasher = crc32fast::Hasher::new();
        for (key, sum) in &self.0 {
            hasher.update(key.as_bytes());
            hasher.update(&[0]);
            hasher.update(&sum.to_le_bytes());
        }
        Manifest { count: self.0.len(), digest: hasher.finalize() }
    }
}
