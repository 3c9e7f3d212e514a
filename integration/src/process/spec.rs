//! What to run, and the thread that forks it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};

use anyhow::{Context, Result};

use super::Process;

type Order = (Command, Sender<std::io::Result<Child>>);

/// The thread that forks every child. Linux ties a child's parent-death signal to the *thread*
/// that forked it, and a test's thread ends with the test; this one ends with the process.
static NURSERY: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            drop(reply.send(command.spawn()));
        }
    });
    orders
});

/// What to run.
#[derive(Debug)]
pub struct Spec {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Spec {
    /// A program under a name for messages.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        let (name, program) = (name.into(), program.into());
        Self { name, program, args: Vec::new(), env: Vec::new(), folder: None }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds `--flag=value` where the value is a path.
    #[must_use]
    pub fn path(self, flag: &str, value: &Path) -> Self {
        self.arg(format!("{flag}={}", value.display()))
    }

    /// Sets one environment variable.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts it with stdout and stderr appended to `log`, and its id in `log` with `.pid`.
    pub fn start(&self, log: &Path) -> Result<Process> {
        let name = self.name.clone();
        let context = || format!("starting {name} ({})", self.program.display());
        if let Some(parent) = log.parent() {
            std::fs::create_dir_all(parent).with_context(context)?;
        }
        let out = File::options().create(true).append(true).open(log).with_context(context)?;
        let err = out.try_clone().with_context(context)?;
        let mut command = self.mortal();
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let (reply, child) = mpsc::channel();
        NURSERY.send((command, reply)).ok().with_context(context)?;
        let child = child.recv().with_context(context)?.with_context(context)?;
        std::fs::write(log.with_extension("pid"), child.id().to_string()).with_context(context)?;
        Ok(Process { name, child, log: log.to_owned() })
    }

    /// The command under `setpriv --pdeathsig KILL` (util-linux), in a process group of its own
    /// so that Ctrl-C reaches the harness alone. Without setpriv (not Linux), `Drop` must do.
    fn mortal(&self) -> Command {
        let setpriv = Path::new("/usr/bin/setpriv");
        let mut command = if setpriv.exists() {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.args(&self.args).envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }
}
