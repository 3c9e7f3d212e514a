//! The users port: TCP, TLS, a look at the first head, then HTTP/1.1.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Protocol, Request};
use actix_server::{Server, ServerBuilder};
use actix_service::{ServiceFactoryExt as _, fn_service};
use tenbin_fleet::connect;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::authenticate::Credential;
use crate::handler;
use crate::peek::{self, Peeked};
use crate::tls::Serving;
use crate::worker::{Shared, Worker};

/// A client that acknowledges nothing for this long is gone, and its watches with it.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_mins(2);
/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// How long a kept connection may be idle; longer than kubectl's and client-go's 90 s.
const IDLE_LIMIT: Duration = Duration::from_mins(2);
/// How long later heads on a kept connection may take.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// Coalesces the chunks of a merged list into few TLS records (measured in runtime.md).
const WRITE_BUFFER: usize = 256 * 1024;
/// Connections that one worker holds; more wait in the backlog.
const MAX_CONNECTIONS: usize = 10_000;

type Connection = Peeked<TlsStream<TcpStream>>;

/// Serves the users port on `listener` until the returned server is stopped.
///
/// # Errors
/// When the listener cannot be registered.
pub fn serve(
    listener: TcpListener,
    shared: &Arc<Shared>,
    workers: usize,
    drain_limit: Duration,
) -> io::Result<Server> {
    let shared = Arc::clone(shared);
    let server = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(MAX_CONNECTIONS)
        .disable_signals()
        .shutdown_timeout(drain_limit.as_secs())
        .listen("users", listener, move || {
            let worker = Rc::new(Worker::new(Arc::clone(&shared)));
            let handshake = Arc::clone(&shared);
            let draining = shared.draining.clone();
            let http = HttpService::build()
                .keep_alive(IDLE_LIMIT)
                .client_request_timeout(HEAD_LIMIT)
                .client_disconnect_timeout(Duration::from_secs(1))
                // With half-closed connections allowed, a client that leaves would keep its
                // upstream requests (style.md, pitfall 11).
                .h1_allow_half_closed(false)
                .h1_write_buffer_size(WRITE_BUFFER)
                .tcp_nodelay(true)
                // Idle connections end when the daemon does; clients keep them for minutes.
                .graceful_shutdown_signal(move || draining.clone().cancelled_owned())
                .on_connect_ext(|connection: &Connection, extensions: &mut Extensions| {
                    extensions.insert(connection.credential.clone());
                })
                .finish(move |request: Request| handler::handle(Rc::clone(&worker), request));
            fn_service(move |stream: TcpStream| {
                let serving = handshake.certificates.current();
                async move { accept(stream, &serving).await.map_err(DispatchError::Io) }
            })
            .and_then(http)
            .map_init_err(|()| ())
        })?
        .run();
    Ok(server)
}

async fn accept(
    stream: TcpStream,
    serving: &Arc<Serving>,
) -> io::Result<(Connection, Protocol, Option<std::net::SocketAddr>)> {
    connect::tune(&stream, UNACKNOWLEDGED_LIMIT)?;
    let peer = stream.peer_addr().ok();
    let acceptor = TlsAcceptor::from(Arc::clone(&serving.config));
    let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream));
    let mut secured = handshake.await.map_err(|_| io::ErrorKind::TimedOut)??;
    let credential = Credential::of(secured.get_ref().1.peer_certificates(), serving);
    if let Credential::Untrusted(reason) = &credential {
        debug!(?peer, %reason, "client certificate is not trusted");
    }
    secured.get_mut().1.set_buffer_limit(Some(WRITE_BUFFER));
    let connection = peek::first_head(secured, credential).await?;
    Ok((connection, Protocol::Http1, peer))
}
