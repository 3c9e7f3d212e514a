//! Who a caller is, in own and in the other members (`identity.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

pub use self::received::{InvalidAssertion, asserted};
use crate::ids::ClusterName;

mod received;

/// The group of everybody who was authenticated.
const AUTHENTICATED: &str = "system:authenticated";
/// The user and the group of those who were not.
const ANONYMOUS: [&str; 2] = ["system:anonymous", "system:unauthenticated"];
/// Since 1.29 kubeadm's administrators are in `kubeadm:cluster-admins`, not `system:masters`.
const KUBEADM: &str = "kubeadm:";
/// What Kubernetes keeps for itself.
const SYSTEM: &str = "system:";
/// What tenbin keeps for service accounts that crossed: nobody else may come with such a name.
const CROSSED: &str = "cluster:";
/// The user names of service accounts, before namespace and name.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// The extra keys by which an API server describes a credential, its Pod and its Node.
const CREDENTIAL: &str = "authentication.kubernetes.io/";

/// An authenticated caller.
///
/// Its values are safe as header values: no control characters, no white space at the ends (an API
/// server would trim it, and so read another name). They may have UTF-8 beyond ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    user: String,
    uid: Option<String>,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// Why somebody cannot be a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCaller {
    /// There is no user name.
    #[error("the credential names no user")]
    NoUser,
    /// The credential is that of somebody who was not authenticated.
    #[error("{0} is nobody")]
    Anonymous(&'static str),
    /// A value cannot be sent in a header as it is.
    #[error(
        "the {field} {value:?} cannot be impersonated: it has control characters, or white space at an end"
    )]
    Unsafe {
        /// What the value is.
        field: &'static str,
        /// The value.
        value: String,
    },
    /// An extra has no key.
    #[error("the credential has an extra without a key")]
    NoExtraKey,
}

/// The rules by which callers act in other members than own.
#[derive(Debug, Clone)]
pub struct Crossing {
    own: ClusterName,
    cross: BTreeSet<String>,
}

/// Whether a caller may act in a member, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passage {
    /// It may, as this caller.
    As(Caller),
    /// It may not.
    Refused {
        /// What a person reads.
        reason: String,
    },
}

// === impl Caller ===

impl Caller {
    /// Makes a caller of what a TokenReview says.
    ///
    /// As by an API server, everybody is in the group `system:authenticated`; without any group it
    /// would add the groups of a service account by itself when it is asked to impersonate one.
    /// Empty groups and an empty uid are left out.
    pub fn new(
        user: String,
        uid: Option<String>,
        mut groups: Vec<String>,
        extra: BTreeMap<String, Vec<String>>,
    ) -> Result<Self, InvalidCaller> {
        if user.is_empty() {
            return Err(InvalidCaller::NoUser);
        }
        let uid = uid.filter(|uid| !uid.is_empty());
        groups.retain(|group| !group.is_empty());
        for nobody in ANONYMOUS {
            if user == nobody || groups.iter().any(|group| group == nobody) {
                return Err(InvalidCaller::Anonymous(nobody));
            }
        }
        safe("user", &user)?;
        uid.iter().try_for_each(|uid| safe("uid", uid))?;
        groups.iter().try_for_each(|group| safe("group", group))?;
        extra.values().flatten().try_for_each(|value| safe("extra", value))?;
        if extra.contains_key("") {
            return Err(InvalidCaller::NoExtraKey);
        }
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Ok(Self { user, uid, groups, extra })
    }

    /// Makes a caller of a verified client certificate, as an API server does (`request/x509`):
    /// its common name is the user, its organizations are the groups, and its fingerprint is the
    /// credential's id (KEP-4193).
    pub fn from_certificate(
        common_name: &str,
        organizations: Vec<String>,
        der_sha256: [u8; 32],
    ) -> Result<Self, InvalidCaller> {
        let mut id = String::from("X509SHA256=");
        for byte in der_sha256 {
            push(&mut id, format_args!("{byte:02x}"));
        }
        let extra = BTreeMap::from([(format!("{CREDENTIAL}credential-id"), vec![id])]);
        Self::new(common_name.to_owned(), None, organizations, extra)
    }

    /// The user's name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The user's uid.
    pub fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }

    /// The groups; `system:authenticated` is always one.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// What else is known of the user.
    pub fn extra(&self) -> &BTreeMap<String, Vec<String>> {
        &self.extra
    }

    /// The headers by which an API server takes the daemon's request as this caller's.
    ///
    /// Each value is a header line of its own; names are ASCII, values may be UTF-8. Bytes of an
    /// extra key that a header name cannot carry are percent-encoded, and so are capitals, because
    /// an API server reads header names in lower case (`impersonation.go`).
    pub fn impersonation_headers(&self) -> Vec<(String, String)> {
        let user = [("Impersonate-User", &self.user)];
        let uid = self.uid.iter().map(|uid| ("Impersonate-Uid", uid));
        let groups = self.groups.iter().map(|group| ("Impersonate-Group", group));
        let plain = user.into_iter().chain(uid).chain(groups);
        let mut headers: Vec<_> =
            plain.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        for (key, values) in &self.extra {
            let name = format!("Impersonate-Extra-{}", escape(key));
            headers.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        headers
    }
}

// === impl Crossing ===

impl Crossing {
    /// Makes the rules of own; `cross` lists privileged users and groups that cross as they are.
    pub fn new(own: ClusterName, cross: Vec<String>) -> Self {
        Self { own, cross: cross.into_iter().collect() }
    }

    /// Who a caller is in own: itself.
    pub fn to_own(&self, caller: &Caller) -> Caller {
        caller.clone()
    }

    /// Who a caller is in a member.
    ///
    /// Elsewhere than in own, reserved names (`system:`, `kubeadm:` and `cluster:`) need to be listed: without
    /// that groups are dropped, users refused, and a service account becomes
    /// `cluster:<own>:system:serviceaccount:<namespace>:<name>`. Extras of the credential, and the
    /// uid of any service account, name objects of own and stay there; other extras go along,
    /// since they may narrow what the caller may do.
    pub fn to(&self, caller: &Caller, member: &ClusterName) -> Passage {
        if *member == self.own {
            return Passage::As(self.to_own(caller));
        }
        let is_account = is_service_account(&caller.user);
        let user = if self.may_cross(&caller.user) {
            caller.user.clone()
        } else if is_account {
            format!("{CROSSED}{}:{}", self.own, caller.user)
        } else {
            let reason = format!("{:?} is privileged and acts in {} only", caller.user, self.own);
            return Passage::Refused { reason };
        };
        let crosses = |group: &&String| *group == AUTHENTICATED || self.may_cross(group);
        let kept = |(key, _): &(&String, &Vec<String>)| !key.starts_with(CREDENTIAL);
        let owned = |(key, values): (&String, &Vec<String>)| (key.clone(), values.clone());
        Passage::As(Caller {
            user,
            uid: caller.uid.clone().filter(|_| !is_account),
            groups: caller.groups.iter().filter(crosses).cloned().collect(),
            extra: caller.extra.iter().filter(kept).map(owned).collect(),
        })
    }

    /// Tells whether a user or group crosses as it is.
    fn may_cross(&self, name: &str) -> bool {
        let reserved = [SYSTEM, CROSSED, KUBEADM].iter().any(|prefix| name.starts_with(prefix));
        !reserved || self.cross.contains(name)
    }
}

fn is_service_account(user: &str) -> bool {
    let parts = user.strip_prefix(SERVICE_ACCOUNT).and_then(|rest| rest.split_once(':'));
    parts.is_some_and(|(namespace, name)| {
        !namespace.is_empty() && !name.is_empty() && !name.contains(':')
    })
}

fn safe(field: &'static str, value: &str) -> Result<(), InvalidCaller> {
    if value.trim() == value && !value.contains(char::is_control) {
        return Ok(());
    }
    Err(InvalidCaller::Unsafe { field, value: value.to_owned() })
}

/// Percent-encodes what is no lower-case token character (RFC 9110 section 5.6.2), and `%`.
fn escape(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for byte in key.bytes() {
        let plain = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if plain || b"!#$&'*+-.^_`|~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            push(&mut escaped, format_args!("%{byte:02X}"));
        }
    }
    escaped
}

/// Formats into a string, which has no way to fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).unwrap_or_default();
}

#[cfg(test)]
mod tests;
