use std::cell::Cell;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use awc::http::Method;
use awc::http::header::HeaderMap;
use h2::server::SendResponse;
use http_02::Response;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::access::AccessSource;
use crate::lane::{READ_LIMIT, STREAM};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a member has seen.
#[derive(Default)]
struct Seen {
    accepted: Cell<usize>,
    live: Cell<usize>,
    /// Bytes of `/flood` that it was allowed to send.
    flooded: Cell<usize>,
}

struct Rig {
    streams: Streams,
    access: Access,
    seen: Rc<Seen>,
}

// === impl Rig ===

impl Rig {
    async fn new(protocol: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = cert.self_signed(&key).unwrap().pem();
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let mut tls =
            ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Rc::<Seen>::default();
        actix::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), Rc::clone(&seen)));
        Self { streams: Streams::default(), access: access(address, &cert).await, seen }
    }

    async fn ask(&self, path: &str) -> Result<Heard, Refusal> {
        let call = Call {
            method: Method::GET,
            path_and_query: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            first_byte: READ_LIMIT,
            patience: STREAM,
        };
        self.streams.send(&self.access, &call, None).await
    }

    async fn open(&self, path: &str) -> Heard {
        let heard = tokio::time::timeout(PATIENCE, self.ask(path)).await.unwrap();
        heard.ok().unwrap()
    }
}

async fn access(address: SocketAddr, ca: &str) -> Access {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), ca).unwrap();
    let kubeconfig = format!(
        r#"{{"apiVersion":"v1","kind":"Config","current-context":"c",
            "clusters":[{{"name":"c","cluster":{{"server":"https://{address}","certificate-authority":"ca.crt"}}}}],
            "users":[{{"name":"c","user":{{}}}}],
            "contexts":[{{"name":"c","context":{{"cluster":"c","user":"c"}}}}]}}"#
    );
    let path = folder.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    AccessSource::Kubeconfig { path, context: None }.open().await.unwrap()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, seen: Rc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Rc::clone(&seen));
        actix::spawn(async move {
            seen.accepted.set(seen.accepted.get() + 1);
            seen.live.set(seen.live.get() + 1);
            let stream = acceptor.accept(stream).await.unwrap();
            if let Ok(mut connection) = h2::server::handshake(stream).await {
                while let Some(Ok((request, answer))) = connection.accept().await {
                    let seen = Rc::clone(&seen);
                    actix::spawn(
                        async move { answered(request.uri().path(), answer, &seen).await },
                    );
                }
            }
            seen.live.set(seen.live.get() - 1);
        });
    }
}

async fn answered(
    path: &str,
    mut answer: SendResponse<Bytes>,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let mut body = answer.send_response(Response::new(()), false)?;
    match path {
        "/word" => body.send_data(Bytes::from("word"), true)?,
        "/flood" => loop {
            body.reserve_capacity(16 << 10);
            let Some(room) = poll_fn(|cx| body.poll_capacity(cx)).await.transpose()? else { break };
            body.send_data(Bytes::from(vec![0; room]), false)?;
            seen.flooded.set(seen.flooded.get() + room);
        },
        _ => drop(poll_fn(|cx| body.poll_reset(cx)).await),
    }
    Ok(())
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[actix_rt::test]
async fn streams_that_are_not_read_do_not_stall_others() {
    let rig = Rig::new("h2").await;
    let mut parked = Vec::new();
    for _ in 1..MAX_STREAMS - 1 {
        parked.push(rig.open("/flood").await);
    }
    let window = usize::try_from(STREAM_WINDOW).unwrap();
    until(|| rig.seen.flooded.get() == parked.len() * window).await;
    let mut heard = rig.open("/word").await;
    let chunk = tokio::time::timeout(PATIENCE, heard.chunks.next()).await.unwrap();
    assert_eq!(chunk.unwrap().unwrap(), "word");
    assert_eq!(rig.seen.accepted.get(), 1);
}

#[actix_rt::test]
async fn connections_are_shared_and_end_with_their_last_stream() {
    let rig = Rig::new("h2").await;
    let opening = (0..=MAX_STREAMS).map(|_| rig.open("/silent"));
    let mut open = futures_util::future::join_all(opening).await;
    assert_eq!((rig.seen.accepted.get(), rig.seen.live.get()), (2, 2));
    let last = open.pop();
    drop(open);
    until(|| rig.seen.live.get() == 1).await;
    drop(last);
    until(|| rig.seen.live.get() == 0).await;
}

#[actix_rt::test]
async fn a_member_without_http_2_is_found_out_once() {
    let rig = Rig::new("http/1.1").await;
    for _ in 0..2 {
        assert!(matches!(rig.ask("/word").await, Err(Refusal::NotSpoken)));
    }
    assert_eq!(rig.seen.accepted.get(), 1);
}
