//! The continue token of a merged list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Turn;
use crate::resource_version::MAX_SLOTS;
use crate::status::{Reason, Status};

/// The most bytes of a token; it travels in the head of a request.
pub(super) const MAX_TOKEN_BYTES: usize = 36 << 10;
/// The form of the token; another one is of another version of tenbin.
const FORM: u8 = 1;

/// What a continue token holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Token {
    v: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rv: Option<String>,
    pub(super) left: Vec<Turn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) columns: Option<Box<RawValue>>,
}

// === impl Token ===

impl Token {
    pub(super) fn new(rv: Option<String>, left: Vec<Turn>, columns: Option<Box<RawValue>>) -> Self {
        Self { v: FORM, rv, left, columns }
    }

    pub(super) fn encode(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Reads a token; total over all texts.
    pub(super) fn decode(token: &str) -> Result<Self, Status> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(no_token("it is too long"));
        }
        let text = URL_SAFE_NO_PAD.decode(token).map_err(|error| no_token(&error.to_string()))?;
        let token: Self =
            serde_json::from_slice(&text).map_err(|error| no_token(&error.to_string()))?;
        if token.v != FORM {
            return Err(no_token("it is of another version"));
        }
        let twice = |turn: &Turn| token.left.iter().filter(|it| it.member == turn.member).count();
        if token.left.len() > MAX_SLOTS || token.left.iter().any(|turn| twice(turn) > 1) {
            return Err(no_token("it has too many members"));
        }
        Ok(token)
    }
}

/// What an API server says to a token that it cannot read.
pub(super) fn no_token(reason: &str) -> Status {
    let message = format!("invalid continue token: continue key is not valid: {reason}");
    Status::new(Reason::BadRequest, message)
}

/// What an API server says to a token of a state that it no longer has.
pub(super) fn too_old() -> Status {
    let message = "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.";
    Status::new(Reason::Expired, message)
}
