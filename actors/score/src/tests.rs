//! Poller, Scorer and Ledger together, on a clock that the tests hold.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Clock, Guardian, GuardianHandle, ManualClock, Observe, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::score::{Provenance, Sample, ScoreBoard};

use crate::ledger::{KnownFleet, LoadScores, SaveFleet, StateLock};
use crate::poller::{Measured, Probe, Rhythm, StatedSource};
use crate::scorer::{Forget, Sampled};
use crate::{Ledger, Poller, Scorer};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const MAX_AGE: Duration = Duration::from_secs(90);

/// Waits for a state, never for a time.
pub(crate) async fn until(state: impl Fn() -> bool) {
    let wait = async {
        while !state() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

/// What a daemon holds of scores, from one start to its end.
struct Daemon {
    guardian: GuardianHandle,
    clock: Clock,
    hand: ManualClock,
    board: Arc<ArcSwap<ScoreBoard>>,
    scorer: Slot<Scorer>,
    ledger: Slot<Ledger>,
    /// The ledger blocks, so it has a thread of its own.
    arbiter: Arbiter,
}

impl Daemon {
    /// A daemon at that second; what its ledger remembers is on the board.
    async fn start(folder: &Path, second: i64) -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_second(second).unwrap());
        let daemon = Self {
            guardian: Guardian::start(clock.clone(), Intensity::default()),
            clock: clock.clone(),
            hand,
            board: Arc::default(),
            scorer: Slot::empty(),
            ledger: Slot::empty(),
            arbiter: Arbiter::new(),
        };
        let lock = Arc::new(StateLock::take(folder).unwrap());
        let ledger = move |lifeline| Ledger::new(Arc::clone(&lock), clock.clone(), lifeline);
        daemon.spawn("ledger", 9, daemon.arbiter.handle(), &daemon.ledger, ledger).await;
        let recovered = daemon.ledger.ask(LoadScores, PATIENCE).await.unwrap();
        daemon.board.store(Arc::new(recovered.scores));

        let (board, ledger, clock) =
            (Arc::clone(&daemon.board), daemon.ledger.clone(), daemon.clock.clone());
        let scorer = move |lifeline| {
            Scorer::new(Arc::clone(&board), Arc::default(), ledger.clone(), clock.clone(), lifeline)
        };
        daemon.spawn("scorer", 5, Arbiter::current(), &daemon.scorer, scorer).await;
        daemon
    }

    async fn spawn<A: tenbin_kernel::Supervised>(
        &self,
        name: &str,
        order: u8,
        arbiter: actix::ArbiterHandle,
        slot: &Slot<A>,
        factory: impl Fn(tenbin_kernel::Lifeline) -> A + Send + Sync + 'static,
    ) {
        let (name, slot, factory) = (name.to_owned(), slot.clone(), Box::new(factory));
        let spec = ChildSpec { name, order, arbiter, slot, mailbox: 16, factory };
        self.guardian.spawn(spec).await.unwrap();
    }

    async fn poll_stated(&self, member: &'static str, watts: f64) {
        let (scorer, clock) = (self.scorer.clone(), self.clock.clone());
        let probe: Probe = Arc::new(|| Box::pin(std::future::ready(Ok(()))));
        let poller = move |lifeline| {
            let source = Box::new(StatedSource::new(watts, Arc::clone(&probe), clock.clone()));
            let interval = Duration::from_secs(30);
            let rhythm = Rhythm { interval, lead: Duration::ZERO };
            Poller::new(name(member), source, rhythm, scorer.clone(), clock.clone(), lifeline)
        };
        self.spawn("poller", 1, Arbiter::current(), &Slot::empty(), poller).await;
        until(|| self.board.load().get(&name(member)).is_some()).await;
    }

    async fn scores(&self, expected: usize) {
        let look = async {
            while self.ledger.ask(Observe, PATIENCE).await.unwrap()["scores"] != expected {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap();
    }

    async fn end(self, folder: &Path) {
        self.guardian.drain(PATIENCE).await.unwrap();
        drop(self);
        until(|| StateLock::take(folder).is_ok()).await;
    }
}

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn sample(watts: f64) -> Sample {
    Sample {
        watts,
        provenance: Provenance::Measured,
        sampled_at: Timestamp::from_second(1000).unwrap(),
        nodes: Vec::new(),
        missing: Vec::new(),
    }
}

#[actix::test]
async fn a_score_goes_from_its_source_to_the_ledger_and_comes_back_with_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let first = Daemon::start(folder.path(), 1000).await;
    first.poll_stated("osaka", 200.0).await;
    let score = first.board.load().get(&name("osaka")).cloned().unwrap();
    assert_eq!((score.watts(), score.provenance()), (200.0, Provenance::Stated));
    first.scores(0).await;
    // The Poller's interval and the Scorer's debounce.
    until(|| first.hand.sleepers() == 2).await;
    first.hand.advance(Duration::from_secs(1));
    first.scores(1).await;
    first.end(folder.path()).await;

    let second = Daemon::start(folder.path(), 1042).await;
    let board = second.board.load_full();
    let score = board.get(&name("osaka")).unwrap();
    assert_eq!((score.watts(), score.provenance()), (200.0, Provenance::Ledger));
    assert_eq!(score.age(second.clock.now()), Duration::from_secs(42));
    assert_eq!(board.watts(&name("osaka"), second.clock.now(), MAX_AGE), Some(200.0));
    let late = second.clock.now() + Duration::from_mins(1);
    assert_eq!(board.watts(&name("osaka"), late, MAX_AGE), None);
}

#[actix::test]
async fn what_changed_a_moment_before_the_end_is_kept_too() {
    let folder = tempfile::tempdir().unwrap();
    let first = Daemon::start(folder.path(), 1000).await;
    let slots = KnownFleet {
        epoch: 2,
        slots: vec![name("tokyo")],
        regions: [(name("tokyo"), "jp".to_owned())].into(),
        own: Some(name("tokyo")),
        peers: Vec::new(),
    };
    first.ledger.ask(SaveFleet(slots.clone()), PATIENCE).await.unwrap().unwrap();
    for watts in [100.0, 110.0, 120.0] {
        let sampled = Sampled {
            cluster: name("tokyo"),
            measured: Measured { sample: sample(watts), power: None },
        };
        first.scorer.ask(sampled, PATIENCE).await.unwrap();
    }
    first.end(folder.path()).await;

    let second = Daemon::start(folder.path(), 1001).await;
    assert_eq!(second.board.load().get(&name("tokyo")).map(|it| it.watts()), Some(120.0));
    let recovered = second.ledger.ask(LoadScores, PATIENCE).await.unwrap();
    assert_eq!(recovered.fleet, Some(slots));
}

#[actix::test]
async fn a_member_that_left_is_forgotten_on_disk_too() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), 1000).await;
    for member in ["tokyo", "osaka"] {
        let sampled = Sampled {
            cluster: name(member),
            measured: Measured { sample: sample(100.0), power: None },
        };
        daemon.scorer.ask(sampled, PATIENCE).await.unwrap();
    }
    until(|| daemon.hand.sleepers() == 1).await;
    daemon.hand.advance(Duration::from_secs(1));
    daemon.scores(2).await;

    daemon.scorer.ask(Forget { cluster: name("osaka") }, PATIENCE).await.unwrap();
    until(|| daemon.hand.sleepers() == 1).await;
    daemon.hand.advance(Duration::from_secs(1));
    daemon.scores(1).await;
}

#[actix::test]
async fn a_refused_sample_leaves_the_board_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path(), 1000).await;
    for watts in [100.0, 0.0] {
        let sampled = Sampled {
            cluster: name("tokyo"),
            measured: Measured { sample: sample(watts), power: None },
        };
        daemon.scorer.ask(sampled, PATIENCE).await.unwrap();
    }
    assert_eq!(daemon.board.load().get(&name("tokyo")).map(|it| it.watts()), Some(100.0));
    let state = daemon.scorer.ask(Observe, PATIENCE).await.unwrap();
    assert_eq!(state["samples_refused"], 1);
}
