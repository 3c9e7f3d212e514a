//! The one shape in which a client learns that something failed: a Kubernetes `Status`.

use serde::Serialize;

/// A failure as clients of Kubernetes expect it (`meta/v1 Status`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason.
    pub reason: Reason,
    /// What a person reads; it names the member where one is at fault.
    pub message: String,
    /// After how many seconds the client may come again.
    pub retry_after_seconds: Option<u32>,
    /// The token with which an expired list can be continued all the same.
    pub continue_token: Option<String>,
}

/// `StatusReason` of apimachinery, those that tenbin itself answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names are those of meta/v1 StatusReason")]
pub enum Reason {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    Conflict,
    AlreadyExists,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServiceUnavailable,
    Timeout,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata<'a>,
    status: &'static str,
    message: &'a str,
    reason: Reason,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    code: u16,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    continue_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    retry_after_seconds: u32,
}

// === impl Reason ===

impl Reason {
    /// The HTTP status code that goes with the reason.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::Conflict | Self::AlreadyExists => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

// === impl Status ===

impl Status {
    /// Makes a status of `reason` with the code that goes with it.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let code = reason.code();
        let message = message.into();
        Self { code, reason, message, retry_after_seconds: None, continue_token: None }
    }

    /// What an API server says to a write of an object that has changed since the client saw it.
    pub fn modified() -> Self {
        let message = "the object has been modified; please apply your changes to the latest version and try again";
        Self::new(Reason::Conflict, message)
    }

    /// Tells the client when to come again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The JSON body of the answer.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            kind: "Status",
            api_version: "v1",
            metadata: Metadata { continue_token: self.continue_token.as_deref() },
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            details: self
                .retry_after_seconds
                .map(|retry_after_seconds| Details { retry_after_seconds }),
            code: self.code,
        };
        // Strings and integers only: this serialisation has no way to fail.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_reads_as_an_api_server_writes_it() {
        let status = Status::new(Reason::ServiceUnavailable, "osaka: connect timed out");
        insta::assert_snapshot!(status.retry_after(5).to_json(), @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"osaka: connect timed out","reason":"ServiceUnavailable","details":{"retryAfterSeconds":5},"code":503}"#);
    }
}
