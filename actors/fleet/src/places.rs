//! How many requests a member has in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests and watches that one member may have in flight, over all workers.
pub const MAX_IN_FLIGHT: usize = 2048;

/// The places of one member, for all who ask it.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

/// The right to have one request in flight; dropping it gives the place back.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    _permit: OwnedSemaphorePermit,
}

// === impl Places ===

impl Places {
    /// Takes a place; `None` where all are taken.
    pub fn take(&self) -> Option<Ticket> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Ticket { _permit: permit })
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        MAX_IN_FLIGHT.saturating_sub(self.0.available_permits())
    }
}

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_IN_FLIGHT)))
    }
}
