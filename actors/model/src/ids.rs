//! Names of members.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The unique name of a member cluster: a DNS-1123 subdomain of at most 63 characters.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(Arc<str>);

/// Why a text is not the name of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClusterName {
    /// The text has no characters, or more than 63.
    #[error("a cluster name has 1 to 63 characters, this one has {0}")]
    Length(usize),
    /// A character other than `a-z`, `0-9`, `-` and `.`, or one of the last two at an end.
    #[error(
        "{0:?} is not a cluster name: use a-z, 0-9, '-' and '.', with a letter or digit at both ends"
    )]
    Characters(String),
}

/// Whether `text` can be the value of a label and is not empty: 1 to 63 letters, digits, `-`, `_`
/// and `.`, with a letter or digit at both ends. A region is one.
pub fn is_label_value(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && end(text.bytes().next())
        && end(text.bytes().last())
}

// === impl ClusterName ===

impl ClusterName {
    /// Checks `name` and makes a cluster name of it.
    pub fn new(name: &str) -> Result<Self, InvalidClusterName> {
        if name.is_empty() || name.len() > 63 {
            return Err(InvalidClusterName::Length(name.len()));
        }
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let legal = name.bytes().all(|byte| inner(byte) || byte == b'-' || byte == b'.');
        let ends = name.bytes().next().is_some_and(inner) && name.bytes().last().is_some_and(inner);
        if legal && ends {
            Ok(Self(Arc::from(name)))
        } else {
            Err(InvalidClusterName::Characters(name.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl TryFrom<String> for ClusterName {
    type Error = InvalidClusterName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_regions_and_hosts_are_cluster_names() {
        for name in ["tokyo", "ap-northeast-1", "dc1.example.com", "7"] {
            assert_eq!(ClusterName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_no_label_could_carry_are_refused() {
        let long = "a".repeat(64);
        for name in ["", "Tokyo", "-a", "a.", "a/b", "a b", "東京", &long] {
            assert!(ClusterName::new(name).is_err(), "{name:?}");
        }
    }
}
