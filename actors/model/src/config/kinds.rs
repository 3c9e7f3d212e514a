//! The kinds of values: what each must be, in words and in code.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::{MAX_MEMBERS, NamespacePattern, Partial, Scheduler, Strategy, Unmanaged};
use crate::ids::{ClusterName, is_label_value};

/// What a value must be.
pub(super) struct Kind<T> {
    /// Completes "must be".
    pub(super) what: &'static str,
    /// Reads a value that is so.
    pub(super) read: fn(&DeValue<'_>) -> Option<T>,
}

pub(super) const BOOLEAN: Kind<bool> =
    Kind { what: "true or false", read: |value| value.as_bool() };

pub(super) const TEXT: Kind<String> =
    Kind { what: "a text that is not empty", read: |value| full(value).map(str::to_owned) };

pub(super) const PATH: Kind<PathBuf> =
    Kind { what: "the path of a file", read: |value| full(value).map(PathBuf::from) };

pub(super) const FOLDER: Kind<PathBuf> =
    Kind { what: "the path of a folder", read: |value| full(value).map(PathBuf::from) };

pub(super) const ADDRESS: Kind<SocketAddr> = Kind {
    what: "an IP address and a port such as \"0.0.0.0:18080\"",
    read: |value| value.as_str()?.parse().ok(),
};

pub(super) const CLUSTER_NAME: Kind<ClusterName> = Kind {
    what: "a name of 1 to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends",
    read: |value| ClusterName::new(value.as_str()?).ok(),
};

pub(super) const WATTS: Kind<f64> = Kind {
    what: "a positive number of watts",
    read: |value| {
        let watts: f64 = match value {
            DeValue::Float(float) => float.as_str().parse().ok()?,
            // TOML's decimal integers are floats in all but the point.
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok()?,
            _ => return None,
        };
        (watts.is_finite() && watts > 0.0).then_some(watts)
    },
};

pub(super) const DURATION: Kind<Duration> = Kind {
    what: "a duration from 100ms to 24h such as \"30s\" or \"5m\"",
    read: |value| {
        let parser = jiff::fmt::friendly::SpanParser::new();
        let duration = parser.parse_unsigned_duration(value.as_str()?).ok()?;
        (SHORTEST..=LONGEST).contains(&duration).then_some(duration)
    },
};

pub(super) const CLUSTERS: Kind<u32> = Kind {
    what: "a whole number from 1 to 64",
    read: |value| {
        let integer = value.as_integer()?;
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        (count >= 1 && usize::try_from(count).ok()? <= MAX_MEMBERS).then_some(count)
    },
};

pub(super) const PLACES: Kind<u32> = Kind {
    what: "a whole number from 1 to 1000000",
    read: |value| {
        let integer = value.as_integer()?;
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok()?;
        (1..=1_000_000).contains(&count).then_some(count)
    },
};

pub(super) const SCHEDULER: Kind<Scheduler> = Kind {
    what: "\"default\" or \"wao\"",
    read: |value| match value.as_str()? {
        "default" => Some(Scheduler::Default),
        "wao" => Some(Scheduler::Wao),
        _ => None,
    },
};

pub(super) const NAMESPACE: Kind<String> = Kind {
    what: "the name of a namespace: 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends",
    read: |value| {
        let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        value
            .as_str()
            .filter(|text| {
                text.len() <= 63 && text.bytes().all(|it| alphanumeric(it) || it == b'-')
            })
            .filter(|text| has_ends(text, alphanumeric))
            .map(str::to_owned)
    },
};

pub(super) const ENDPOINT: Kind<String> = Kind {
    what: "a URL such as \"https://osaka.example:18081\"",
    read: |value| {
        let text = value.as_str()?;
        let rest = text.strip_prefix("https://")?.trim_end_matches('/');
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@');
        (!rest.is_empty() && rest.bytes().all(plain)).then(|| format!("https://{rest}"))
    },
};

pub(super) const STRATEGY: Kind<Strategy> = Kind {
    what: "\"auto\", \"marginal\" or \"inverse\"",
    read: |value| Strategy::parse(value.as_str()?),
};

pub(super) const UNMANAGED: Kind<Unmanaged> = Kind {
    what: "\"one\" or \"all\"",
    read: |value| match value.as_str()? {
        "one" => Some(Unmanaged::One),
        "all" => Some(Unmanaged::All),
        _ => None,
    },
};

pub(super) const PARTIAL: Kind<Partial> = Kind {
    what: "\"always\", \"people\" or \"never\"",
    read: |value| match value.as_str()? {
        "always" => Some(Partial::Always),
        "people" => Some(Partial::People),
        "never" => Some(Partial::Never),
        _ => None,
    },
};

pub(super) const NAMESPACES: Kind<NamespacePattern> = Kind {
    what: "a namespace of 1 to 63 of a-z, 0-9 and '-', where '*' stands for any characters",
    read: |value| NamespacePattern::new(value.as_str()?),
};

pub(super) const RESOURCE: Kind<String> = Kind {
    what: "a resource such as \"configmaps\" or \"ingresses.networking.k8s.io\"",
    read: |value| value.as_str().filter(|text| is_subdomain(text)).map(str::to_owned),
};

pub(super) const LABEL_KEY: Kind<String> = Kind {
    what: "a Kubernetes label key, not under tenbin/",
    read: |value| value.as_str().filter(|text| is_label_key(text)).map(str::to_owned),
};

pub(super) const LABEL_VALUE: Kind<String> = Kind {
    what: "a Kubernetes label value that is not empty",
    read: |value| value.as_str().filter(|text| is_label_value(text)).map(str::to_owned),
};

/// The variable `FETCH_INTERVAL`.
pub(super) const SECONDS: Kind<Duration> = Kind {
    what: "a whole number of seconds from 1 to 86400",
    read: |value| {
        let duration = Duration::from_secs(value.as_str()?.parse().ok()?);
        (SHORTEST..=LONGEST).contains(&duration).then_some(duration)
    },
};

/// The variables `PORT1` and `PORT2`.
pub(super) const PORT: Kind<u16> = Kind {
    what: "a port from 1 to 65535",
    read: |value| value.as_str()?.parse().ok().filter(|port| *port > 0),
};

/// Shorter rounds would keep a cluster busy with being measured.
const SHORTEST: Duration = Duration::from_millis(100);
/// Longer than any use, and far from where sums with a clock overflow.
const LONGEST: Duration = Duration::from_hours(24);

// === impl Kind ===

impl<T> Kind<T> {
    /// Says what `value` must be, and what it is.
    pub(super) fn message(&self, value: &DeValue<'_>) -> String {
        format!("must be {}, is {}", self.what, shown(value))
    }
}

/// A value as a person knows it again, cut where it is long.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > 60 => {
            format!("{:?}...", text.chars().take(60).collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(integer) => integer.to_string().chars().take(60).collect(),
        DeValue::Float(float) => float.to_string().chars().take(60).collect(),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn full<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// A label key: a qualified name, with an optional DNS subdomain in front
/// (`k8s.io/apimachinery/pkg/util/validation`, `IsQualifiedName`).
fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => prefix != "tenbin" && is_subdomain(prefix) && is_label_value(name),
        None => is_label_value(text),
    }
}

/// RFC 1123 subdomain: labels of `a-z`, `0-9` and `-`, joined by dots, 253 at most in all.
fn is_subdomain(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        label.bytes().all(|byte| alphanumeric(byte) || byte == b'-')
            && has_ends(label, alphanumeric)
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn has_ends(text: &str, legal: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|byte| legal(*byte)) && bytes.last().is_some_and(|byte| legal(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_keys_and_values_are_those_that_an_api_server_takes() {
        for key in ["tenbin", "a", "A_b.c-9", "example.com/team", "a.b-c/X"] {
            assert!(is_label_key(key), "{key}");
        }
        let long_prefix = format!("{}/a", "a".repeat(254));
        for key in
            ["", "-a", "a-", "a/", "/a", "a/b/c", "Example.com/a", "a..b/c", "a b", &long_prefix]
        {
            assert!(!is_label_key(key), "{key}");
        }
        assert!(!is_label_key("tenbin/cluster"));
        assert!(is_label_value(&"a".repeat(63)));
        assert!(!is_label_value(&"a".repeat(64)));
    }
}
