//! Short requests with an end: bounded in number, in time and in the size of the answer.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_service::fn_service;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::ClientRequest;
use awc::http::{StatusCode, Uri};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tenbin_fleet::connect::{CONNECT_LIMIT, tune};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::budget::Budget;

/// Requests under way at once.
pub(super) const PLACES: usize = 32;
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(3);
/// The longest answer of a predictor or BMC.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Shorter than the 5 s of uvicorn: a connection that the server is about to close would fail a
/// round.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(10);
/// The longest text of a foreign error that is shown.
const SHOWN: usize = 100;

/// A client of one thread.
pub(super) struct Web {
    client: awc::Client,
    places: Semaphore,
    answer_limit: usize,
    requests: Cell<u64>,
}

/// Why a request brought nothing; it continues a sentence that names who was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// No answer came.
    #[error("does not answer: {0}")]
    Silent(String),
    /// Others took all the time.
    #[error("was not asked: no time was left")]
    Late,
    /// An answer, but not of success.
    #[error("answers {0}")]
    Status(StatusCode),
    /// An answer that says nothing.
    #[error("{0}")]
    Unusable(String),
}

/// Why predictors cannot be spoken to by TLS.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PredictorTlsError {
    #[error("cannot read the predictors' authorities {path}: {reason}")]
    ReadFile { path: PathBuf, reason: String },
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("{path} holds a certificate that cannot be an authority")]
    Unusable { path: PathBuf, source: rustls::Error },
}

// === impl Refusal ===

impl Refusal {
    /// Whether asking for less gains nothing.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Silent(_) | Self::Late => true,
            Self::Status(_) | Self::Unusable(_) => false,
        }
    }
}

// === impl Web ===

impl Web {
    /// A client for predictors and BMCs.
    pub(super) fn outward(tls: Arc<rustls::ClientConfig>) -> Self {
        let connector = awc::Connector::new()
            .connector(fn_service(|info: ConnectInfo<Uri>| async move {
                let stream = dial(info.request()).await.map_err(ConnectError::Io)?;
                Ok::<_, ConnectError>(Connection::new(info.request().clone(), stream))
            }))
            .rustls_0_23(tls)
            .timeout(CONNECT_LIMIT)
            .handshake_timeout(CONNECT_LIMIT)
            .limit(0)
            .conn_keep_alive(KEEP_ALIVE);
        let client = awc::Client::builder()
            .connector(connector)
            // Credentials are for the server that they were given for.
            .disable_redirects()
            .disable_timeout()
            .finish();
        Self::new(client, ANSWER_LIMIT)
    }

    pub(super) fn new(client: awc::Client, answer_limit: usize) -> Self {
        Self { client, places: Semaphore::new(PLACES), answer_limit, requests: Cell::new(0) }
    }

    /// Makes the requests.
    pub(super) fn client(&self) -> &awc::Client {
        &self.client
    }

    /// Requests that were sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Sends a request and reads the whole answer. Cancellation safe.
    pub(super) async fn fetch(
        &self,
        request: ClientRequest,
        body: Option<Bytes>,
        budget: &Budget,
    ) -> Result<Bytes, Refusal> {
        let place = budget.limit(Duration::MAX, self.places.acquire()).await;
        let _place = place.and_then(Result::ok).ok_or(Refusal::Late)?;
        self.requests.set(self.requests.get() + 1);
        let patience = budget.left().min(REQUEST_LIMIT);
        let exchange = async {
            let sent = match body {
                Some(body) => request.send_body(body),
                None => request.send(),
            };
            let mut response = sent.await.map_err(silent)?;
            if !response.status().is_success() {
                return Err(Refusal::Status(response.status()));
            }
            response.body().limit(self.answer_limit).await.map_err(|error| match error {
                awc::error::PayloadError::Overflow => {
                    Refusal::Unusable(format!("answers more than {} bytes", self.answer_limit))
                }
                error => silent(error),
            })
        };
        budget.limit(REQUEST_LIMIT, exchange).await.unwrap_or_else(|| {
            Err(Refusal::Silent(format!("silent for {:.1} s", patience.as_secs_f64())))
        })
    }
}

async fn dial(uri: &Uri) -> std::io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let encrypted = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    tune(&stream, UNACKNOWLEDGED_LIMIT)?;
    Ok(stream)
}

fn silent(error: impl std::fmt::Display) -> Refusal {
    Refusal::Silent(error.to_string().chars().take(SHOWN).collect())
}

/// An endpoint as a reason may show it: without what may be a secret.
pub(super) fn shown(endpoint: &str) -> String {
    let plain = endpoint.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = rest.strip_prefix(authority).unwrap_or_default();
    let url = if scheme.is_empty() {
        format!("{host}{path}")
    } else {
        format!("{scheme}://{host}{path}")
    };
    url.chars().take(SHOWN).collect()
}

/// TLS towards predictors and BMCs: verified by the authorities of a PEM file, else the system's.
///
/// Blocks for the reading of files.
pub fn predictor_tls(ca: Option<&Path>) -> Result<Arc<rustls::ClientConfig>, PredictorTlsError> {
    let mut roots = rustls::RootCertStore::empty();
    match ca {
        Some(path) => {
            let unreadable = |error: rustls::pki_types::pem::Error| PredictorTlsError::ReadFile {
                path: path.to_owned(),
                reason: error.to_string(),
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                roots.add(certificate.map_err(unreadable)?).map_err(|source| {
                    PredictorTlsError::Unusable { path: path.to_owned(), source }
                })?;
            }
            if roots.is_empty() {
                return Err(PredictorTlsError::NoCertificate { path: path.to_owned() });
            }
        }
        // A system without authorities is no error: predictors may speak plain HTTP.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let mut tls =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}
