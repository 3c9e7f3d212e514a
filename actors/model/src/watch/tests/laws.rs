//! Whatever happens on the way, a client ends with what a list shows.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::{Answer, Client, World};
use crate::fold::FoldClass;

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Put(usize, u8),
    Delete(usize, u8),
    Fan(u8),
    Touch(usize, u8),
    Compact(usize),
    Cut(usize),
    Read(usize, usize),
    Answer,
    Silence,
    Away,
    Retry,
    Resume,
    Guest,
}

fn op() -> impl Strategy<Value = Op> {
    let member = 0..3_usize;
    prop_oneof![
        4 => (member.clone(), 0..4_u8).prop_map(|(member, name)| Op::Put(member, name)),
        3 => (member.clone(), 0..6_u8).prop_map(|(member, name)| Op::Delete(member, name)),
        2 => (4..6_u8).prop_map(Op::Fan),
        2 => (member.clone(), 4..6_u8).prop_map(|(member, name)| Op::Touch(member, name)),
        1 => member.clone().prop_map(Op::Compact),
        1 => member.clone().prop_map(Op::Cut),
        12 => (member, 1..400_usize).prop_map(|(member, bytes)| Op::Read(member, bytes)),
        4 => Just(Op::Answer),
        1 => Just(Op::Silence),
        1 => Just(Op::Away),
        1 => Just(Op::Retry),
        1 => Just(Op::Resume),
        1 => Just(Op::Guest),
    ]
}

fn name(name: u8) -> String {
    format!("pod-{name}")
}

/// A managed object in all members, home first.
fn fan(world: &mut World, object: &str) {
    let total = |mut annotations: Value| {
        annotations["tenbin/epoch"] = json!("1");
        annotations
    };
    let uid = world.members[0].put(object, &total(json!({"tenbin/home": "tokyo"})));
    for member in &mut world.members[1..] {
        member.put(object, &total(json!({"tenbin/home": "tokyo", "tenbin/home-uid": uid})));
    }
}

pub(super) fn apply(world: &mut World, client: &mut Client, op: Op) {
    match op {
        Op::Put(member, object) => drop(world.members[member].put(&name(object), &Value::Null)),
        Op::Delete(member, object) => world.members[member].delete(&name(object)),
        Op::Fan(object) if world.fold.is_some() => fan(world, &name(object)),
        Op::Touch(member, object) => {
            let known = world.members[member].objects.get(&name(object));
            if let Some(annotations) = known.map(|known| known["metadata"]["annotations"].clone()) {
                world.members[member].put(&name(object), &annotations);
            }
        }
        Op::Compact(member) => world.members[member].compact(),
        Op::Cut(member) => client.cut(world, member),
        Op::Read(member, bytes) => drop(client.read(world, member, bytes)),
        Op::Answer => drop(client.answer(world, Answer::List)),
        Op::Silence => drop(client.answer(world, Answer::Silent)),
        Op::Away => drop(client.answer(world, Answer::Away)),
        Op::Retry => drop(client.retry(world)),
        // What was told while a member was away is remembered by the watch alone.
        Op::Resume if client.misses => {}
        Op::Resume => client.resume(world),
        Op::Guest => {
            world.guest = !world.guest;
            client.reorder(world);
        }
        Op::Fan(_) => {}
    }
}

/// Lets everything arrive.
pub(super) fn settle(world: &World, client: &mut Client) {
    for _ in 0..10_000 {
        let moved = (0..3).any(|member| client.read(world, member, 1000));
        if !client.answer(world, Answer::List) && !client.retry(world) && !moved {
            return;
        }
    }
    panic!("it never ends");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_client_ends_with_what_a_list_shows(
        before in proptest::collection::vec(op(), 0..12),
        ops in proptest::collection::vec(op(), 0..120),
        fresh: bool,
        folds: bool,
    ) {
        let mut world = World::new(folds.then_some(FoldClass::Replicate));
        let mut idle = Client::fresh(&world);
        for op in before {
            apply(&mut world, &mut idle, op);
        }
        let mut client = if fresh { Client::fresh(&world) } else { Client::listed(&world) };
        for op in ops {
            apply(&mut world, &mut client, op);
        }
        settle(&world, &mut client);
        prop_assert_eq!(&client.store, &world.truth().0);
        idle.reorder(&world);
        settle(&world, &mut idle);
        prop_assert_eq!(&idle.store, &world.truth().0);
    }

    #[test]
    fn what_lives_somewhere_is_never_deleted(
        ops in proptest::collection::vec(op(), 0..120),
        fresh: bool,
    ) {
        let mut world = World::new(None);
        world.members[1].put("alive", &Value::Null);
        let mut client = if fresh { Client::fresh(&world) } else { Client::listed(&world) };
        for op in ops {
            let op = match op {
                Op::Touch(member @ (0 | 2), 4) => {
                    world.members[member].put("alive", &Value::Null);
                    continue;
                }
                Op::Touch(member @ (0 | 2), _) => {
                    world.members[member].delete("alive");
                    continue;
                }
                Op::Away => Op::Silence,
                op => op,
            };
            apply(&mut world, &mut client, op);
        }
        settle(&world, &mut client);
        prop_assert!(!client.events.contains(&("DELETED".to_owned(), "alive".to_owned())));
        prop_assert_eq!(&client.store, &world.truth().0);
    }
}
