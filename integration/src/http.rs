//! A blocking HTTP/1.1 client of a few lines: one connection a request, TLS by rustls with ring.
//! Tests see exactly the bytes, headers and endings that a server sends.

mod answer;
mod body;
mod kept;

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::pki::Pair;
use answer::read_head;
pub use answer::{Response, Streaming};
pub use kept::{Kept, Timed};

/// How long one read may take before the request fails.
const READ_PATIENCE: Duration = Duration::from_mins(1);

/// A server and who we are to it.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    headers: Vec<(String, String)>,
    patience: Duration,
}

type Wire = BufReader<Box<dyn Conversation>>;

/// A connection, with TLS or without.
trait Conversation: Read + Write + Send + std::fmt::Debug {}
impl<T: Read + Write + Send + std::fmt::Debug> Conversation for T {}

impl Client {
    /// Plain HTTP, as the admin listener speaks.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None, headers: Vec::new(), patience: READ_PATIENCE }
    }

    /// HTTPS with the authority `ca` (PEM) and, when given, a client certificate.
    pub fn tls(address: SocketAddr, ca: &str, client: Option<&Pair>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for cert in CertificateDer::pem_slice_iter(ca.as_bytes()) {
            roots.add(cert.context("reading a CA")?).context("trusting a CA")?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("choosing TLS versions")?
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(
                    CertificateDer::pem_slice_iter(pair.cert.as_bytes())
                        .collect::<Result<_, _>>()
                        .context("reading a client certificate")?,
                    PrivateKeyDer::from_pem_slice(pair.key.as_bytes())
                        .context("reading a client key")?,
                )
                .context("using a client certificate")?,
        };
        Ok(Self { tls: Some(Arc::new(config)), ..Self::plain(address) })
    }

    /// Sends this header with every request (`Authorization`, `Accept`, `Impersonate-User`).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long connecting, and then each read, may take (60 s unless set).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// GET.
    pub fn get(&self, path: &str) -> Result<Response> {
        self.send("GET", path, None)
    }

    /// GET of JSON; anything but a 2xx is an error that shows the body.
    pub fn json(&self, path: &str) -> Result<Value> {
        self.get(path)?.success()?.json()
    }

    /// Any method with a JSON body.
    pub fn send_json(&self, method: &str, path: &str, body: &Value) -> Result<Response> {
        self.send(method, path, Some(("application/json", body.to_string().as_bytes())))
    }

    /// Any method; the body with its content type.
    pub fn send(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Response> {
        let context = || format!("reading the answer to {method} {path}");
        self.open(method, path, body)?.whole().with_context(context)
    }

    /// Sends a request and returns once the head of its answer is here.
    pub fn open(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Result<Streaming> {
        let context = || format!("{method} {path} at {}", self.address);
        let mut wire = self.connect().with_context(context)?;
        let head = self.head(method, path, body);
        wire.write_all(head.as_bytes()).with_context(context)?;
        wire.write_all(body.map_or(&[], |(_, bytes)| bytes)).with_context(context)?;
        wire.flush().with_context(context)?;
        read_head(method, BufReader::new(wire)).with_context(context)
    }

    /// Sends exactly these bytes and reads an answer, for requests that no client would make.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<Response> {
        let mut wire = self.connect().context("connecting")?;
        // A server may answer and close before it has read everything.
        let written = wire.write_all(bytes).and_then(|()| wire.flush());
        let answer = read_head("GET", BufReader::new(wire)).and_then(Streaming::whole);
        answer.with_context(|| format!("reading the answer to raw bytes (written: {written:?})"))
    }

    fn head(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        head.push_str("Connection: close\r\n");
        for (name, value) in &self.headers {
            head.extend([name.as_str(), ": ", value, "\r\n"]);
        }
        if let Some((kind, bytes)) = body {
            let length = bytes.len().to_string();
            head.extend(["Content-Type: ", kind, "\r\nContent-Length: ", &length, "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }

    fn connect(&self) -> Result<Box<dyn Conversation>> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::from(self.address.ip());
                Box::new(StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream))
            }
        })
    }
}
