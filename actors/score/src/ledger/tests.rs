use std::fs;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;
use tenbin_model::score::{NodeScore, Provenance, Sample};

use super::*;

mod torture;

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn at(second: i32) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

/// The moment at which the worlds are opened.
const NOW: i32 = 1_000_000;

/// When the sample of a world was taken: a minute after that of the world before.
fn moment(world: i32) -> Timestamp {
    at(NOW - 3 * 3600 + 60 * world)
}

fn sample(watts: f64, world: i32) -> Sample {
    let node = |it| NodeScore {
        name: format!("node-{it}"),
        watts: watts / 8.0,
        cpu_percent: Some(f64::from(it)),
        inlet_celsius: None,
        delta_p_pascal: None,
    };
    Sample {
        watts,
        provenance: Provenance::Measured,
        sampled_at: moment(world),
        nodes: (0..8).map(node).collect(),
        missing: Vec::new(),
    }
}

/// One world of many: three members, whose watts tell which.
fn world(number: i32) -> Arc<ScoreBoard> {
    let board = ["tokyo", "osaka", "nagoya"].iter().fold(ScoreBoard::default(), |board, member| {
        let watts = f64::from(number) * 10.0 + 0.25;
        board.with_sample(name(member), sample(watts, number)).unwrap()
    });
    Arc::new(board)
}

fn slots(epoch: u64) -> KnownFleet {
    KnownFleet {
        epoch,
        slots: vec![name("tokyo"), name("osaka")],
        regions: [(name("osaka"), "kansai".to_owned())].into(),
        own: Some(name("tokyo")),
        peers: vec![KnownPeer {
            name: name("osaka"),
            endpoint: format!("https://osaka-{epoch}.example.com:18081"),
            region: Some("kansai".to_owned()),
        }],
    }
}

fn open(folder: &Path) -> Keeper {
    let (clock, _) = Clock::manual(at(NOW));
    Keeper::open(Arc::new(StateLock::take(folder).unwrap()), clock)
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    recover::copy_folder(from, to.path()).unwrap();
    to
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

#[test]
fn what_was_persisted_is_recovered_with_its_time_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    assert_eq!(ledger.recovered(), &Recovered::default());
    ledger.persist(world(7)).unwrap();
    ledger.save_slots(slots(3)).unwrap();
    ledger.close();
    drop(ledger);

    let recovered = open(folder.path()).recovered().clone();
    let tokyo = recovered.scores.get(&name("tokyo")).unwrap();
    assert_eq!((tokyo.watts(), tokyo.sampled_at()), (70.25, moment(7)));
    assert_eq!(tokyo.provenance(), Provenance::Ledger);
    assert_eq!(recovered.fleet, Some(slots(3)));
    assert_eq!(recovered.quarantined, None);
}

#[test]
fn a_member_that_left_the_board_leaves_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.persist(world(1)).unwrap();
    ledger.persist(Arc::new(world(2).without(&name("osaka")))).unwrap();
    drop(ledger);

    let recovered = open(folder.path()).recovered().clone();
    let names: Vec<_> = recovered.scores.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["nagoya", "tokyo"]);
}

#[test]
fn a_copy_taken_in_the_midst_of_life_is_as_after_a_kill_and_opens_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    for second in 1..=20 {
        ledger.persist(world(second)).unwrap();
        let killed = copy(folder.path());
        let recovered = open(killed.path()).recovered().clone();
        assert_eq!(recovered.quarantined, None);
        let expected = Recovered {
            scores: ScoreBoard::recovered(
                world(second).iter().map(|(name, score)| (name.clone(), score.as_ref().clone())),
            ),
            ..Recovered::default()
        };
        assert_eq!(recovered, expected);
    }
}

#[test]
fn a_lost_record_is_noticed_though_all_others_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.persist(world(1)).unwrap();
    drop(ledger);
    {
        use store::ScoreStore;
        let store = sled_store::SledStore::open(&folder.path().join("ledger")).unwrap();
        store.apply(&[("score/osaka".to_owned(), None)].into()).unwrap();
    }
    let recovered = open(folder.path()).recovered().clone();
    assert_eq!(recovered.scores, ScoreBoard::default());
    assert!(recovered.quarantined.unwrap().join("db").exists());
}

#[test]
fn a_file_in_the_place_of_the_ledger_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ledger"), "in the way").unwrap();
    let mut ledger = open(folder.path());
    let aside = ledger.recovered().quarantined.clone().unwrap();
    assert_eq!(fs::read_to_string(aside).unwrap(), "in the way");
    ledger.persist(world(1)).unwrap();
    assert_eq!(ledger.state()["scores"], 3);
    assert_eq!(ledger.state()["quarantines"], 1);
}

#[test]
fn only_the_last_damaged_ledgers_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Arc::new(StateLock::take(folder.path()).unwrap());
    for second in 0..5 {
        let ledger = folder.path().join("ledger");
        fs::remove_dir_all(&ledger).ok();
        fs::write(&ledger, format!("{second}")).unwrap();
        let (clock, _) = Clock::manual(at(second));
        Keeper::open(Arc::clone(&lock), clock);
    }
    let kept: Vec<_> = files(folder.path())
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(".corrupt-"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(kept, ["2", "3", "4"]);
}

#[test]
fn an_inspection_shows_what_a_running_ledger_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    ledger.persist(world(1)).unwrap();
    let inspection = inspect(folder.path()).unwrap();
    assert_eq!(inspection.damage, None);
    let keys: Vec<_> = inspection.records.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["score/nagoya", "score/osaka", "score/tokyo"]);
    assert_eq!(inspection.records[0].content["watts"], 10.25);
    assert_eq!(inspection.history[&name("osaka")], ["1970-01-12T10:47:40Z 10.2 W measured"]);
    assert_eq!(inspection.records[0].written_at, at(NOW));
}

#[test]
fn the_history_outlives_the_daemon_and_its_members() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    for number in 1..=10 {
        ledger.persist(world(number)).unwrap();
        // A sample that stands still adds nothing.
        ledger.persist(Arc::new(ScoreBoard::clone(&world(number)))).unwrap();
    }
    ledger.persist(Arc::new(world(11).without(&name("osaka")))).unwrap();
    let before = ledger.history.lines();
    assert_eq!(before[&name("tokyo")].len(), 11);
    assert_eq!(before[&name("osaka")].len(), 10);
    drop(ledger);
    assert_eq!(open(folder.path()).history.lines(), before);
}

#[test]
fn a_week_of_history_is_one_record_an_hour_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let lock = Arc::new(StateLock::take(folder.path()).unwrap());
    let (clock, hand) = Clock::manual(at(NOW));
    let mut ledger = Keeper::open(lock, clock.clone());
    let persist = |ledger: &mut Keeper| {
        let sample = Sample { sampled_at: clock.now(), ..sample(100.0, 0) };
        ledger.persist(Arc::new(ScoreBoard::default().with_sample(name("tokyo"), sample).unwrap()))
    };
    for _ in 0..8 * 24 * 4 {
        hand.advance(std::time::Duration::from_mins(15));
        persist(&mut ledger).unwrap();
    }
    let points = ledger.history.lines()[&name("tokyo")].len();
    assert_eq!((points, ledger.state()["records"].as_u64().unwrap()), (7 * 24 * 4, 7 * 24 + 1));
}

#[test]
fn a_fleet_that_was_written_before_peers_were_known_reads() {
    let old = r#"{"epoch":3,"slots":["tokyo"]}"#;
    let fleet: KnownFleet = serde_json::from_str(old).unwrap();
    assert_eq!((fleet.epoch, fleet.own, fleet.peers), (3, None, Vec::new()));
}
