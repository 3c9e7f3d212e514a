//! Merged answers, compressed while they are written.

use std::io::Write as _;

use actix_http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, VARY};
use bytes::buf::Writer;
use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, TryStreamExt as _, stream};

use crate::asked::Asked;
use crate::pump::PumpError;

/// Shorter answers are not compressed (`defaultGzipThresholdBytes` of apiserver).
pub(super) const THRESHOLD: usize = 128 << 10;

/// Whether the client takes gzip.
pub(super) fn is_accepted(asked: &Asked) -> bool {
    let lines = asked.headers.get_all(ACCEPT_ENCODING);
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = |part: &str| {
            part.strip_prefix("q=").is_some_and(|q| q.trim_matches(['0', '.']).is_empty())
        };
        gzip && !parts.any(refused)
    })
}

/// Says that the body is compressed.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
}

/// Compresses a body, at the fastest level as API servers do.
///
/// It ends where `body` ends, and fails where that fails, without an end of its own.
pub(super) fn zipped<S>(body: S) -> impl Stream<Item = Result<Bytes, ZipError>>
where
    S: Stream<Item = Result<Bytes, PumpError>>,
{
    let zip = GzEncoder::new(BytesMut::new().writer(), Compression::fast());
    let state = Some((Box::pin(body), zip));
    stream::try_unfold(state, |state| async move {
        let Some((mut body, mut zip)) = state else { return Ok(None) };
        loop {
            let Some(chunk) = body.try_next().await? else {
                return Ok(Some((zip.finish()?.into_inner().freeze(), None)));
            };
            zip.write_all(&chunk)?;
            let out: &mut Writer<BytesMut> = zip.get_mut();
            if !out.get_ref().is_empty() {
                let ready = out.get_mut().split().freeze();
                return Ok(Some((ready, Some((body, zip)))));
            }
        }
    })
}

/// Why a compressed answer ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZipError {
    /// There is no more to compress.
    #[error(transparent)]
    Body(#[from] PumpError),
    /// It cannot be compressed.
    #[error("compressing: {0}")]
    Zip(#[from] std::io::Error),
}
