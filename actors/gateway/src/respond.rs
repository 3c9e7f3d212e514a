//! Answers that tenbin makes itself.

use actix_http::body::{BodyStream, BoxBody};
use actix_http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_http::{ConnectionType, Response, StatusCode};
use bytes::Bytes;
use futures_util::Stream;
use serde_json::Value;
use tenbin_model::status::{Reason, Status};
use tenbin_model::warning;

/// The media type of all answers that tenbin makes.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Each has at most 1,024 characters; clients read heads of some 10 KiB.
const MAX_WARNINGS: usize = 16;
/// RFC 9111 section 5.5; Kubernetes' clients print it.
pub(crate) const WARNING: HeaderName = HeaderName::from_static("warning");

/// The answer to a request, or the `Status` that stands for it.
pub(crate) type Answered = Result<Response<BoxBody>, Status>;

/// A `Status` as an answer.
pub(crate) fn status(status: &Status) -> Response<BoxBody> {
    let mut response = json(status.code, status.to_json());
    if let Some(seconds) = status.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer to a request that asks for an upgrade behind others, whose connection actix reads.
///
/// It is closed, so that a client that tries again does so on a fresh one. Clients of Kubernetes
/// open one for each upgrade.
pub(crate) fn too_late_to_upgrade() -> Response<BoxBody> {
    let message = "a request that asks for an upgrade is the first of its connection and says Connection: Upgrade";
    let mut response = status(&Status::new(Reason::BadRequest, message));
    response.head_mut().set_connection_type(ConnectionType::Close);
    response
}

/// A JSON body of known length.
pub(crate) fn json(code: u16, body: impl Into<Bytes>) -> Response<BoxBody> {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::with_body(code, BoxBody::new(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A body that is cut where the stream fails, so that no client takes it for whole.
///
/// An answer that has no body by its code (RFC 9110 section 6.4.1) gets none: the end of an empty
/// chunked one would be read as the beginning of the next answer.
pub(crate) fn stream<S, E>(code: u16, headers: HeaderMap, body: S) -> Response<BoxBody>
where
    S: Stream<Item = Result<Bytes, E>> + 'static,
    E: std::error::Error + 'static,
{
    let response = head(code, headers);
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return response;
    }
    response.set_body(BoxBody::new(BodyStream::new(body)))
}

/// Whether a member's code says nothing of what was asked, but that the member cannot tell now.
pub(crate) fn is_ill(code: u16) -> bool {
    matches!(code, 401 | 429 | 500..=599)
}

/// What a member's `Status` says to a person.
pub(crate) fn message(reason: Reason, body: &[u8]) -> String {
    // Of a path that it does not know an API server says so in plain text.
    let unsaid = match reason {
        Reason::NotFound => "the server could not find the requested resource",
        _ => "refused without a reason",
    };
    serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|status| Some(status.get("message")?.as_str()?.to_owned()))
        .unwrap_or_else(|| unsaid.to_owned())
}

/// An answer without its body.
pub(crate) fn head(code: u16, headers: HeaderMap) -> Response<BoxBody> {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::with_body(code, BoxBody::new(actix_http::body::None::new()));
    *response.headers_mut() = headers;
    response
}

/// Adds `Warning` headers, one for each text, as long as there are not too many.
pub(crate) fn warn<'a>(
    response: &mut Response<BoxBody>,
    texts: impl IntoIterator<Item = &'a String>,
) {
    for text in texts.into_iter().take(MAX_WARNINGS) {
        if let Ok(value) = HeaderValue::from_bytes(warning::header(text).as_bytes()) {
            response.headers_mut().append(WARNING, value);
        }
    }
}
