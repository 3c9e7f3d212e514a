//! A server that tells a recorded event again and again, faster than an etcd on this machine writes.
//!
//! It stands in for a member's API server, where that is only asked for a list and a watch of
//! ConfigMaps: the list is empty, and the watch tells as many events as it is made for, at their pace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tenbin_integration::Client;
use tenbin_integration::kubeconfig::{self, Credential};
use tenbin_integration::pki::Ca;

use crate::pace::{Stopwatch, at_pace};

/// What an API server says to a list of nothing.
const EMPTY: &str = r#"{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"1000"},"items":[]}"#;
const UNKNOWN: &str =
    r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}"#;
const FIRST_VERSION: u32 = 100_000;

/// What is told, and how fast.
#[derive(Debug, Clone)]
pub(crate) struct Tale {
    pub(crate) name: String,
    /// An event of a watch of ConfigMaps, with a mark of a [`Stopwatch`].
    pub(crate) event: String,
    pub(crate) each_second: u32,
    pub(crate) times: u32,
    pub(crate) stopwatch: Stopwatch,
}

/// A running server. It ends with the program.
#[derive(Debug)]
pub(crate) struct Replay {
    name: String,
    address: SocketAddr,
    ca: Ca,
}

type Wire = BufReader<StreamOwned<ServerConnection, TcpStream>>;

impl Replay {
    /// Listens on a free port.
    pub(crate) fn start(tale: Tale) -> Result<Self> {
        let ca = Ca::new(&format!("{}-ca", tale.name))?;
        let pair = ca.server(&tale.name, &[])?;
        let chain = CertificateDer::pem_slice_iter(pair.cert.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).context("reading a key")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>()?, key)?;
        let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
        let (name, address) = (tale.name.clone(), listener.local_addr()?);
        let (tls, tale) = (Arc::new(tls), Arc::new(tale));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, tale) = (Arc::clone(&tls), Arc::clone(&tale));
                // A client that leaves ends its thread.
                thread::spawn(move || serve(stream, tls, &tale));
            }
        });
        Ok(Self { name, address, ca })
    }

    /// Its name as a member.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Result<Client> {
        Client::tls(self.address, self.ca.cert(), None)
    }

    /// Writes a kubeconfig of it.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(format!("{}.kubeconfig", self.name));
        let server = format!("https://{}", self.address);
        let credential = Credential::Token("replay");
        let text = kubeconfig::text(&self.name, &server, self.ca.cert(), credential);
        kubeconfig::write(&path, &text)?;
        Ok(path)
    }
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, tale: &Tale) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = BufReader::new(StreamOwned::new(ServerConnection::new(tls)?, stream));
    while let Some(path) = request(&mut wire)? {
        if path.contains("watch=true") {
            return tell(&mut wire, tale);
        }
        let (status, body) = match path.split('?').next().unwrap_or_default() {
            "/livez" | "/readyz" => ("200 OK", "ok"),
            path if path.ends_with("/configmaps") => ("200 OK", EMPTY),
            _ => ("404 Not Found", UNKNOWN),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n");
        let answer = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        wire.get_mut().write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// The path of the next request, whose body is passed over; `None` at the end of the connection.
fn request(wire: &mut Wire) -> Result<Option<String>> {
    let mut line = String::new();
    if wire.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).context("no request line")?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        wire.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    std::io::copy(&mut wire.take(length), &mut std::io::sink())?;
    Ok(Some(path))
}

/// Each event is a chunk and a TLS record of its own, as those of an API server are.
fn tell(wire: &mut Wire, tale: &Tale) -> Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
    wire.get_mut().write_all(format!("{head}\r\n").as_bytes())?;
    let mark = Stopwatch::find(&tale.event).context("no mark in the event")?;
    let version = version(&tale.event).context("no version in the event")?;
    at_pace(tale.each_second, tale.times, |n| {
        let event = tale.event.replace(mark, &tale.stopwatch.mark());
        let event = event.replace(version, &(FIRST_VERSION + n).to_string());
        let chunk = format!("{:x}\r\n{event}\n\r\n", event.len() + 1);
        Ok(wire.get_mut().write_all(chunk.as_bytes())?)
    })?;
    // Until the client leaves.
    wire.read_to_end(&mut Vec::new())?;
    Ok(())
}

fn version(event: &str) -> Option<&str> {
    let (_, rest) = event.split_once(r#""resourceVersion":""#)?;
    rest.split('"').next()
}
