//! Leaves a fleet running for people to play with, and prints the kubeconfigs.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tenbin_integration::eventually::{patience, until};
use tenbin_integration::{FleetBuilder, tools};
use tokio::signal::unix::{SignalKind, signal};

mod running;

use running::{Running, kubeconfigs};

/// A fleet of real control planes on this machine.
#[derive(Debug, Parser)]
#[command(name = "tenbin-fleet")]
struct Cli {
    /// Where kubeconfigs, logs and process ids go [default: build/demo]
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Starts a fleet and stays until Ctrl-C, or leaves it running with --detach
    Up(Up),
    /// Starts again what was killed of a running fleet
    Heal,
    /// Ends a detached fleet
    Down,
}

#[derive(Debug, Args)]
struct Up {
    /// Names of the clusters, which are their regions
    #[arg(long, value_delimiter = ',', default_value = "tokyo,osaka,nagoya")]
    clusters: Vec<String>,
    /// kwok nodes in each cluster
    #[arg(long, default_value_t = 2)]
    nodes: u32,
    /// API servers alone: no controller-manager, no scheduler
    #[arg(long)]
    no_controllers: bool,
    /// Also start sensors, a predictor, and a tenbin in each cluster
    #[arg(long)]
    daemon: bool,
    /// Return once it is up
    #[arg(long)]
    detach: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tenbin-fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let folder = match cli.folder {
        Some(folder) => std::path::absolute(folder).context("finding the folder")?,
        None => tools::root().join("build/demo"),
    };
    match cli.command {
        Verb::Up(up) if up.detach => detach(&folder),
        Verb::Up(up) => stay(&up, &folder),
        Verb::Heal => tell(&folder, Signal::USR1),
        Verb::Down => down(&folder),
    }
}

/// Starts a fleet in this process and keeps it until a signal.
fn stay(up: &Up, folder: &Path) -> Result<()> {
    if let Some(pid) = running(folder) {
        bail!("a fleet runs in {} (pid {pid:?}): tenbin-fleet down", folder.display());
    }
    drop(std::fs::remove_dir_all(folder));
    std::fs::create_dir_all(folder).context("making the folder")?;
    write(folder, "fleet.pid", &std::process::id().to_string())?;
    let builder = FleetBuilder::new("demo")
        .clusters(up.clusters.clone())
        .controllers(!up.no_controllers)
        .folder(folder);
    let start = if up.daemon { Running::measured } else { Running::bare };
    let mut fleet = start(builder, up.nodes)?;
    let said = kubeconfigs(&fleet, folder)?;
    write(folder, "ready", &said)?;
    writeln!(std::io::stdout(), "{said}").context("printing")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(until_told(&mut fleet))?;
    drop(fleet);
    std::fs::remove_file(folder.join("fleet.pid")).context("removing fleet.pid")
}

/// Heals at each SIGUSR1, returns at SIGINT or SIGTERM.
async fn until_told(fleet: &mut Running) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut heal = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = heal.recv() => fleet.heal()?,
        }
    }
}

/// Runs this program again without `--detach`, and waits until it is up.
fn detach(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).context("making the folder")?;
    if running(folder).is_none() {
        drop(std::fs::remove_file(folder.join("ready")));
    }
    let log = folder.with_extension("log");
    let out = std::fs::File::create(&log).context("making the log")?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1).filter(|arg| arg != "--detach"))
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .process_group(0)
        .spawn()
        .context("starting in the background")?;
    let ready = folder.join("ready");
    let outcome = until(patience() * 4, || {
        let ended = child.try_wait().context("looking after the fleet")?.is_some();
        let said = std::fs::read_to_string(&ready).ok();
        if !ended && said.is_none() {
            bail!("not up yet");
        }
        Ok(if ended { None } else { said })
    });
    match outcome {
        Ok(Some(said)) => writeln!(std::io::stdout(), "{said}").context("printing"),
        Ok(None) => {
            bail!("it ended: {}", std::fs::read_to_string(&log).unwrap_or_default().trim_end())
        }
        Err(error) => {
            drop(child.kill());
            Err(error.context(format!("see {}", log.display())))
        }
    }
}

fn running(folder: &Path) -> Option<Pid> {
    let pid = std::fs::read_to_string(folder.join("fleet.pid")).ok()?;
    let pid = Pid::from_raw(pid.trim().parse().ok()?)?;
    test_kill_process(pid).is_ok().then_some(pid)
}

fn tell(folder: &Path, what: Signal) -> Result<()> {
    let pid = running(folder).with_context(|| format!("no fleet in {}", folder.display()))?;
    kill_process(pid, what).context("signalling the fleet")
}

fn down(folder: &Path) -> Result<()> {
    if running(folder).is_none() {
        return Ok(());
    }
    tell(folder, Signal::TERM)?;
    until(patience(), || match running(folder) {
        None => Ok(()),
        Some(pid) => bail!("the fleet (pid {pid:?}) still runs"),
    })
}

fn write(folder: &Path, file: &str, text: &str) -> Result<()> {
    std::fs::write(folder.join(file), text).with_context(|| format!("writing {file}"))
}
