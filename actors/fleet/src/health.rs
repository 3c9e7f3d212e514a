//! What is known of a member's life.

use jiff::Timestamp;

/// Whether a member can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answered the last time.
    Up,
    /// It is dead by facts; nobody waits for it.
    Down {
        /// Since when.
        since: Timestamp,
        /// The fact.
        reason: String,
        /// Whether it, or this tenbin in its eyes, is not whom the certificates or the password
        /// should show.
        untrusted: bool,
    },
}
