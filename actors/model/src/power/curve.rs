//! What more pods add to a member (`placement.md`, Curves).

use super::{NodePower, PodShape, Power};
use crate::config::Scheduler;

/// The most pods that a curve is worked out for; a greater total is divided without curves.
pub const MAX_PODS: u32 = 1000;

/// More than all machines of mankind draw: whoever sends such a number means that there is no room.
const MOST_WATTS: f64 = 1e12;

/// The watts that 1, 2, 3, ... more pods of one shape add to a member, up to where its room ends.
///
/// Never negative and never falling: no machine draws less because it does more, so who says so has
/// an error, and an error must not win pods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve(Vec<f64>);

/// A node with room: the watts that 1, 2, ... more pods add to it.
struct Room<'a> {
    node: &'a NodePower,
    added: Vec<f64>,
}

// === impl Curve ===

impl Curve {
    /// Makes a curve of at most [`MAX_PODS`] values; it ends at the first that is no number of
    /// watts.
    pub fn new(watts: impl IntoIterator<Item = f64>) -> Self {
        let watts = watts.into_iter().take(MAX_PODS as usize);
        let rising = watts.take_while(|it| *it <= MOST_WATTS).scan(0.0_f64, |most, it| {
            *most = most.max(it);
            Some(*most)
        });
        Self(rising.collect())
    }

    /// The curve of a member where so many of the pods run already, and are in its load: they add
    /// nothing, and the first that is new adds what the first adds here.
    #[must_use]
    pub fn after(self, running: u32) -> Self {
        let nothing = std::iter::repeat_n(0.0, running as usize);
        Self(nothing.chain(self.0).take(MAX_PODS as usize).collect())
    }

    /// How many pods the member has room for, as far as was asked.
    pub fn room(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(MAX_PODS)
    }

    /// The watts that the first, the first two, the first three pods add.
    pub fn watts(&self) -> &[f64] {
        &self.0
    }
}

// === impl Power ===

impl Power {
    /// The watts that up to `pods` more pods add, [`MAX_PODS`] at the most, as the member's
    /// scheduler places them. A pod adds its CPU request to the load.
    ///
    /// Takes time in proportion to nodes × pods, under the scheduler `wao` × the pods that one node
    /// has room for: for 500 nodes and 1000 pods 14 ms with the usual 110 pods a node, 70 ms
    /// without that limit (release build, one core of an EPYC at 2.6 GHz).
    pub fn curve(&self, shape: PodShape, pods: u32) -> Curve {
        let pods = pods.min(MAX_PODS) as usize;
        let mut rooms: Vec<_> =
            self.nodes.iter().map(|node| Room::new(node, shape, pods)).collect();
        // Sums of fractions depend on their order, so the order must not depend on the watch's.
        rooms.sort_by(|one, other| one.node.name.cmp(&other.node.name));
        Curve::new(match self.scheduler {
            Scheduler::Default => least_allocated(&rooms, shape, pods),
            Scheduler::Wao => least_watts(&rooms, pods),
        })
    }
}

/// Places pod after pod as kube-scheduler does by default: on the node of which the least is
/// allocated then, in the mean of CPU and memory; of equals on the first by name
/// (`noderesources/least_allocated.go`, where it is any of them).
fn least_allocated(rooms: &[Room<'_>], shape: PodShape, pods: usize) -> Vec<f64> {
    let mut placed: Vec<u32> = vec![0; rooms.len()];
    let mut sum = 0.0;
    let place = || {
        let open = rooms.iter().zip(&mut placed);
        let open = open.filter_map(|(room, placed)| Some((room.next(*placed)?, room, placed)));
        let (watts, _, placed) = open.min_by(|(_, one, of_one), (_, other, of_other)| {
            let allocated = |room: &Room<'_>, placed| room.node.allocated(shape, placed + 1);
            allocated(one, **of_one).total_cmp(&allocated(other, **of_other))
        })?;
        *placed += 1;
        sum += watts;
        Some(sum)
    };
    std::iter::from_fn(place).take(pods).collect()
}

/// The least watts over all ways to place 1, 2, ... pods, node after node.
///
/// Pod after pod on the node that is cheapest then would miss them: a server's first load is its
/// dearest (`specpower.json`).
fn least_watts(rooms: &[Room<'_>], pods: usize) -> Vec<f64> {
    // What 0, 1, 2, ... pods add to the nodes so far.
    let mut least = vec![0.0];
    for room in rooms {
        let fit = (least.len() + room.added.len()).min(pods + 1);
        let mut with = least.clone();
        with.resize(fit, f64::INFINITY);
        for (here, added) in (1..).zip(&room.added) {
            // Plain slices and a comparison: the compiler makes vector code of it.
            let from = with.get_mut(here..).unwrap_or_default();
            for (sum, elsewhere) in from.iter_mut().zip(&least) {
                if elsewhere + added < *sum {
                    *sum = elsewhere + added;
                }
            }
        }
        least = with;
    }
    least.split_off(1)
}

// === impl Room ===

impl<'a> Room<'a> {
    fn new(node: &'a NodePower, shape: PodShape, pods: usize) -> Self {
        let now = node.watts(shape, 0);
        let most = node.room(shape).min(pods as u64);
        Self { node, added: (1..=most).map(|placed| node.watts(shape, placed) - now).collect() }
    }

    /// What the next pod adds when `placed` are there; `None` where it does not fit.
    fn next(&self, placed: u32) -> Option<f64> {
        let placed = placed as usize;
        let before = placed.checked_sub(1).and_then(|last| self.added.get(last));
        Some(self.added.get(placed)? - before.unwrap_or(&0.0))
    }
}

// === impl NodePower ===

impl NodePower {
    /// How many more pods fit by what they ask for.
    fn room(&self, shape: PodShape) -> u64 {
        let (has, used) = (&self.allocatable, &self.requested);
        let fit = |has: u64, used: u64, each: u64| {
            has.saturating_sub(used).checked_div(each).unwrap_or(u64::MAX)
        };
        if self.capacity_milli == 0 {
            return 0;
        }
        fit(has.cpu_milli, used.cpu_milli, shape.cpu_milli)
            .min(fit(has.memory_bytes, used.memory_bytes, shape.memory_bytes))
            .min(fit(has.pods, used.pods, 1))
    }

    /// Its watts with so many more pods.
    ///
    /// Work that a full machine puts off is done later, not for nothing: beyond 100 % each percent
    /// costs the mean of what it costs below. Else pods would flock to where they wait.
    fn watts(&self, shape: PodShape, pods: u64) -> f64 {
        let load =
            self.cpu_percent + 100.0 * float(pods * shape.cpu_milli) / float(self.capacity_milli);
        let mean = (self.table.at(100.0) - self.table.at(0.0)) / 100.0;
        self.table.at(load) + mean * (load - 100.0).max(0.0)
    }

    /// The part of it that is allocated with so many more pods: the mean of CPU and memory.
    fn allocated(&self, shape: PodShape, pods: u32) -> f64 {
        let part = |has: u64, used: u64, each: u64| {
            if has == 0 { 1.0 } else { float(used + u64::from(pods) * each) / float(has) }
        };
        let (has, used) = (&self.allocatable, &self.requested);
        let cpu = part(has.cpu_milli, used.cpu_milli, shape.cpu_milli);
        let memory = part(has.memory_bytes, used.memory_bytes, shape.memory_bytes);
        f64::midpoint(cpu, memory)
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB, and close enough above")]
fn float(whole: u64) -> f64 {
    whole as f64
}

#[cfg(test)]
mod tests;
