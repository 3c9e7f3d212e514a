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
use tenbin_fleet::forwarder::Doubt;
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

use told::{Mute, Times, Told, date};

/// A list of one cluster's score with some ten thousand nodes.
const BODY_LIMIT: usize = 4 << 20;
/// How long the forwarder may take to tell whether the peer's API server lives.
const LIVES_LIMIT: Duration = Duration::from_secs(3);

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
    /// The group that was served the last time.
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
        let mut answer = self.ask(member, self.group.get(), within).await?;
        if answer.is_err() && member.reach == Reach::Original {
            let other = self.group.get().other();
            let second = self.ask(member, other, within).await?;
            // A group that is not there tells less than one without a score.
            if !matches!(second, Err(Mute::Status(_))) {
                self.group.set(other);
                answer = second;
            }
        }
        let (told, date) = answer.map_err(|mute| PollError::NoScore(mute.to_string()))?;
        lives(member).await?;
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
    ) -> Result<Result<(Told, Option<Timestamp>), Mute>, PollError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call {
            method: Method::GET,
            path_and_query: group.list_path(&self.namespace),
            headers,
            body: Bytes::new(),
            first_byte: Some(within),
            patience: PROMPT,
        };
        let answer = self.lanes.send(member, call).await.map_err(|fault| no_answer(&fault))?;
        if answer.status != StatusCode::OK {
            return Ok(Err(Mute::Status(answer.status)));
        }
        let date = answer.headers.get(header::DATE).and_then(|value| date(value.as_bytes()));
        let body = answer.whole(BODY_LIMIT).await.map_err(|fault| no_answer(&fault))?;
        Ok(Told::read(&body).map(|told| (told, date)))
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

/// A tenbin tells its score from memory also while the API server behind it is dead, and a fleet in
/// which nobody asks for anything else would not notice.
async fn lives(member: &Member) -> Result<(), PollError> {
    // Nobody to ask is no fact against it.
    if member.forwarder.ask(Doubt::default(), LIVES_LIMIT).await.unwrap_or(true) {
        return Ok(());
    }
    Err(PollError::NoAnswer("/livez fails".to_owned()))
}

fn no_answer(fault: &Fault) -> PollError {
    PollError::NoAnswer(fault.to_string())
}
