//! How the members' watches become one (`reads.md`, Watch).
//!
//! Sans-io like [`crate::list`]: the gateway pushes what it reads, asks what to do next, and writes
//! what comes out. What a member shows reaches the client in the member's order; every event carries
//! the versions of all members, so that a client resumes from any of them.
//!
//! | module | knows |
//! |---|---|
//! | [`WatchMerge`] | how far each member is, and whose turn it is |
//! | `member` | one member's list or watch, as it arrives |
//! | `event` | what a line of a watch says |
//! | `keys` | which copies there are of a name, and what of them is shown |
//! | `change` | what a change of one copy means for the client |
//! | `owed` | what members could not be asked, and are asked again |
//! | `write` | how events are written |

mod change;
mod event;
mod keys;
mod member;
mod merge;
mod owed;
mod write;

pub use merge::{Fetch, Fetched, Next, Start, WatchMerge, WatchOptions};

use crate::ids::ClusterName;
use crate::list::ScanError;

/// Why a merged watch cannot go on; the client lists again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// A member's bytes are not what a list or a watch is made of.
    #[error("{member}: {source}")]
    Scan {
        /// The member.
        member: ClusterName,
        /// What is wrong with its bytes.
        source: ScanError,
    },
    /// A member has forgotten what the client has seen, and nobody remembers it.
    #[error("{0} has forgotten the resourceVersion: list again")]
    Expired(ClusterName),
    /// A member left whose objects the client has, and nobody remembers them.
    #[error("{0} left the fleet: list again")]
    Left(ClusterName),
    /// A copy of a managed object cannot be folded.
    #[error("{0} has a managed object that cannot be read")]
    Fold(ClusterName),
    /// There are more names than may be kept in mind.
    #[error("more than {0} names in one watch")]
    TooMany(usize),
}

#[cfg(test)]
mod tests;
