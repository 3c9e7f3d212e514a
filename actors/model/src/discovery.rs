//! What the members serve, joined into what one API server would say of itself.
//!
//! | module | has |
//! |---|---|
//! | [`groups`] | aggregated discovery: groups, their versions and resources |
//! | `classic` | the documents of old, made from it |
//! | [`schemas`] | the index of OpenAPI v3 |
//! | [`form`] | which of them a client wants |
//! | [`catalogue`] | what all members said, and the documents that come of it |

pub mod catalogue;
mod classic;
pub mod form;
pub mod groups;
pub mod schemas;

/// A member's document is not what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableDocument {
    /// It is no JSON.
    #[error("cannot parse its discovery: {0}")]
    Parse(String),
    /// It is another kind of document, as servers before 1.27 send.
    #[error("does not answer with {0}")]
    Kind(&'static str),
}
