use std::sync::Arc;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::power::{GRID, PowerTable, Resources};

/// `ibm-x3550-x5675` of `specpower.json`: 58 W idle, 98 W at 10 %.
const X5675: [f64; 11] =
    [58.4, 98.0, 109.0, 118.0, 128.0, 140.0, 153.0, 170.0, 189.0, 205.0, 222.0];

/// A table through watts at 0 %, 10 %, ... 100 %.
fn table(tenths: [f64; 11]) -> Arc<PowerTable> {
    let points = (0..11).map(|tenth| 10.0 * f64::from(tenth)).zip(tenths);
    let between = |load: f64| {
        let mut stretches = points.clone().zip(points.clone().skip(1));
        let ((low, below), (_, above)) = stretches.find(|(_, (high, _))| load <= *high).unwrap();
        below + (above - below) * (load - low) / 10.0
    };
    Arc::new(PowerTable::new(GRID.map(between)).unwrap())
}

fn node(name: &str, cpu_percent: f64, tenths: [f64; 11]) -> NodePower {
    NodePower {
        name: name.to_owned(),
        capacity_milli: 1000,
        cpu_percent,
        allocatable: Resources { cpu_milli: 1000, memory_bytes: 1000, pods: 110 },
        requested: Resources::default(),
        table: table(tenths),
    }
}

fn power(scheduler: Scheduler, nodes: Vec<NodePower>) -> Power {
    Power { measured_at: Timestamp::UNIX_EPOCH, scheduler, nodes }
}

fn shape(cpu_milli: u64, memory_bytes: u64) -> PodShape {
    PodShape { cpu_milli, memory_bytes }
}

fn rounded(curve: &Curve) -> Vec<f64> {
    curve.watts().iter().map(|watts| (watts * 1000.0).round() / 1000.0).collect()
}

#[test]
fn the_default_scheduler_fills_the_least_allocated_node_first_and_equals_by_name() {
    let linear =
        |watts: f64| [0.0, 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.].map(|it| 1.0 + it * watts);
    let mut big = node("a", 0.0, linear(1.0));
    big.allocatable.cpu_milli = 500;
    let small = node("b", 0.0, linear(10.0));
    // Each pod is 10 % of load: 1 W on a, 10 W on b. With the next one a is allocated by 15 %, b by
    // 10 %; then a by 15 %, b by 20 %; then a by 30 %, b by 20 %.
    let curve = power(Scheduler::Default, vec![big, small.clone()]).curve(shape(100, 100), 3);
    assert_eq!(rounded(&curve), [10.0, 11.0, 21.0]);
    let twin = NodePower { name: "a".to_owned(), table: table(linear(1.0)), ..small.clone() };
    let curve = power(Scheduler::Default, vec![small, twin]).curve(shape(100, 100), 3);
    assert_eq!(rounded(&curve), [1.0, 11.0, 12.0]);
}

#[test]
fn the_wao_scheduler_does_not_shy_at_the_first_watts_of_an_idle_server() {
    // One pod on the busy server costs 20 W, on the idle one 39.6 W; a second one there costs 11 W.
    let dear = [100.0, 120., 140., 160., 180., 200., 220., 240., 260., 280., 300.];
    let nodes = vec![node("busy", 20.0, dear), node("idle", 0.0, X5675)];
    let curve = power(Scheduler::Wao, nodes).curve(shape(100, 0), 4);
    assert_eq!(rounded(&curve), [20.0, 40.0, 59.6, 69.6]);
}

#[test]
fn room_ends_where_cpu_memory_or_pods_end() {
    let rooms = |shape, change: fn(&mut NodePower)| {
        let mut node = node("a", 0.0, X5675);
        change(&mut node);
        power(Scheduler::Default, vec![node]).curve(shape, 100).room()
    };
    assert_eq!(rooms(shape(300, 0), |_| {}), 3);
    assert_eq!(rooms(shape(300, 0), |node| node.requested.cpu_milli = 101), 2);
    assert_eq!(rooms(shape(300, 400), |_| {}), 2);
    assert_eq!(rooms(shape(300, 0), |node| node.requested.pods = 109), 1);
    assert_eq!(rooms(shape(0, 0), |_| {}), 100);
    assert_eq!(rooms(shape(1, 0), |node| node.requested.cpu_milli = 2000), 0);
    assert_eq!(rooms(shape(1, 0), |node| node.capacity_milli = 0), 0);
    assert_eq!(rooms(shape(u64::MAX, u64::MAX), |_| {}), 0);
}

#[test]
fn a_full_machine_is_not_for_nothing() {
    let curve = power(Scheduler::Wao, vec![node("a", 100.0, X5675)]).curve(shape(100, 0), 2);
    assert_eq!(rounded(&curve), [16.36, 32.72]);
}

#[test]
fn a_curve_ends_at_what_is_no_number_of_watts() {
    for end in [f64::NAN, f64::INFINITY, f64::MAX, 1e300] {
        assert_eq!(Curve::new([-2.0, 1.0, end, 3.0]).watts(), [0.0, 1.0]);
    }
    assert_eq!(Curve::new(std::iter::repeat(1.0)).room(), MAX_PODS);
}

#[test]
fn more_pods_never_cost_less() {
    assert_eq!(Curve::new([5.0, 3.0, 8.0]).watts(), [5.0, 5.0, 8.0]);
}

/// Servers that are not convex, some with noise that falls, at any load, some without room.
fn nodes(most: usize) -> impl Strategy<Value = Vec<NodePower>> {
    let tenths = prop_oneof![
        Just(X5675),
        proptest::array::uniform11(1.0_f64..300.0)
            .prop_filter("a full machine draws more", |tenths| tenths[10] > tenths[0]),
        (1.0_f64..100.0, 1.0_f64..300.0).prop_map(|(idle, span)| {
            [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10.].map(|tenth| idle + span * tenth / 10.0)
        }),
    ];
    let resources = (0_u64..1200, 0_u64..1200, 0_u64..6)
        .prop_map(|(cpu_milli, memory_bytes, pods)| Resources { cpu_milli, memory_bytes, pods });
    let load = prop_oneof![Just(0.0), 0.0_f64..120.0];
    vec((tenths, load, resources), 0..=most).prop_map(|nodes| {
        let named = nodes.into_iter().enumerate();
        let node = |(index, (tenths, load, requested))| NodePower {
            requested,
            ..node(&format!("n{index}"), load, tenths)
        };
        named
            .map(node)
            .map(|mut node| {
                node.allocatable.pods = 5;
                node
            })
            .collect()
    })
}

fn shapes() -> impl Strategy<Value = PodShape> {
    (0_u64..400, 0_u64..400).prop_map(|(cpu, memory)| shape(cpu, memory))
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    prop_oneof![Just(Scheduler::Default), Just(Scheduler::Wao)]
}

/// The least watts over every way to place exactly `pods`.
fn brute_force(nodes: &[NodePower], shape: PodShape, pods: u64) -> Option<f64> {
    let Some((node, others)) = nodes.split_first() else {
        return (pods == 0).then_some(0.0);
    };
    let here = |placed| node.watts(shape, placed) - node.watts(shape, 0);
    let ways = (0..=pods.min(node.room(shape)))
        .filter_map(|placed| Some(here(placed) + brute_force(others, shape, pods - placed)?));
    ways.min_by(f64::total_cmp)
}

proptest! {
    #[test]
    fn the_wao_curve_is_the_optimum(nodes in nodes(4), shape in shapes()) {
        let curve = power(Scheduler::Wao, nodes.clone()).curve(shape, 8);
        for (pods, watts) in (1..).zip(curve.watts()) {
            let least = brute_force(&nodes, shape, pods).unwrap().max(0.0);
            prop_assert!((watts - least).abs() < 1e-6, "{pods}: {watts} {least}");
        }
    }

    #[test]
    fn the_wao_curve_is_nowhere_above_the_default_one(nodes in nodes(8), shape in shapes()) {
        let wao = power(Scheduler::Wao, nodes.clone()).curve(shape, 40);
        let default = power(Scheduler::Default, nodes).curve(shape, 40);
        prop_assert_eq!(wao.room(), default.room());
        for (wao, default) in wao.watts().iter().zip(default.watts()) {
            prop_assert!(*wao <= default + 1e-6);
        }
    }

    #[test]
    fn a_curve_is_as_long_as_asked_or_as_the_nodes_have_room(
        nodes in nodes(8), shape in shapes(), scheduler in scheduler(), pods in 0_u32..50,
    ) {
        let room: u64 = nodes.iter().map(|node| node.room(shape)).sum();
        let power = power(scheduler, nodes);
        let curve = power.curve(shape, pods);
        prop_assert_eq!(u64::from(curve.room()), room.min(u64::from(pods)));
        prop_assert!(curve.watts().is_sorted());
        prop_assert!(curve.watts().iter().all(|watts| *watts >= 0.0));
        // More pods only lengthen it.
        let longer = power.curve(shape, pods + 7);
        prop_assert_eq!(curve.watts(), &longer.watts()[..curve.watts().len()]);
    }

    #[test]
    fn a_node_without_room_takes_nothing(
        nodes in nodes(6), shape in shapes(), scheduler in scheduler(), at in any::<Index>(),
    ) {
        let mut more = nodes.clone();
        let mut full = node("full", 0.0, X5675);
        full.requested.pods = full.allocatable.pods;
        more.insert(at.index(nodes.len() + 1), full);
        let [before, after] = [nodes, more].map(|nodes| power(scheduler, nodes).curve(shape, 40));
        prop_assert_eq!(before, after);
    }

    #[test]
    fn the_order_of_the_nodes_changes_nothing(
        (nodes, shuffled) in nodes(8).prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        shape in shapes(),
        scheduler in scheduler(),
    ) {
        let [one, other] = [nodes, shuffled].map(|nodes| power(scheduler, nodes).curve(shape, 40));
        prop_assert_eq!(one, other);
    }
}
