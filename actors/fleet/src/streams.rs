//! Watches and the like, many on one HTTP/2 connection (`runtime.md`, Lanes).
//!
//! On HTTP/1.1 each would hold a connection of its own: a TLS handshake, and some 40 KiB of buffers.
//! `h2` is used as it is: awc's pool opens a connection for each of many requests at once, and lets
//! one that it forgets send a request that nobody made.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Deref;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use actix_http::error::PayloadError;
use awc::http::header::{AUTHORIZATION, HeaderValue};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http_02::{Request, Uri};
use tokio::sync::Mutex;
use tracing::debug;

use crate::access::Access;
use crate::connect;
use crate::lane::{Call, Heard};

/// Streams on one connection; API servers allow 100 and more.
const MAX_STREAMS: usize = 64;
/// What a member sends of one stream before it is read.
const STREAM_WINDOW: u32 = 256 << 10;
/// What it sends of all of them: none waits for another that is not read.
const WINDOW: u32 = 16 << 20;

/// Why a stream did not begin.
pub(crate) enum Refusal {
    /// The member does not speak HTTP/2, and nothing was asked.
    NotSpoken,
    /// No connection could be made.
    NoConnection(io::Error),
    /// The connection failed before the answer.
    Failed(h2::Error),
}

/// The HTTP/2 connections of one worker to one member. Each lasts as long as its last stream.
#[derive(Default)]
pub(crate) struct Streams {
    connections: RefCell<Vec<Weak<Connection>>>,
    /// One dials, and the others wait to share what it makes.
    dialling: Mutex<()>,
    not_spoken: Cell<bool>,
}

struct Connection {
    sender: SendRequest<Bytes>,
    /// A request on it got no answer: it may be dead, and takes no further ones.
    doubtful: Cell<bool>,
}

/// A connection that is doubtful unless the request that holds this is answered.
struct Asking(Rc<Connection>);

// === impl Streams ===

impl Streams {
    /// Asks, and waits for the head of the answer.
    ///
    /// Dropping the future, or the body, ends the stream at the member.
    pub(crate) async fn send(
        &self,
        access: &Access,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Heard, Refusal> {
        if self.not_spoken.get() {
            return Err(Refusal::NotSpoken);
        }
        let asking = Asking(self.connection(access).await?);
        let sender = asking.sender.clone();
        let mut sender = sender.ready().await.map_err(Refusal::Failed)?;
        let request = request(access, call, authorization).map_err(Refusal::NoConnection)?;
        let (answer, _) = sender.send_request(request, true).map_err(Refusal::Failed)?;
        let (head, body) = answer.await.map_err(Refusal::Failed)?.into_parts();
        let chunks = chunks(body, asking.answered()).boxed_local();
        Ok(Heard { status: head.status, headers: head.headers.into(), chunks })
    }

    /// A connection with room for a stream, which may be a new one.
    async fn connection(&self, access: &Access) -> Result<Rc<Connection>, Refusal> {
        let _one = self.dialling.lock().await;
        if let Some(connection) = self.with_room() {
            return Ok(connection);
        }
        if self.not_spoken.get() {
            return Err(Refusal::NotSpoken);
        }
        let mut tls = rustls::ClientConfig::clone(&access.tls);
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream =
            connect::secured(access, Arc::new(tls)).await.map_err(Refusal::NoConnection)?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            self.not_spoken.set(true);
            return Err(Refusal::NotSpoken);
        }
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(WINDOW);
        let (sender, driver) =
            builder.handshake::<_, Bytes>(stream).await.map_err(Refusal::Failed)?;
        // It ends when the last stream and the last sender are gone.
        actix::spawn(async move {
            if let Err(error) = driver.await {
                debug!(%error, "a connection of streams breaks off");
            }
        });
        let connection = Rc::new(Connection { sender, doubtful: Cell::new(false) });
        self.connections.borrow_mut().push(Rc::downgrade(&connection));
        Ok(connection)
    }

    fn with_room(&self) -> Option<Rc<Connection>> {
        let mut connections = self.connections.borrow_mut();
        connections.retain(|connection| connection.strong_count() > 0);
        let roomy = connections.iter().filter(|it| it.strong_count() < MAX_STREAMS);
        roomy.filter_map(Weak::upgrade).find(|connection| !connection.doubtful.get())
    }
}

// === impl Asking ===

impl Asking {
    fn answered(self) -> Rc<Connection> {
        let connection = Rc::clone(&self.0);
        // The answer may have come behind another's failure.
        let doubtful = connection.doubtful.get();
        drop(self);
        connection.doubtful.set(doubtful);
        connection
    }
}

impl Deref for Asking {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.doubtful.set(true);
    }
}

// === impl Refusal ===

impl Refusal {
    /// Whether the member has not read the request, or may be asked again without harm.
    pub(crate) fn closed_early(error: &h2::Error) -> bool {
        error.is_io() || error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM)
    }
}

fn request(
    access: &Access,
    call: &Call,
    authorization: Option<&HeaderValue>,
) -> Result<Request<()>, io::Error> {
    let mut request = Request::new(());
    *request.method_mut() = call.method.clone();
    let uri = format!("{}{}", access.base, call.path_and_query);
    *request.uri_mut() = Uri::try_from(uri).map_err(io::Error::other)?;
    for (name, value) in &call.headers {
        request.headers_mut().append(name, value.clone());
    }
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
    }
    Ok(request)
}

/// The body, whose end lets go of its place on the connection.
fn chunks(
    body: RecvStream,
    connection: Rc<Connection>,
) -> impl Stream<Item = Result<Bytes, PayloadError>> {
    stream::try_unfold((body, connection), |(mut body, connection)| async move {
        let Some(chunk) = body.data().await.transpose()? else { return Ok(None) };
        body.flow_control().release_capacity(chunk.len())?;
        Ok(Some((chunk, (body, connection))))
    })
}

#[cfg(test)]
mod tests;
