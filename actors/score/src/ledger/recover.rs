//! Opening the ledger, whatever state its files are in.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tenbin_model::ids::ClusterName;
use tracing::{error, warn};

use super::Recovered;
use super::book::{Book, Damage, examine};
use super::history::Histories;
use super::keeper::{World, decode};
use super::sled_store::SledStore;
use super::store::StoreError;

/// Under the state folder.
const FOLDER: &str = "ledger";
/// How long sled may take to open and read a file, before it counts as damaged.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// Damaged folders that are kept to be looked at.
const KEPT: usize = 3;

/// What a ledger holds, for a person.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The records that are whole, but for those of the history.
    pub records: Vec<InspectedRecord>,
    /// What each cluster has cost, a line for each point: time, watts, provenance.
    pub history: BTreeMap<ClusterName, Vec<String>>,
    /// Why a daemon that starts now would begin a new ledger.
    pub damage: Option<String>,
}

/// One record of a ledger.
#[derive(Debug, Serialize)]
pub struct InspectedRecord {
    /// Its key.
    pub key: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// What it says.
    pub content: Value,
}

/// Opens the ledger in `state_folder`. What is damaged is moved aside and a new ledger begun; where even
/// that fails, there is no book, and the daemon goes on without one.
pub(super) fn open(state_folder: &Path, now: Timestamp) -> (Option<Book>, World) {
    let folder = &state_folder.join(FOLDER);
    if !folder.exists() {
        return (begin(folder, now), World::default());
    }
    let damage = match reopen(folder) {
        Ok((book, world)) => return (Some(book), world),
        Err(damage) => damage,
    };
    if let Damage::Store(StoreError::Unavailable(_)) = &damage {
        error!(error = %damage, "ledger cannot be opened, scores are kept in memory only");
        return (None, World::default());
    }
    match quarantine(folder, now) {
        Ok(aside) => {
            error!(error = %damage, aside = %aside.display(), "ledger is damaged, begun anew");
            let recovered = Recovered { quarantined: Some(aside), ..Recovered::default() };
            (begin(folder, now), World { recovered, ..World::default() })
        }
        Err(error) => {
            error!(%damage, %error, "ledger is damaged and cannot be moved aside");
            (None, World::default())
        }
    }
}

/// Reads a copy of the ledger in `state_folder`, so that the daemon that uses it is not disturbed.
pub fn inspect(state_folder: &Path) -> Result<Inspection, InspectError> {
    let ledger = state_folder.join(FOLDER);
    let copy = std::env::temp_dir().join(format!("tenbin-inspect-{}", std::process::id()));
    let copied = copy_folder(&ledger, &copy).map_err(InspectError::Copy);
    let inspection = copied.and_then(|()| {
        in_time(copy.clone(), |folder| examine(&SledStore::open(folder)?))
            .map_err(InspectError::Read)
    });
    if let Err(error) = fs::remove_dir_all(&copy) {
        warn!(copy = %copy.display(), %error, "copy of the ledger cannot be removed");
    }
    let (records, damage) = inspection?;
    let mut history = Histories::default();
    let mut others = Vec::new();
    for (key, record) in records {
        if !matches!(history.restore(&key, &record.payload), Some(Ok(()))) {
            let content = serde_json::from_slice(&record.payload).unwrap_or(Value::Null);
            others.push(InspectedRecord { key, written_at: record.written_at, content });
        }
    }
    Ok(Inspection {
        records: others,
        history: history.lines(),
        damage: damage.map(|it| it.to_string()),
    })
}

/// Why a ledger cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Copying it.
    #[error("the ledger cannot be copied: {0}")]
    Copy(#[source] io::Error),
    /// Reading the copy.
    #[error("the copy of the ledger: {0}")]
    Read(#[source] StoreError),
}

fn reopen(folder: &Path) -> Result<(Book, World), Damage> {
    in_time(folder.to_owned(), |folder| {
        let (book, records) = Book::open(Box::new(SledStore::open(folder)?))?;
        let world = decode(&records)?;
        Ok((book, world))
    })
}

fn begin(folder: &Path, now: Timestamp) -> Option<Book> {
    let book = in_time(folder.to_owned(), move |folder| {
        Book::begin(Box::new(SledStore::open(folder)?), now)
    });
    book.inspect_err(
        |error| error!(%error, "ledger cannot be begun, scores are kept in memory only"),
    )
    .ok()
}

/// Runs `work` on a thread of its own, because sled may panic on a damaged file, or never return.
fn in_time<T: Send + 'static, E: From<StoreError> + Send + 'static>(
    folder: PathBuf,
    work: impl FnOnce(&Path) -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    let (done, result) = mpsc::sync_channel(1);
    std::thread::spawn(move || drop(done.send(work(&folder))));
    result.recv_timeout(OPEN_DEADLINE).unwrap_or_else(|error| {
        Err(E::from(match error {
            mpsc::RecvTimeoutError::Timeout => StoreError::Hung,
            mpsc::RecvTimeoutError::Disconnected => StoreError::Panicked,
        }))
    })
}

/// Moves `folder` to `FOLDER.corrupt-TIME`, and removes the oldest of those.
fn quarantine(folder: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let prefix = format!("{FOLDER}.corrupt-");
    let parent = folder.parent().unwrap_or(Path::new("."));
    // Nanoseconds, so that two in one second differ; the width is fixed, so that names sort by age.
    let aside = parent.join(format!("{prefix}{}", now.strftime("%Y%m%dT%H%M%S.%9fZ")));
    fs::rename(folder, &aside)?;
    let mut kept: Vec<PathBuf> = fs::read_dir(parent)?
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| entry.path())
        .collect();
    kept.sort();
    for old in kept.iter().rev().skip(KEPT) {
        let removed = if old.is_dir() { fs::remove_dir_all(old) } else { fs::remove_file(old) };
        if let Err(error) = removed {
            warn!(folder = %old.display(), %error, "old damaged ledger cannot be removed");
        }
    }
    Ok(aside)
}

pub(super) fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
