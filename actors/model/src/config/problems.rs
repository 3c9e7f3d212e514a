//! What is wrong in a configuration, and where.

use std::collections::BTreeSet;
use std::fmt;

/// Everything that is wrong in a configuration, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigErrors(Vec<Problem>);

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key as `member[1].watts` (the first is 0), or the variable; empty where
    /// the text is not TOML.
    pub key: String,
    /// Where it was said.
    pub place: Place,
    /// What is wrong, for people.
    pub message: String,
}

/// Where a value was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In this line of the file; the first is 1.
    Line(usize),
    /// In no line: something is missing.
    File,
    /// In a variable of the environment.
    Environment,
}

/// Collects problems while a configuration is read.
pub(super) struct Report {
    line_starts: Vec<usize>,
    broken_lines: BTreeSet<usize>,
    problems: Vec<Problem>,
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// The problems: those of lines in the order of the file, then the others; at most 100.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, place, message } = self;
        match (key.as_str(), place) {
            ("", Place::Line(_)) => write!(formatter, "{place}: {message}"),
            ("", Place::File | Place::Environment) => formatter.write_str(message),
            (key, Place::File) => write!(formatter, "{key}: {message}"),
            (key, Place::Line(_) | Place::Environment) => {
                write!(formatter, "{key} ({place}): {message}")
            }
        }
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::File => formatter.write_str("file"),
            Self::Environment => formatter.write_str("environment"),
        }
    }
}

// === impl Report ===

impl Report {
    pub(super) fn new(text: &str) -> Self {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|offset| offset + 1);
        Self {
            line_starts: std::iter::once(0).chain(newlines).collect(),
            broken_lines: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// The place of a byte of the text.
    pub(super) fn place(&self, offset: usize) -> Place {
        Place::Line(self.line_starts.partition_point(|start| *start <= offset))
    }

    /// Takes what is not TOML: of each line the first complaint, the others follow from it.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let place = self.place(error.span().map_or(0, |span| span.start));
        self.problem(String::new(), place, error.message().to_owned());
        if let Place::Line(line) = place {
            self.broken_lines.insert(line);
        }
    }

    /// Whether parts of the file may have been lost, so that nothing can be called missing.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken_lines.is_empty()
    }

    /// Notes a problem, unless its line is no TOML anyway.
    pub(super) fn problem(&mut self, key: String, place: Place, message: String) {
        let told = matches!(place, Place::Line(line) if self.broken_lines.contains(&line));
        if !told && self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { key, place, message });
        }
    }

    pub(super) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn errors(mut self) -> ConfigErrors {
        self.problems.sort_by_key(|problem| problem.place);
        ConfigErrors(self.problems)
    }
}

/// More than a person reads; a wrong file passed by mistake has a problem in each line.
const MAX_PROBLEMS: usize = 100;

fn lines(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("\n")
}
