//! A placer and an estimator that run, over published fleets, scores and power.

use std::num::NonZeroU64;

use jiff::Timestamp;
use tempfile::TempDir;
use tenbin_fleet::access::AccessSource;
use tenbin_fleet::health::Health;
use tenbin_fleet::member::{Member, Reach};
use tenbin_fleet::places::Places;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{ChildSpec, Guardian, GuardianHandle, ManualClock, Supervised};
use tenbin_model::config::Scheduler;
use tenbin_model::placement::{CLUSTERS, MIN_CLUSTERS, STRATEGY};
use tenbin_model::power::{GRID, NodePower, Power, PowerBoard, PowerTable, Resources};
use tenbin_model::resource_version::VersionSpace;
use tenbin_model::score::{Provenance, Sample};
use tenbin_score::estimator;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_secs(30);
const SETTINGS: Configure =
    Configure { min_clusters: 1, max_age: Duration::from_hours(1), strategy: Strategy::Auto };

struct Rig {
    placer: Slot<Placer>,
    guardian: GuardianHandle,
    clock: Clock,
    hand: ManualClock,
    fleet: watch::Receiver<Arc<Fleet>>,
    board: Arc<ArcSwap<ScoreBoard>>,
    power: Arc<ArcSwap<PowerBoard>>,
}

// === impl Rig ===

impl Rig {
    /// Tokyo at 100 W, osaka at 300 W, and nothing known of their power.
    async fn new() -> Self {
        let rig = Self::without_estimator().await;
        let (fleet, power, clock) = (rig.fleet.clone(), Arc::clone(&rig.power), rig.clock.clone());
        let estimator = Slot::empty();
        rig.start("estimator", &estimator, move |lifeline| {
            let settings = estimator::Configure { interval: INTERVAL };
            let (fleet, power) = (fleet.clone(), Arc::clone(&power));
            Estimator::new(fleet, power, clock.clone(), settings, lifeline)
        })
        .await;
        rig.start_placer(estimator).await;
        rig
    }

    async fn without_estimator() -> Self {
        let now = Timestamp::from_second(1000).unwrap();
        let (clock, hand) = Clock::manual(now);
        let mut board = ScoreBoard::default();
        for (member, watts) in [("tokyo", 100.0), ("osaka", 300.0)] {
            let (nodes, missing) = (Vec::new(), Vec::new());
            let provenance = Provenance::Stated;
            let sample = Sample { watts, provenance, sampled_at: now, nodes, missing };
            board = board.with_sample(name(member), sample).unwrap();
        }
        Self {
            placer: Slot::empty(),
            guardian: Guardian::start(clock.clone(), Intensity::default()),
            clock,
            hand,
            fleet: watch::channel(Arc::new(fleet().await)).1,
            board: Arc::new(ArcSwap::from_pointee(board)),
            power: Arc::default(),
        }
    }

    async fn start_placer(&self, estimator: Slot<Estimator>) {
        let (fleet, board, clock) =
            (self.fleet.clone(), Arc::clone(&self.board), self.clock.clone());
        self.start("placer", &self.placer, move |lifeline| {
            let (fleet, board) = (fleet.clone(), Arc::clone(&board));
            Placer::new(fleet, board, estimator.clone(), clock.clone(), SETTINGS, lifeline)
        })
        .await;
    }

    async fn start<A: Supervised>(
        &self,
        name: &str,
        slot: &Slot<A>,
        factory: impl Fn(Lifeline) -> A + Send + Sync + 'static,
    ) {
        let (name, slot, factory) = (name.to_owned(), slot.clone(), Box::new(factory));
        let arbiter = actix::Arbiter::current();
        let spec = ChildSpec { name, order: 1, arbiter, slot, mailbox: MAILBOX, factory };
        self.guardian.spawn(spec).await.unwrap();
    }

    /// Publishes that a pod adds so many watts to a member, which has room for 10.
    fn measure(&self, members: &[(&str, f64)]) {
        let power = |watts: f64| Power {
            measured_at: self.clock.now(),
            scheduler: Scheduler::Default,
            nodes: vec![NodePower {
                name: "n0".to_owned(),
                capacity_milli: 1000,
                cpu_percent: 0.0,
                allocatable: Resources { cpu_milli: 1000, memory_bytes: 1 << 40, pods: 110 },
                requested: Resources::default(),
                table: Arc::new(PowerTable::new(GRID.map(|it| 50.0 + it * watts / 10.0)).unwrap()),
            }],
        };
        let board = members.iter().map(|(member, watts)| (name(member), Arc::new(power(*watts))));
        self.power.store(Arc::new(board.collect()));
    }

    async fn place(&self, total: u32, wishes: &[(&str, &str)]) -> Result<Placed, PlaceError> {
        self.place_again(total, wishes, "").await
    }

    /// Places a workload of which replicas run already.
    async fn place_again(
        &self,
        total: u32,
        wishes: &[(&str, &str)],
        running: &str,
    ) -> Result<Placed, PlaceError> {
        let wishes = wishes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let place = Place {
            total,
            annotations: wishes.collect(),
            shape: PodShape::default(),
            running: Shares::parse(running).unwrap_or_default(),
            among: vec![name("tokyo"), name("osaka")],
        };
        self.placer.ask(place, PATIENCE).await.unwrap()
    }

    /// The shares and the note.
    async fn placed(&self, total: u32, wishes: &[(&str, &str)]) -> (String, String) {
        let placed = self.place(total, wishes).await.unwrap();
        (placed.shares.to_string(), placed.note.unwrap_or_default())
    }
}

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

/// Tokyo, osaka, and nagoya that takes no part.
async fn fleet() -> Fleet {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kubeconfig");
    let kubeconfig = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
        "clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:9"}}],
        "users":[{"name":"c","user":{}}],
        "contexts":[{"name":"c","context":{"cluster":"c","user":"c"}}]}"#;
    std::fs::write(&path, kubeconfig).unwrap();
    let access = AccessSource::Kubeconfig { path, context: None }.open().await.unwrap();
    let member = |text: &str| {
        Arc::new(Member {
            name: name(text),
            own: text == "tokyo",
            region: text.to_owned(),
            reach: Reach::Direct,
            access: access.clone(),
            generation: 1,
            health: Arc::new(ArcSwap::from_pointee(Health::Up)),
            places: Places::default(),
            forwarder: Slot::empty(),
        })
    };
    let space = VersionSpace::new(NonZeroU64::MIN, Vec::new()).unwrap();
    Fleet::new(["tokyo", "osaka", "nagoya"].map(member).to_vec(), Arc::new(space), Arc::default())
}

#[actix::test]
async fn where_every_member_has_a_curve_the_least_added_watts_decide() {
    let rig = Rig::new().await;
    assert_eq!(rig.placed(8, &[]).await, ("tokyo:6,osaka:2".into(), String::new()));
    rig.measure(&[("tokyo", 5.0), ("osaka", 2.0)]);
    assert_eq!(rig.placed(8, &[]).await, ("tokyo:0,osaka:8".into(), String::new()));
    assert_eq!(rig.placed(8, &[(MIN_CLUSTERS, "2")]).await.0, "tokyo:1,osaka:7");
    assert_eq!(rig.placed(8, &[(STRATEGY, "inverse")]).await.0, "tokyo:6,osaka:2");
    assert_eq!(rig.placed(12, &[]).await.0, "tokyo:2,osaka:10");

    // A load of long ago is no basis.
    rig.hand.advance(INTERVAL * 4);
    assert_eq!(rig.placed(8, &[]).await, ("tokyo:6,osaka:2".into(), String::new()));
}

#[actix::test]
async fn replicas_that_run_stay_where_they_are_when_more_are_asked_for() {
    let rig = Rig::new().await;
    // Room for ten more in each.
    rig.measure(&[("tokyo", 5.0), ("osaka", 2.0)]);
    let again = async |total, running| {
        rig.place_again(total, &[], running).await.unwrap().shares.to_string()
    };
    assert_eq!(again(12, "tokyo:0,osaka:8").await, "tokyo:0,osaka:12");
    assert_eq!(again(12, "tokyo:8,osaka:0").await, "tokyo:8,osaka:4");
    assert_eq!(again(30, "tokyo:4,osaka:8").await, "tokyo:12,osaka:18");
    // Fewer than run: as even as what runs allows.
    assert_eq!(again(6, "tokyo:1,osaka:9").await, "tokyo:1,osaka:5");
}

#[actix::test]
async fn whoever_asks_for_least_watts_reads_why_not() {
    let rig = Rig::new().await;
    let marginal = (STRATEGY, "marginal");
    let why = "divided by the members' scores, not by least added watts: ";
    rig.measure(&[("tokyo", 5.0)]);
    let (shares, note) = rig.placed(8, &[marginal]).await;
    assert_eq!(shares, "tokyo:6,osaka:2");
    assert_eq!(note, format!("{why}osaka has no curve: its power is not measured"));
    // Nobody asks for the curve of a member that may take nothing.
    let only = (CLUSTERS, "tokyo");
    assert_eq!(rig.placed(8, &[marginal, only]).await, ("tokyo:8,osaka:0".into(), String::new()));

    rig.measure(&[("tokyo", 5.0), ("osaka", 2.0)]);
    assert_eq!(rig.placed(8, &[marginal]).await.1, "");
    let (shares, note) = rig.placed(24, &[marginal]).await;
    assert_eq!(shares, "tokyo:18,osaka:6");
    assert_eq!(note, format!("{why}the members have room for 20 more pods, under total 24"));
    let (_, note) = rig.placed(1001, &[marginal]).await;
    assert_eq!(note, format!("{why}by curves 1000 pods can be divided here, under total 1001"));
}

#[actix::test]
async fn without_an_estimator_the_scores_decide() {
    let rig = Rig::without_estimator().await;
    rig.start_placer(Slot::empty()).await;
    assert_eq!(rig.placed(8, &[]).await, ("tokyo:6,osaka:2".into(), String::new()));
    let (shares, note) = rig.placed(8, &[(STRATEGY, "marginal")]).await;
    assert_eq!(shares, "tokyo:6,osaka:2");
    assert!(
        note.ends_with("osaka has no curve: the estimator: the actor is not running"),
        "{note}"
    );
}

#[actix::test]
async fn the_configured_strategy_holds_where_nothing_else_is_wished() {
    let rig = Rig::new().await;
    rig.measure(&[("tokyo", 5.0), ("osaka", 2.0)]);
    let configure = Configure { strategy: Strategy::Inverse, ..SETTINGS };
    rig.placer.ask(configure, PATIENCE).await.unwrap();
    assert_eq!(rig.placed(8, &[]).await.0, "tokyo:6,osaka:2");
    assert_eq!(rig.placed(8, &[(STRATEGY, "auto")]).await.0, "tokyo:0,osaka:8");
    let error = rig.place(8, &[(STRATEGY, "cheap")]).await.unwrap_err();
    assert!(matches!(error, PlaceError::Wish(InvalidWish::Strategy { .. })), "{error}");
}
