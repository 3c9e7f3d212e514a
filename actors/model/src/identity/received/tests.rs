use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn read(lines: &[(&str, &str)]) -> Result<Option<Caller>, InvalidAssertion> {
    asserted(lines.iter().map(|(name, value)| (*name, value.as_bytes())))
}

fn caller(user: &str, groups: &[&str]) -> Caller {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Caller::new(user.to_owned(), None, groups, BTreeMap::new()).unwrap()
}

/// User and groups in tokyo of a caller whom osaka asserts.
fn here(cross: &[&str], caller: &Caller) -> Option<(String, Vec<String>)> {
    let crossing = Crossing::new(name("tokyo"), cross.iter().map(|&it| it.to_owned()).collect());
    match crossing.received(&name("osaka"), caller) {
        Passage::As(Caller { user, groups, .. }) => Some((user, groups)),
        Passage::Refused { .. } => None,
    }
}

#[test]
fn headers_assert_a_caller_in_any_casing() {
    let extra = BTreeMap::from([("Scopes/É".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
    let groups = vec!["dev".to_owned(), "ops".to_owned()];
    let expected = Caller::new("太郎".to_owned(), Some("7".to_owned()), groups, extra);
    let lines = [
        ("accept", "*/*"),
        ("IMPERSONATE-USER", "太郎"),
        ("impersonate-uid", "7"),
        ("Impersonate-Group", "dev"),
        ("impersonate-GROUP", "ops"),
        ("Impersonate-Extra-%53copes%2F%C3%89", "a"),
        ("impersonate-extra-%53copes%2f%c3%89", "b"),
    ];
    assert_eq!(read(&lines), Ok(Some(expected.unwrap())));
    assert_eq!(read(&[("accept", "*/*")]), Ok(None));
}

#[test]
fn what_is_not_understood_whole_asserts_nobody() {
    let user = ("impersonate-user", "alice");
    for (line, expected) in [
        (user, InvalidAssertion::Twice("Impersonate-User")),
        (("impersonate-new", "x"), InvalidAssertion::Unknown("impersonate-new".to_owned())),
        (("impersonate-extra-a%2", "x"), InvalidAssertion::ExtraKey("a%2".to_owned())),
        (("impersonate-extra-a%zz", "x"), InvalidAssertion::ExtraKey("a%zz".to_owned())),
        (("impersonate-extra-%ff", "x"), InvalidAssertion::ExtraKey("%ff".to_owned())),
        (("impersonate-extra-", "x"), InvalidAssertion::Caller(InvalidCaller::NoExtraKey)),
        (
            ("impersonate-group", "system:unauthenticated"),
            InvalidAssertion::Caller(InvalidCaller::Anonymous("system:unauthenticated")),
        ),
    ] {
        assert_eq!(read(&[user, line]), Err(expected), "{line:?}");
    }
    assert_eq!(read(&[("impersonate-group", "dev")]), Err(InvalidAssertion::NoUser));
    let anonymous = read(&[("impersonate-user", "system:anonymous")]);
    assert!(matches!(anonymous, Err(InvalidAssertion::Caller(InvalidCaller::Anonymous(_)))));
    let latin: (&str, &[u8]) = ("impersonate-user", b"\xe9va");
    let not_text = InvalidAssertion::NotText("impersonate-user".to_owned());
    assert_eq!(asserted([latin]), Err(not_text));
}

#[test]
fn the_receiver_decides_which_privileged_names_it_believes() {
    let admin = caller("alice", &["dev", "system:masters", "kubeadm:cluster-admins", "cluster:x"]);
    let kept = |groups: &[&str]| {
        Some(("alice".to_owned(), groups.iter().map(|&group| group.to_owned()).collect()))
    };
    assert_eq!(here(&[], &admin), kept(&["dev", "system:authenticated"]));
    assert_eq!(
        here(&["system:masters"], &admin),
        kept(&["dev", "system:masters", "system:authenticated"])
    );
    for user in ["system:admin", "system:node:n0", "kubeadm:x", "system:serviceaccount:a:b"] {
        assert_eq!(here(&[], &caller(user, &[])), None, "{user}");
        assert!(here(&[user], &caller(user, &[])).is_some(), "{user}");
    }
}

#[test]
fn a_peer_speaks_for_its_own_service_accounts_alone() {
    for (user, believed) in [
        ("cluster:osaka:system:serviceaccount:a:b", true),
        ("cluster:kyoto:system:serviceaccount:a:b", false),
        ("cluster:tokyo:system:serviceaccount:a:b", false),
        ("cluster:osaka2:system:serviceaccount:a:b", false),
        ("cluster:osaka:system:serviceaccount:a", false),
        ("cluster:osaka:system:serviceaccount:a:b:c", false),
        ("cluster:osaka:system:admin", false),
        ("cluster:osaka:cluster:osaka:system:serviceaccount:a:b", false),
        ("cluster:osaka:alice", false),
        ("cluster:", false),
    ] {
        assert_eq!(here(&[], &caller(user, &[])).is_some(), believed, "{user}");
    }
}

#[test]
fn what_describes_objects_of_the_peer_is_dropped() {
    let extra = BTreeMap::from([
        ("authentication.kubernetes.io/pod-name".to_owned(), vec!["p".to_owned()]),
        ("scopes.example.com".to_owned(), vec!["read".to_owned()]),
    ]);
    let crossing = Crossing::new(name("tokyo"), vec![]);
    for (user, uid) in [("alice", Some("7")), ("cluster:osaka:system:serviceaccount:a:b", None)] {
        let groups = Vec::new();
        let caller = Caller::new(user.to_owned(), Some("7".to_owned()), groups, extra.clone());
        let Passage::As(received) = crossing.received(&name("osaka"), &caller.unwrap()) else {
            panic!("{user} is believed");
        };
        assert_eq!(received.uid(), uid);
        assert_eq!(received.extra().keys().collect::<Vec<_>>(), ["scopes.example.com"]);
    }
}

prop_compose! {
    fn any_caller()(
        user in "(system:(node:|serviceaccount:)?|cluster:(osaka:)?|kubeadm:)?[a-z:é ]{1,9}",
        uid in prop::option::of("[a-z]{0,3}"),
        groups in prop::collection::vec("(system:|cluster:)?[a-zA-Z:]{0,9}|system:masters", 0..5),
        extra in prop::collection::btree_map("[ -~é]{1,6}", prop::collection::vec("[a-z]{0,3}", 1..3), 0..3),
    ) -> Option<Caller> {
        Caller::new(user, uid, groups, extra).ok()
    }
}

proptest! {
    #[test]
    fn what_one_side_sends_the_other_reads(caller in any_caller()) {
        let Some(caller) = caller else { return Ok(()) };
        let sent = caller.impersonation_headers();
        let read = asserted(sent.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        prop_assert_eq!(read, Ok(Some(caller)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        lines in prop::collection::vec(
            ("[Ii]mpersonate-(user|uid|group|extra-[!-~]{0,9}|[a-z]{0,4})", prop::collection::vec(any::<u8>(), 0..9)),
            0..6,
        ),
    ) {
        let read = asserted(lines.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        prop_assert_eq!(read == Ok(None), lines.is_empty());
    }

    #[test]
    fn nobody_privileged_is_received_when_nobody_is_listed(caller in any_caller()) {
        let Some(caller) = caller else { return Ok(()) };
        let reserved = |name: &str| {
            ["system:", "kubeadm:", "cluster:"].iter().any(|prefix| name.starts_with(prefix))
        };
        let Some((user, groups)) = here(&[], &caller) else {
            prop_assert!(reserved(caller.user()));
            return Ok(());
        };
        prop_assert_eq!(&user, caller.user());
        prop_assert!(!reserved(&user) || user.starts_with("cluster:osaka:system:serviceaccount:"));
        prop_assert!(groups.iter().all(|group| !reserved(group) || group == "system:authenticated"));
        prop_assert!(groups.iter().any(|group| group == "system:authenticated"));
    }

    #[test]
    fn whom_a_tenbin_sends_on_the_next_one_receives(caller in any_caller()) {
        let Some(caller) = caller else { return Ok(()) };
        let osaka = Crossing::new(name("osaka"), vec![]);
        let Passage::As(sent) = osaka.to(&caller, &name("tokyo")) else { return Ok(()) };
        let tokyo = Crossing::new(name("tokyo"), vec![]);
        prop_assert_eq!(tokyo.received(&name("osaka"), &sent), Passage::As(sent));
    }
}
