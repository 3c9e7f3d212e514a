//! Requests that leave HTTP: exec, attach, port-forward, and what applications speak behind a proxy.
//!
//! actix gives a raw stream for WebSocket only, and kubectl before 1.31 speaks SPDY. So the first
//! request of a connection is served here when it asks for an upgrade; clients open a connection
//! for each. Its head passes the same rules as all others; what follows it is not looked at.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use actix_http::{Method, Uri};
use bytes::Bytes;
use tenbin_fleet::answer::Answer;
use tenbin_fleet::member::Member;
use tenbin_fleet::tunnel::{self, Reply, Tunnel};
use tenbin_model::request::headers::Connection;
use tenbin_model::request::upgrade::{answer_head, is_asked};
use tenbin_model::status::{Reason, Status};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::asked::Asked;
use crate::audit::Audit;
use crate::authenticate::Credential;
use crate::pass;
use crate::peek::{self, MAX_HEADERS};
use crate::places::Place;
use crate::router::RouteTable;
use crate::worker::Worker;

/// How long a stream may take to end by itself when the daemon drains.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// A request that asks to leave HTTP, the first of its connection.
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// What the client showed when it connected.
    pub(crate) credential: Credential,
    pub(crate) peer: Option<SocketAddr>,
}

/// Where an allowed one goes.
pub(crate) struct Destination {
    pub(crate) asked: Asked,
    pub(crate) member: Arc<Member>,
    /// The raw path there.
    pub(crate) path: String,
    /// One of the caller's; at the peers port the sender has counted.
    pub(crate) place: Option<Place>,
}

/// The rules of a port.
pub(crate) trait Lead {
    /// Where the request goes, or why it goes nowhere.
    async fn lead(
        &self,
        worker: Rc<Worker>,
        table: Arc<RouteTable>,
        asking: &Asking,
        audit: &mut Audit,
    ) -> Result<Destination, Status>;
}

// === impl Asking ===

impl Asking {
    /// Reads a whole and legal head; `None` where it asks for no upgrade. Tells its length, too.
    pub(crate) fn read(
        head: &[u8],
        credential: &Credential,
        peer: Option<SocketAddr>,
    ) -> Option<(Self, usize)> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut lines);
        let Ok(httparse::Status::Complete(length)) = request.parse(head) else { return None };
        let mut headers = HeaderMap::new();
        for line in request.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(line.value).ok()?);
        }
        let of_connection = headers.get_all(CONNECTION).map(HeaderValue::as_bytes);
        // HTTP/1.0 knows no upgrades.
        if request.version != Some(1) {
            return None;
        }
        if !headers.contains_key(UPGRADE) || !is_asked(&Connection::named(of_connection)) {
            return None;
        }
        let method = Method::from_bytes(request.method?.as_bytes()).ok()?;
        let uri = Uri::try_from(request.path?).ok()?;
        Some((Self { method, uri, headers, credential: credential.clone(), peer }, length))
    }

    /// The request of a caller who is known.
    pub(crate) fn asked(
        &self,
        worker: Rc<Worker>,
        table: Arc<RouteTable>,
        caller: tenbin_model::identity::Caller,
    ) -> Asked {
        Asked {
            worker,
            table,
            caller,
            method: self.method.clone(),
            path: self.uri.path().to_owned(),
            query: self.uri.query().unwrap_or_default().to_owned(),
            headers: self.headers.clone(),
            body: Bytes::new(),
        }
    }

    /// What would stand between the head and the other protocol.
    fn has_body(&self) -> bool {
        let length = self.headers.get(CONTENT_LENGTH);
        self.headers.contains_key(TRANSFER_ENCODING) || length.is_some_and(|length| length != "0")
    }
}

/// Serves the one request of a connection, to the end of both.
pub(crate) async fn serve<Io>(lead: &impl Lead, worker: Rc<Worker>, asking: Asking, mut client: Io)
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let shared = Arc::clone(&worker.shared);
    let path = asking.uri.path().to_owned();
    let mut audit = Audit::begin(&shared.clock, asking.method.clone(), path, asking.peer);
    let ended = match open(lead, worker, &asking, &mut audit).await {
        Ok((Reply::Switched(tunnel), _place)) => {
            audit.code = Some(101);
            switched(tunnel, client, shared.draining.clone()).await
        }
        Ok((Reply::Ordinary(answer), _place)) => {
            audit.code = Some(answer.status.as_u16());
            ordinary(answer, client).await
        }
        Err(status) => {
            audit.code = Some(status.code);
            peek::refuse(&mut client, &status).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "stream was cut");
    }
}

async fn open(
    lead: &impl Lead,
    worker: Rc<Worker>,
    asking: &Asking,
    audit: &mut Audit,
) -> Result<(Reply, Option<Place>), Status> {
    let table = worker.table();
    let Destination { asked, member, path, place } =
        lead.lead(worker, table, asking, audit).await?;
    if asking.has_body() {
        let message = "a request that asks for an upgrade has no body";
        return Err(Status::new(Reason::BadRequest, message));
    }
    let target = crate::asked::target(&path, &asked.query);
    let mut call = asked.call(&member, target, Bytes::new())?;
    if let Some(protocol) = asked.headers.get(UPGRADE) {
        call.headers.insert(UPGRADE, protocol.clone());
    }
    let reply = tunnel::upgrade(&member, call).await.map_err(|fault| fault.to_status())?;
    Ok((reply, place))
}

async fn switched<Io>(
    tunnel: Box<Tunnel>,
    mut client: Io,
    draining: CancellationToken,
) -> io::Result<()>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let mut headers = pass::to_client(&tunnel.headers);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = tunnel.headers.get(UPGRADE) {
        headers.insert(UPGRADE, protocol.clone());
    }
    client.write_all(&head(101, "Switching Protocols", &headers)).await?;
    client.flush().await?;
    let drained = async {
        draining.cancelled().await;
        tokio::time::sleep(DRAIN_LIMIT).await;
    };
    tokio::select! {
        ended = tunnel.splice(client) => ended.map_err(io::Error::other),
        () = drained => Err(io::Error::other("the daemon ends")),
    }
}

/// A member's answer that agrees to nothing, and the end of the connection behind it.
async fn ordinary<Io>(answer: Answer, mut client: Io) -> io::Result<()>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let mut headers = pass::to_client(&answer.headers);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    let reason = answer.status.canonical_reason().unwrap_or_default();
    client.write_all(&head(answer.status.as_u16(), reason, &headers)).await?;
    let mut body = answer.body;
    while let Some(chunk) = body.next().await.map_err(io::Error::other)? {
        if chunk.is_empty() {
            // It would be read as the last.
            continue;
        }
        client.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
        client.write_all(&chunk).await?;
        client.write_all(b"\r\n").await?;
    }
    client.write_all(b"0\r\n\r\n").await?;
    client.shutdown().await
}

fn head(code: u16, reason: &str, headers: &HeaderMap) -> Vec<u8> {
    let lines = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    answer_head(code, reason, lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(head: &str) -> Option<(Asking, usize)> {
        Asking::read(head.as_bytes(), &Credential::None, None)
    }

    #[test]
    fn a_head_that_asks_for_an_upgrade_is_taken_out() {
        let head = "POST /api/v1/namespaces/d/pods/p/exec?command=a%20b HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n";
        let (asking, length) = read(&format!("{head}early bytes")).unwrap();
        assert_eq!(length, head.len());
        assert_eq!(asking.method, Method::POST);
        assert_eq!(asking.uri, "/api/v1/namespaces/d/pods/p/exec?command=a%20b");
        assert_eq!(asking.headers.get(UPGRADE).unwrap(), "SPDY/3.1");
        assert!(!asking.has_body());
    }

    #[test]
    fn other_heads_are_left_to_actix() {
        for head in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
            "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nConnection: keep-alive\r\nUpgrade: websocket\r\n\r\n",
        ] {
            assert!(read(head).is_none(), "{head}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_out_is_a_head_and_nothing_else(
            before in "(GET|POST) /[a-z?=%0-9]{0,20} HTTP/1.1\r\nUpgrade: [a-z]{1,9}\r\nConnection: upgrade\r\n",
            lines in prop::collection::vec("([a-z]{1,8}: [ -~]{0,20})?\r\n", 0..4),
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let head = format!("{before}{}", lines.concat());
            let all = [head.as_bytes(), b"\r\n", &behind].concat();
            if let Some((_, length)) = Asking::read(&all, &Credential::None, None) {
                prop_assert!(all[..length].ends_with(b"\r\n\r\n"));
                prop_assert!(!all[..length - 4].windows(4).any(|four| four == b"\r\n\r\n"));
            }
        }
    }

    #[test]
    fn a_body_before_the_other_protocol_is_seen() {
        for line in ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 00"] {
            let head = format!(
                "POST /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{line}\r\n\r\n"
            );
            assert!(read(&head).unwrap().0.has_body(), "{line}");
        }
    }
}
