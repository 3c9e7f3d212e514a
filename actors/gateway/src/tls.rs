//! TLS of the users port: certificates from files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};

/// The files of the users port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// CA of the users' client certificates, PEM.
    pub client_ca: PathBuf,
}

/// Why the files cannot serve.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsError {
    #[error("cannot read {path}: {reason}")]
    ReadFile { path: PathBuf, reason: String },
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("the client CA {path} cannot be used: {reason}")]
    ClientCa { path: PathBuf, reason: String },
    #[error("certificate {cert} and key {key} do not serve together")]
    Pair { cert: PathBuf, key: PathBuf, source: rustls::Error },
}

/// TLS as it is served now.
#[derive(Debug)]
pub struct Serving {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// For the certificate that the client showed.
    pub verifier: Arc<dyn ClientCertVerifier>,
}

/// The current [`Serving`], shared by all workers.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<Loaded>,
}

/// Certificates, and the files that they came from.
#[derive(Debug)]
pub struct Loaded {
    files: TlsFiles,
    modified: Vec<Option<SystemTime>>,
    serving: Arc<Serving>,
}

// === impl Certificates ===

impl Certificates {
    /// Reads the files.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        Ok(Self { current: ArcSwap::from_pointee(read(files)?) })
    }

    /// What new connections are served with.
    pub fn current(&self) -> Arc<Serving> {
        Arc::clone(&self.current.load().serving)
    }

    /// Reads `files` if they are others, or have changed since; `None` if not.
    ///
    /// Nothing is served of it before [`Certificates::install`]. Blocks for the reading of three
    /// small files.
    pub fn changed(&self, files: &TlsFiles) -> Result<Option<Loaded>, TlsError> {
        let current = self.current.load();
        if current.files == *files && current.modified == modified(files) {
            return Ok(None);
        }
        read(files.clone()).map(Some)
    }

    /// Serves new connections with `loaded`.
    pub fn install(&self, loaded: Loaded) {
        self.current.store(Arc::new(loaded));
    }
}

fn modified(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    [&files.cert, &files.key, &files.client_ca]
        .iter()
        .map(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
        .collect()
}

fn read(files: TlsFiles) -> Result<Loaded, TlsError> {
    let modified = modified(&files);
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::ReadFile {
        path: files.key.clone(),
        reason: error.to_string(),
    })?;
    let verifier = client_verifier(&files.client_ca)?;
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(ProofOfPossession(Arc::clone(&verifier))))
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Pair {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        })?;
    // HTTP/1.1 only: see identity.md.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let serving = Arc::new(Serving { config: Arc::new(config), verifier });
    Ok(Loaded { files, modified, serving })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unreadable = |reason: String| TlsError::ReadFile { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(error.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn client_verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |reason: String| TlsError::ClientCa { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .map_err(|error| unusable(error.to_string()))
}

/// Lets every client finish the handshake that has the key of the certificate it shows.
///
/// Whether the certificate is to be trusted is asked afterwards, so that a stranger reads a
/// `Status` 401, as from an API server, and not a TLS alert.
#[derive(Debug)]
struct ProofOfPossession(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for ProofOfPossession {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
