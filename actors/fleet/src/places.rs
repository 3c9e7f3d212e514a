//! How many requests a member has in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that one member may have in flight, over all workers.
pub const MAX_REQUESTS: usize = 2048;
/// Watches and other streams that one member may have open. They last, and would take the places of
/// all requests if they shared them.
pub const MAX_STREAMS: usize = 8192;

/// The places of one member, for all who ask it.
#[derive(Debug, Clone)]
pub struct Places {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// What is to be had in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It ends by itself.
    Request,
    /// It lasts as long as somebody wants it.
    Stream,
}

/// The right to have one request or stream in flight; dropping it gives the place back.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    _permit: OwnedSemaphorePermit,
}

// === impl Places ===

impl Places {
    /// Takes a place; `None` where all are taken.
    pub fn take(&self, kind: Kind) -> Option<Ticket> {
        let places = match kind {
            Kind::Request => &self.requests,
            Kind::Stream => &self.streams,
        };
        let permit = Arc::clone(places).try_acquire_owned().ok()?;
        Some(Ticket { _permit: permit })
    }

    /// How many places are taken.
    pub fn taken(&self, kind: Kind) -> usize {
        match kind {
            Kind::Request => MAX_REQUESTS.saturating_sub(self.requests.available_permits()),
            Kind::Stream => MAX_STREAMS.saturating_sub(self.streams.available_permits()),
        }
    }
}

impl Default for Places {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self { requests: places(MAX_REQUESTS), streams: places(MAX_STREAMS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_never_take_the_places_of_requests() {
        let places = Places::default();
        let mut tickets: Vec<_> = std::iter::from_fn(|| places.take(Kind::Stream)).collect();
        assert_eq!((tickets.len(), places.taken(Kind::Stream)), (MAX_STREAMS, MAX_STREAMS));
        assert!(places.take(Kind::Request).is_some());
        tickets.pop();
        assert!(places.take(Kind::Stream).is_some());
    }
}
