//! Which headers pass between a client and a member.
//!
//! What tenbin itself sends (credentials, impersonation, `Host`, framing, `Accept-Encoding`) is
//! added after this filter, so nothing that a client sends can replace or remove it. Trailers never
//! pass: the gateway does not forward them.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// Headers of one connection only (RFC 9110 section 7.6.1), with their forms of old.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers that end here: what says who the client is, and what the next hop makes anew.
const NOT_UPSTREAM: [&str; 9] = [
    "accept-encoding",
    "authorization",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "via",
    "x-real-ip",
];

/// Request headers that end here, by their beginnings.
const NOT_UPSTREAM_PREFIXES: [&str; 3] = ["impersonate-", "x-forwarded-", "x-remote-"];

/// Response headers that end here: about the member as a server, not about the answer.
const NOT_TO_CLIENT: [&str; 6] =
    ["alt-svc", "content-length", "date", "server", "set-cookie", "www-authenticate"];

/// A WebSocket subprotocol that is a bearer token (apiserver `websocket/protocol.go`).
const TOKEN_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

/// The headers that a message names as its connection's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection(BTreeSet<String>);

// === impl Connection ===

impl Connection {
    /// Reads the values of a message's `Connection` headers.
    pub fn named<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let tokens = values.into_iter().flat_map(|value| value.split(|byte| *byte == b','));
        let name = |token: &[u8]| String::from_utf8_lossy(token.trim_ascii()).to_ascii_lowercase();
        Self(tokens.map(name).collect())
    }

    /// Tells whether a header, or `close` or `upgrade`, is among them.
    pub fn names(&self, lower_case: &str) -> bool {
        self.0.contains(lower_case)
    }

    fn owns(&self, lower_case: &str) -> bool {
        HOP_BY_HOP.contains(&lower_case) || self.0.contains(lower_case)
    }
}

/// The value with which a client's header goes to a member; `None` where it does not.
///
/// No header that claims an identity goes, in any casing: that is said by the daemon's credential
/// and [`Caller::impersonation_headers`](crate::identity::Caller::impersonation_headers) alone.
/// From `Sec-WebSocket-Protocol` a bearer token is taken out.
pub fn to_upstream<'v>(
    name: &str,
    value: &'v [u8],
    connection: &Connection,
) -> Option<Cow<'v, [u8]>> {
    let name = name.to_ascii_lowercase();
    let stays = connection.owns(&name)
        || NOT_UPSTREAM.contains(&name.as_str())
        || NOT_UPSTREAM_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    if stays {
        return None;
    }
    if name == "sec-websocket-protocol" {
        return without_token(value);
    }
    Some(Cow::Borrowed(value))
}

/// Tells whether a member's header goes to the client.
pub fn to_client(name: &str, connection: &Connection) -> bool {
    let name = name.to_ascii_lowercase();
    !connection.owns(&name) && !NOT_TO_CLIENT.contains(&name.as_str())
}

/// The subprotocols but for bearer tokens; `None` where there are no others.
fn without_token(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_token = |protocol: &&[u8]| {
        let start = protocol.get(..TOKEN_PROTOCOL.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(TOKEN_PROTOCOL.as_bytes()))
    };
    let protocols = || value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if !protocols().any(|protocol| is_token(&protocol)) {
        return Some(Cow::Borrowed(value));
    }
    let others: Vec<_> = protocols().filter(|protocol| !is_token(protocol)).collect();
    (!others.is_empty()).then(|| Cow::Owned(others.join(b", ".as_slice())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passes(name: &str) -> bool {
        let connection = Connection::named([b"close, X-Mine".as_slice(), b"Te"]);
        to_upstream(name, b"value", &connection).is_some()
    }

    #[test]
    fn what_a_client_says_of_the_request_goes_upstream() {
        for name in [
            "Accept",
            "Content-Type",
            "Content-Encoding",
            "User-Agent",
            "Kubectl-Command",
            "If-None-Match",
            "X-Stream-Protocol-Version",
            "Sec-WebSocket-Key",
            "traceparent",
            "Audit-ID",
            "X-App",
        ] {
            assert!(passes(name), "{name}");
        }
    }

    #[test]
    fn what_a_client_says_of_itself_or_its_connection_does_not() {
        for name in [
            "Authorization",
            "Cookie",
            "Host",
            "Content-Length",
            "Transfer-Encoding",
            "Connection",
            "Upgrade",
            "TE",
            "Trailer",
            "Keep-Alive",
            "Proxy-Authorization",
            "X-Mine",
            "x-mine",
            "X-Forwarded-For",
            "Forwarded",
            "Accept-Encoding",
            "Expect",
        ] {
            assert!(!passes(name), "{name}");
        }
    }

    #[test]
    fn a_token_among_websocket_protocols_does_not_go_upstream() {
        let pass = |value: &'static [u8]| {
            to_upstream("Sec-WebSocket-Protocol", value, &Connection::default())
        };
        let token: &[u8] = b"base64url.bearer.authorization.k8s.io.c2VjcmV0, v5.channel.k8s.io";
        assert_eq!(pass(token).as_deref(), Some(b"v5.channel.k8s.io".as_slice()));
        assert_eq!(pass(b"BASE64URL.bearer.authorization.k8s.io.c2VjcmV0"), None);
        assert_eq!(
            pass(b"v5.channel.k8s.io,v4").as_deref(),
            Some(b"v5.channel.k8s.io,v4".as_slice())
        );
    }

    #[test]
    fn what_a_member_says_of_its_answer_comes_back() {
        let connection = Connection::named([b"X-Hop".as_slice()]);
        for name in [
            "Content-Type",
            "Content-Encoding",
            "Warning",
            "Audit-Id",
            "Retry-After",
            "Location",
            "X-Kubernetes-Pf-Flowschema-Uid",
            "ETag",
            "Vary",
            "Cache-Control",
        ] {
            assert!(to_client(name, &connection), "{name}");
        }
        for name in [
            "Set-Cookie",
            "Transfer-Encoding",
            "Content-Length",
            "Connection",
            "X-Hop",
            "Alt-Svc",
            "WWW-Authenticate",
            "Date",
            "Trailer",
        ] {
            assert!(!to_client(name, &connection), "{name}");
        }
    }

    fn in_any_casing(name: String) -> impl Strategy<Value = String> {
        prop::collection::vec(any::<bool>(), name.len()).prop_map(move |upper| {
            let letters = name.chars().zip(upper);
            letters
                .map(|(letter, up)| if up { letter.to_ascii_uppercase() } else { letter })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn no_identity_header_passes_in_any_casing(
            name in "authorization|cookie|(impersonate|x-remote)-(user|uid|group|extra-[a-z%./]{0,9}|)"
                .prop_flat_map(in_any_casing),
            value in prop::collection::vec(any::<u8>(), 0..20),
            named in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let connection = Connection::named([named.as_slice()]);
            prop_assert_eq!(to_upstream(&name, &value, &connection), None);
        }
    }
}
