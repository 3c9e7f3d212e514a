//! Damage to the files of the ledger: whatever it is, what is read was once true, or nothing is.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::*;

/// So many that they fill several of sled's segments.
const WORLDS: i32 = 150;
/// The size of sled's segments.
const SEGMENT: usize = 512 * 1024;

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
    let what = match dice.roll(6) {
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
            let end = (start / SEGMENT + 1) * SEGMENT;
            bytes.drain(end - SEGMENT..end.min(bytes.len()));
            fs::write(file, &bytes).unwrap();
            format!("without its segment {}", start / SEGMENT)
        }
        4 => {
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

/// What a ledger has at hand that was just opened, as text that can be compared.
fn facts(ledger: &Keeper) -> BTreeSet<String> {
    let score = |(name, score): (&ClusterName, &Arc<_>)| {
        let score: &tenbin_model::score::Score = score;
        format!("{name} {} {} {:?}", score.watts(), score.sampled_at(), score.nodes())
    };
    let slots = ledger.slots.iter().map(|it| format!("{it:?}"));
    let history = ledger.history.lines().into_iter();
    let history = history.map(|(name, points)| format!("{name} {}", points.join(", ")));
    ledger.board.iter().map(score).chain(slots).chain(history).collect()
}

#[test]
fn no_damage_yields_a_score_that_was_never_written_nor_keeps_the_ledger_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path());
    // Every world that was ever on disk, and none at all.
    let mut worlds = BTreeSet::from([BTreeSet::new()]);
    for number in 1..=WORLDS {
        ledger.persist(world(number)).unwrap();
        worlds.insert(facts(&ledger));
        ledger.save_slots(slots(u64::try_from(number).unwrap())).unwrap();
        worlds.insert(facts(&ledger));
    }
    drop(ledger);

    let rounds = std::env::var("TENBIN_TORTURE_ROUNDS");
    for round in 0..rounds.map_or(200, |rounds| rounds.parse::<u64>().unwrap()) {
        let case = copy(folder.path());
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (round + 1));
        let what: Vec<_> =
            (0..=dice.roll(3)).map(|_| damage(&case.path().join("ledger"), &mut dice)).collect();
        let mut ledger = open(case.path());
        let recovered = facts(&ledger);
        assert!(worlds.contains(&recovered), "round {round}, {what:?}: {recovered:?}");

        ledger.persist(world(WORLDS + 1)).unwrap();
        let written = facts(&ledger);
        drop(ledger);
        assert_eq!(facts(&open(case.path())), written, "round {round}, {what:?}");
    }
}
