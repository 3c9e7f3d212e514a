//! How long a member that says nothing is waited for (`reads.md`, Dead).

use std::time::Duration;

use tenbin_kernel::Slot;

use crate::forwarder::{Doubt, Forwarder};

/// How long the forwarder may take to tell whether a member lives; longer than its probe.
const DOUBT_LIMIT: Duration = Duration::from_secs(3);
/// How young a sign of life has to be for streams.
const ALIVE: Duration = Duration::from_secs(1);
/// How much longer a member that has left is waited for.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The patience of one request.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After this silence, and each further one, the member must show that it lives.
    pub silence: Duration,
    /// After this silence it has failed although it lives; `None` for streams that may be silent
    /// for as long as they like.
    pub limit: Option<Duration>,
}

// === impl Patience ===

impl Patience {
    /// Resolves when a silence that begins now has lasted too long; tells why.
    ///
    /// Cancellation safe: dropped when the member speaks.
    pub(crate) async fn ends(self, forwarder: &Slot<Forwarder>) -> String {
        let dying = async {
            loop {
                tokio::time::sleep(self.silence).await;
                if !is_alive(forwarder, self.doubt()).await {
                    return;
                }
            }
        };
        let limited = async {
            match self.limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
            self.limit.unwrap_or_default()
        };
        tokio::select! {
            () = dying => DEAD.to_owned(),
            () = self.abandoned(forwarder) => LEFT.to_owned(),
            limit = limited => format!("silent for {} s", limit.as_secs()),
        }
    }

    /// Idle watches fall silent by the hundred: for them a sign of life that is young will do.
    fn doubt(self) -> Doubt {
        Doubt { age: if self.limit.is_none() { ALIVE } else { Duration::ZERO } }
    }

    /// Resolves at the end of a silence after which nobody watches over the member any more: it
    /// left the fleet, or is reached otherwise now. Without this a stream of it could last for ever,
    /// and a request of a silent one as long as its limit. What it is about to say may still come.
    async fn abandoned(self, forwarder: &Slot<Forwarder>) {
        loop {
            tokio::time::sleep(self.silence).await;
            if forwarder.get().is_some() {
                continue;
            }
            tokio::time::sleep(LAST_WORD).await;
            if forwarder.get().is_none() {
                return;
            }
        }
    }
}

const DEAD: &str = "silent, and /livez is silent too";
const LEFT: &str = "silent, and no longer a member that is reached this way";

/// Whether the member gives a sign of life on a fresh connection.
pub(crate) async fn is_alive(forwarder: &Slot<Forwarder>, doubt: Doubt) -> bool {
    // Nobody to ask, as when the member is reached otherwise by now, is no fact against it.
    forwarder.ask(doubt, DOUBT_LIMIT).await.unwrap_or(true)
}
