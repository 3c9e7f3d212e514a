//! Which namespaces a pattern such as `kube-*` means.

/// A namespace, or several by `*`, which stands for any number of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacePattern(String);

// === impl NamespacePattern ===

impl NamespacePattern {
    /// Takes 1 to 63 of `a-z`, `0-9`, `-` and `*`; anything else could match no namespace.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'*'
        };
        let short = !text.is_empty() && text.len() <= 63;
        (short && text.bytes().all(legal)).then(|| Self(text.to_owned()))
    }

    /// Whether `namespace` is meant.
    pub fn matches(&self, namespace: &str) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else {
            return self.0 == namespace;
        };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut left) = namespace.strip_prefix(start) else {
            return false;
        };
        for part in middle.split('*') {
            let Some((_, after)) = left.split_once(part) else {
                return false;
            };
            left = after;
        }
        left.ends_with(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, namespace, expected) in [
            ("kube-*", "kube-system", true),
            ("kube-*", "kube-", true),
            ("kube-*", "kube", false),
            ("kube-*", "my-kube-system", false),
            ("*", "anything", true),
            ("default", "default", true),
            ("default", "default-2", false),
            ("*-system", "wao-system", true),
            ("*-system", "system", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("**", "x", true),
        ] {
            let found = NamespacePattern::new(pattern).unwrap().matches(namespace);
            assert_eq!(found, expected, "{pattern} {namespace}");
        }
    }

    #[test]
    fn what_could_match_no_namespace_is_no_pattern() {
        let long = "a".repeat(64);
        for text in ["", "Kube", "kube_*", "kube?", "a.b", "東", &long] {
            assert_eq!(NamespacePattern::new(text), None, "{text:?}");
        }
    }
}
