//! Logs: pretty on a terminal, JSON otherwise.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Begins logging to standard error; `RUST_LOG` chooses what, `info` by default. kube's client logs
/// each failed connection as an error; what it means is logged once by who asked. actix logs each bad
/// head of a stranger as one.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new("info,actix_server=warn,actix_http=off,kube_client=off")
    });
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).with_ansi(false).init();
    }
}
