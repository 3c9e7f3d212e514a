//! A request that asks a member to leave HTTP (RFC 9110 section 7.8), as exec, attach and
//! port-forward do, on a connection of its own; and the bytes that go both ways afterwards.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BodySize;
use actix_http::error::{ParseError, PayloadError};
use actix_http::h1::{ClientCodec, Message, MessageType};
use actix_http::{ConnectionType, RequestHead, RequestHeadType, ResponseHead, StatusCode};
use awc::http::Uri;
use awc::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use tenbin_kernel::Slot;
use tenbin_model::ids::ClusterName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, AnswerBody};
use crate::connect;
use crate::fault::Fault;
use crate::forwarder::Forwarder;
use crate::lane::{
    Call, PROMPT, STREAM, WRITE_LIMIT, admit, answered, authorization, doubted, lives, lost, unsent,
};
use crate::member::Member;
use crate::patience::Patience;
use crate::places::{Kind, Ticket};

/// What is on its way in one direction.
const BUFFER: usize = 32 * 1024;
/// How long the member may be silent once the client has sent its last: API servers end at once.
const AFTERMATH: Patience =
    Patience { silence: STREAM.silence, limit: Some(Duration::from_secs(30)) };
/// How long a client may take to close after the member's last byte. If it were not waited for, the
/// kernel would answer what it still sends with a reset, which destroys what it has not read.
const LINGER: Duration = Duration::from_secs(2);

type Io = TlsStream<TcpStream>;

/// What a member answered to an [`upgrade`].
pub enum Reply {
    /// 101: the connection speaks another protocol from now on.
    Switched(Box<Tunnel>),
    /// Anything else.
    Ordinary(Answer),
}

/// A connection that has left HTTP. Dropping it cuts it.
pub struct Tunnel {
    /// The headers of the 101.
    pub headers: HeaderMap,
    member: ClusterName,
    io: Io,
    /// What the member has sent behind the 101.
    early: BytesMut,
    forwarder: Slot<Forwarder>,
    _ticket: Ticket,
}

/// Sends `call`, whose headers name an upgrade, on a fresh connection.
///
/// Its body is not sent, and no byte of the new protocol before the member has agreed to it: a
/// member that did not would read those bytes as requests of the daemon's own. Dropping the future
/// closes the connection.
pub async fn upgrade(member: &Arc<Member>, call: Call) -> Result<Reply, Fault> {
    let ticket = admit(member, Kind::Stream).await?;
    let authorization = authorization(member).await?;
    let unsent = |error: io::Error| unsent(member, error.to_string()).fault;
    let dial = || connect::secured(&member.access, Arc::clone(&member.access.tls));
    let mut dialled = dial().await;
    if dialled.is_err() && lives(member).await {
        dialled = dial().await;
    }
    let io = dialled.map_err(unsent)?;
    let mut framed = Framed::new(io, ClientCodec::default());
    let patience = Patience { silence: PROMPT.silence, limit: call.first_byte.or(WRITE_LIMIT) };
    let patience_with_body = call.patience;
    let head = head(member, call, authorization)?;
    let exchanged = tokio::select! {
        biased;
        answer = exchange(&mut framed, head) => answer,
        reason = patience.ends(&member.forwarder) => return Err(lost(member, reason, false).fault),
    };
    let answer = exchanged.map_err(|error| match error {
        // In TLS 1.3 a refusal of our certificate comes with the first read.
        ParseError::Io(error) if connect::is_distrust(&error) => unsent(error),
        error => lost(member, error.to_string(), false).fault,
    })?;
    if let Some(fault) = doubted(member, answer.status).await {
        return Err(fault);
    }
    answered(member);
    let headers = answer.headers().clone();
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        let parts = framed.into_parts();
        return Ok(Reply::Switched(Box::new(Tunnel {
            headers,
            member: member.name.clone(),
            io: parts.io,
            early: parts.read_buf,
            forwarder: member.forwarder.clone(),
            _ticket: ticket,
        })));
    }
    let body = AnswerBody {
        member: member.name.clone(),
        chunks: chunks(framed).boxed_local(),
        patience: patience_with_body,
        forwarder: member.forwarder.clone(),
        _ticket: ticket,
    };
    Ok(Reply::Ordinary(Answer {
        member: member.name.clone(),
        status: answer.status,
        headers,
        body,
    }))
}

fn head(
    member: &Member,
    call: Call,
    authorization: Option<HeaderValue>,
) -> Result<RequestHead, Fault> {
    let fails = |reason: String| Fault::NoCredentials { member: member.name.clone(), reason };
    let url = format!("{}{}", member.access.base, call.path_and_query);
    let mut head = RequestHead::default();
    head.uri = Uri::try_from(url).map_err(|error| fails(error.to_string()))?;
    head.method = call.method;
    head.headers = call.headers;
    let host = head.uri.authority().map(ToString::to_string).unwrap_or_default();
    let host = HeaderValue::try_from(host).map_err(|error| fails(error.to_string()))?;
    head.headers.insert(HOST, host);
    if let Some(value) = authorization {
        head.headers.insert(AUTHORIZATION, value);
    }
    head.set_connection_type(ConnectionType::Upgrade);
    Ok(head)
}

async fn exchange(
    framed: &mut Framed<Io, ClientCodec>,
    head: RequestHead,
) -> Result<ResponseHead, ParseError> {
    let message = Message::Item((RequestHeadType::from(head), BodySize::None));
    framed.send(message).await.map_err(ParseError::Io)?;
    let closed = || ParseError::Io(io::Error::other("connection closed before the answer"));
    framed.next().await.ok_or_else(closed)?
}

/// The body of an ordinary answer.
fn chunks(
    framed: Framed<Io, ClientCodec>,
) -> impl futures_util::Stream<Item = Result<Bytes, PayloadError>> {
    let kind = framed.codec().message_type();
    let until_closed = matches!(kind, MessageType::Stream);
    let framed = (!matches!(kind, MessageType::None))
        .then(|| framed.map_codec(ClientCodec::into_payload_codec));
    stream::try_unfold(framed, move |framed| async move {
        let Some(mut framed) = framed else { return Ok(None) };
        match framed.next().await.transpose()? {
            Some(Some(chunk)) => Ok(Some((chunk, Some(framed)))),
            Some(None) => Ok(None),
            None if until_closed => Ok(None),
            None => Err(PayloadError::Incomplete(None)),
        }
    })
}

// === impl Tunnel ===

impl Tunnel {
    /// Moves bytes both ways until the member has sent its last.
    ///
    /// The end of what the client sends is passed on, and the member may go on for a while. It may
    /// be silent for as long as it likes while it lives.
    pub async fn splice<C>(self, client: C) -> Result<(), Fault>
    where
        C: AsyncRead + AsyncWrite,
    {
        let Self { member, io, early, forwarder, .. } = self;
        let (mut from_member, mut to_member) = tokio::io::split(io);
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let client_ended = CancellationToken::new();
        let up = async {
            let never = || std::future::pending();
            // However it ended: what the member still has to say is said by the other direction.
            copy(&mut from_client, &mut to_member, BytesMut::new(), never).await.ok();
            to_member.shutdown().await.ok();
            client_ended.cancel();
            std::future::pending::<()>().await;
        };
        let down = async {
            let silence = || silence(&forwarder, &client_ended);
            copy(&mut from_member, &mut to_client, early, silence).await?;
            to_client.shutdown().await.map_err(|error| error.to_string())
        };
        let lost = |reason| Fault::Lost { member, reason };
        tokio::select! {
            ended = down => ended.map_err(lost)?,
            () = up => {}
        }
        let mut rest = tokio::io::sink();
        let lingering = tokio::io::copy(&mut from_client, &mut rest);
        // Nobody is left who could be told how this ended.
        tokio::time::timeout(LINGER, lingering).await.ok();
        Ok(())
    }
}

/// Resolves when a silence of the member that begins now has lasted too long; tells why.
async fn silence(forwarder: &Slot<Forwarder>, client_ended: &CancellationToken) -> String {
    let aftermath = async {
        client_ended.cancelled().await;
        AFTERMATH.ends(forwarder).await
    };
    tokio::select! {
        reason = STREAM.ends(forwarder) => reason,
        reason = aftermath => reason,
    }
}

/// Copies `buffer`, and then what comes, until the end of `from` or of a silence of it.
async fn copy<R, W, S>(
    from: &mut R,
    to: &mut W,
    mut buffer: BytesMut,
    silence: impl Fn() -> S,
) -> Result<(), String>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    S: Future<Output = String>,
{
    let failed = |error: io::Error| error.to_string();
    loop {
        if !buffer.is_empty() {
            to.write_all(&buffer).await.map_err(failed)?;
            // TLS may hold bytes back.
            to.flush().await.map_err(failed)?;
            buffer.clear();
        }
        buffer.reserve(BUFFER);
        let silence = pin!(silence());
        let read = tokio::select! {
            biased;
            read = from.read_buf(&mut buffer) => read.map_err(failed)?,
            reason = silence => return Err(reason),
        };
        if read == 0 {
            return Ok(());
        }
    }
}
