//! The users and peers ports: TCP, TLS, a look at the first head, then HTTP/1.1.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Protocol, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{Service as _, ServiceFactory, fn_factory, fn_service};
use tenbin_fleet::connect;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::authenticate::Credential;
use crate::handler::Users;
use crate::peek::{self, Peeked};
use crate::peers::PeersPort;
use crate::tls::{Certificates, Serving};
use crate::upgrade::Lead;
use crate::worker::{Shared, Worker};
use crate::{handler, peers, upgrade};

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

/// Serves the users port on `users`, and the peers port if there is one, until the returned server
/// is stopped.
///
/// # Errors
/// When a listener cannot be registered.
pub fn serve(
    users: TcpListener,
    peers: Option<(TcpListener, Arc<PeersPort>)>,
    shared: &Arc<Shared>,
    workers: usize,
    drain_limit: Duration,
) -> io::Result<Server> {
    let of_users = Arc::clone(shared);
    let mut builder = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(MAX_CONNECTIONS)
        .disable_signals()
        .shutdown_timeout(drain_limit.as_secs())
        .listen("users", users, move || {
            service(&of_users, &of_users.certificates, handler::handle, Users)
        })?;
    if let Some((listener, port)) = peers {
        let shared = Arc::clone(shared);
        builder = builder.listen("peers", listener, move || {
            let handled = Arc::clone(&port);
            let handle =
                move |worker, request| peers::handle(Arc::clone(&handled), worker, request);
            service(&shared, &port.certificates, handle, Arc::clone(&port))
        })?;
    }
    Ok(builder.run())
}

/// What one worker does with the connections of one port.
fn service<H, F, L>(
    shared: &Arc<Shared>,
    certificates: &Arc<Certificates>,
    handle: H,
    lead: L,
) -> impl ServiceFactory<TcpStream, Config = (), InitError = ()> + use<H, F, L>
where
    H: Fn(Rc<Worker>, Request) -> F + Clone + 'static,
    F: Future<Output = Result<Response<BoxBody>, Infallible>> + 'static,
    L: Lead + Clone + 'static,
{
    let worker = Rc::new(Worker::new(Arc::clone(shared)));
    let of_upgrades = Rc::clone(&worker);
    let certificates = Arc::clone(certificates);
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
        .finish(move |request: Request| handle(Rc::clone(&worker), request));
    fn_factory(move || {
        let made = http.new_service(());
        let (certificates, lead) = (Arc::clone(&certificates), lead.clone());
        let worker = Rc::clone(&of_upgrades);
        async move {
            let http = Rc::new(made.await?);
            Ok(fn_service(move |stream: TcpStream| {
                let (serving, http) = (certificates.current(), Rc::clone(&http));
                let (worker, lead) = (Rc::clone(&worker), lead.clone());
                async move {
                    let (mut connection, peer) =
                        accept(stream, &serving).await.map_err(DispatchError::Io)?;
                    match connection.take_upgrade(peer) {
                        Some(asking) => {
                            // Of its own: ordinary connections need not hold the room for it.
                            Box::pin(upgrade::serve(&lead, worker, asking, connection)).await;
                            Ok(())
                        }
                        None => http.call((connection, Protocol::Http1, peer)).await,
                    }
                }
            }))
        }
    })
}

async fn accept(
    stream: TcpStream,
    serving: &Arc<Serving>,
) -> io::Result<(Connection, Option<SocketAddr>)> {
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
    Ok((connection, peer))
}
