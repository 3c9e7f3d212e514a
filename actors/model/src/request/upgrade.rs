//! Requests that ask to leave HTTP (RFC 9110 section 7.8): exec, attach, port-forward, and whatever
//! an application behind a proxy speaks.

use super::classify::RequestClass;
use super::headers::Connection;

/// The parts of objects that clients connect to by POST, as SPDY does.
const BY_POST: [&str; 4] = ["attach", "exec", "portforward", "proxy"];

/// Tells whether a head with an `Upgrade` header asks for an upgrade: its `Connection` has to say so.
pub fn is_asked(connection: &Connection) -> bool {
    connection.names("upgrade")
}

/// Tells whether a request may leave HTTP.
///
/// Reads of an object's part may, and writes of the parts that have no body. All others would pass
/// by what is done with their bodies.
pub fn may(class: &RequestClass, method: &str) -> bool {
    let RequestClass::Connect(object) = class else {
        return matches!(class, RequestClass::Member { .. });
    };
    let by_post = || object.subresource.as_ref().is_some_and(|it| BY_POST.contains(&&*it.name));
    method == "GET" || method == "POST" && by_post()
}

/// The head of an answer as bytes; lines that would not be one line are left out.
pub fn answer_head<'a>(
    code: u16,
    reason: &str,
    lines: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {code} {reason}\r\n").into_bytes();
    for (name, value) in lines {
        if value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            continue;
        }
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::classify::{Head, classify};

    fn may_leave(method: &str, path: &str) -> bool {
        let class = classify(&Head { method, path, query: "" }).unwrap();
        may(&class, method)
    }

    #[test]
    fn streams_and_proxies_may_leave_http() {
        let pod = "/api/v1/namespaces/d/pods/p";
        for part in ["exec", "attach", "portforward", "proxy", "proxy/a/b"] {
            assert!(may_leave("GET", &format!("{pod}/{part}")), "{part}");
            assert!(may_leave("POST", &format!("{pod}/{part}")), "{part}");
        }
        assert!(may_leave("POST", "/clusters/osaka/api/v1/namespaces/d/pods/p/exec"));
        let console = "/apis/subresources.kubevirt.io/v1/namespaces/d/virtualmachineinstances/v";
        assert!(may_leave("GET", &format!("{console}/console")));
    }

    #[test]
    fn what_has_a_body_may_not() {
        let pod = "/api/v1/namespaces/d/pods/p";
        for (method, path) in [
            ("PUT", format!("{pod}/status")),
            ("PATCH", format!("{pod}/ephemeralcontainers")),
            ("POST", format!("{pod}/binding")),
            ("PUT", pod.to_owned()),
            ("POST", "/api/v1/namespaces/d/pods".to_owned()),
            ("GET", "/api/v1/namespaces/d/pods".to_owned()),
            ("GET", "/apis".to_owned()),
            ("GET", "/version".to_owned()),
        ] {
            assert!(!may_leave(method, &path), "{method} {path}");
        }
    }

    #[test]
    fn an_upgrade_is_named_by_the_connection() {
        let asked = |value: &'static str| is_asked(&Connection::named([value.as_bytes()]));
        assert!(asked("Upgrade"));
        assert!(asked("keep-alive, upgrade"));
        assert!(!asked("keep-alive"));
        assert!(!asked(""));
    }

    proptest! {
        #[test]
        fn a_head_reads_back_as_it_was_written(
            code in 100_u16..600,
            lines in prop::collection::vec(
                ("[a-z][a-z0-9-]{0,12}", prop::collection::vec(any::<u8>(), 0..24)),
                0..8,
            ),
        ) {
            let given = lines.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
            let mut head = answer_head(code, "Reason", given);
            let length = head.len();
            head.extend_from_slice(b"x: y\r\n\r\n");
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut read = httparse::Response::new(&mut headers);
            match read.parse(&head) {
                Ok(status) => {
                    // Nothing in a value begins another line, or ends the head early.
                    prop_assert_eq!(status, httparse::Status::Complete(length));
                    let whole = |value: &[u8]| !value.iter().any(|it| b"\r\n\0".contains(it));
                    let kept = lines.iter().filter(|(_, value)| whole(value));
                    let wanted: Vec<_> =
                        kept.map(|(name, value)| (name.as_str(), value.trim_ascii())).collect();
                    let seen: Vec<_> =
                        read.headers.iter().map(|it| (it.name, it.value.trim_ascii())).collect();
                    prop_assert_eq!(seen, wanted);
                }
                // Control characters in a value, which no HeaderValue has.
                Err(error) => prop_assert_eq!(error, httparse::Error::HeaderValue),
            }
        }
    }
}
