//! One fault after the other, at random.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tenbin_integration::eventually::now;
use tenbin_integration::{Cluster, Mode, Signal};

use super::report::say;
use super::scene::{MEMBERS, Running, Scene};

/// The member that leaves and comes back.
const GUEST: &str = "osaka";

/// Breaks things for a time; in the end all is whole.
pub(crate) fn break_all(scene: &mut Scene, length: Duration) -> Result<()> {
    let mut random = scene.random(4);
    let began = now();
    while began.elapsed() < length {
        let member = MEMBERS[usize::try_from(random.below(3))?];
        let span = Duration::from_millis(200 + random.below(2500));
        let fault = random.below(16);
        say(&format!("{:?} fault {fault} of {member} for {span:?}", scene.began.elapsed()));
        match fault {
            0..=2 => scene.daemon.shim(member)?.cut_all()?,
            3 | 4 => scene.front.cut_all()?,
            5 => network(scene, member, Mode::CutAfter(random.below(5000)), span)?,
            6 => network(scene, member, Mode::Silent, span)?,
            7 => network(scene, member, Mode::Refuse, span)?,
            8 => network(scene, member, Mode::BlackHole, span)?,
            9 | 10 => compact(scene.fleet.cluster_mut(member)?)?,
            11 => {
                let cluster = scene.fleet.cluster_mut(member)?;
                cluster.kill_apiserver()?;
                cluster.restart_apiserver()?;
            }
            12 => {
                let process = scene.fleet.cluster(member)?.apiserver().running();
                process.signal(Signal::STOP)?;
                wait(span);
                process.signal(Signal::CONT)?;
            }
            13 => leave_and_join(scene, span)?,
            14 => scene.daemon.restart()?,
            _ => {
                scene.daemon.kill()?;
                scene.daemon.start()?;
            }
        }
        wait(Duration::from_millis(random.below(1500)));
    }
    Ok(())
}

fn wait(time: Duration) {
    Running::new().pause(time);
}

/// Lets etcd forget all but the newest state.
fn compact(cluster: &mut Cluster) -> Result<()> {
    let path = "/api/v1/namespaces/kube-public/configmaps";
    let newest = json!({"metadata": {"generateName": "newest-"}});
    let made = cluster.client()?.send_json("POST", path, &newest)?.success()?.json()?;
    let revision = made["metadata"]["resourceVersion"].as_str().context("no version")?;
    cluster.etcd().compact(revision)
}

fn network(scene: &Scene, member: &str, mode: Mode, span: Duration) -> Result<()> {
    let shim = scene.daemon.shim(member)?;
    shim.set(mode)?;
    wait(span);
    shim.set(Mode::Pass)
}

fn leave_and_join(scene: &Scene, span: Duration) -> Result<()> {
    let place = |members: &Vec<toml::Value>| {
        members.iter().position(|it| it.get("name").and_then(|it| it.as_str()) == Some(GUEST))
    };
    let mut guest = None;
    scene.daemon.edit_config(|table| {
        if let Some(members) = table.get_mut("member").and_then(|it| it.as_array_mut()) {
            guest = place(members).map(|place| (place, members.remove(place)));
        }
    })?;
    scene.daemon.reload()?;
    wait(span);
    let (place, guest) = guest.context("no such member")?;
    scene.daemon.edit_config(|table| {
        if let Some(members) = table.get_mut("member").and_then(|it| it.as_array_mut()) {
            members.insert(place, guest);
        }
    })?;
    scene.daemon.reload()
}
