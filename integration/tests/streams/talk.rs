//! A kubectl that a test speaks with while it runs.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use anyhow::{Context, Result};
use tenbin_integration::eventually::{patience, until};

/// A running kubectl. Dropping it kills it.
pub(crate) struct Talk {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Talk {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("running kubectl")?;
        let lines = lines(child.stdout.take().context("no stdout")?);
        let errors = lines_of_errors(&mut child)?;
        Ok(Self { child, lines, errors })
    }

    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().context("stdin is closed")?;
        writeln!(stdin, "{line}").context("writing to kubectl")
    }

    /// The end of stdin.
    pub(crate) fn fall_silent(&mut self) {
        drop(self.child.stdin.take());
    }

    /// The next line on stdout.
    pub(crate) fn hear(&self) -> Result<String> {
        self.lines.recv_timeout(patience()).with_context(|| {
            format!(
                "kubectl says nothing; stderr: {:?}",
                self.errors.try_iter().collect::<Vec<_>>()
            )
        })
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        until(patience(), || self.child.try_wait()?.context("kubectl still runs"))
    }

    /// As Ctrl-\ would, without a word to the server.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines_of_errors(child: &mut Child) -> Result<Receiver<String>> {
    Ok(lines(child.stderr.take().context("no stderr")?))
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
