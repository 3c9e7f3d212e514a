//! Where the real parts are: what `control-plane/build.sh` and `predictor/build.sh` built, or
//! `KUBEBUILDER_ASSETS`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

static BUILT: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| find("control-plane").map_err(|error| format!("{error:#}")));

static PYTHON: LazyLock<Result<PathBuf, String>> =
    LazyLock::new(|| find("predictor").map_err(|error| format!("{error:#}")));

/// What the `build.sh` of this folder has built.
fn find(part: &str) -> Result<PathBuf> {
    let script = root().join("integration").join(part).join("build.sh");
    let asked = Command::new(&script)
        .arg("--where")
        .output()
        .with_context(|| format!("running {}", script.display()))?;
    if !asked.status.success() {
        bail!("integration/{part} is not built: run `make control-plane` (minutes, once)");
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim()))
}

/// The folder that holds `bin/` and `stages/`.
fn folder() -> Result<PathBuf> {
    let bin = BUILT.clone().map_err(anyhow::Error::msg)?;
    Ok(bin.parent().context("a bin folder without a parent")?.to_owned())
}

/// A built program by name: kube-apiserver, etcd, kube-controller-manager, kube-scheduler, kubectl,
/// kwok, kubectl-1.32, kubectl-1.29, helm, informer, metrics-server, custom-metrics, kubelet.
pub fn program(name: &str) -> Result<PathBuf> {
    if matches!(name, "kube-apiserver" | "etcd" | "kubectl")
        && let Some(assets) = std::env::var_os("KUBEBUILDER_ASSETS")
    {
        let given = Path::new(&assets).join(name);
        if given.exists() {
            return Ok(given);
        }
    }
    Ok(folder()?.join("bin").join(name))
}

/// A program of the venv that `predictor/build.sh` made: python, mlserver.
pub fn python(name: &str) -> Result<PathBuf> {
    let venv = PYTHON.clone().map_err(anyhow::Error::msg)?;
    Ok(venv.join("bin").join(name))
}

/// kwok's stage files.
pub fn kwok_stages() -> Result<Vec<PathBuf>> {
    let folder = folder()?.join("stages");
    let entries = std::fs::read_dir(&folder).context("listing kwok's stages")?;
    let mut stages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    stages.sort();
    Ok(stages)
}

/// The daemon under test: `TENBIN_BIN`, else `tenbin` beside the folder of the running test.
pub fn tenbin() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("TENBIN_BIN") {
        return Ok(PathBuf::from(given));
    }
    let exe = std::env::current_exe().context("finding the running test")?;
    exe.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("tenbin"))
        .find(|path| path.is_file())
        .with_context(|| format!("no tenbin beside {}: cargo build -p tenbin", exe.display()))
}
