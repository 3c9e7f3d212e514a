//! How much one user may have under way (`identity.md`, Limits).

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use actix_http::Response;
use actix_http::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;
use tenbin_model::config::Limits;
use tenbin_model::identity::Caller;
use tenbin_model::status::{Reason, Status};

/// Users share this many counts, so that nothing grows; two that share one share its limit.
const COUNTS: usize = 4096;

/// What users have under way. Shared by all workers.
#[derive(Debug)]
pub(crate) struct Places {
    requests: Vec<AtomicU32>,
    streams: Vec<AtomicU32>,
    hasher: RandomState,
}

/// One request under way; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    user: usize,
    streams: bool,
}

// === impl Places ===

impl Places {
    /// Takes a place for a request, or for one that streams.
    ///
    /// # Errors
    /// 429 where the caller has as much under way as it may.
    pub(crate) fn enter(
        places: &Arc<Self>,
        caller: &Caller,
        streams: bool,
        limits: Limits,
    ) -> Result<Place, Status> {
        let limit = if streams { limits.streams_per_user } else { limits.requests_per_user };
        let user = usize::try_from(places.hasher.hash_one(caller.user())).unwrap_or_default();
        let user = user % COUNTS;
        let taken = places.count(user, streams).map(|count| count.fetch_add(1, Ordering::Relaxed));
        let place = Place { places: Arc::clone(places), user, streams };
        if taken.is_none_or(|taken| taken < limit) {
            return Ok(place);
        }
        let what = if streams { "watches and other streams" } else { "requests" };
        let message = format!("you have {limit} {what} under way, which is the limit");
        Err(Status::new(Reason::TooManyRequests, message).retry_after(1))
    }

    fn count(&self, user: usize, streams: bool) -> Option<&AtomicU32> {
        if streams { self.streams.get(user) } else { self.requests.get(user) }
    }
}

impl Default for Places {
    fn default() -> Self {
        let counts = || std::iter::repeat_with(AtomicU32::default).take(COUNTS).collect();
        Self { requests: counts(), streams: counts(), hasher: RandomState::new() }
    }
}

// === impl Place ===

impl Place {
    /// Keeps the place until the body of the answer ends.
    pub(crate) fn hold_during(self, response: Response<BoxBody>) -> Response<BoxBody> {
        response.map_body(|_, body| match body.size() {
            BodySize::None | BodySize::Sized(0) => body,
            BodySize::Sized(_) | BodySize::Stream => BoxBody::new(Held { body, _place: self }),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(count) = self.places.count(self.user, self.streams) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A body, and the place of its request.
struct Held {
    body: BoxBody,
    _place: Place,
}

// === impl Held ===

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(places: &Arc<Places>, user: &str, streams: bool) -> Result<Place, u16> {
        let caller = Caller::from_certificate(user, Vec::new(), [0; 32]).unwrap();
        let limits = Limits { requests_per_user: 2, streams_per_user: 1 };
        Places::enter(places, &caller, streams, limits).map_err(|status| status.code)
    }

    #[test]
    fn a_user_with_too_much_under_way_is_told_so_and_others_are_not() {
        let places = Arc::default();
        let (pods, watch) = (false, true);
        let held = [enter(&places, "a", pods).unwrap(), enter(&places, "a", pods).unwrap()];
        let stream = enter(&places, "a", watch).unwrap();
        assert_eq!(enter(&places, "a", pods).err(), Some(429));
        assert_eq!(enter(&places, "a", watch).err(), Some(429));
        assert!(enter(&places, "b", pods).is_ok());
        drop((held, stream));
        assert!(enter(&places, "a", pods).is_ok());
        assert!(enter(&places, "a", watch).is_ok());
    }

    #[test]
    fn a_place_is_held_until_the_body_ends() {
        let places = Arc::default();
        let watch = true;
        let place = enter(&places, "a", watch).unwrap();
        let answer = place.hold_during(Response::ok().set_body(BoxBody::new("x")));
        assert_eq!(enter(&places, "a", watch).err(), Some(429));
        drop(answer);
        assert!(enter(&places, "a", watch).is_ok());
    }
}
