//! One daemon for one state folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The right to use a state folder; it ends with the value, and with the process.
#[derive(Debug)]
pub struct StateLock {
    folder: PathBuf,
    _file: File,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon uses it.
    #[error("{} is in use by process {holder}", folder.display())]
    InUse {
        /// The state folder.
        folder: PathBuf,
        /// The pid that its holder wrote.
        holder: String,
    },
    /// The folder or its lock cannot be made.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The file or folder that failed.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

// === impl StateLock ===

impl StateLock {
    /// Makes `folder` if need be, and takes `folder/lock`. Blocks on the disk only.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("lock");
        let failed = |source| LockError::Lock { path: path.clone(), source };
        fs::create_dir_all(folder)
            .map_err(|source| LockError::Lock { path: folder.to_owned(), source })?;
        let mut options = OpenOptions::new();
        let mut file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse { folder: folder.to_owned(), holder: holder(&file) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // The pid is for people only; what counts is the lock.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), _file: file })
    }

    /// The folder that is locked.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn holder(file: &File) -> String {
    let mut pid = String::new();
    match file.take(20).read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_come_learns_who_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateLock::take(folder.path()).unwrap();
        let error = StateLock::take(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("is in use by process {}", std::process::id())),
            "{error}"
        );

        drop(first);
        assert!(StateLock::take(folder.path()).is_ok());
    }
}
