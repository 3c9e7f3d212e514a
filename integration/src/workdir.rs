//! Folders of running fleets under `build/fleets/`: logs are kept, the data of dead ones is not.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::tools;

/// How many folders of dead fleets keep their logs.
const KEPT: usize = 12;

/// A fresh folder `build/fleets/<name>-<pid>-<n>`, after tidying what dead processes left.
pub fn create(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let parent = tools::root().join("build/fleets");
    std::fs::create_dir_all(&parent).context("creating build/fleets")?;
    tidy(&parent);
    let pid = std::process::id();
    let folder = parent.join(format!("{name}-{pid}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    std::fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
    Ok(folder)
}

fn tidy(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut dead: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| !alive(path)).collect();
    dead.sort_by_key(|path| path.metadata().and_then(|meta| meta.modified()).ok());
    dead.reverse();
    for (place, folder) in dead.iter().enumerate() {
        if place >= KEPT {
            drop(std::fs::remove_dir_all(folder));
        } else {
            drop_data(folder);
        }
    }
}

/// Whether the process in a folder's name still runs.
fn alive(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let pid = name.as_deref().and_then(|name| name.rsplit('-').nth(1));
    pid.is_some_and(|pid| Path::new("/proc").join(pid).exists())
}

/// Removes etcd's data (64 MiB and more for each cluster) and the files of pods, and leaves logs and
/// kubeconfigs.
pub fn drop_data(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        drop(std::fs::remove_dir_all(entry.path().join("etcd")));
        drop(std::fs::remove_dir_all(entry.path().join("pods")));
    }
}

/// A fresh folder inside a fleet's: `name`, or `name-2`, `name-3`… when it is taken.
pub fn subfolder(parent: &Path, name: &str) -> Result<PathBuf> {
    for n in 1.. {
        let folder = if n == 1 { parent.join(name) } else { parent.join(format!("{name}-{n}")) };
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("creating {}", folder.display()));
            }
        }
    }
    anyhow::bail!("no free name in {}", parent.display())
}
