//! What `tenbin-fleet up` keeps running: bare clusters, or clusters that are measured, each with a
//! tenbin.

use std::path::Path;

use anyhow::{Context, Result};
use tenbin_integration::eventually::{patience, until};
use tenbin_integration::power::{Model, wao};
use tenbin_integration::{Cluster, Condition, Daemon, Fleet, FleetBuilder, PowerFleet};

pub(crate) const DEMO_USER: &str = "demo";

/// The machines of the clusters in turn: an efficient one, a newer, and an old one that draws much
/// (`specpower.json`).
const MACHINES: [&str; 3] = ["spec-ibm-x3550-x5675", "spec-ibm-x3550-x5670", "spec-hp-ml110-g4"];

#[derive(Debug)]
pub(crate) enum Running {
    Bare(Fleet),
    Measured(PowerFleet),
}

// === impl Running ===

impl Running {
    /// Starts the clusters alone.
    pub(crate) fn bare(builder: FleetBuilder, nodes: u32) -> Result<Self> {
        Ok(Self::Bare(builder.nodes(nodes).kubelet().start()?))
    }

    /// Starts the clusters with sensors, a predictor and a tenbin each, and waits until each tenbin
    /// knows what all clusters draw.
    pub(crate) fn measured(builder: FleetBuilder, nodes: u32) -> Result<Self> {
        let first = Model::named(MACHINES[0])?;
        let power = PowerFleet::start(builder, nodes, &first, air, |daemon| daemon)?;
        let clusters = power.fleet().clusters();
        for (cluster, machine) in clusters.iter().zip(MACHINES.iter().cycle()).skip(1) {
            let endpoint = power.fleet().power()?.predictor().endpoint(machine);
            let predictor = wao::power_consumption(&wao::v2(&endpoint));
            for n in 0..nodes {
                let node = format!("{}-n{n}", cluster.name());
                wao::change(cluster, cluster.wao(), &node, &wao::spec(&node, &predictor))?;
            }
        }
        clusters.iter().try_for_each(let_demo_user_in)?;
        for daemon in power.daemons() {
            until(patience(), || measured(daemon, clusters.len()))?;
        }
        Ok(Self::Measured(power))
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        match self {
            Self::Bare(fleet) => fleet,
            Self::Measured(power) => power.fleet(),
        }
    }

    /// The tenbins, in the order of their clusters.
    pub(crate) fn daemons(&self) -> &[Daemon] {
        match self {
            Self::Bare(_) => &[],
            Self::Measured(power) => power.daemons(),
        }
    }

    /// Starts again what has ended.
    pub(crate) fn heal(&mut self) -> Result<()> {
        match self {
            Self::Bare(fleet) => fleet.heal(),
            Self::Measured(power) => {
                power.fleet_mut().heal()?;
                let names: Vec<String> =
                    power.fleet().clusters().iter().map(|it| it.name().to_owned()).collect();
                names.iter().try_for_each(|name| power.daemon_mut(name)?.heal())
            }
        }
    }
}

/// The load and the air of each node at the start.
fn air(_place: usize, n: u32) -> Condition {
    let n = f64::from(n);
    Condition { cpu: 12.0 + 6.0 * n, inlet: 22.0 + n, pressure: 8.0 }
}

fn measured(daemon: &Daemon, clusters: usize) -> Result<()> {
    let scores = daemon.scores()?;
    let rows = scores.get("clusters").and_then(|rows| rows.as_array()).context("no clusters")?;
    let known = rows.iter().filter(|row| row.get("watts").is_some_and(serde_json::Value::is_f64));
    let known = known.count();
    (known == clusters).then_some(()).with_context(|| format!("{known} of {clusters} are measured"))
}

/// Lets the user `demo` do everything in this cluster. An administrator's certificate of tokyo
/// (`system:masters`) would not do: privileged identities stay in own unless `[auth] cross` lists
/// them, while an ordinary user may do in each cluster what that cluster's RBAC says.
fn let_demo_user_in(cluster: &Cluster) -> Result<()> {
    let bind = ["create", "clusterrolebinding", DEMO_USER];
    let role = ["--clusterrole=cluster-admin", &format!("--user={DEMO_USER}")];
    let bound = cluster.kubectl()?.ok(bind.iter().chain(&role));
    bound.with_context(|| format!("letting {DEMO_USER} into {}", cluster.name()))?;
    Ok(())
}

/// Copies the kubeconfigs to `folder` and says where they are.
pub(crate) fn kubeconfigs(running: &Running, folder: &Path) -> Result<String> {
    let copy = |name: &str, from: &Path, what: &str| -> Result<String> {
        let to = folder.join(format!("{name}.kubeconfig"));
        std::fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        Ok(format!("export KUBECONFIG={}   # {what}", to.display()))
    };
    let clusters = running.fleet().clusters();
    let mut said = Vec::new();
    for cluster in clusters {
        said.push(copy(cluster.name(), &cluster.kubeconfig(), "this cluster alone")?);
    }
    for (place, (own, daemon)) in clusters.iter().zip(running.daemons()).enumerate() {
        let name = if place == 0 { "tenbin".to_owned() } else { format!("tenbin-{}", own.name()) };
        let what = format!("the whole fleet, by way of {}'s tenbin, as the user demo", own.name());
        said.push(copy(&name, &daemon.kubeconfig_for(own, DEMO_USER, &[])?, &what)?);
        said.push(format!("# its admin pages: http://{}", daemon.admin_address()));
    }
    Ok(said.join("\n"))
}
