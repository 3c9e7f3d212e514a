//! Certificates by rcgen: a CA for each cluster, servers and users under it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The private key (PKCS#8, ECDSA P-256).
    pub key: String,
}

/// A certificate authority.
#[derive(Debug)]
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pair: Pair,
}

impl Ca {
    /// A fresh authority.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate().context("making a CA key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let cert = params.self_signed(&key).context("signing a CA")?.pem();
        let pair = Pair { cert, key: key.serialize_pem() };
        Ok(Self { issuer: Issuer::new(params, key), pair })
    }

    /// The authority's own certificate, PEM.
    pub fn cert(&self) -> &str {
        &self.pair.cert
    }

    /// The authority's certificate and key, for those that sign with it.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// A client certificate: CN is the user, O its groups (rcgen holds no more than two).
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Pair> {
        self.issue(user, groups, Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth])
    }

    /// A serving certificate for 127.0.0.1, localhost and further names.
    pub fn server(&self, name: &str, names: &[&str]) -> Result<Pair> {
        self.issue(name, &[], sans(names)?, vec![ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// One certificate for both sides of mutual TLS, as peers use.
    pub fn peer(&self, name: &str) -> Result<Pair> {
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(name, &[], sans(&[name])?, usages)
    }

    fn issue(
        &self,
        name: &str,
        groups: &[&str],
        sans: Vec<SanType>,
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<Pair> {
        let key = KeyPair::generate().context("making a key")?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name, groups)?;
        params.subject_alt_names = sans;
        params.extended_key_usages = usages;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let cert = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("signing the certificate of {name}"))?;
        Ok(Pair { cert: cert.pem(), key: key.serialize_pem() })
    }
}

/// The public half of a key that signs service account tokens, and the key.
pub fn signing_key() -> Result<Pair> {
    let key = KeyPair::generate().context("making a signing key")?;
    Ok(Pair { cert: key.public_key_pem(), key: key.serialize_pem() })
}

fn subject(name: &str, groups: &[&str]) -> Result<DistinguishedName> {
    let mut subject = DistinguishedName::new();
    // rcgen keeps one value for each type; the same OID under its custom form is a second.
    let types = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
    if groups.len() > types.len() {
        bail!("{name}: a certificate made here holds two groups at most");
    }
    for (group, kind) in groups.iter().zip(types) {
        subject.push(kind, *group);
    }
    subject.push(DnType::CommonName, name);
    Ok(subject)
}

fn sans(names: &[&str]) -> Result<Vec<SanType>> {
    let mut sans = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    for name in ["localhost"].iter().chain(names) {
        let name = (*name).try_into().with_context(|| format!("{name} is no DNS name"))?;
        sans.push(SanType::DnsName(name));
    }
    Ok(sans)
}
