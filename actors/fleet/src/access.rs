//! A kubeconfig or a peer's port, made into what a connection needs: address, TLS, credentials.

mod peer;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use kube::client::{Body, ConfigExt as _};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tower::{Layer as _, ServiceExt as _};

pub use self::peer::{Endpoint, PeerSource, Trust, password};

/// Where the credentials of a member come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessSource {
    /// The service account of the Pod that tenbin runs in.
    InCluster,
    /// A context of a kubeconfig file; the current one where `context` is `None`.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The context.
        context: Option<String>,
    },
    /// The peers port of its own tenbin, or of the original program.
    Peer(PeerSource),
}

/// How a member's API server, or the peers port before it, is reached.
#[derive(Clone)]
pub struct Access {
    /// `https://host:port/prefix`, the host as the certificate names it.
    pub base: String,
    /// The host to dial; it differs from `base` where `tls-server-name` is set.
    pub host: String,
    /// The port to dial.
    pub port: u16,
    /// TLS with verification and the daemon's certificate, HTTP/1.1 only.
    pub tls: Arc<rustls::ClientConfig>,
    /// The daemon's own bearer token, where it has one.
    pub credentials: Credentials,
    /// Whether its long lists are asked for compressed.
    ///
    /// Compression takes both ends more time than a fast network does. So, other than kubectl,
    /// tenbin asks for it only where the kubeconfig says `disable-compression: false`, as for a
    /// cluster that is far away.
    pub zips: bool,
    /// The same access for kube's client.
    pub config: kube::Config,
    /// Changes with the kubeconfig's text and context, and with the files of its certificates and
    /// passwords.
    pub fingerprint: u64,
}

/// Gives the `Authorization` header of the daemon itself, renewing tokens as kube does.
#[derive(Clone)]
pub struct Credentials {
    layer: Option<Arc<kube::client::middleware::AuthLayer>>,
}

/// Why a kubeconfig leads nowhere.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AccessError {
    #[error("cannot read kubeconfig {path}")]
    ReadFile { path: PathBuf, source: std::io::Error },
    #[error("cannot parse kubeconfig {path}")]
    ParseFile { path: PathBuf, source: Box<kube::config::KubeconfigError> },
    #[error("kubeconfig {path} has no usable context")]
    SelectContext { path: PathBuf, source: Box<kube::config::KubeconfigError> },
    #[error("cannot read {path}")]
    ReadTrust { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("{path} must hold one line: the password")]
    NoPassword { path: PathBuf },
    #[error("no service account is mounted: give a kubeconfig")]
    InCluster(#[source] Box<kube::config::InClusterError>),
    #[error("insecure-skip-tls-verify is set, and TLS is always verified: name the CA instead")]
    Unverified,
    #[error("proxy-url is set, and tenbin connects straight only")]
    Proxied,
    #[error("the credentials were not built to the end")]
    Aborted,
    #[error("the server {0:?} is not https")]
    NotHttps(String),
    #[error("cannot build the TLS configuration")]
    Tls(#[source] Box<kube::Error>),
    #[error("cannot use the credentials")]
    Credentials(#[source] Box<kube::Error>),
}

/// The token could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot obtain the daemon's token: {0}")]
pub struct CredentialsError(String);

// === impl AccessSource ===

impl AccessSource {
    /// Reads the source.
    pub async fn open(&self) -> Result<Access, AccessError> {
        match self {
            Self::InCluster => {
                let config = kube::Config::incluster()
                    .map_err(|error| AccessError::InCluster(Box::new(error)))?;
                Access::build(config, 0).await
            }
            Self::Kubeconfig { path, context } => open_file(path, context.clone()).await,
            Self::Peer(peer) => peer.open().await,
        }
    }
}

async fn open_file(path: &Path, context: Option<String>) -> Result<Access, AccessError> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| AccessError::ReadFile { path: path.to_owned(), source })?;
    // Reading through kube resolves certificate paths relative to the file.
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| AccessError::ParseFile {
        path: path.to_owned(),
        source: Box::new(error),
    })?;
    let mut hasher = DefaultHasher::new();
    (&text, &context).hash(&mut hasher);
    let zips = zips(&kubeconfig, context.as_deref());
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| {
            AccessError::SelectContext { path: path.to_owned(), source: Box::new(error) }
        })?;
    // Files that the kubeconfig names; the token file is read again by itself.
    config.root_cert.hash(&mut hasher);
    let auth = &config.auth_info;
    for path in [&auth.client_certificate, &auth.client_key].into_iter().flatten() {
        tokio::fs::read(path).await.unwrap_or_default().hash(&mut hasher);
    }
    Ok(Access { zips, ..Access::build(config, hasher.finish()).await? })
}

/// Whether a kubeconfig says that answers shall be compressed.
fn zips(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let name = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|it| Some(it.name.as_str()) == name);
    let cluster = context.and_then(|it| it.context.as_ref()).map(|it| &it.cluster);
    let cluster = kubeconfig.clusters.iter().find(|it| Some(&it.name) == cluster);
    cluster.and_then(|it| it.cluster.as_ref()?.disable_compression) == Some(false)
}

// === impl Access ===

impl Access {
    /// Builds the access on a thread that may block: a credential plugin is run to its end.
    async fn build(config: kube::Config, fingerprint: u64) -> Result<Self, AccessError> {
        tokio::task::spawn_blocking(move || Self::new(config, fingerprint))
            .await
            .unwrap_or(Err(AccessError::Aborted))
    }

    fn new(config: kube::Config, fingerprint: u64) -> Result<Self, AccessError> {
        if config.accept_invalid_certs {
            return Err(AccessError::Unverified);
        }
        if config.proxy_url.is_some() {
            return Err(AccessError::Proxied);
        }
        let url = config.cluster_url.clone();
        let host = url.host().filter(|_| url.scheme_str() == Some("https"));
        let Some(host) = host.map(|host| host.trim_matches(['[', ']']).to_owned()) else {
            return Err(AccessError::NotHttps(url.to_string()));
        };
        let port = url.port_u16().unwrap_or(443);
        let named = config.tls_server_name.as_deref().unwrap_or_else(|| url.host().unwrap_or(""));
        let base = format!("https://{named}:{port}{}", url.path().trim_end_matches('/'));
        let mut tls =
            config.rustls_client_config().map_err(|error| AccessError::Tls(Box::new(error)))?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let layer =
            config.auth_layer().map_err(|error| AccessError::Credentials(Box::new(error)))?;
        let credentials = Credentials { layer: layer.map(Arc::new) };
        let tls = Arc::new(tls);
        Ok(Self { base, host, port, tls, credentials, zips: false, config, fingerprint })
    }
}

// === impl Credentials ===

impl Credentials {
    /// The value of `Authorization`, or `None` where the daemon has only its certificate.
    ///
    /// A token from a file or a plugin is renewed when it is due.
    pub async fn authorization(&self) -> Result<Option<http::HeaderValue>, CredentialsError> {
        let Some(layer) = &self.layer else { return Ok(None) };
        // kube keeps its token sources behind a tower layer; an inner service that hands the
        // header back is the way to ask them.
        let reveal = tower::service_fn(|request: http::Request<Body>| async move {
            let header = request.headers().get(AUTHORIZATION).cloned();
            Ok::<_, tower::BoxError>(http::Response::new(header))
        });
        layer
            .layer(reveal)
            .oneshot(http::Request::new(Body::empty()))
            .await
            .map(http::Response::into_body)
            .map_err(|error| CredentialsError(error.to_string()))
    }
}
