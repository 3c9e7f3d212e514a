//! Reads the first head of a connection before actix does.
//!
//! actix answers a head that it cannot parse with an empty 400; here the client gets a `Status`.
//! What was read is given to actix afterwards, byte for byte.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memmem;
use tenbin_model::request::upgrade::answer_head;
use tenbin_model::status::{Reason, Status};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::authenticate::Credential;
use crate::upgrade::Asking;

/// The largest head that is read (`identity.md`, Limits).
const MAX_HEAD: usize = 64 * 1024;
/// The most header lines that actix parses.
pub(crate) const MAX_HEADERS: usize = 96;
/// How long a client may take for its first head.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// A connection, some of whose bytes were read before.
#[derive(Debug)]
pub(crate) struct Peeked<Io> {
    head: Bytes,
    io: Io,
    /// What the client showed when it connected.
    pub(crate) credential: Credential,
}

/// Reads until the first head is whole and legal.
///
/// # Errors
/// When the client leaves or is too slow, and when the head is refused: then the `Status` has
/// been sent.
pub(crate) async fn first_head<Io>(mut io: Io, credential: Credential) -> io::Result<Peeked<Io>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(HEAD_LIMIT, read_head(&mut io)).await {
        Ok(Ok(Ok(head))) => Ok(Peeked { head, io, credential }),
        Ok(Ok(Err(status))) => {
            refuse(&mut io, &status).await?;
            Err(io::Error::other(status))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn read_head<Io>(io: &mut Io) -> io::Result<Result<Bytes, Status>>
where
    Io: AsyncRead + Unpin,
{
    let mut head = BytesMut::with_capacity(4096);
    loop {
        let before = head.len();
        if io.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A head is judged once, at its end, and not after each of its pieces.
        let tail = head.get(before.saturating_sub(3)..).unwrap_or_default();
        if head.len() <= MAX_HEAD && !ends(tail) {
            continue;
        }
        match judge(&head) {
            Ok(true) => return Ok(Ok(head.freeze())),
            Ok(false) => {}
            Err(status) => return Ok(Err(status)),
        }
    }
}

/// Whether there is an empty line in it.
fn ends(tail: &[u8]) -> bool {
    memmem::find(tail, b"\r\n\r\n").is_some() || memmem::find(tail, b"\n\n").is_some()
}

/// Whether `head` is whole; an error where it never can be.
fn judge(head: &[u8]) -> Result<bool, Status> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let too_large = || {
        let message =
            format!("the head of a request has at most {MAX_HEAD} bytes and {MAX_HEADERS} headers");
        Status { code: 431, ..Status::new(Reason::BadRequest, message) }
    };
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(length)) if length > MAX_HEAD => Err(too_large()),
        // It knows no chunks, of which streams are made.
        Ok(httparse::Status::Complete(_)) if request.version == Some(0) => {
            Err(Status { code: 505, ..Status::new(Reason::BadRequest, "HTTP/1.1 is needed") })
        }
        Ok(httparse::Status::Complete(_)) => Ok(true),
        Ok(httparse::Status::Partial) if head.len() > MAX_HEAD => Err(too_large()),
        Ok(httparse::Status::Partial) => Ok(false),
        Err(httparse::Error::TooManyHeaders) => Err(too_large()),
        Err(error) => {
            Err(Status::new(Reason::BadRequest, format!("this is no HTTP request: {error}")))
        }
    }
}

/// Answers with a `Status`, and ends the connection.
pub(crate) async fn refuse<Io>(io: &mut Io, status: &Status) -> io::Result<()>
where
    Io: AsyncWrite + Unpin,
{
    let body = status.to_json();
    let length = body.len().to_string();
    let after = status.retry_after_seconds.map(|seconds| seconds.to_string());
    let mut lines = vec![
        ("content-type", b"application/json".as_slice()),
        ("content-length", length.as_bytes()),
        ("connection", b"close"),
    ];
    lines.extend(after.iter().map(|seconds| ("retry-after", seconds.as_bytes())));
    io.write_all(&answer_head(status.code, "Refused", lines)).await?;
    io.write_all(body.as_bytes()).await?;
    io.shutdown().await
}

// === impl Peeked ===

impl<Io> Peeked<Io> {
    /// Takes the first request out of what is read next, if it asks for an upgrade.
    pub(crate) fn take_upgrade(&mut self, peer: Option<SocketAddr>) -> Option<Asking> {
        let (asking, length) = Asking::read(&self.head, &self.credential, peer)?;
        self.head.advance(length);
        Some(asking)
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Peeked<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.head.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.head.len().min(buf.remaining());
        buf.put_slice(&self.head.split_to(length));
        if !self.head.has_remaining() {
            self.head = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Peeked<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_whole_at_its_empty_line() {
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n"), Ok(false));
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"), Ok(true));
    }

    #[test]
    fn floods_and_garbage_are_refused_with_a_status() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        let long = format!("GET / HTTP/1.1\r\na: {}", "b".repeat(MAX_HEAD));
        assert_eq!(judge(many.as_bytes()).unwrap_err().code, 431);
        assert_eq!(judge(long.as_bytes()).unwrap_err().code, 431);
        assert_eq!(judge(b"GET / HTTP/1.0\r\n\r\n").unwrap_err().code, 505);
        assert_eq!(judge(b"\x16\x03\x01 hello\r\n\r\n").unwrap_err().code, 400);
    }

    #[actix_rt::test]
    async fn what_was_read_is_read_again() {
        let (client, server) = tokio::io::duplex(256);
        let (mut client, sent) = (client, b"GET / HTTP/1.1\r\n\r\nthe body");
        client.write_all(sent).await.unwrap();
        drop(client);
        let mut peeked = first_head(server, Credential::None).await.unwrap();
        let mut all = Vec::new();
        peeked.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, sent);
    }
}
