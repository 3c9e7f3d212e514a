use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn name(index: usize) -> ClusterName {
    ClusterName::new(&format!("m{index}")).unwrap()
}

fn space(epoch: u64, slots: usize) -> VersionSpace {
    let epoch = NonZeroU64::new(epoch).unwrap();
    VersionSpace::new(epoch, (0..slots).map(name).collect()).unwrap()
}

fn compose(epoch: u64, components: &[u64]) -> String {
    compose_for(0, epoch, components)
}

fn compose_for(own: u64, epoch: u64, components: &[u64]) -> String {
    let names: Vec<_> = (0..components.len()).map(name).collect();
    space(epoch, components.len()).compose_for(own, names.iter().zip(components.iter().copied()))
}

/// Compares as KEP-5504 lets clients compare: more digits are more, else the digits decide.
fn as_number(text: &str) -> (usize, &str) {
    assert!(text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'), "{text}");
    (text.len(), text)
}

#[test]
fn a_composite_is_the_epoch_and_twenty_digits_for_each_member_and_for_the_object() {
    insta::assert_snapshot!(compose_for(42, 7, &[4711, 0, u64::MAX]), @"700000000000000004711000000000000000000001844674407370955161500000000000000000042");
}

#[test]
fn a_fleet_of_one_stays_bare_and_every_composite_is_greater() {
    assert_eq!(compose(1, &[4711]), "4711");
    assert!(as_number(&compose(1, &[u64::MAX])) < as_number(&compose(1, &[0, 0])));
}

#[test]
fn nothing_any_and_bare_are_told_apart() {
    assert_eq!(ResourceVersion::parse(""), Ok(ResourceVersion::Unset));
    assert_eq!(ResourceVersion::parse("0"), Ok(ResourceVersion::Any));
    assert_eq!(ResourceVersion::parse("18446744073709551615"), Ok(ResourceVersion::Bare(u64::MAX)));
}

#[test]
fn what_is_no_version_is_refused() {
    let parse = |text: &str| ResourceVersion::parse(text).unwrap_err();
    assert_eq!(parse("-1"), InvalidVersion::Characters);
    assert_eq!(parse("１２"), InvalidVersion::Characters);
    assert_eq!(parse("007"), InvalidVersion::LeadingZero);
    assert_eq!(parse("18446744073709551616"), InvalidVersion::TooBig);
    assert_eq!(parse(&format!("1{}", "9".repeat(20))), InvalidVersion::TooBig);
    assert_eq!(parse(&"1".repeat(40)), InvalidVersion::Length(40));
    assert_eq!(parse(&"1".repeat(66 * 20 + 1)), InvalidVersion::Length(1321));
}

#[test]
fn a_space_that_could_not_be_decoded_is_refused() {
    let epoch = NonZeroU64::MIN;
    assert_eq!(VersionSpace::new(epoch, (0..65).map(name).collect()), Err(InvalidSpace::Count(65)));
    assert_eq!(VersionSpace::new(epoch, vec![name(0), name(0)]), Err(InvalidSpace::Twice(name(0))));
    assert_eq!(
        VersionSpace::new(NonZeroU64::MAX, vec![name(0)]),
        Err(InvalidSpace::Epoch(u64::MAX))
    );
}

#[test]
fn members_that_join_get_slots_behind_the_others() {
    let grown = space(1, 2).extended(&[name(1), name(9)]).unwrap();
    assert_eq!(grown.slots(), [name(0), name(1), name(9)]);
    assert_eq!(grown.slot_of(&name(9)), Some(2));
}

#[test]
fn a_member_without_a_slot_leaves_no_trace() {
    let stranger = name(9);
    assert_eq!(space(1, 2).compose([(&stranger, 5)]), compose(1, &[0, 0]));
}

proptest! {
    #[test]
    fn what_was_composed_is_read_back(
        epoch in 1..10_u64.pow(19),
        components in vec(any::<u64>(), 2..=64),
        own: u64,
    ) {
        let text = compose_for(own, epoch, &components);
        let Ok(ResourceVersion::Composite(composite)) = ResourceVersion::parse(&text) else {
            panic!("{text} is no composite");
        };
        prop_assert_eq!(composite.epoch(), epoch);
        for (slot, component) in components.iter().enumerate() {
            prop_assert_eq!(composite.component(slot), Some(*component));
        }
        prop_assert_eq!(composite.component(components.len()), None);
        prop_assert_eq!(composite.own(), own);
    }

    #[test]
    fn a_member_that_moves_on_makes_the_number_greater(
        epoch in 1..10_u64.pow(19),
        mut components in vec(any::<u64>(), 2..8),
        slot in 0..8_usize,
        growth in 1..1_000_u64,
    ) {
        let before = compose(epoch, &components);
        let slot = slot % components.len();
        prop_assume!(components[slot].checked_add(growth).is_some());
        components[slot] += growth;
        prop_assert!(as_number(&before) < as_number(&compose(epoch, &components)));
    }

    #[test]
    fn a_member_that_joins_or_a_new_epoch_makes_the_number_greater(
        epoch in 1..10_u64.pow(19) - 1,
        mut components in vec(any::<u64>(), 1..8),
        joining in any::<u64>(),
    ) {
        prop_assume!(components[0] > 0);
        let before = compose(epoch, &components);
        if components.len() > 1 {
            prop_assert!(as_number(&before) < as_number(&compose(epoch + 1, &components)));
        }
        components.push(joining);
        prop_assert!(as_number(&before) < as_number(&compose(epoch, &components)));
    }

    #[test]
    fn any_text_is_read_or_refused(bytes in vec(any::<u8>(), 0..100), digits in "[0-9]{0,120}") {
        drop(ResourceVersion::parse(&String::from_utf8_lossy(&bytes)));
        if let Ok(ResourceVersion::Composite(composite)) = ResourceVersion::parse(&digits) {
            let read: Vec<_> = (0..).map_while(|slot| composite.component(slot)).collect();
            let mut again = composite.epoch().to_string();
            again.extend(read.iter().chain([&composite.own()]).map(|part| format!("{part:020}")));
            prop_assert_eq!(again, digits);
        }
    }
}

fn any_space() -> impl Strategy<Value = VersionSpace> {
    (1..3_u64, proptest::sample::subsequence(vec![0, 1, 2, 3], 0..=4), any::<bool>()).prop_map(
        |(epoch, mut slots, turned)| {
            if turned {
                slots.reverse();
            }
            let slots = slots.into_iter().map(name).collect();
            VersionSpace::new(NonZeroU64::new(epoch).unwrap(), slots).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn spaces_that_agree_change_nobodys_slot_within_an_epoch(
        ours in any_space(),
        kept in any_space(),
    ) {
        let anew = NonZeroU64::new(9).unwrap();
        let agreed = ours.agreed(&kept, anew).unwrap();
        for space in [&ours, &kept] {
            prop_assert!(agreed.epoch() >= space.epoch());
            if agreed.epoch() == space.epoch() {
                prop_assert!(agreed.slots().starts_with(space.slots()));
            }
        }
        // Whoever agreed has nothing more to learn.
        prop_assert_eq!(&agreed.agreed(&kept, anew).unwrap(), &agreed);
        prop_assert_eq!(&kept.agreed(&agreed, anew).unwrap(), &agreed);
    }
}
