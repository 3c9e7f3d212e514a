//! The line that every request leaves (`identity.md`).

use std::net::SocketAddr;
use std::time::Duration;

use actix_http::{Method, Request};
use tenbin_kernel::Clock;
use tracing::info;

/// A request on its way to its audit line, which is written when this is dropped.
///
/// So a client that leaves before the answer leaves a line as well, without a code.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Who asks; empty for strangers.
    pub(crate) user: String,
    /// The peer that sent the request on, at the peers port.
    pub(crate) through: Option<String>,
    /// The code of the answer.
    pub(crate) code: Option<u16>,
    method: Method,
    path: String,
    peer: Option<SocketAddr>,
    clock: Clock,
    begun: Duration,
}

// === impl Audit ===

impl Audit {
    /// Begins with a request whose caller is not known yet.
    pub(crate) fn begin(
        clock: &Clock,
        method: Method,
        path: String,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            user: String::new(),
            through: None,
            code: None,
            method,
            path,
            peer,
            begun: clock.elapsed(),
            clock: clock.clone(),
        }
    }

    /// The same with a request that actix has read.
    pub(crate) fn of(clock: &Clock, request: &Request) -> Self {
        let (method, path) = (request.method().clone(), request.path().to_owned());
        Self::begin(clock, method, path, request.peer_addr())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let elapsed = self.clock.elapsed().saturating_sub(self.begun);
        info!(
            target: "audit",
            user = self.user,
            through = self.through,
            verb = %self.method,
            path = self.path,
            peer = self.peer.map(tracing::field::display),
            code = self.code,
            elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "request answered"
        );
    }
}
