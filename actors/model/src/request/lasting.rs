//! Answers that API servers let last (`BasicLongRunningRequestCheck` in apiserver).

use super::classify::{Head, RequestClass, classify};
use super::query::Query;

/// What an answer is that may last, and be silent, for as long as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// Lines, each of which is whole by itself: a watch, or a log that follows.
    Lines,
    /// Anything else: a log, exec, attach, port-forward, an application behind a proxy.
    Opaque,
}

/// Tells whether the answer to a request may last; `None` where it is to come at once.
pub fn lasting(head: &Head<'_>) -> Option<Lasting> {
    match classify(head).ok()? {
        // There are no members below a member.
        RequestClass::Member { rest, .. } => {
            of(&classify(&Head { path: &rest, ..*head }).ok()?, head.query)
        }
        class => of(&class, head.query),
    }
}

fn of(class: &RequestClass, query: &str) -> Option<Lasting> {
    let object = match class {
        RequestClass::Watch(_) | RequestClass::WatchOne(_) => return Some(Lasting::Lines),
        RequestClass::Connect(object) => object,
        _ => return None,
    };
    let follows = || Query::parse(query).is_ok_and(|query| query.is_set("follow"));
    match object.subresource.as_ref()?.name.as_str() {
        "log" if follows() => Some(Lasting::Lines),
        "attach" | "exec" | "log" | "portforward" | "proxy" => Some(Lasting::Opaque),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, target: &str) -> Option<Lasting> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        lasting(&Head { method, path, query })
    }

    #[test]
    fn watches_and_logs_that_follow_are_lines() {
        let pods = "/api/v1/namespaces/shop/pods";
        for target in
            ["?watch=1", "?watch=1&fieldSelector=metadata.name%3Dweb", "/web/log?follow=true"]
        {
            assert_eq!(of("GET", &format!("{pods}{target}")), Some(Lasting::Lines), "{target}");
            let named = format!("/clusters/osaka{pods}{target}");
            assert_eq!(of("GET", &named), Some(Lasting::Lines), "{named}");
        }
        assert_eq!(of("GET", "/api/v1/watch/namespaces/shop/pods"), Some(Lasting::Lines));
    }

    #[test]
    fn logs_and_what_is_connected_to_last_by_every_method() {
        for part in ["pods/web/log", "pods/web/exec", "pods/web:80/proxy/a", "services/web/proxy"] {
            let path = format!("/api/v1/namespaces/shop/{part}");
            assert_eq!(of("GET", &path), Some(Lasting::Opaque), "{path}");
            assert_eq!(of("GET", &format!("/clusters/osaka{path}")), Some(Lasting::Opaque));
        }
        for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] {
            let path = "/api/v1/nodes/n0/proxy/configz";
            assert_eq!(of(method, path), Some(Lasting::Opaque), "{method}");
        }
    }

    #[test]
    fn names_and_queries_alone_make_nothing_last() {
        for (method, target) in [
            ("GET", "/api/v1/namespaces/watch/pods"),
            ("GET", "/api/v1/namespaces/shop/configmaps/watch/status"),
            ("GET", "/api/v1/namespaces/shop/pods?follow=true"),
            ("GET", "/api/v1/namespaces/shop/pods/web?watch=true"),
            ("DELETE", "/api/v1/namespaces/shop/pods?watch=true"),
            ("POST", "/api/v1/namespaces/shop/pods?watch=true"),
            ("GET", "/version?watch=true"),
            ("GET", "/clusters/osaka/clusters/nagoya/api/v1/pods?watch=true"),
        ] {
            assert_eq!(of(method, target), None, "{method} {target}");
        }
    }
}
