use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::{Arbiter, MessageResult};
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::clock::ManualClock;

const PATIENCE: Duration = Duration::from_secs(20);

/// An actor that can be made to misbehave.
struct Worker {
    made: u32,
    hangs_at_drain: bool,
    asked: Arc<AtomicU32>,
    _lifeline: Lifeline,
}

#[derive(Message)]
#[rtype(u32)]
struct WhichOne;

#[derive(Message)]
#[rtype(u32)]
struct PanicNow;

#[derive(Message)]
#[rtype(result = "()")]
struct Leave;

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<WhichOne> for Worker {
    type Result = u32;
    fn handle(&mut self, _: WhichOne, _: &mut Context<Self>) -> u32 {
        self.made
    }
}

impl Handler<PanicNow> for Worker {
    type Result = u32;
    fn handle(&mut self, _: PanicNow, _: &mut Context<Self>) -> u32 {
        panic!("as the test wants")
    }
}

impl Handler<Leave> for Worker {
    type Result = ();
    fn handle(&mut self, _: Leave, context: &mut Context<Self>) {
        actix::ActorContext::stop(context);
    }
}

impl Handler<Observe> for Worker {
    type Result = MessageResult<Observe>;
    fn handle(&mut self, _: Observe, _: &mut Context<Self>) -> Self::Result {
        MessageResult(json!({ "made": self.made }))
    }
}

impl Handler<Drain> for Worker {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> ResponseFuture<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs_at_drain { Box::pin(future::pending()) } else { Box::pin(future::ready(())) }
    }
}

struct Fixture {
    guardian: GuardianHandle,
    hand: ManualClock,
    arbiter: Arbiter,
    asked: Arc<AtomicU32>,
}

impl Fixture {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let guardian = Guardian::start(clock, Intensity::default());
        Self { guardian, hand, arbiter: Arbiter::new(), asked: Arc::default() }
    }

    async fn spawn(&self, name: &str, order: u8, hangs_at_drain: bool) -> Slot<Worker> {
        let slot = Slot::empty();
        let (made, asked) = (AtomicU32::new(0), Arc::clone(&self.asked));
        let factory = Box::new(move |lifeline| Worker {
            made: made.fetch_add(1, Ordering::SeqCst) + 1,
            hangs_at_drain,
            asked: Arc::clone(&asked),
            _lifeline: lifeline,
        });
        let arbiter = self.arbiter.handle();
        let spec = ChildSpec {
            name: name.into(),
            order,
            arbiter,
            slot: slot.clone(),
            mailbox: 8,
            factory,
        };
        self.guardian.spawn(spec).await.unwrap();
        slot
    }

    /// Moves the clock beyond any pause once the Guardian sleeps one, until `slot` is filled.
    async fn restarted(&self, slot: &Slot<Worker>) {
        until(|| self.hand.sleepers() > 0).await;
        self.hand.advance(Duration::from_secs(5));
        until(|| slot.get().is_some()).await;
    }

    fn reported(&self) -> impl Future<Output = Vec<(String, bool, u32, Value)>> + use<> {
        let guardian = self.guardian.clone();
        async move {
            let reports = guardian.observe().await.unwrap();
            reports.into_iter().map(|it| (it.name, it.running, it.restarts, it.state)).collect()
        }
    }
}

async fn until(state: impl Fn() -> bool) {
    let wait = async {
        while !state() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[actix::test]
async fn an_actor_that_panics_in_a_handler_is_rebuilt_while_its_sibling_lives_on() {
    let fixture = Fixture::new();
    let slot = fixture.spawn("frail", 0, false).await;
    let sibling = fixture.spawn("sibling", 0, false).await;
    assert_eq!(slot.ask(WhichOne, PATIENCE).await, Ok(1));

    assert_eq!(slot.ask(PanicNow, PATIENCE).await, Err(AskError::Stopped));
    until(|| slot.get().is_none()).await;
    assert_eq!(slot.ask(WhichOne, PATIENCE).await, Err(AskError::NotRunning));
    fixture.restarted(&slot).await;

    assert_eq!(slot.ask(WhichOne, PATIENCE).await, Ok(2));
    assert_eq!(sibling.ask(WhichOne, PATIENCE).await, Ok(1));
    let expected = [
        ("frail".to_owned(), true, 1, json!({ "made": 2 })),
        ("sibling".to_owned(), true, 0, json!({ "made": 1 })),
    ];
    assert_eq!(fixture.reported().await, expected);
}

#[actix::test]
async fn an_actor_that_leaves_unasked_is_rebuilt_too() {
    let fixture = Fixture::new();
    let slot = fixture.spawn("leaver", 0, false).await;
    slot.tell(Leave).unwrap();
    until(|| slot.get().is_none()).await;
    fixture.restarted(&slot).await;
    assert_eq!(slot.ask(WhichOne, PATIENCE).await, Ok(2));
}

#[actix::test]
async fn a_child_that_dies_six_times_within_a_minute_is_given_up_and_told() {
    let fixture = Fixture::new();
    let slot = fixture.spawn("frail", 0, false).await;
    for death in 1..=6 {
        assert_eq!(slot.ask(PanicNow, PATIENCE).await, Err(AskError::Stopped));
        if death < 6 {
            until(|| slot.get().is_none()).await;
            fixture.restarted(&slot).await;
        }
    }
    let failure = tokio::time::timeout(PATIENCE, fixture.guardian.failed()).await.unwrap();
    assert_eq!(failure, Failure { child: "frail".into(), deaths: 6 });
    assert_eq!(fixture.reported().await, [("frail".to_owned(), false, 5, Value::Null)]);
}

#[actix::test]
async fn a_factory_that_panics_counts_as_a_death_each_time() {
    let fixture = Fixture::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let spec = ChildSpec::<Worker> {
        name: "stillborn".into(),
        order: 0,
        arbiter: fixture.arbiter.handle(),
        slot: Slot::empty(),
        mailbox: 1,
        factory: Box::new(move |_lifeline| {
            counted.fetch_add(1, Ordering::SeqCst);
            panic!("as the test wants")
        }),
    };
    fixture.guardian.spawn(spec).await.unwrap();
    for call in 1..=5 {
        until(|| calls.load(Ordering::SeqCst) == call && fixture.hand.sleepers() > 0).await;
        fixture.hand.advance(Duration::from_secs(5));
    }
    let failure = tokio::time::timeout(PATIENCE, fixture.guardian.failed()).await.unwrap();
    assert_eq!(failure.child, "stillborn");
}

#[actix::test]
async fn a_drain_goes_in_order_and_ends_at_its_deadline_though_a_child_hangs() {
    let fixture = Fixture::new();
    fixture.spawn("ledger", 9, false).await;
    fixture.spawn("gateway", 1, false).await;
    fixture.spawn("hanging", 2, true).await;

    let guardian = fixture.guardian.clone();
    let drain = actix_rt::spawn(async move { guardian.drain(Duration::from_secs(10)).await });
    until(|| fixture.asked.load(Ordering::SeqCst) == 2 && fixture.hand.sleepers() > 0).await;
    // One second is kept for the ledger.
    fixture.hand.advance(Duration::from_secs(9));
    let report = tokio::time::timeout(PATIENCE, drain).await.unwrap().unwrap().unwrap();

    let outcomes: Vec<_> = report.steps.iter().map(|it| (it.name.as_str(), it.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("gateway", Outcome::Drained),
            ("hanging", Outcome::TimedOut),
            ("ledger", Outcome::Drained)
        ]
    );
    assert_eq!(report.elapsed, Duration::from_secs(9));
    assert_eq!(fixture.asked.load(Ordering::SeqCst), 3);
}

#[actix::test]
async fn nothing_is_started_once_the_drain_has_begun() {
    let fixture = Fixture::new();
    let slot = fixture.spawn("only", 0, false).await;
    fixture.guardian.drain(PATIENCE).await.unwrap();
    assert!(slot.get().is_none());

    let factory = Box::new(|_lifeline| panic!("never called"));
    let arbiter = fixture.arbiter.handle();
    let slot = Slot::<Worker>::empty();
    let late = ChildSpec { name: "late".into(), order: 0, arbiter, slot, mailbox: 1, factory };
    assert_eq!(fixture.guardian.spawn(late).await, Err(SpawnError::Draining));
}

#[actix::test]
async fn a_stop_is_not_a_death_and_frees_the_name() {
    let fixture = Fixture::new();
    let slot = fixture.spawn("worker", 0, false).await;
    let step = fixture.guardian.stop("worker").await.unwrap().unwrap();
    assert_eq!((step.name.as_str(), step.outcome), ("worker", Outcome::Drained));
    assert!(slot.get().is_none());
    assert_eq!(fixture.hand.sleepers(), 0);
    assert_eq!(fixture.reported().await, []);
    assert_eq!(fixture.guardian.stop("worker").await, Ok(None));

    let again = fixture.spawn("worker", 0, false).await;
    assert_eq!(again.ask(WhichOne, PATIENCE).await, Ok(1));
}

#[actix::test]
async fn a_name_is_given_once() {
    let fixture = Fixture::new();
    fixture.spawn("worker", 0, false).await;
    let spec = ChildSpec::<Worker> {
        name: "worker".into(),
        order: 0,
        arbiter: fixture.arbiter.handle(),
        slot: Slot::empty(),
        mailbox: 1,
        factory: Box::new(|_lifeline| panic!("never called")),
    };
    let taken = SpawnError::NameTaken("worker".into());
    assert_eq!(fixture.guardian.spawn(spec).await, Err(taken));
}

#[actix::test]
async fn an_actor_on_a_blocked_arbiter_is_shown_as_busy() {
    let fixture = Fixture::new();
    fixture.spawn("worker", 0, false).await;
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    fixture.arbiter.spawn_fn(move || assert!(blocked.recv().is_err()));

    let reports = actix_rt::spawn(fixture.reported());
    until(|| fixture.hand.sleepers() > 0).await;
    fixture.hand.advance(OBSERVE_PATIENCE);
    assert_eq!(reports.await.unwrap(), [("worker".to_owned(), true, 0, json!("busy"))]);
    drop(release);
}
