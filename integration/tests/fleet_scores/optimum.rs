//! Divisions worked out by hand: every division is tried, by the formulas of the models.

use anyhow::{Context, Result};
use tenbin_integration::Model;

use super::measured::{condition, expected, model};

/// The CPU of a node in thousandths.
const NODE: u32 = 32_000;

/// What one more pod adds to a node, for 0, 1, 2… pods up to its room. Above 100 % of load work
/// waits, and costs the mean of what it costs below.
fn node(place: usize, n: usize, cpu_milli: u32) -> Result<Vec<f64>> {
    let model = model(place, n)?;
    let now = condition(place, u32::try_from(n)?);
    let at = |cpu: f64| model.watts(cpu.min(100.0), now.inlet, now.pressure);
    let mean = (at(100.0) - at(0.0)) / 100.0;
    let added = |pods: u32| {
        let load = now.cpu + 100.0 * f64::from(pods * cpu_milli) / f64::from(NODE);
        at(load) + mean * (load - 100.0).max(0.0) - now.watts(&model)
    };
    Ok((0..=NODE / cpu_milli).map(added).collect())
}

/// What 0, 1, 2… pods add to the nodes of a cluster, as its scheduler places them.
pub(crate) fn curve(place: usize, cpu_milli: u32) -> Result<Vec<f64>> {
    let nodes = (0..4).map(|n| node(place, n, cpu_milli)).collect::<Result<Vec<_>>>()?;
    let room = nodes[0].len() - 1;
    Ok((0..=room * 4)
        .map(|pods| if place == 1 { least(&nodes, pods) } else { even(&nodes, pods) })
        .collect())
}

/// The least allocated first, of equals the first: in turn, since all are empty.
fn even(nodes: &[Vec<f64>], pods: usize) -> f64 {
    nodes.iter().enumerate().map(|(n, node)| node[(pods + 3 - n) / 4]).sum()
}

/// The least over all ways to place them.
fn least(nodes: &[Vec<f64>], pods: usize) -> f64 {
    match nodes {
        [] if pods == 0 => 0.0,
        [] => f64::INFINITY,
        [first, rest @ ..] => {
            let ways = first.iter().enumerate().take(pods + 1);
            ways.map(|(here, watts)| watts + least(rest, pods - here)).fold(f64::INFINITY, f64::min)
        }
    }
}

/// The division of least added watts among those that use at least `spread` clusters. An error
/// unless it is better by half a watt than any other: measuring is not exact.
pub(crate) fn marginal(total: usize, cpu_milli: u32, spread: usize) -> Result<[u64; 3]> {
    marginal_after([0; 3], total, cpu_milli, spread)
}

/// [`marginal`] of a workload of which so many replicas run, and are in the load already.
pub(crate) fn marginal_after(
    running: [u64; 3],
    total: usize,
    cpu_milli: u32,
    spread: usize,
) -> Result<[u64; 3]> {
    let curves = (0..3).map(|place| curve(place, cpu_milli)).collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for one in 0..=total {
        for two in 0..=total - one {
            let shares = [one, two, total - one - two];
            let run = |place: usize| usize::try_from(running[place]).unwrap_or(usize::MAX);
            let more = |place: usize| shares[place].saturating_sub(run(place));
            let added: Option<f64> = (0..3).map(|place| curves[place].get(more(place))).sum();
            let used = shares.iter().filter(|share| **share > 0).count();
            all.extend(added.filter(|_| used >= spread).map(|added| (added, shares)));
        }
    }
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (best, shares) = all.first().context("no division")?;
    let second = all.get(1).map_or(f64::INFINITY, |it| it.0);
    anyhow::ensure!(
        second - best >= 0.49,
        "{total} × {cpu_milli}: no clear optimum, {best} {second}"
    );
    Ok(shares.map(|share| share as u64))
}

/// The division by 1/watts of the whole clusters, seat by seat.
pub(crate) fn inverse(total: usize) -> [u64; 3] {
    let mut shares = [0_u32; 3];
    for _ in 0..total {
        let price = |place: usize| expected()[place] * f64::from(2 * shares[place] + 1);
        let next = (0..3).min_by(|one, other| price(*one).total_cmp(&price(*other)));
        shares[next.unwrap_or_default()] += 1;
    }
    shares.map(u64::from)
}

/// That the models are worth the name: the dearest load of a server is its first.
#[test]
fn servers_are_not_convex_near_idle() -> Result<()> {
    let server = Model::named("spec-ibm-x3550-x5675")?;
    let at = |cpu| server.watts(cpu, 20.0, 5.0);
    assert!(at(10.0) - at(0.0) > 2.0 * (at(20.0) - at(10.0)));
    Ok(())
}
