//! Why a member gave no answer, and what the client is told of it.

use std::time::Duration;

use tenbin_model::ids::ClusterName;
use tenbin_model::status::{Reason, Status};

/// A request that a member did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No byte of the request was sent: the breaker is open, or no connection could be made.
    #[error("{member} unreachable{}: {reason}", duration(*since))]
    Down {
        /// The member.
        member: ClusterName,
        /// For how long.
        since: Duration,
        /// The fact by which it is dead.
        reason: String,
    },
    /// The request was sent, wholly or in part, and no complete answer came: nobody knows
    /// whether it was carried out.
    #[error("{member} gave no complete answer: {reason}")]
    Lost {
        /// The member.
        member: ClusterName,
        /// What was seen.
        reason: String,
    },
    /// The member has as many requests in flight as it may have.
    #[error("{member} has too many requests in flight")]
    Overloaded {
        /// The member.
        member: ClusterName,
    },
    /// The daemon has no credentials for the member.
    #[error("{member}: {reason}")]
    NoCredentials {
        /// The member.
        member: ClusterName,
        /// Why.
        reason: String,
    },
    /// The member's answer is larger than what may be held in memory.
    #[error("{member} answered with more than {limit} bytes")]
    TooLarge {
        /// The member.
        member: ClusterName,
        /// The limit in bytes.
        limit: usize,
    },
}

/// ` for 42s`; nothing where it has just begun.
fn duration(since: Duration) -> String {
    match since.as_secs() {
        0 => String::new(),
        seconds => format!(" for {seconds}s"),
    }
}

// === impl Fault ===

impl Fault {
    /// The member at fault.
    pub fn member(&self) -> &ClusterName {
        match self {
            Self::Down { member, .. }
            | Self::Lost { member, .. }
            | Self::Overloaded { member }
            | Self::NoCredentials { member, .. }
            | Self::TooLarge { member, .. } => member,
        }
    }

    /// Whether the member certainly did not see the request.
    pub fn is_unsent(&self) -> bool {
        match self {
            Self::Down { .. } | Self::Overloaded { .. } | Self::NoCredentials { .. } => true,
            Self::Lost { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// What a client reads whose request needed this member.
    pub fn to_status(&self) -> Status {
        match self {
            Self::Down { .. } | Self::NoCredentials { .. } => {
                Status::new(Reason::ServiceUnavailable, self.to_string()).retry_after(5)
            }
            Self::Overloaded { .. } => {
                Status::new(Reason::TooManyRequests, self.to_string()).retry_after(1)
            }
            Self::Lost { .. } => Status::new(Reason::Timeout, self.to_string()),
            Self::TooLarge { .. } => Status::new(Reason::InternalError, self.to_string()),
        }
    }
}
