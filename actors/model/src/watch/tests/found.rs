//! Sequences that once went wrong, as the laws found them.

use serde_json::Value;

use super::laws::Op::{
    self, Answer, Away, Compact, Cut, Delete, Fan, Guest, Put, Read, Resume, Retry, Silence, Touch,
};
use super::laws::{apply, settle};
use super::world::{Client, World};
use crate::fold::FoldClass;

/// A client that lists first.
fn listed(ops: &[Op]) {
    let world = World::new(None);
    let client = Client::listed(&world);
    ends_with_the_truth(world, client, ops);
}

/// A client that is told all that exists.
fn fresh(fold: Option<FoldClass>, ops: &[Op]) {
    let world = World::new(fold);
    let client = Client::fresh(&world);
    ends_with_the_truth(world, client, ops);
}

fn ends_with_the_truth(mut world: World, mut client: Client, ops: &[Op]) {
    for op in ops {
        apply(&mut world, &mut client, *op);
    }
    settle(&world, &mut client);
    assert_eq!(client.store, world.truth().0);
}

#[test]
fn who_was_told_all_comes_back_without_listing() {
    for guest in [true, false] {
        let mut world = World::new(None);
        for member in 0..3 {
            world.members[member].put(&format!("only-{member}"), &Value::Null);
        }
        world.guest = guest;
        let mut client = Client::fresh(&world);
        settle(&world, &mut client);
        // A member that joins is told from a list as well.
        world.guest = true;
        client.reorder(&world);
        settle(&world, &mut client);
        for member in &mut world.members {
            member.compact();
        }
        client.resume(&world);
        settle(&world, &mut client);
        assert_eq!(client.relists, 0);
        assert_eq!(client.store, world.truth().0);
    }
}

#[test]
fn the_version_of_an_event_counts_what_was_looked_up_for_it() {
    listed(&[
        Put(0, 0),
        Guest,
        Read(0, 1),
        Put(2, 0),
        Read(0, 202),
        Compact(0),
        Read(1, 1),
        Read(1, 204),
        Resume,
        Delete(0, 0),
        Read(0, 1),
        Read(0, 1),
        Guest,
        Answer,
        Answer,
        Resume,
        Guest,
    ]);
}

#[test]
fn who_left_twice_leaves_no_copy_behind() {
    listed(&[
        Guest,
        Put(0, 0),
        Put(2, 1),
        Put(0, 0),
        Put(0, 0),
        Put(0, 1),
        Cut(0),
        Guest,
        Put(2, 1),
        Read(0, 1),
        Put(0, 0),
        Fan(4),
        Put(2, 1),
        Put(2, 1),
        Delete(0, 0),
        Read(2, 1),
        Read(0, 1),
        Read(2, 196),
        Read(0, 1),
        Read(0, 1),
        Silence,
        Answer,
        Guest,
        Cut(1),
        Read(0, 1),
        Guest,
        Guest,
        Delete(0, 1),
    ]);
}

#[test]
fn who_comes_back_while_a_member_leaves_sees_its_objects_again() {
    fresh(
        None,
        &[
            Put(2, 0),
            Read(1, 1),
            Read(1, 206),
            Read(0, 1),
            Read(2, 1),
            Read(2, 198),
            Read(0, 84),
            Guest,
            Guest,
            Resume,
        ],
    );
}

#[test]
fn a_copy_that_is_looked_up_twice_is_told_once() {
    listed(&[
        Put(0, 0),
        Put(2, 1),
        Put(2, 0),
        Put(0, 0),
        Read(2, 1),
        Put(0, 0),
        Read(2, 1),
        Put(0, 0),
        Answer,
        Answer,
        Read(2, 1),
        Silence,
        Put(2, 0),
        Put(0, 0),
        Retry,
        Delete(0, 1),
    ]);
}

#[test]
fn nothing_is_gone_while_one_that_may_have_it_is_silent() {
    listed(&[
        Read(2, 1),
        Read(0, 1),
        Put(1, 0),
        Put(0, 0),
        Read(2, 83),
        Read(1, 1),
        Read(0, 84),
        Read(1, 206),
        Resume,
        Guest,
        Read(1, 1),
        Delete(1, 0),
        Put(1, 0),
        Read(1, 1),
        Silence,
        Read(0, 1),
    ]);
}

#[test]
fn what_is_gone_is_told_when_the_silent_one_leaves() {
    fresh(
        None,
        &[
            Guest,
            Put(0, 2),
            Guest,
            Read(0, 1),
            Read(0, 202),
            Read(0, 1),
            Put(0, 0),
            Guest,
            Touch(0, 4),
            Read(0, 1),
            Delete(0, 2),
            Read(1, 1),
            Read(1, 206),
            Read(0, 1),
            Guest,
            Read(0, 1),
            Silence,
            Guest,
        ],
    );
}

#[test]
fn what_is_gone_and_not_told_is_told_to_who_comes_back() {
    listed(&[
        Put(0, 1),
        Read(1, 1),
        Put(0, 0),
        Cut(0),
        Read(0, 1),
        Read(0, 1),
        Read(0, 1),
        Put(0, 0),
        Delete(0, 0),
        Cut(0),
        Read(0, 1),
        Read(0, 1),
        Answer,
        Read(0, 1),
        Silence,
        Read(1, 1),
        Resume,
    ]);
}

#[test]
fn news_of_a_member_end_its_silence() {
    listed(&[
        Guest,
        Put(0, 3),
        Read(0, 1),
        Delete(0, 3),
        Read(0, 1),
        Read(1, 1),
        Guest,
        Read(0, 1),
        Put(1, 3),
        Silence,
    ]);
}

#[test]
fn a_survivor_that_was_silent_is_shown_later() {
    listed(&[
        Guest,
        Put(0, 0),
        Delete(0, 0),
        Put(1, 0),
        Read(0, 1),
        Read(0, 1),
        Read(0, 1),
        Put(2, 0),
        Guest,
        Read(2, 1),
        Read(2, 196),
        Silence,
    ]);
}

#[test]
fn what_a_client_was_shown_is_not_assumed_anew() {
    listed(&[
        Put(1, 1),
        Put(0, 1),
        Put(2, 1),
        Compact(2),
        Read(2, 1),
        Read(0, 1),
        Delete(0, 1),
        Read(0, 1),
        Put(2, 1),
        Silence,
        Read(1, 1),
        Silence,
        Read(2, 1),
    ]);
}

#[test]
fn an_answer_is_older_than_a_list_that_came_after_the_question() {
    fresh(
        Some(FoldClass::Replicate),
        &[
            Read(1, 1),
            Read(0, 1),
            Read(0, 84),
            Fan(5),
            Guest,
            Read(0, 1),
            Read(1, 85),
            Guest,
            Read(0, 1),
            Delete(2, 5),
            Read(2, 1),
            Read(2, 83),
        ],
    );
}

/// Osaka's copy is the one that is left.
fn deleted_in_tokyo(osaka_says: Op) -> (World, Client) {
    let mut world = World::new(None);
    world.members[0].put("pod-0", &Value::Null);
    world.members[1].put("pod-0", &Value::Null);
    let mut client = Client::listed(&world);
    for op in [Delete(0, 0), Read(0, 1000), Read(0, 1000), osaka_says, Answer] {
        apply(&mut world, &mut client, op);
    }
    (world, client)
}

#[test]
fn nobody_waits_for_a_member_that_is_away_and_what_it_has_is_told_when_it_is_back() {
    let deleted = ("DELETED".to_owned(), "pod-0".to_owned());
    let (world, mut client) = deleted_in_tokyo(Silence);
    assert_eq!(client.events, []);
    settle(&world, &mut client);
    assert!(!client.events.contains(&deleted));
    assert_eq!(client.store, world.truth().0);

    let (world, mut client) = deleted_in_tokyo(Away);
    assert_eq!(client.events, [deleted]);
    assert!(client.store.is_empty());
    settle(&world, &mut client);
    assert_eq!(client.store, world.truth().0);
    assert_eq!((client.store.len(), client.relists), (1, 0));
}

#[test]
fn what_waits_for_a_silent_member_is_told_when_it_is_away() {
    let (world, mut client) = deleted_in_tokyo(Silence);
    assert!(client.retry(&world));
    client.answer(&world, super::world::Answer::Away);
    assert_eq!(client.events, [("DELETED".to_owned(), "pod-0".to_owned())]);
}

#[test]
fn who_was_told_of_too_many_deletions_while_a_member_was_away_lists_when_it_is_back() {
    let mut world = World::new(None);
    let names: Vec<_> = (0..1001).map(|n| format!("many-{n}")).collect();
    for member in &mut world.members[..2] {
        for name in &names {
            member.put(name, &Value::Null);
        }
    }
    let mut client = Client::listed(&world);
    for name in &names {
        world.members[0].delete(name);
    }
    let mut again = true;
    while again {
        again = client.read(&world, 0, 1000);
        // Osaka is away, nagoya has nothing.
        again |= client.answer(&world, super::world::Answer::Away);
        client.answer(&world, super::world::Answer::List);
    }
    assert!(client.store.is_empty());
    settle(&world, &mut client);
    assert_eq!((client.relists, &client.store), (1, &world.truth().0));
}

#[test]
fn who_began_with_a_part_of_a_fold_comes_back_for_the_rest() {
    let mut world = World::new(Some(FoldClass::Replicate));
    let mut nobody = Client::fresh(&world);
    apply(&mut world, &mut nobody, Fan(4));
    let client = Client::listed(&world);
    let joins = [Guest, Guest, Read(2, 1), Read(2, 276), Answer, Silence, Resume];
    ends_with_the_truth(world, client, &joins);
}

#[test]
fn what_waits_for_a_silent_one_is_told_though_another_left_and_came_back() {
    let mut world = World::new(None);
    world.members[1].put("alive", &Value::Null);
    let client = Client::fresh(&world);
    let ops = [
        Put(0, 3),
        Put(0, 0),
        Put(0, 0),
        Put(0, 0),
        Read(0, 1),
        Read(0, 1),
        Delete(0, 3),
        Put(0, 0),
        Compact(0),
        Compact(0),
        Read(0, 27),
        Read(0, 77),
        Read(0, 216),
        Read(0, 1),
        Read(0, 1),
        Read(0, 202),
        Silence,
        Retry,
        Guest,
        Answer,
        Answer,
        Guest,
    ];
    ends_with_the_truth(world, client, &ops);
}

#[test]
fn a_copy_that_is_asked_for_in_the_name_of_one_who_left_is_told() {
    let world = World::new(Some(FoldClass::Replicate));
    let client = Client::listed(&world);
    let ops = [
        Fan(5),
        Fan(4),
        Guest,
        Touch(1, 5),
        Cut(0),
        Guest,
        Put(0, 0),
        Cut(0),
        Cut(0),
        Cut(0),
        Read(1, 1),
        Touch(0, 4),
        Read(1, 1),
        Silence,
        Silence,
        Cut(0),
        Guest,
    ];
    ends_with_the_truth(world, client, &ops);
}

#[test]
fn what_waited_for_one_who_left_twice_is_told() {
    let mut world = World::new(None);
    world.members[1].put("alive", &Value::Null);
    let client = Client::listed(&world);
    let ops = [
        Guest,
        Guest,
        Guest,
        Put(2, 0),
        Guest,
        Put(1, 1),
        Guest,
        Delete(1, 1),
        Guest,
        Read(1, 1),
        Put(0, 2),
        Read(1, 1),
        Answer,
        Read(1, 1),
        Silence,
        Read(2, 1),
        Read(2, 12),
        Read(2, 184),
        Answer,
        Silence,
        Guest,
        Guest,
        Guest,
    ];
    ends_with_the_truth(world, client, &ops);
}
