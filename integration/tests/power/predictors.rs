//! A predictor with every fault that one can have. Node 0 is asked of a predictor of its own that
//! breaks, the others of one that does not.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tenbin_integration::power::wao;
use tenbin_integration::{Behaviour, FaultyPredictor, Model, eventually};

use super::rig::{Rig, at_once, daemon, is_close, is_whole, linear, node_config, path, sum};
use super::{FLEET, NODES};

/// Breaks the predictor of node 0 alone, and then that of all nodes.
fn a_predictor(name: &str, behaviour: Behaviour, reason: &str) -> Result<()> {
    let (broken, well) = (FaultyPredictor::start()?, FaultyPredictor::start()?);
    let cluster = FLEET.cluster("quiet")?;
    cluster.ensure_namespace(name)?;
    for n in 0..NODES {
        node_config(cluster, name, n, &linear(if n == 0 { &broken } else { &well }))?;
    }
    let daemon = daemon("quiet", name).start()?;
    let rig = Rig { cluster, namespace: name.to_owned(), daemon };
    let watts = sum(&Model::Linear);
    let become_well = || {
        broken.behave(Behaviour::Formula);
        well.behave(Behaviour::Formula);
        Ok(())
    };
    let break_one = || {
        broken.behave(behaviour);
        Ok(())
    };
    rig.survives(watts, &[0], reason, break_one, become_well)?;
    let break_all = || {
        broken.behave(behaviour);
        well.behave(behaviour);
        Ok(())
    };
    rig.survives(watts, &[0, 1, 2], reason, break_all, become_well)
}

#[test]
fn a_predictor_that_answers_nonsense_or_not_at_all_makes_nothing_better() -> Result<()> {
    let cases = [
        ("answers-500", Behaviour::Status(500), "answers 500"),
        ("hangs", Behaviour::Hang, "does not answer: silent for 0."),
        ("says-nan", Behaviour::NotANumber, "answers no JSON"),
        ("says-negative", Behaviour::Negative, "predicts -100 W"),
        ("says-much", Behaviour::Huge, "answers more than 1048576 bytes"),
        ("says-text", Behaviour::Text, "answers no JSON"),
        ("says-too-little", Behaviour::TooFew, "answers 0 values for 1 rows"),
    ];
    at_once(cases, |(name, behaviour, reason)| a_predictor(name, behaviour, reason))
}

#[test]
fn a_predictor_that_is_gone_makes_nothing_better() -> Result<()> {
    let (name, watts) = ("predictor-gone", sum(&Model::Linear));
    let fake = FaultyPredictor::start()?;
    let other = FaultyPredictor::start()?;
    let rig = Rig::start("quiet", name, &linear(&fake))?;
    let heal = || {
        for n in 0..NODES {
            change(&rig, n, &linear(&other))?;
        }
        Ok(())
    };
    let gone = || {
        drop(fake);
        Ok(())
    };
    rig.survives(watts, &[0, 1, 2], "does not answer", gone, heal)
}

fn change(rig: &Rig, n: u32, predictor: &Value) -> Result<()> {
    let node = rig.node(n);
    let path = format!("{}/{node}", path(rig.cluster.wao(), &rig.namespace));
    let spec = wao::spec(&node, predictor);
    let change = serde_json::json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
    let body = Some(("application/json-patch+json", change.as_bytes()));
    rig.cluster.client()?.send("PATCH", &path, body)?.success()?;
    Ok(())
}

#[test]
fn a_predictor_that_refuses_batches_is_asked_row_by_row() -> Result<()> {
    let (fake, watts) = (FaultyPredictor::start()?, sum(&Model::Linear));
    let rig = Rig::start("quiet", "refuses-batches", &linear(&fake))?;
    rig.reaches(watts);
    fake.behave(Behaviour::RefuseBatches);
    drop(fake.take_asked());
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 3);
    rig.reaches(watts);
    // Within the five minutes for which this is remembered no batch is tried again.
    drop(fake.take_asked());
    eventually!(rig.polls(), |now: &u64| *now >= polls + 5);
    let asked = fake.take_asked();
    assert!(asked.len() >= 3 && asked.iter().all(|it| it.rows.len() == 1), "{asked:?}");
    Ok(())
}

#[test]
fn nested_data_and_the_prefix_of_a_path_are_understood() -> Result<()> {
    let (fake, watts) = (FaultyPredictor::start()?, sum(&Model::Linear));
    fake.behave(Behaviour::Nested);
    let endpoint = format!("{}/serving/tokyo/v2/models/linear/infer?raw=1", fake.url());
    let predictor = wao::power_consumption(&wao::v2(&endpoint));
    let rig = Rig::start("quiet", "nested", &predictor)?;
    rig.reaches(watts);
    let asked = fake.take_asked();
    let path = "/serving/tokyo/v2/models/linear/infer?raw=1";
    assert!(asked.iter().all(|it| it.path == path), "{asked:?}");
    let json = "content-type: application/json";
    assert!(asked.iter().all(|it| it.head.to_ascii_lowercase().contains(json)), "{asked:?}");
    // One request for all nodes, and one for the three tables of their air.
    assert!(asked.iter().any(|it| it.rows.len() == NODES as usize), "{asked:?}");
    Ok(())
}

#[test]
fn a_predictor_that_is_slow_does_not_make_rounds_overlap() -> Result<()> {
    let (fake, watts) = (FaultyPredictor::start()?, sum(&Model::Linear));
    let rig = Rig::start("quiet", "slow", &linear(&fake))?;
    rig.reaches(watts);
    fake.delay(Duration::from_millis(400));
    let (requests, polls) = (fake.requests(), rig.polls()?);
    eventually!(rig.polls(), |now: &u64| *now >= polls + 4);
    let row = rig.row()?;
    assert!(is_whole(&row) && is_close(&row, watts), "{row:#}");
    let (requests, polls) = (fake.requests() - requests, rig.polls()? - polls);
    assert!(requests <= polls + 1, "{requests} requests in {polls} rounds");
    Ok(())
}
