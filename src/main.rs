//! tenbin: a fleet of Kubernetes clusters behind one endpoint.

mod boot;
mod cli;
mod exit;
mod notify;
mod peers;
mod pollers;
mod reload;
mod run;
mod scores;
mod telemetry;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            exit::report(&error);
            Exit::of(&error).into()
        }
    }
}

fn perform(command: Command) -> anyhow::Result<()> {
    // Two providers in one binary would leave the choice to chance: ring, before anything else.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    match command {
        Command::Run { config } => run::run(&config),
        Command::CheckConfig { config } => cli::check_config(&config),
        Command::DefaultConfig => cli::default_config(),
        Command::Crds { original } => cli::crds(original),
        Command::InspectLedger { config } => cli::inspect_ledger(&config),
        Command::Scores { config, admin, json } => scores::show(&config, admin, json),
    }
}
