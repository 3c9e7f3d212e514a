//! Children with logs, which end with the process that started them.

mod spec;

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
pub use spec::Spec;

use crate::eventually::until;

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where stdout and stderr go.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The whole log so far.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last `lines` of the log, for messages about a failure.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = self.log_text();
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.id()).ok().and_then(Pid::from_raw).context("no such pid")?;
        kill_process(pid, signal).with_context(|| format!("sending {signal:?} to {}", self.name))
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("asking after {}", self.name))
    }

    /// Fails with the end of its log when it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("{} ended with {status}; its log ends:\n{}", self.name, self.log_tail(30));
        }
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        until(patience, || self.child.try_wait().ok().flatten().context("it still runs"))
            .with_context(|| {
                format!("waiting for {}; its log ends:\n{}", self.name, self.log_tail(30))
            })
    }

    /// SIGTERM, then waits for the end.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(patience)
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("killing {}", self.name))?;
        self.child.wait().with_context(|| format!("reaping {}", self.name))?;
        Ok(())
    }

    /// Waits until `ready` holds, failing at once when the process ends first.
    pub fn wait_until<T>(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let mut ended = None;
        let outcome = until(patience, || match self.expect_running() {
            Ok(()) => ready().map(Some),
            Err(error) => {
                ended = Some(error);
                Ok(None)
            }
        });
        match (outcome, ended) {
            (Ok(Some(value)), _) => Ok(value),
            (_, Some(error)) => Err(error),
            (Ok(None), None) => bail!("{} ended", self.name),
            (Err(error), None) => Err(error.context(format!(
                "{} did not become ready; its log ends:\n{}",
                self.name,
                self.log_tail(30)
            ))),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
