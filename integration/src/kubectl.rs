//! A chosen kubectl with a home of its own.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{Process, Spec};
use crate::tools;

/// kubectl with a kubeconfig, a cache folder of its own and, when set, a namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: Arc<TempDir>,
    flags: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// What a kubectl said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error: warnings are here.
    pub stderr: String,
    /// The exit code (-1 after a signal).
    pub code: i32,
}

impl Kubectl {
    /// kubectl 1.36.
    pub fn new(kubeconfig: impl AsRef<Path>) -> Result<Self> {
        Self::with_program(tools::program("kubectl")?, kubeconfig)
    }

    /// kubectl 1.32, an older client.
    pub fn v1_32(kubeconfig: impl AsRef<Path>) -> Result<Self> {
        Self::with_program(tools::program("kubectl-1.32")?, kubeconfig)
    }

    /// kubectl 1.29, which streams by SPDY alone and lists without streaming.
    pub fn v1_29(kubeconfig: impl AsRef<Path>) -> Result<Self> {
        Self::with_program(tools::program("kubectl-1.29")?, kubeconfig)
    }

    /// Any kubectl, and what is called like it: helm.
    pub fn with_program(program: PathBuf, kubeconfig: impl AsRef<Path>) -> Result<Self> {
        let home = TempDir::with_prefix("tenbin-kubectl-").context("making a home")?;
        let kubeconfig = kubeconfig.as_ref().to_owned();
        Ok(Self { program, kubeconfig, home: Arc::new(home), flags: Vec::new(), env: Vec::new() })
    }

    /// The same with a flag before every command, as `--context=x` or `--as=alice`.
    #[must_use]
    pub fn flag(mut self, flag: impl AsRef<OsStr>) -> Self {
        self.flags.push(flag.as_ref().to_owned());
        self
    }

    /// The same in a namespace.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        self.flag(format!("--namespace={namespace}"))
    }

    /// The same with an environment variable.
    #[must_use]
    pub fn with_env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// What runs it, for a test that speaks with it while it runs.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.flags).args(args);
        command.env_clear().envs(self.env());
        command
    }

    /// Runs it, whatever comes out.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Output> {
        self.run_with(args, None)
    }

    /// Runs it with text on standard input, as `apply -f -` wants.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        stdin: Option<&str>,
    ) -> Result<Output> {
        let mut command = self.command(args);
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("running {}", self.program.display()))?;
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
            let text = text.to_owned();
            // A thread, since kubectl may answer before it has read everything.
            std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
        }
        let output = child.wait_with_output().context("waiting for kubectl")?;
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
        })
    }

    /// Runs it and returns its stdout; a failure is an error that shows everything.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<String> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        self.run(&args)?.success(&args)
    }

    /// `kubectl apply -f -` of this text.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        let args = ["apply", "-f", "-"].map(OsString::from);
        self.run_with(&args, Some(manifest))?.success(&args)
    }

    /// Runs it in the background with its output in `log`: `get --watch`, `logs -f`.
    pub fn start<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Process> {
        let mut spec = Spec::new("kubectl", &self.program).args(&self.flags).args(args);
        for (key, value) in self.env() {
            spec = spec.env(key, value);
        }
        spec.start(log)
    }

    /// The kubeconfig it uses.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn env(&self) -> Vec<(OsString, OsString)> {
        let mut env = vec![
            ("KUBECONFIG".into(), self.kubeconfig.clone().into_os_string()),
            ("HOME".into(), self.home.path().as_os_str().to_owned()),
            ("PATH".into(), std::env::var_os("PATH").unwrap_or_default()),
        ];
        env.extend_from_slice(&self.env);
        env
    }
}

impl Output {
    fn success(self, args: &[OsString]) -> Result<String> {
        if self.code != 0 {
            let args = args.join(OsStr::new(" "));
            let (code, args) = (self.code, args.to_string_lossy());
            bail!("kubectl {args}: exit {code}\n{}{}", self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}
