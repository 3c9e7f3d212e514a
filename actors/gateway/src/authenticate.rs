//! Who a caller is.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use tenbin_model::identity::Caller;
use tenbin_model::status::{Reason, Status};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;

use crate::router::RouteTable;
use crate::tls::Serving;
use crate::worker::Worker;

/// What a connection showed of its client.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// No client certificate.
    None,
    /// A certificate that no trusted CA signed, or that is out of date; why, for the log.
    Untrusted(String),
    /// A trusted certificate.
    Certificate(Arc<Shown>),
}

/// A certificate that was trusted when the connection was made.
#[derive(Debug)]
pub(crate) struct Shown {
    caller: Caller,
    chain: Vec<CertificateDer<'static>>,
    not_after: UnixTime,
    /// The trust by which it was judged.
    serving: Arc<Serving>,
}

// === impl Credential ===

impl Credential {
    /// Judges the certificates of a connection by the trust of this moment.
    pub(crate) fn of(chain: Option<&[CertificateDer<'_>]>, serving: &Arc<Serving>) -> Self {
        let Some(chain) = chain.filter(|chain| !chain.is_empty()) else { return Self::None };
        let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
        let shown = Shown::read(chain, serving).and_then(|shown| {
            serving.verify(&shown.chain, shown.caller.user())?;
            Ok(shown)
        });
        shown.map_or_else(Self::Untrusted, |shown| Self::Certificate(Arc::new(shown)))
    }
}

// === impl Shown ===

impl Shown {
    /// CN is the user, O are the groups.
    fn read(chain: Vec<CertificateDer<'static>>, serving: &Arc<Serving>) -> Result<Self, String> {
        let leaf = chain.first().ok_or("there is no certificate")?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|error| error.to_string())?;
        let text = |value: &AttributeTypeAndValue<'_>| value.as_str().map(str::to_owned).ok();
        let subject = parsed.subject();
        let common_name = subject.iter_common_name().filter_map(text).last();
        let common_name = common_name.ok_or("the certificate has no common name")?;
        let organizations = subject.iter_organization().filter_map(text).collect();
        let digest: [u8; 32] = Sha256::digest(leaf.as_ref()).into();
        let caller = Caller::from_certificate(&common_name, organizations, digest)
            .map_err(|error| error.to_string())?;
        let expiry = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = UnixTime::since_unix_epoch(Duration::from_secs(expiry));
        Ok(Self { caller, chain, not_after, serving: Arc::clone(serving) })
    }

    /// Whether it is still trusted: connections outlive certificates and authorities.
    fn holds(&self, now: UnixTime, serving: &Arc<Serving>) -> bool {
        let same_trust = Arc::ptr_eq(serving, &self.serving);
        let user = self.caller.user();
        now <= self.not_after && (same_trust || serving.verify(&self.chain, user).is_ok())
    }
}

/// What the connection of a request showed.
pub(crate) fn credential(request: &Request) -> &Credential {
    request.conn_data::<Credential>().unwrap_or(&Credential::None)
}

/// The subject of the connection's certificate, if that is trusted at this moment.
pub(crate) fn certified<'c>(
    credential: &'c Credential,
    serving: &Arc<Serving>,
) -> Option<&'c Caller> {
    match credential {
        Credential::Certificate(shown) if shown.holds(UnixTime::now(), serving) => {
            Some(&shown.caller)
        }
        Credential::Certificate(_) | Credential::Untrusted(_) | Credential::None => None,
    }
}

/// Who asks: the certificate's subject, else the token's owner.
///
/// # Errors
/// 401 as an API server answers it, without a reason that would help to guess.
pub(crate) async fn caller_of(
    worker: &Worker,
    table: &RouteTable,
    credential: &Credential,
    headers: &HeaderMap,
) -> Result<Caller, Status> {
    if let Some(caller) = certified(credential, &worker.shared.certificates.current()) {
        return Ok(caller.clone());
    }
    let token = headers.get(AUTHORIZATION).and_then(bearer);
    match token.filter(|_| table.rules.tokens) {
        Some(token) => {
            let now = worker.shared.clock.elapsed();
            worker.tokens.caller(&worker.lanes, now, table, token).await
        }
        None => Err(Status::new(Reason::Unauthorized, "Unauthorized")),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
