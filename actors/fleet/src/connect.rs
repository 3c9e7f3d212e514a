//! TCP and TLS to a member, as awc wants them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::ParseError;
use actix_service::fn_service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::SendRequestError;
use awc::http::Uri;
use rustls::AlertDescription as Alert;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::access::Access;

/// A member is dead when a connection, or its TLS handshake, takes longer (`reads.md`).
pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// Idle connections are kept for less than the API server's own idle timeout of 90 s.
const KEEP_ALIVE: Duration = Duration::from_mins(1);
const LIFETIME: Duration = Duration::from_hours(1);
/// A peer that acknowledges nothing for this long loses the connection.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(20);

/// rustls alone reads 4 KiB at a time, a quarter of a record (rustls 0.23 `deframer/buffers.rs`).
const READ_BUFFER: usize = 16 * 1024;

/// A client whose connections all lead to one member; it belongs to the thread that made it.
pub fn client(access: &Access) -> awc::Client {
    let (host, port) = (access.host.clone(), access.port);
    let dial = fn_service(move |info: ConnectInfo<Uri>| {
        let host = host.clone();
        async move {
            let stream = dial(&host, port).await.map_err(ConnectError::Io)?;
            let stream = BufReader::with_capacity(READ_BUFFER, stream);
            Ok::<_, ConnectError>(Connection::new(info.request().clone(), stream))
        }
    });
    let connector = awc::Connector::new()
        .connector(dial)
        .rustls_0_23(Arc::clone(&access.tls))
        .timeout(CONNECT_LIMIT)
        .handshake_timeout(CONNECT_LIMIT)
        // Admission counts in the Forwarder, over all workers.
        .limit(0)
        .conn_keep_alive(KEEP_ALIVE)
        .conn_lifetime(LIFETIME);
    awc::Client::builder()
        .connector(connector)
        .no_default_headers()
        .disable_redirects()
        .disable_timeout()
        .finish()
}

/// A fresh connection to a member, with `tls` as the access has it, or nearly so.
pub(crate) async fn secured(
    access: &Access,
    tls: Arc<rustls::ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let named = Uri::try_from(access.base.as_str()).map_err(io::Error::other)?;
    let name = named.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let dialling = dial(&access.host, access.port);
    let stream = tokio::time::timeout(CONNECT_LIMIT, dialling).await.map_err(late)??;
    let handshake = TlsConnector::from(tls).connect(name, stream);
    tokio::time::timeout(CONNECT_LIMIT, handshake).await.map_err(late)?
}

async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    // A dead first address must leave time for the others.
    let each = CONNECT_LIMIT / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match tokio::time::timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tune(&stream, UNACKNOWLEDGED_LIMIT)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Sets what every socket of tenbin has: no delay, and an end when the other side is gone.
///
/// A peer that acknowledges nothing for `unacknowledged` loses the connection.
pub fn tune(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    // awc leaves Nagle's algorithm on: a delayed acknowledgement costs 40 ms (runtime.md).
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(unacknowledged))
}

/// Whether a request failed because one side does not trust the other's certificate.
///
/// In TLS 1.3 a server's refusal of ours comes behind the handshake, with the first read. It has
/// not seen the request then.
pub(crate) fn is_untrusted(error: &SendRequestError) -> bool {
    let (SendRequestError::Connect(awc::error::ConnectError::Io(error))
    | SendRequestError::Send(error)
    | SendRequestError::Response(ParseError::Io(error))) = error
    else {
        return false;
    };
    is_distrust(error)
}

/// Whether an error of a connection says that one side does not trust the other's certificate.
pub(crate) fn is_distrust(error: &io::Error) -> bool {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => true,
        Some(rustls::Error::AlertReceived(alert)) => matches!(
            alert,
            Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::CertificateRequired
                // Of an authority that was made anew under its old name.
                | Alert::DecryptError
        ),
        Some(_) | None => false,
    }
}
