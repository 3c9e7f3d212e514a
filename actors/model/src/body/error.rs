//! Why a body could not be read or rewritten.

use super::MAX_BODY;
use crate::status::{Reason, Status};

/// Why a body could not be read or rewritten; every variant has a [`Status`] that says so.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than an API server takes (413).
    #[error("Request entity too large: limit is {MAX_BODY}")]
    TooLarge,
    /// A `Content-Type` that nobody reads (415).
    #[error(
        "the body of the request was in an unknown format - accepted media types include: {accepted}"
    )]
    MediaType {
        /// The types that are read.
        accepted: &'static str,
    },
    /// A legal body that tenbin cannot divide yet (415).
    #[error("tenbin does not divide {what} among clusters yet: {instead}")]
    NotYet {
        /// What was sent.
        what: &'static str,
        /// What a person can do.
        instead: &'static str,
    },
    /// A JSON patch whose paths or tests do not fit the object (422).
    #[error("the patch does not fit the object: {0}")]
    PatchDoesNotFit(#[source] json_patch::PatchError),
    /// Not JSON, or nested deeper than 127 levels (400).
    #[error("error decoding the body as JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// Not one YAML document, or one that expands beyond the limits (400).
    #[error("error decoding the body as YAML: {0}")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// Bytes that do not start with `k8s\0` (400).
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Magic,
    /// Not a protobuf message (400).
    #[error("error decoding the body as protobuf: {0}")]
    Protobuf(#[source] prost::DecodeError),
    /// A field of a type that it cannot have (400).
    #[error("error decoding the body: {path} must be {expected}")]
    WrongType {
        /// The path of the field.
        path: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A value that no API server would take (422).
    #[error("{kind} {name:?} is invalid: {path}: Invalid value: {value}: {why}")]
    Invalid {
        /// Kind and group, as `Deployment.apps`.
        kind: &'static str,
        /// The name of the object; empty where the body has none.
        name: String,
        /// The path of the field.
        path: &'static str,
        /// What the field says.
        value: i64,
        /// What it must be.
        why: &'static str,
    },
}

// === impl BodyError ===

impl BodyError {
    /// The reason that a client reads.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLarge => Reason::RequestEntityTooLarge,
            Self::MediaType { .. } | Self::NotYet { .. } => Reason::UnsupportedMediaType,
            Self::Json(_)
            | Self::Yaml(_)
            | Self::Magic
            | Self::Protobuf(_)
            | Self::WrongType { .. } => Reason::BadRequest,
            Self::Invalid { .. } | Self::PatchDoesNotFit(_) => Reason::Invalid,
        }
    }
}

// === impl Status ===

impl From<&BodyError> for Status {
    fn from(error: &BodyError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}
