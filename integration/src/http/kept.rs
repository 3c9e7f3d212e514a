//! A connection that is kept over many requests and costs little, for measurements.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::answer::parse_head;
use super::body::Body;
use super::{Client, Response};
use crate::eventually::now;

/// rustls alone reads 4 KiB at a time.
const READ_BUFFER: usize = 128 << 10;

/// A TLS connection that outlives a request. Requests may be sent before others are answered.
#[derive(Debug)]
pub struct Kept {
    wire: BufReader<StreamOwned<ClientConnection, Socket>>,
    address: SocketAddr,
    headers: Vec<(String, String)>,
    buffer: Vec<u8>,
}

/// An answer whose body was counted and dropped.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    /// The length of the body.
    pub bytes: usize,
    /// How many `Warning` headers it has.
    pub warnings: usize,
    /// When the first bytes of the body came.
    pub first: Instant,
    /// When the last byte came.
    pub end: Instant,
}

/// A socket that is read in large pieces.
#[derive(Debug)]
struct Socket(BufReader<TcpStream>);

impl Client {
    /// Opens a connection that is kept, with TLS.
    pub fn keep(&self) -> Result<Kept> {
        let config = self.tls.as_ref().context("a kept connection has TLS")?;
        let stream = TcpStream::connect_timeout(&self.address, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_nodelay(true)?;
        let name = ServerName::from(self.address.ip());
        let session = ClientConnection::new(Arc::clone(config), name)?;
        let socket = Socket(BufReader::with_capacity(READ_BUFFER, stream));
        Ok(Kept {
            wire: BufReader::new(StreamOwned::new(session, socket)),
            address: self.address,
            headers: self.headers.clone(),
            buffer: vec![0; READ_BUFFER],
        })
    }
}

impl Kept {
    /// Sends a GET; [`Kept::receive`] waits for its answer.
    pub fn send(&mut self, path: &str) -> Result<()> {
        self.write("GET", path, None)
    }

    /// Receives the answer, which must be a 200, to the oldest request without one.
    pub fn receive(&mut self) -> Result<Timed> {
        let (status, headers) = parse_head(&mut self.wire)?;
        if status != 200 {
            let mut text = String::new();
            Body::new(&mut self.wire, false, &headers).read_to_string(&mut text)?;
            bail!("status {status} of {}: {text}", self.address);
        }
        let warning = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("warning");
        let warnings = headers.iter().filter(warning).count();
        let mut body = Body::new(&mut self.wire, false, &headers);
        let mut bytes = body.read(&mut self.buffer)?;
        let first = now();
        loop {
            match body.read(&mut self.buffer)? {
                0 => return Ok(Timed { bytes, warnings, first, end: now() }),
                read => bytes += read,
            }
        }
    }

    /// GET, with its answer timed.
    pub fn get(&mut self, path: &str) -> Result<Timed> {
        self.send(path).and_then(|()| self.receive()).with_context(|| format!("GET {path}"))
    }

    /// Any method with a JSON body, and the whole answer.
    pub fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Response> {
        self.write(method, path, Some(body))?;
        let (status, headers) = parse_head(&mut self.wire)?;
        let mut whole = Vec::new();
        Body::new(&mut self.wire, false, &headers).read_to_end(&mut whole)?;
        Ok(Response { status, headers, body: whole })
    }

    fn write(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Result<()> {
        let mut message = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in &self.headers {
            message.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        if let Some(body) = body {
            let length = body.len().to_string();
            message.push_str("Content-Type: application/json\r\n");
            message.extend(["Content-Length: ", &length, "\r\n"]);
        }
        message.push_str("\r\n");
        let mut message = message.into_bytes();
        message.extend_from_slice(body.unwrap_or_default());
        let wire = self.wire.get_mut();
        wire.write_all(&message).and_then(|()| wire.flush()).context("sending a request")
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}
