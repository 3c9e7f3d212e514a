//! What a peer says of the caller whose request it sends, and who that is in own (`identity.md`).

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::{
    AUTHENTICATED, CREDENTIAL, CROSSED, Caller, Crossing, InvalidCaller, Passage,
    is_service_account,
};
use crate::ids::ClusterName;

/// How headers that assert a caller begin, in lower case.
const PREFIX: &str = "impersonate-";

/// Why headers assert nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    /// There are headers, but none of the user.
    #[error("Impersonate-User is missing")]
    NoUser,
    /// A header that tells one thing comes twice.
    #[error("{0} comes twice")]
    Twice(&'static str),
    /// A header of which nobody knows what it means: to pass over it might give more rights.
    #[error("the header {0:?} is not known")]
    Unknown(String),
    /// A value is no UTF-8.
    #[error("the value of {0:?} is no text")]
    NotText(String),
    /// The key of an extra is not percent-encoded UTF-8.
    #[error("the extra key {0:?} cannot be decoded")]
    ExtraKey(String),
    /// What is asserted cannot be a caller.
    #[error(transparent)]
    Caller(#[from] InvalidCaller),
}

/// The caller whom a request's headers assert; `None` where none of them is about one.
///
/// Names are compared as they are in lower case. What cannot be understood whole is an error, the
/// reverse of [`Caller::impersonation_headers`].
pub fn asserted<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Option<Caller>, InvalidAssertion> {
    let (mut user, mut uid, mut groups, mut extra) = (None, None, Vec::new(), BTreeMap::new());
    let mut any = false;
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let Some(field) = name.strip_prefix(PREFIX) else { continue };
        any = true;
        let value = std::str::from_utf8(value)
            .map_err(|_| InvalidAssertion::NotText(name.clone()))?
            .to_owned();
        match field {
            "user" => once(&mut user, value, "Impersonate-User")?,
            "uid" => once(&mut uid, value, "Impersonate-Uid")?,
            "group" => groups.push(value),
            _ => {
                let key = field.strip_prefix("extra-");
                let key = key.ok_or_else(|| InvalidAssertion::Unknown(name.clone()))?;
                let key =
                    unescape(key).ok_or_else(|| InvalidAssertion::ExtraKey(key.to_owned()))?;
                extra.entry(key).or_insert_with(Vec::new).push(value);
            }
        }
    }
    if !any {
        return Ok(None);
    }
    let user = user.ok_or(InvalidAssertion::NoUser)?;
    Ok(Some(Caller::new(user, uid, groups, extra)?))
}

// === impl Crossing ===

impl Crossing {
    /// Who a caller is in own whom a peer asserts.
    ///
    /// The sender's rules are not trusted: reserved names need to be listed here as well. Without
    /// that groups are dropped and users refused, but for service accounts that crossed under the
    /// name of that very peer. What describes objects of the peer is dropped.
    pub fn received(&self, peer: &ClusterName, caller: &Caller) -> Passage {
        let account = account_of(peer, &caller.user);
        if account.is_none() && !self.may_cross(&caller.user) {
            let reason = format!("{peer} may not assert {:?}, which is privileged", caller.user);
            return Passage::Refused { reason };
        }
        let is_account = account.is_some() || is_service_account(&caller.user);
        let kept = |group: &&String| *group == AUTHENTICATED || self.may_cross(group);
        let mut extra = caller.extra.clone();
        extra.retain(|key, _| !key.starts_with(CREDENTIAL));
        Passage::As(Caller {
            user: caller.user.clone(),
            uid: caller.uid.clone().filter(|_| !is_account),
            groups: caller.groups.iter().filter(kept).cloned().collect(),
            extra,
        })
    }
}

/// The service account of `peer` that goes by this name here.
fn account_of<'a>(peer: &ClusterName, user: &'a str) -> Option<&'a str> {
    let rest = user.strip_prefix(CROSSED)?.strip_prefix(peer.as_str())?.strip_prefix(':')?;
    is_service_account(rest).then_some(rest)
}

fn once(
    place: &mut Option<String>,
    value: String,
    name: &'static str,
) -> Result<(), InvalidAssertion> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(InvalidAssertion::Twice(name)),
    }
}

/// Decodes a key whose every `%` begins an escape; `None` for any other, or what is no UTF-8.
fn unescape(key: &str) -> Option<String> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !key.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(key).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests;
