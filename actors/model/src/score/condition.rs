//! What the status of a ClusterScore says of its member, as Kubernetes conditions.
//!
//! | type | is True when |
//! |---|---|
//! | Ready | the member answers, is trusted, and its score is fresh; its nodes may be missing |
//! | Stale | its last score is too old, and counts as unknown |
//! | Unreachable | it does not answer, or not in a way that can be trusted |
//! | Untrusted | its certificate is outside of the trust |
//!
//! Messages name facts and the times of facts, never ages: what has not changed reads the same, so
//! that an unchanged status is not written again.

use std::time::Duration;

use jiff::Timestamp;

use super::{Score, one_line, reasons};

/// What is known of the member of a ClusterScore.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether it answers.
    pub health: Health<'a>,
    /// Its last score, however old.
    pub score: Option<&'a Score>,
    /// Why the last attempt to learn its score failed; `None` where it succeeded or none was made.
    pub failure: Option<&'a str>,
    /// Why it is no member of the fleet: two of one name, too many.
    pub refusal: Option<&'a str>,
}

/// Whether a member answers.
#[derive(Debug, Clone, Copy)]
pub enum Health<'a> {
    /// Not asked yet.
    Unknown,
    /// It answered the last time.
    Up,
    /// It does not.
    Down {
        /// Since when.
        since: Timestamp,
        /// The fact.
        reason: &'a str,
        /// Whether the fact is a certificate outside of the trust.
        untrusted: bool,
    },
}

/// One condition, in the fields of Kubernetes' `metav1.Condition`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `Ready`, `Stale`, `Unreachable` or `Untrusted`.
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A word in `CamelCase`.
    pub reason: String,
    /// A line for a person.
    pub message: String,
    /// Since when the status is what it is, in whole seconds.
    pub last_transition_time: Timestamp,
}

/// What an operator should see in `kubectl get events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `Normal` or `Warning`.
    pub type_: &'static str,
    /// A word in `CamelCase`.
    pub reason: String,
    /// A line for a person, of at most 1024 bytes (the limit of events.k8s.io).
    pub note: String,
}

/// A condition without type and time.
struct Finding {
    status: &'static str,
    reason: &'static str,
    message: String,
}

const READY: &str = "Ready";
/// The longest note of an Event in bytes.
const NOTE_LIMIT: usize = 1024;

/// The four conditions of a member, Ready first. One keeps its time from `previous` while its status
/// stays the same; types of others are left out.
pub fn conditions(
    facts: &Facts<'_>,
    now: Timestamp,
    max_age: Duration,
    previous: &[Condition],
) -> Vec<Condition> {
    let findings = [
        (READY, facts.ready(now, max_age)),
        ("Stale", facts.stale(now, max_age)),
        ("Unreachable", facts.unreachable()),
        ("Untrusted", facts.untrusted()),
    ];
    // As metav1.Time, which has no fractions.
    let this_second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let timed = |(type_, finding): (&str, Finding)| {
        let unchanged = |it: &&Condition| it.type_ == type_ && it.status == finding.status;
        let since = previous.iter().find(unchanged).map(|it| it.last_transition_time);
        Condition {
            type_: type_.to_owned(),
            status: finding.status.to_owned(),
            reason: finding.reason.to_owned(),
            message: finding.message,
            last_transition_time: since.unwrap_or(this_second),
        }
    };
    findings.into_iter().map(timed).collect()
}

/// The Event for what has changed, if it is worth one: Ready names the weightiest trouble, so that
/// one change makes one Event. Not to know yet is none.
pub fn event(before: &[Condition], after: &[Condition]) -> Option<Event> {
    let ready = |all: &[Condition]| all.iter().find(|it| it.type_ == READY).cloned();
    let after = ready(after).filter(|it| it.status != "Unknown")?;
    if ready(before).is_some_and(|it| it.status == after.status && it.reason == after.reason) {
        return None;
    }
    let mut note = after.message;
    note.truncate(note.floor_char_boundary(NOTE_LIMIT));
    let type_ = if after.reason == READY { "Normal" } else { "Warning" };
    Some(Event { type_, reason: after.reason, note })
}

// === impl Facts ===

impl Facts<'_> {
    fn ready(&self, now: Timestamp, max_age: Duration) -> Finding {
        let not = |reason, message: String| Finding::new("False", reason, message);
        if let Some(refusal) = self.refusal {
            return not("NotAMember", one_line(refusal));
        }
        match self.health {
            Health::Unknown => return Finding::not_asked(),
            Health::Down { untrusted: true, .. } => {
                return not("Untrusted", self.unreachable().message);
            }
            Health::Down { .. } => return not("Unreachable", self.unreachable().message),
            Health::Up => {}
        }
        match (self.score, self.failure) {
            (None, None) => Finding::new("Unknown", "NoScoreYet", self.no_score()),
            (None, Some(_)) => not("NoScore", self.no_score()),
            (Some(score), _) if !score.is_fresh(now, max_age) => not("Stale", self.too_old(score)),
            (Some(score), _) if score.missing().is_empty() => {
                Finding::new("True", READY, "it answers, and its score is fresh".to_owned())
            }
            (Some(score), _) => Finding::new("True", "NodesMissing", missing_nodes(score)),
        }
    }

    fn stale(&self, now: Timestamp, max_age: Duration) -> Finding {
        match self.score {
            _ if self.refusal.is_some() => Finding::no_member(),
            None => Finding::new("Unknown", "NoScore", self.no_score()),
            Some(score) if !score.is_fresh(now, max_age) => {
                Finding::new("True", "TooOld", self.too_old(score))
            }
            Some(score) if score.missing().is_empty() => {
                Finding::new("False", "Fresh", "its score is fresh".to_owned())
            }
            Some(score) => Finding::new("False", "Fresh", missing_nodes(score)),
        }
    }

    fn unreachable(&self) -> Finding {
        match self.health {
            _ if self.refusal.is_some() => Finding::no_member(),
            Health::Unknown => Finding::not_asked(),
            Health::Up => Finding::new("False", "Answers", "it answers".to_owned()),
            Health::Down { since, reason, untrusted } => {
                let (word, said) = if untrusted {
                    ("NotTrusted", "not trusted")
                } else {
                    ("NoAnswer", "no answer")
                };
                let message = format!("{said} since {since:.0}: {}", one_line(reason));
                Finding::new("True", word, message)
            }
        }
    }

    fn untrusted(&self) -> Finding {
        match self.health {
            _ if self.refusal.is_some() => Finding::no_member(),
            Health::Unknown => Finding::not_asked(),
            Health::Up => Finding::new("False", "Trusted", "its certificate is trusted".to_owned()),
            Health::Down { untrusted: true, .. } => self.unreachable(),
            Health::Down { .. } => {
                Finding::new("Unknown", "NoAnswer", "it does not answer".to_owned())
            }
        }
    }

    fn no_score(&self) -> String {
        self.failure.map_or_else(|| "no score was taken yet".to_owned(), one_line)
    }

    fn too_old(&self, score: &Score) -> String {
        let mut message = format!("its last score is of {:.0}", score.sampled_at());
        if let Some(failure) = self.failure {
            message += "; ";
            message += &one_line(failure);
        }
        if !score.missing().is_empty() {
            message += "; ";
            message += &missing_nodes(score);
        }
        message
    }
}

// === impl Finding ===

impl Finding {
    fn new(status: &'static str, reason: &'static str, message: String) -> Self {
        Self { status, reason, message }
    }

    fn not_asked() -> Self {
        Self::new("Unknown", "NotAskedYet", "it was not asked yet".to_owned())
    }

    fn no_member() -> Self {
        Self::new("Unknown", "NotAMember", "it is not asked".to_owned())
    }
}

fn missing_nodes(score: &Score) -> String {
    let (missing, all) = (score.missing().len(), score.nodes().len() + score.missing().len());
    format!("{missing} of {all} nodes not measured: {}", reasons(score.missing()))
}

#[cfg(test)]
mod tests;
