//! A peer's port, made into what a connection needs.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Access, AccessError};

/// The URL of a peers port: `https://host:port/prefix`, the port always said, no `/` at the end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint(String);

/// A peers port, and by what trust it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSource {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How both sides know each other.
    pub trust: Trust,
}

/// How this tenbin and a peer know each other; all are files, read when the peer is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Certificates on both sides: a tenbin.
    Mutual {
        /// PEM: the only authorities of the peer's serving certificate.
        ca: PathBuf,
        /// PEM: the certificate that is shown to it.
        cert: PathBuf,
        /// PEM: its key.
        key: PathBuf,
    },
    /// HTTP Basic: the original program.
    Basic {
        /// PEM: the only authorities of the peer's serving certificate; `None`: the system's.
        ca: Option<PathBuf>,
        /// The user name.
        username: String,
        /// The file whose only line is the password.
        password_file: PathBuf,
    },
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`AccessError::NotHttps`] where it is anything but `https://host`, maybe with port and path.
    pub fn new(url: &str) -> Result<Self, AccessError> {
        let refused = || AccessError::NotHttps(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| refused())?;
        // The port may also be illegal: `port_u16` would take the default then.
        let authority =
            uri.authority().filter(|it| !it.as_str().contains('@')).ok_or_else(refused)?;
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.as_str().get(host.len()..) {
            Some("") => 443,
            _ => authority.port_u16().ok_or_else(refused)?,
        };
        if uri.scheme_str() != Some("https") || host.is_empty() || uri.query().is_some() {
            return Err(refused());
        }
        Ok(Self(format!("https://{host}:{port}{}", uri.path().trim_end_matches('/'))))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

// === impl PeerSource ===

impl PeerSource {
    /// Reads the files.
    pub(super) async fn open(&self) -> Result<Access, AccessError> {
        let url = self.endpoint.0.parse();
        let url = url.map_err(|_| AccessError::NotHttps(self.endpoint.0.clone()))?;
        let mut config = kube::Config::new(url);
        let mut hasher = DefaultHasher::new();
        match &self.trust {
            Trust::Mutual { ca, cert, key } => {
                config.root_cert = Some(roots(ca).await?);
                for path in [cert, key] {
                    read(path).await?.hash(&mut hasher);
                }
                let named = |path: &Path| Some(path.to_string_lossy().into_owned());
                config.auth_info.client_certificate = named(cert);
                config.auth_info.client_key = named(key);
            }
            Trust::Basic { ca, username, password_file } => {
                if let Some(ca) = ca {
                    config.root_cert = Some(roots(ca).await?);
                }
                let password = password(password_file).await?;
                (username, &password).hash(&mut hasher);
                config.auth_info.username = Some(username.clone());
                config.auth_info.password = Some(password.into());
            }
        }
        config.root_cert.hash(&mut hasher);
        Access::build(config, hasher.finish()).await
    }
}

/// Reads a file whose only line is a password.
///
/// # Errors
/// Where it cannot be read, is no text, or is empty.
pub async fn password(path: &Path) -> Result<String, AccessError> {
    let text = String::from_utf8(read(path).await?)
        .map_err(|_| AccessError::NoPassword { path: path.to_owned() })?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains(['\r', '\n']) {
        return Err(AccessError::NoPassword { path: path.to_owned() });
    }
    Ok(line.to_owned())
}

async fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    tokio::fs::read(path)
        .await
        .map_err(|source| AccessError::ReadTrust { path: path.to_owned(), source })
}

/// The certificates of a PEM file, as DER.
async fn roots(path: &Path) -> Result<Vec<Vec<u8>>, AccessError> {
    let pem = read(path).await?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(AccessError::NoCertificate { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_has_one_endpoint_however_it_is_written() {
        for url in ["https://Kyoto.example", "https://kyoto.example:443/", "HTTPS://kyoto.example/"]
        {
            assert_eq!(Endpoint::new(url).unwrap().as_str(), "https://kyoto.example:443", "{url}");
        }
        let prefixed = Endpoint::new("https://[::1]:18081/a/").unwrap();
        assert_eq!(prefixed.as_str(), "https://[::1]:18081/a");
    }

    #[test]
    fn what_is_not_https_is_no_endpoint() {
        for url in [
            "",
            "kyoto",
            "http://kyoto:18081",
            "https://",
            "https://user@kyoto",
            "https://kyoto?a=b",
            "https://kyoto:99999",
            "https://kyoto:",
            "//kyoto",
        ] {
            assert!(matches!(Endpoint::new(url), Err(AccessError::NotHttps(_))), "{url}");
        }
    }
}
