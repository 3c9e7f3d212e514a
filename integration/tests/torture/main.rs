//! Watch torture: writers on three members, faults at random, and informers whose stores must be
//! the truth in the end. `TENBIN_SEED` chooses the faults and the writes.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

mod faults;
mod informer;
mod report;
mod scene;
mod truth;
mod writers;

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tenbin_integration::eventually::{patience, until};

use self::informer::{Informer, Way};
use self::report::say;
use self::scene::{Running, Scene};
use self::truth::{Kind, Truth};

/// Without faults, for the figures of a healthy fleet.
const CALM: Duration = Duration::from_secs(10);

#[test]
fn every_informer_ends_with_the_truth() -> Result<()> {
    torture(Duration::from_secs(50))
}

#[test]
#[ignore = "five minutes: `make soak`"]
fn every_informer_ends_with_the_truth_after_minutes() -> Result<()> {
    torture(Duration::from_mins(5))
}

fn torture(length: Duration) -> Result<()> {
    let mut scene = Scene::start()?;
    say(&format!("TENBIN_SEED={}", scene.seed));
    let (writing, informing) = (Running::new(), Running::new());
    let (members, through) = (scene.members()?, scene.through()?);
    let truth = Truth::new(&members, scene.daemon.client()?);
    writers::begin(&members, scene.began)?;
    let outcome = thread::scope(|scope| {
        for (place, client) in members.iter().enumerate() {
            let (random, began, running) = (scene.random(place), scene.began, writing.clone());
            scope.spawn(move || writers::write(place, client, random, began, &running));
        }
        let (random, running) = (scene.random(3), writing.clone());
        let client = scene.daemon.client()?;
        scope.spawn(move || writers::manage(&client, random, &running));
        let mut reports = Vec::new();
        for (place, (kind, way, reads)) in INFORMERS.into_iter().enumerate() {
            let random = scene.random(10 + place);
            let informer = Informer::new(through.clone(), kind, way, reads, random, scene.began);
            reports.push((informer.name(), kind, informer.report()));
            let running = informing.clone();
            scope.spawn(move || informer.run(&running));
        }
        let began = scene.began;
        let show = |when: &str| {
            for (name, _, report) in &reports {
                let figures = report.borrow().figures(began.elapsed());
                say(&format!("{when} {name}: {figures}"));
            }
        };
        let checked = || -> Result<()> {
            writing.pause(CALM);
            show("calm");
            faults::break_all(&mut scene, length)?;
            writing.end();
            for (name, kind, report) in &reports {
                until(patience(), || {
                    let difference = report.borrow().difference(&truth.look(*kind)?);
                    if difference.is_empty() { Ok(()) } else { bail!("{difference}") }
                })
                .with_context(|| format!("{name} is not as the truth"))?;
            }
            Ok(())
        }();
        show("all");
        // Whatever went wrong, the threads end.
        writing.end();
        informing.end();
        scene.front.cut_all()?;
        let wrong: Vec<_> = reports.iter().flat_map(|it| it.2.borrow().wrong(&it.0)).collect();
        checked?;
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    });
    outcome
        .with_context(|| format!("TENBIN_SEED={}, {}", scene.seed, scene.daemon.folder().display()))
}

/// What is kept, how it begins, and whether it stops to read now and then.
const INFORMERS: [(Kind, Way, bool); 6] = [
    (Kind::ConfigMaps, Way::List, true),
    (Kind::ConfigMaps, Way::List, false),
    (Kind::ConfigMaps, Way::InitialEvents, true),
    (Kind::ConfigMaps, Way::InitialEvents, false),
    (Kind::Deployments, Way::List, true),
    (Kind::Deployments, Way::InitialEvents, true),
];
