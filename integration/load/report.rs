//! The table of a run, on stdout and in docs/performance.md.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use anyhow::{Context, Result};
use tenbin_integration::tools;

use crate::machine::{description, told};
use crate::rounds::median;

/// The figures of one run.
#[derive(Debug)]
pub(crate) struct Report {
    head: String,
    rows: Vec<Row>,
}

/// One figure.
#[derive(Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// Straight to the API servers; `-` where it means nothing.
    pub(crate) direct: String,
    /// By way of nginx.
    pub(crate) nginx: String,
    /// By way of tenbin.
    pub(crate) tenbin: String,
    /// What is held against the bar.
    pub(crate) figure: String,
    /// The most that it may be.
    pub(crate) bar: String,
    /// Whether it is not more; `None` where there is no bar.
    pub(crate) met: Option<Verdict>,
}

/// How a figure stands to its bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is not above.
    Met,
    /// It is above, but not in each round: another run may meet the bar.
    Close,
    /// It is above in each round.
    Missed,
}

impl Report {
    /// Begins a report with what the machine is now.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { head: head()?, rows: Vec::new() })
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("  {}", row.line());
        self.rows.push(row);
    }

    /// Which figures miss their bars by more than the noise.
    pub(crate) fn missed(&self) -> Vec<&str> {
        let missed = self.rows.iter().filter(|row| row.met == Some(Verdict::Missed));
        missed.map(|row| row.what.as_str()).collect()
    }

    /// Shows the table.
    #[expect(clippy::print_stdout, reason = "the report of a program")]
    pub(crate) fn print(&self) {
        println!("{}", self.text());
    }

    /// Appends the table to docs/performance.md.
    pub(crate) fn keep(&self) -> Result<()> {
        append(&self.text())
    }

    fn text(&self) -> String {
        let mut text = format!("{}\n", self.head);
        text.push_str("| what | direct | nginx | tenbin | figure | bar | met |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        for row in &self.rows {
            writeln!(text, "{}", row.line()).ok();
        }
        text
    }
}

/// When it is, what is measured, and on what machine.
pub(crate) fn head() -> Result<String> {
    let when = told("date", &["-u", "+%F %R"])?;
    let commit = told("git", &["describe", "--always", "--dirty"])?;
    Ok(format!("### {when} UTC, commit {commit}\n{}.\n", description()?))
}

/// Appends a text to docs/performance.md.
pub(crate) fn append(text: &str) -> Result<()> {
    let path = tools::root().join("docs/performance.md");
    let mut file = File::options().append(true).open(&path).context("opening the figures")?;
    file.write_all(format!("\n{text}").as_bytes()).context("writing the figures")
}

impl Row {
    fn line(&self) -> String {
        let met = match self.met {
            Some(Verdict::Met) => "yes",
            Some(Verdict::Close) => "not in this run",
            Some(Verdict::Missed) => "**no**",
            None => "-",
        };
        let Self { what, direct, nginx, tenbin, figure, bar, .. } = self;
        format!("| {what} | {direct} | {nginx} | {tenbin} | {figure} | {bar} | {met} |")
    }
}

impl Verdict {
    /// Judges the figures of the rounds, of which the median counts.
    ///
    /// If the truth were at the bar, all of five rounds would be above it once in 32 runs.
    pub(crate) fn of_rounds(rounds: &[f64], bar: f64) -> Self {
        if median(rounds.iter().copied()) <= bar {
            Self::Met
        } else if rounds.iter().any(|figure| *figure <= bar) {
            Self::Close
        } else {
            Self::Missed
        }
    }

    /// Judges a figure that has no rounds.
    pub(crate) fn of(figure: f64, bar: f64) -> Self {
        Self::of_rounds(&[figure], bar)
    }
}

/// A row that is held against nothing.
impl Default for Row {
    fn default() -> Self {
        let none = || "-".to_owned();
        Self {
            what: String::new(),
            direct: none(),
            nginx: none(),
            tenbin: none(),
            figure: none(),
            bar: none(),
            met: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_missed_when_every_round_misses_it() {
        assert_eq!(Verdict::of_rounds(&[1.0, 1.4, 1.3, 2.0, 1.1], 1.35), Verdict::Met);
        assert_eq!(Verdict::of_rounds(&[1.3, 1.4, 1.5, 2.0, 1.1], 1.35), Verdict::Close);
        assert_eq!(Verdict::of_rounds(&[1.4, 1.4, 1.5, 2.0, 1.4], 1.35), Verdict::Missed);
    }
}
