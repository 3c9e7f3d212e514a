//! What a request asks for, and where it goes.
//!
//! [`classify`](classify::classify) reads method, path and query; [`route`](route::route) turns
//! the class into the plan that the gateway carries out. Both are total: hostile bytes end in a
//! [`Status`](crate::status::Status), never in a panic, and nothing that was refused is forwarded.

pub mod accept;
pub mod classify;
pub mod headers;
pub mod kinds;
pub mod lasting;
pub mod path;
pub mod query;
pub mod route;
pub mod selector;
pub mod upgrade;
pub mod versions;

/// Tells whether each `%` has its two hexadecimal digits.
fn escapes_are_whole(raw: &str) -> bool {
    raw.split('%').skip(1).all(|after| {
        after.get(..2).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}
