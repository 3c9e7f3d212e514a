//! Any method, path and query is classified and routed, or refused, without a panic.
//!
//! The input is three lines: method, path, query. What was routed to one member never climbs out
//! of its path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tenbin_model::config::NamespacePattern;
use tenbin_model::request::classify::{Head, classify};
use tenbin_model::request::kinds::Kinds;
use tenbin_model::request::route::{Route, RoutePolicy, route};

fuzz_target!(|input: &str| {
    let mut lines = input.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let head = Head {
        method: line(),
        path: line(),
        query: line(),
    };
    let Ok(class) = classify(&head) else { return };
    let policy = RoutePolicy::new(Kinds::default(), NamespacePattern::new("kube-*").into_iter().collect());
    if let Route::Member { rest, .. } = route(class, &policy) {
        assert!(rest.starts_with('/') && !rest.split('/').any(|segment| segment == ".."));
    }
});
