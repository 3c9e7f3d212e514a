use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;
use tenbin_model::score::{NodeScore, Provenance, Sample};

use super::*;

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn at(second: i32) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

fn sample(watts: f64, second: i32) -> Sample {
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
        sampled_at: at(second),
        nodes: (0..8).map(node).collect(),
        missing: Vec::new(),
    }
}

/// The world at one second: three members, whose watts tell the second.
fn world(second: i32) -> Arc<ScoreBoard> {
    let board = ["tokyo", "osaka", "nagoya"].iter().fold(ScoreBoard::default(), |board, member| {
        let watts = f64::from(second) * 10.0 + 0.25;
        board.with_sample(name(member), sample(watts, second)).unwrap()
    });
    Arc::new(board)
}

fn slots(epoch: u64) -> KnownFleet {
    KnownFleet { epoch, slots: vec![name("tokyo"), name("osaka")], regions: [].into() }
}

fn open(folder: &Path) -> Keeper {
    let (clock, _) = Clock::manual(at(1_000_000));
    Keeper::open(Arc::new(StateLock::take(folder).unwrap()), clock)
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    recover::copy_folder(from, to.path()).unwrap();
    to
}

/// What is remembered, as text that can be compared.
fn facts(recovered: &Recovered) -> BTreeSet<String> {
    let score = |(name, score): (&ClusterName, &Arc<_>)| {
        let score: &tenbin_model::score::Score = score;
        format!("{name} {} {} {:?}", score.watts(), score.sampled_at(), score.nodes())
    };
    let slots = recovered.fleet.iter().map(|it| format!("{it:?}"));
    recovered.scores.iter().map(score).chain(slots).collect()
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
    assert_eq!((tokyo.watts(), tokyo.sampled_at()), (70.25, at(7)));
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
    assert_eq!(ledger.state()["records"], 3);
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
    assert_eq!(inspection.records[0].written_at, at(1_000_000));
}

/// A small generator of our own (xorshift64*), so that the damages are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let rolled = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from(rolled).unwrap() % sides.max(1)
    }
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

/// Damages one file, and tells how.
fn damage(ledger: &Path, dice: &mut Dice) -> String {
    let files = files(ledger);
    let Some(file) = files.get(dice.roll(files.len())) else {
        return "nothing left".to_owned();
    };
    let mut bytes = fs::read(file).unwrap();
    // Most of a database file is empty; what matters lies at its beginning.
    let used = bytes.iter().rposition(|it| *it != 0).map_or(0, |last| last + 1);
    let start = dice.roll(used);
    let what = match dice.roll(5) {
        0 => {
            fs::remove_file(file).unwrap();
            "deleted".to_owned()
        }
        1 => {
            bytes.truncate(start);
            fs::write(file, &bytes).unwrap();
            format!("cut at {start}")
        }
        2 => {
            let end = (start + 1 + dice.roll(64)).min(bytes.len());
            bytes[start..end].iter_mut().for_each(|byte| *byte = !*byte);
            fs::write(file, &bytes).unwrap();
            format!("flipped {start}..{end}")
        }
        3 => {
            let end = (start + 1 + dice.roll(4096)).min(bytes.len());
            bytes[start..end].fill(0);
            fs::write(file, &bytes).unwrap();
            format!("zeroed {start}..{end}")
        }
        _ => {
            let noise: Vec<u8> =
                (0..=dice.roll(2048)).map(|_| u8::try_from(dice.roll(256)).unwrap()).collect();
            OpenOptions::new().append(true).open(file).unwrap().write_all(&noise).unwrap();
            format!("grown by {}", noise.len())
        }
    };
    format!("{} {what}", file.file_name().unwrap().to_string_lossy())
}

fn tortured(rounds: std::ops::Range<u64>) {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    // Every world that was ever on disk, and none at all.
    let mut worlds = BTreeSet::from([BTreeSet::new()]);
    for second in 1..=30 {
        let scores = ScoreBoard::clone(&world(second));
        ledger.persist(Arc::new(scores.clone())).unwrap();
        let mut known = Recovered { scores, fleet: ledger.slots.clone(), quarantined: None };
        worlds.insert(facts(&known));
        ledger.save_slots(slots(u64::try_from(second).unwrap())).unwrap();
        known.fleet = ledger.slots.clone();
        worlds.insert(facts(&known));
    }
    drop(ledger);

    for round in rounds {
        let case = copy(folder.path());
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (round + 1));
        let what: Vec<_> =
            (0..=dice.roll(3)).map(|_| damage(&case.path().join("ledger"), &mut dice)).collect();
        let mut ledger = open(case.path());
        let recovered = facts(ledger.recovered());
        assert!(worlds.contains(&recovered), "round {round}, {what:?}: {recovered:?}");

        ledger.persist(world(31)).unwrap();
        drop(ledger);
        let again = open(case.path()).recovered().scores.clone();
        assert_eq!(
            again.get(&name("tokyo")).map(|it| it.watts()),
            Some(310.25),
            "round {round}, {what:?}"
        );
    }
}

#[test]
fn no_damage_yields_a_score_that_was_never_written_nor_keeps_the_ledger_from_starting() {
    let rounds = std::env::var("TENBIN_TORTURE_ROUNDS");
    let rounds = rounds.map_or(50, |rounds| rounds.parse().unwrap());
    tortured(0..rounds);
}
