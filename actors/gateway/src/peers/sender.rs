//! Who sends a request to the peers port, and for whom.

use actix_http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tenbin_model::identity::{self, Caller, Crossing, Passage};
use tenbin_model::ids::ClusterName;
use tenbin_model::status::{Reason, Status};

use super::PeersPort;
use crate::authenticate::{self, Credential};

/// An original program that comes with a password.
#[derive(Clone)]
pub struct Original {
    name: String,
    /// Of `username:password`.
    digest: [u8; 32],
    act_as: Option<Caller>,
}

/// Whose connection it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sender {
    /// The tenbin of a member.
    Tenbin(ClusterName),
    /// An original program, which tells no identity.
    Original { name: String, act_as: Option<Caller> },
}

// === impl Original ===

impl Original {
    /// Knows a program by its password; `name` is what the audit says, `act_as` the user as whom
    /// all of its requests act in own.
    pub fn new(name: String, username: &str, password: &str, act_as: Option<Caller>) -> Self {
        let digest = Sha256::digest(format!("{username}:{password}")).into();
        Self { name, digest, act_as }
    }
}

// === impl Sender ===

impl Sender {
    /// The certificate's name, else whose password it is.
    ///
    /// # Errors
    /// 401, without a reason that would help to guess.
    pub(super) fn of(
        port: &PeersPort,
        own: &ClusterName,
        credential: &Credential,
        headers: &HeaderMap,
    ) -> Result<Self, Status> {
        let caller = authenticate::certified(credential, &port.certificates.current());
        let name = caller.and_then(|caller| ClusterName::new(caller.user()).ok());
        // Who comes with own's name is this tenbin itself, by a peer that is misconfigured.
        if let Some(name) = name.filter(|name| name != own) {
            return Ok(Self::Tenbin(name));
        }
        let header = headers.get(AUTHORIZATION);
        header
            .and_then(|header| Self::with_password(&port.originals.load(), header))
            .ok_or_else(|| Status::new(Reason::Unauthorized, "Unauthorized"))
    }

    fn with_password(originals: &[Original], header: &HeaderValue) -> Option<Self> {
        let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let digest = Sha256::digest(BASE64_STANDARD.decode(encoded.trim()).ok()?);
        let known = originals.iter().find(|it| bool::from(it.digest.ct_eq(digest.as_slice())))?;
        Some(Self::Original { name: known.name.clone(), act_as: known.act_as.clone() })
    }

    /// What the audit calls it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Tenbin(name) => name.as_str(),
            Self::Original { name, .. } => name,
        }
    }

    /// The caller that it asserts, if any.
    ///
    /// # Errors
    /// 403 where that cannot be understood whole, or is not for it to assert.
    pub(super) fn asserted(&self, headers: &HeaderMap) -> Result<Option<Caller>, Status> {
        let lines = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let asserted = identity::asserted(lines).map_err(|error| forbidden(error.to_string()))?;
        match (self, asserted) {
            (Self::Tenbin(_), asserted) => Ok(asserted),
            (Self::Original { .. }, None) => Ok(None),
            (Self::Original { name, .. }, Some(_)) => {
                Err(forbidden(format!("{name} has a password only, and may assert nobody")))
            }
        }
    }

    /// Who its request is in own.
    ///
    /// # Errors
    /// 403 where it is nobody's, or somebody's whom own does not believe.
    pub(super) fn caller(
        &self,
        crossing: &Crossing,
        asserted: Option<Caller>,
    ) -> Result<Caller, Status> {
        match (self, asserted) {
            (Self::Tenbin(name), Some(caller)) => match crossing.received(name, &caller) {
                Passage::As(caller) => Ok(caller),
                Passage::Refused { reason } => Err(forbidden(reason)),
            },
            (Self::Tenbin(name), None) => {
                Err(forbidden(format!("{name} must tell whose request it is: Impersonate-User")))
            }
            (Self::Original { name, act_as }, _) => act_as.clone().ok_or_else(|| {
                forbidden(format!("{name} reads scores only: its [[peer]] has no act_as"))
            }),
        }
    }
}

fn forbidden(message: String) -> Status {
    Status::new(Reason::Forbidden, message)
}
