//! How the process ends: codes of `sysexits.h`, and the error for a person.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

/// The kinds of failure that an init system or a script can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line is wrong (`EX_USAGE`).
    Usage,
    /// Something that is needed is not there (`EX_UNAVAILABLE`).
    Unavailable,
    /// A fault of the program itself (`EX_SOFTWARE`); a restart may help.
    Software,
    /// The state folder or a port cannot be used (`EX_CANTCREAT`).
    CannotCreate,
    /// The configuration is wrong (`EX_CONFIG`); a restart does not help.
    Config,
}

// === impl Exit ===

impl Exit {
    /// The kind of an error: what its context says, else a fault of the program.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.downcast_ref::<Self>().copied().unwrap_or(Self::Software)
    }

    fn code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::CannotCreate => 73,
            Self::Config => 78,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Usage => "wrong usage",
            Self::Unavailable => "not available",
            Self::Software => "internal fault",
            Self::CannotCreate => "cannot be opened",
            Self::Config => "configuration",
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Writes an error with its causes to standard error.
pub(crate) fn report(error: &anyhow::Error) {
    writeln!(std::io::stderr(), "tenbin: {error:#}").ok();
}
