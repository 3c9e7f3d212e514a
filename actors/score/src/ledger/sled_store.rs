//! sled 0.34.7 as a [`ScoreStore`]: the only file that names it.
//!
//! Its flusher is off, because it stops at the first error and says so only in a log; its panics
//! are errors here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::store::{ScoreStore, StoreError};

/// The board is small; sled's own default is a gigabyte.
const CACHE_BYTES: u64 = 16 << 20;

/// An open database.
pub(super) struct SledStore(sled::Db);

// === impl SledStore ===

impl SledStore {
    /// Opens the database in `folder`, or makes one there. It may block, and on a damaged file it
    /// may not come back.
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let config =
            sled::Config::new().path(folder).flush_every_ms(None).cache_capacity(CACHE_BYTES);
        guarded(|| {
            wait_for_lock(folder).map_err(|error| StoreError::Unavailable(error.into()))?;
            config.open().map(Self).map_err(open_error)
        })
    }
}

impl ScoreStore for SledStore {
    fn load(&self, limit: usize) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        guarded(|| {
            let mut values = BTreeMap::new();
            for entry in self.0.iter() {
                let (key, value) = entry.map_err(|error| StoreError::Load(error.into()))?;
                let key = String::from_utf8(key.to_vec())
                    .map_err(|error| StoreError::Load(error.into()))?;
                values.insert(key, value.to_vec());
                if values.len() > limit {
                    return Err(StoreError::TooMany(limit));
                }
            }
            Ok(values)
        })
    }

    fn apply(&self, changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key.as_bytes(), value.as_slice()),
                None => batch.remove(key.as_bytes()),
            }
        }
        guarded(|| {
            self.0.apply_batch(batch).map_err(|error| StoreError::Write(error.into()))?;
            self.0.flush().map_err(|error| StoreError::Flush(error.into()))?;
            Ok(())
        })
    }
}

/// The threads of a database that this process has closed may hold its lock for a moment longer,
/// and sled itself does not wait.
fn wait_for_lock(folder: &Path) -> io::Result<()> {
    // No file, no lock; whatever else is wrong with it, sled tells.
    File::open(folder.join("db")).map_or(Ok(()), |file| file.lock())
}

fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(StoreError::Panicked))
}

/// Tells a file that is damaged from one that we may not open now. sled reports a lock that another
/// holds only in words.
fn open_error(error: sled::Error) -> StoreError {
    let unreachable = match &error {
        sled::Error::Io(io) => {
            let kinds = [
                ErrorKind::PermissionDenied,
                ErrorKind::StorageFull,
                ErrorKind::QuotaExceeded,
                ErrorKind::ReadOnlyFilesystem,
            ];
            kinds.contains(&io.kind()) || io.to_string().starts_with("could not acquire lock")
        }
        sled::Error::CollectionNotFound(_)
        | sled::Error::Unsupported(_)
        | sled::Error::ReportableBug(_)
        | sled::Error::Corruption { .. } => false,
    };
    if unreachable { StoreError::Unavailable(error.into()) } else { StoreError::Open(error.into()) }
}
