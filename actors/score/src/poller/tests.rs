use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures_util::future;
use jiff::Timestamp;
use serde_json::Value;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Guardian, GuardianHandle, ManualClock};

use super::*;
use crate::tests::{PATIENCE, until};

const INTERVAL: Duration = Duration::from_secs(30);
const LEAD: Duration = Duration::from_secs(7);
const SHORTER: Duration = Duration::from_secs(30 - 7);
const RHYTHM: Rhythm = Rhythm { interval: INTERVAL, lead: LEAD };

/// A Poller whose member answers, refuses or hangs as the test wants; nobody takes its samples.
struct Fixture {
    poller: Slot<Poller>,
    hand: ManualClock,
    probes: Arc<AtomicU32>,
    refuses: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    guardian: GuardianHandle,
}

impl Fixture {
    async fn new() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let guardian = Guardian::start(clock.clone(), Intensity::default());
        let (poller, probes) = (Slot::empty(), Arc::new(AtomicU32::new(0)));
        let (refuses, hangs) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let probe: Probe = {
            let (probes, refuses, hangs) =
                (Arc::clone(&probes), Arc::clone(&refuses), Arc::clone(&hangs));
            Arc::new(move || {
                probes.fetch_add(1, Ordering::SeqCst);
                if hangs.load(Ordering::SeqCst) {
                    return Box::pin(future::pending());
                }
                let no = refuses.load(Ordering::SeqCst);
                let answer = if no { Err("refused".to_owned()) } else { Ok(()) };
                Box::pin(future::ready(answer))
            })
        };
        let factory = Box::new(move |lifeline| {
            let source = StatedSource::new(200.0, Arc::clone(&probe), clock.clone());
            let cluster = ClusterName::new("osaka").unwrap();
            let source = Box::new(source);
            Poller::new(cluster, source, RHYTHM, Slot::empty(), clock.clone(), lifeline)
        });
        let spec = ChildSpec {
            name: "poller osaka".into(),
            order: 0,
            arbiter: actix::Arbiter::current(),
            slot: poller.clone(),
            mailbox: 8,
            factory,
        };
        guardian.spawn(spec).await.unwrap();
        Self { poller, hand, probes, refuses, hangs, guardian }
    }

    async fn state(&self) -> Value {
        self.poller.ask(Observe, PATIENCE).await.unwrap()
    }

    fn probes(&self) -> u32 {
        self.probes.load(Ordering::SeqCst)
    }

    /// Waits until the poll of that number has begun, and the Poller sleeps.
    async fn asleep_after(&self, probes: u32) {
        until(|| self.probes() == probes && self.hand.sleepers() == 1).await;
    }
}

#[actix::test]
async fn the_first_poll_comes_at_once_and_each_other_an_interval_after_the_answer() {
    let fixture = Fixture::new().await;
    for poll in 1..=3 {
        fixture.asleep_after(poll).await;
        assert_eq!(fixture.state().await["samples"], poll);
        fixture.hand.advance(INTERVAL);
    }
    fixture.asleep_after(4).await;
}

#[actix::test]
async fn the_second_poll_comes_earlier_by_the_lead_and_the_third_does_not() {
    let fixture = Fixture::new().await;
    fixture.asleep_after(1).await;
    fixture.hand.advance(SHORTER);
    fixture.asleep_after(2).await;
    fixture.hand.advance(SHORTER);
    assert_eq!(fixture.state().await["samples"], 2);
    fixture.hand.advance(LEAD);
    fixture.asleep_after(3).await;
}

#[actix::test]
async fn a_poll_that_hangs_ends_at_its_deadline_and_is_alone_until_then() {
    let fixture = Fixture::new().await;
    fixture.asleep_after(1).await;
    fixture.hangs.store(true, Ordering::SeqCst);
    fixture.hand.advance(INTERVAL);
    fixture.asleep_after(2).await;

    fixture.hand.advance(LONGEST_POLL);
    while fixture.state().await["failures"] != 1 {}
    fixture.asleep_after(2).await;

    fixture.hangs.store(false, Ordering::SeqCst);
    fixture.hand.advance(INTERVAL);
    fixture.asleep_after(3).await;
    assert_eq!(fixture.state().await["healthy"], true);
}

#[actix::test]
async fn a_member_that_does_not_answer_yields_no_sample_of_its_stated_watts() {
    let fixture = Fixture::new().await;
    fixture.asleep_after(1).await;
    fixture.refuses.store(true, Ordering::SeqCst);
    fixture.hand.advance(INTERVAL);
    fixture.asleep_after(2).await;
    let state = fixture.state().await;
    assert_eq!((&state["samples"], &state["failures"]), (&1.into(), &1.into()));
    assert_eq!(state["healthy"], false);
}

#[actix::test]
async fn a_drained_poller_asks_no_more() {
    let fixture = Fixture::new().await;
    fixture.asleep_after(1).await;
    let deadline = PATIENCE;
    fixture.poller.ask(Drain { deadline }, PATIENCE).await.unwrap();
    until(|| fixture.hand.sleepers() == 0).await;
    fixture.guardian.stop("poller osaka").await.unwrap();
    assert_eq!(fixture.probes(), 1);
}
