//! What the ledger needs of a store; [`super::sled_store`] is the one that we have.

use std::collections::BTreeMap;
use std::error::Error;

/// Keys and values on disk.
pub(super) trait ScoreStore: Send {
    /// Everything that is stored, `limit` values at most.
    fn load(&self, limit: usize) -> Result<BTreeMap<String, Vec<u8>>, StoreError>;

    /// Sets values, removes those that are `None`: all of them or none, and on disk when this
    /// returns `Ok`. After an error the store may not be used any more.
    fn apply(&self, changes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), StoreError>;
}

type Cause = Box<dyn Error + Send + Sync>;

/// Why the store failed, by what it was doing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is there may be sound, but cannot be reached now: no right, no space, in use.
    #[error("the store cannot be reached: {0}")]
    Unavailable(#[source] Cause),
    /// Opening it.
    #[error("the store cannot be opened: {0}")]
    Open(#[source] Cause),
    /// Reading it.
    #[error("the store cannot be read: {0}")]
    Load(#[source] Cause),
    /// Writing to it.
    #[error("the store cannot be written: {0}")]
    Write(#[source] Cause),
    /// Bringing what was written to the disk.
    #[error("the store cannot be flushed: {0}")]
    Flush(#[source] Cause),
    /// It holds more than we ever write.
    #[error("the store holds more than {0} values")]
    TooMany(usize),
    /// A panic of the library below.
    #[error("the store panicked")]
    Panicked,
    /// The library below did not come back.
    #[error("the store does not answer")]
    Hung,
}
