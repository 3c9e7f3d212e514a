//! How the members' lists become one, byte by byte.
//!
//! Items are found in the bytes and never decoded and re-encoded, so number text, unknown fields
//! and key order survive. The code is sans-io: the gateway pushes what it reads and writes what
//! comes out.
//!
//! | module | knows |
//! |---|---|
//! | [`ListScanner`] | where the items of one list or Table are, while it arrives |
//! | [`ListMerge`] | the order of the answer, who is first, what is held back |
//! | `skip`, `walk` | where JSON values end |
//! | `outline` | an item's key and marks, and how its annotations are edited |
//! | `table` | columns and rows |
//! | [`Page`] | which members a page asks for how much, and what its token remembers |
//! | `member` | how far one member's answer has come |
//! | `seen` | which names were shown |
//! | `held` | the copies of managed objects, until they are folded |

mod annotate;
mod held;
mod member;
mod merge;
pub(crate) mod outline;
mod pages;
mod scanner;
mod seen;
mod skip;
pub(crate) mod table;
pub(crate) mod walk;

pub use annotate::annotate;
pub use merge::{ListMerge, MAX_ITEM_BYTES, MergeError, MergeOptions};
pub use pages::{Page, Turn};
pub use scanner::{ListScanner, Piece, Shape};
pub use skip::MAX_DEPTH;

pub use crate::request::query::IncludeObject;

/// Why bytes are not a list that can be merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The bytes break the grammar of JSON.
    #[error("not JSON")]
    Syntax,
    /// The document is JSON, but its items or columns are not what a list or Table has.
    #[error("not a list: unexpected {0}")]
    Unexpected(&'static str),
    /// A key that must be unique came twice.
    #[error("{0} came twice")]
    Twice(&'static str),
    /// One value has more bytes than the limit.
    #[error("a value has more than {0} bytes")]
    TooLarge(usize),
    /// Values are nested deeper than [`MAX_DEPTH`].
    #[error("values are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// The bytes ended before the list did.
    #[error("ended half way")]
    Truncated,
    /// There are bytes behind the end of the list.
    #[error("bytes behind the end of the list")]
    Trailing,
}
