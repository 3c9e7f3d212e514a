//! The score that a peer tells of itself at its peers port.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::http::header::{self, HeaderMap, HeaderValue};
use awc::http::{Method, StatusCode};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::{Call, Lanes, PROMPT};
use tenbin_fleet::member::{Fleet, Member, Reach};
use tenbin_fleet::registry::{RegionTold, Registry};
use tenbin_kernel::{Clock, Slot};
use tenbin_model::ids::ClusterName;
use tokio::sync::watch;
use tracing::debug;

use super::{Measured, PollError, Source};
use crate::cluster_score::Group;

#[cfg(test)]
mod tests;
mod told;

use told::{Times, Told, date};

/// A list of one cluster's score with some ten thousand nodes.
const BODY_LIMIT: usize = 4 << 20;

/// Asks a peer for its ClusterScores, and believes what it says of itself.
///
/// Another tenbin answers in tenbin's group. An original program serves one of both, which depends
/// on its release: they are tried in turn, the one that answered last first.
pub struct PeerSource(Rc<Inner>);

struct Inner {
    cluster: ClusterName,
    fleet: watch::Receiver<Arc<Fleet>>,
    registry: Slot<Registry>,
    namespace: String,
    clock: Clock,
    lanes: Lanes,
    times: Cell<Times>,
    /// Where the peer's own item was found the last time.
    group: Cell<Group>,
}

// === impl PeerSource ===

impl PeerSource {
    /// Asks `cluster` in `namespace`, as long as it is a member of the published fleet.
    pub fn new(
        cluster: ClusterName,
        fleet: watch::Receiver<Arc<Fleet>>,
        registry: Slot<Registry>,
        namespace: String,
        clock: Clock,
    ) -> Self {
        Self(Rc::new(Inner {
            cluster,
            fleet,
            registry,
            namespace,
            clock,
            lanes: Lanes::default(),
            times: Cell::default(),
            group: Cell::new(Group::Tenbin),
        }))
    }
}

impl Source for PeerSource {
    fn sample(&self, within: Duration) -> LocalBoxFuture<'static, Result<Measured, PollError>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.sample(within).await })
    }
}

// === impl Inner ===

impl Inner {
    async fn sample(&self, within: Duration) -> Result<Measured, PollError> {
        let fleet = Arc::clone(&self.fleet.borrow());
        self.lanes.retain(&fleet);
        let member = fleet.get(self.cluster.as_str());
        let member = member.ok_or_else(|| PollError::NoAnswer("it is no member".to_owned()))?;
        let (told, date) = match self.ask(member, self.group.get(), within).await {
            Err(PollError::NoScore(_)) if member.reach == Reach::Original => {
                let other = self.group.get().other();
                let answer = self.ask(member, other, within).await?;
                self.group.set(other);
                answer
            }
            answer => answer?,
        };
        self.tell_region(&fleet, &told.region);
        let mut times = self.times.get();
        let sampled_at = times.ours(told.measured_at, date, self.clock.now());
        self.times.set(times);
        Ok(Measured { sample: told.sample(sampled_at), power: None })
    }

    async fn ask(
        &self,
        member: &Arc<Member>,
        group: Group,
        within: Duration,
    ) -> Result<(Told, Option<Timestamp>), PollError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::GET,
            path_and_query: group.list_path(&self.namespace),
            headers,
            body: Bytes::new(),
            first_byte: within,
            patience: PROMPT,
        };
        let answer = self.lanes.send(member, call).await.map_err(|fault| no_answer(&fault))?;
        if answer.status != StatusCode::OK {
            return Err(PollError::NoScore(format!("the peer answers {}", answer.status)));
        }
        let date = answer.headers.get(header::DATE).and_then(|value| date(value.as_bytes()));
        let body = answer.whole(BODY_LIMIT).await.map_err(|fault| no_answer(&fault))?;
        let told = Told::read(&body).map_err(|mute| PollError::NoScore(mute.to_string()))?;
        Ok((told, date))
    }

    fn tell_region(&self, fleet: &Fleet, region: &str) {
        if fleet.regions.get(&self.cluster).is_some_and(|known| known == region) {
            return;
        }
        let told = RegionTold { cluster: self.cluster.clone(), region: region.to_owned() };
        if let Err(error) = self.registry.tell(told) {
            debug!(cluster = %self.cluster, %error, "region is told again with the next score");
        }
    }
}

fn no_answer(fault: &Fault) -> PollError {
    PollError::NoAnswer(fault.to_string())
}
