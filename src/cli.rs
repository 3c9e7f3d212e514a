//! The command line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tenbin_model::config::{self, Config};
use tenbin_score::cluster_score::{self, Group};
use tenbin_score::ledger;

use crate::exit::Exit;

/// Makes a fleet of Kubernetes clusters answer as one API server and places work where it costs
/// the fewest watts.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the daemon
    Run {
        /// The configuration file
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
    /// Read a configuration file and tell every mistake in it
    CheckConfig {
        /// The configuration file
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
    /// Print a configuration file with every key, its default and its unit
    DefaultConfig,
    /// Print the custom resource definition of ClusterScore, for kubectl apply
    Crds {
        /// In the group of the original program since its v1.30
        #[arg(long)]
        original: bool,
    },
    /// Print the ledger's records as JSON, also while the daemon runs
    InspectLedger {
        /// The configuration file, read for the state folder
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
    },
    /// Print what the daemon knows of the members' watts
    Scores {
        /// The configuration file, read for the address of the admin port
        #[arg(long, default_value = CONFIG)]
        config: PathBuf,
        /// The address of the admin port, instead of the configuration's
        #[arg(long)]
        admin: Option<SocketAddr>,
        /// Print the page as the admin port serves it
        #[arg(long)]
        json: bool,
    },
}

const CONFIG: &str = "/etc/tenbin/config.toml";

/// Reads and checks a configuration file, with the overrides of the environment.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .context(Exit::Config)?;
    let path = std::path::absolute(path).context("the current folder is gone")?;
    let base = path.parent().unwrap_or(Path::new("/"));
    config::parse(&text, base, &|name| std::env::var(name).ok())
        .with_context(|| format!("{} is not valid", path.display()))
        .context(Exit::Config)
}

pub(crate) fn check_config(path: &Path) -> anyhow::Result<()> {
    let config = load(path)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} is valid: own and {} other members", path.display(), config.members.len())?;
    Ok(())
}

pub(crate) fn default_config() -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(config::default_text().as_bytes())?;
    Ok(())
}

pub(crate) fn crds(original: bool) -> anyhow::Result<()> {
    let group = if original { Group::Original } else { Group::Tenbin };
    let text = serde_saphyr::to_string(&cluster_score::crd(group))?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

pub(crate) fn inspect_ledger(path: &Path) -> anyhow::Result<()> {
    let inspection = ledger::inspect(&load(path)?.state_dir).context(Exit::Unavailable)?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &inspection)?;
    writeln!(out)?;
    Ok(())
}
