//! TLS of the users and peers ports: certificates from files, read again when they change.

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

/// The files of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// The authorities of client certificates; where there are none, none is asked for.
    pub client_cas: Vec<ClientCa>,
}

/// Authorities of client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCa {
    /// PEM.
    pub path: PathBuf,
    /// The only common name that they may vouch for; `None`: any.
    pub only: Option<String>,
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
    trusted: Vec<Trusted>,
}

#[derive(Debug)]
struct Trusted {
    verifier: Arc<dyn ClientCertVerifier>,
    only: Option<String>,
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
    /// Nothing is served of it before [`Certificates::install`]. Blocks for the reading of a few
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

// === impl Serving ===

impl Serving {
    /// Judges a certificate of `common_name` by the trust of this moment.
    ///
    /// # Errors
    /// Why no authority vouches for it, for the log.
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        common_name: &str,
    ) -> Result<(), String> {
        let (leaf, intermediates) = chain.split_first().ok_or("there is no certificate")?;
        let mut refusal = "no authority may vouch for this name".to_owned();
        for trusted in &self.trusted {
            if trusted.only.as_ref().is_some_and(|only| only != common_name) {
                continue;
            }
            match trusted.verifier.verify_client_cert(leaf, intermediates, UnixTime::now()) {
                Ok(_) => return Ok(()),
                Err(error) => refusal = error.to_string(),
            }
        }
        Err(refusal)
    }
}

fn modified(files: &TlsFiles) -> Vec<Option<SystemTime>> {
    let authorities = files.client_cas.iter().map(|ca| &ca.path);
    [&files.cert, &files.key]
        .into_iter()
        .chain(authorities)
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
    let mut roots = Vec::new();
    let mut trusted = Vec::new();
    for ca in &files.client_cas {
        let certificates = certificates(&ca.path)?;
        let verifier = client_verifier(&ca.path, &certificates)?;
        trusted.push(Trusted { verifier, only: ca.only.clone() });
        roots.extend(certificates);
    }
    let builder = ServerConfig::builder();
    let builder = match files.client_cas.first() {
        Some(first) => {
            let any = client_verifier(&first.path, &roots)?;
            builder.with_client_cert_verifier(Arc::new(ProofOfPossession(any)))
        }
        None => builder.with_no_client_auth(),
    };
    let pair = |source| TlsError::Pair { cert: files.cert.clone(), key: files.key.clone(), source };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    // HTTP/1.1 only: see identity.md.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let serving = Arc::new(Serving { config: Arc::new(config), trusted });
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

/// Trusts `authorities`; `path` is where they, or the first of them, came from.
fn client_verifier(
    path: &Path,
    authorities: &[CertificateDer<'static>],
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = |reason: String| TlsError::ClientCa { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate.clone()).map_err(|error| unusable(error.to_string()))?;
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
