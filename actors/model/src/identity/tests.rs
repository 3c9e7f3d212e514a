use proptest::prelude::*;

use super::*;

fn name(text: &str) -> ClusterName {
    ClusterName::new(text).unwrap()
}

fn caller(user: &str, groups: &[&str]) -> Caller {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    Caller::new(user.to_owned(), None, groups, BTreeMap::new()).unwrap()
}

fn crossing(cross: &[&str]) -> Crossing {
    Crossing::new(name("tokyo"), cross.iter().map(|&listed| listed.to_owned()).collect())
}

/// User and groups of a caller in osaka.
fn abroad(cross: &[&str], caller: &Caller) -> Option<(String, Vec<String>)> {
    match crossing(cross).to(caller, &name("osaka")) {
        Passage::As(Caller { user, groups, .. }) => Some((user, groups)),
        Passage::Refused { .. } => None,
    }
}

#[test]
fn a_certificate_makes_the_caller_that_an_api_server_makes_of_it() {
    let organizations = vec!["dev".to_owned(), String::new()];
    let caller = Caller::from_certificate("alice", organizations, [0xa5; 32]).unwrap();
    let lines: Vec<_> = caller
        .impersonation_headers()
        .into_iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    insta::assert_snapshot!(
        lines.join("\n"),
        @"
    Impersonate-User: alice
    Impersonate-Group: dev
    Impersonate-Group: system:authenticated
    Impersonate-Extra-authentication.kubernetes.io%2Fcredential-id: X509SHA256=a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
    "
    );
}

#[test]
fn uid_and_extras_are_impersonated_one_line_each() {
    let extra = BTreeMap::from([
        ("Scopes/É%".to_owned(), vec!["a".to_owned(), "b c".to_owned()]),
        ("none".to_owned(), vec![]),
    ]);
    let caller = Caller::new("太郎".to_owned(), Some("7".to_owned()), vec![], extra).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        caller.impersonation_headers(),
        [
            pair("Impersonate-User", "太郎"),
            pair("Impersonate-Uid", "7"),
            pair("Impersonate-Group", "system:authenticated"),
            pair("Impersonate-Extra-%53copes%2F%C3%89%25", "a"),
            pair("Impersonate-Extra-%53copes%2F%C3%89%25", "b c"),
        ]
    );
}

#[test]
fn names_that_a_header_would_change_make_no_caller() {
    for user in
        ["a\r\nImpersonate-Group: system:masters", " admin", "admin\t", "a\0", "\u{a0}a", "\u{7f}"]
    {
        let made = Caller::new(user.to_owned(), None, vec![], BTreeMap::new());
        assert!(matches!(made, Err(InvalidCaller::Unsafe { field: "user", .. })), "{user:?}");
        let made = Caller::new("a".to_owned(), None, vec![user.to_owned()], BTreeMap::new());
        assert!(matches!(made, Err(InvalidCaller::Unsafe { field: "group", .. })), "{user:?}");
    }
    let extra = BTreeMap::from([(String::new(), vec![])]);
    assert_eq!(Caller::new("a".to_owned(), None, vec![], extra), Err(InvalidCaller::NoExtraKey));
}

#[test]
fn nobody_is_no_caller() {
    let make = |user: &str, group: &str| {
        Caller::new(user.to_owned(), None, vec![group.to_owned()], BTreeMap::new())
    };
    assert_eq!(make("", "dev"), Err(InvalidCaller::NoUser));
    assert_eq!(make("system:anonymous", "dev"), Err(InvalidCaller::Anonymous("system:anonymous")));
    let unauthenticated = InvalidCaller::Anonymous("system:unauthenticated");
    assert_eq!(make("a", "system:unauthenticated"), Err(unauthenticated));
}

#[test]
fn in_own_everybody_is_who_they_are() {
    let admin = caller("system:node:n0", &["system:masters", "system:nodes"]);
    assert_eq!(crossing(&[]).to_own(&admin), admin);
    assert_eq!(crossing(&[]).to(&admin, &name("tokyo")), Passage::As(admin));
}

#[test]
fn ordinary_users_cross_without_their_privileged_groups() {
    let groups = [
        "dev",
        "system:masters",
        "system:authenticated",
        "system:nodes",
        "kubeadm:cluster-admins",
        "cluster:x",
    ];
    let alice = caller("alice", &groups);
    let expected = |groups: &[&str]| {
        Some(("alice".to_owned(), groups.iter().map(|&group| group.to_owned()).collect()))
    };
    assert_eq!(abroad(&[], &alice), expected(&["dev", "system:authenticated"]));
    assert_eq!(
        abroad(&["system:masters"], &alice),
        expected(&["dev", "system:masters", "system:authenticated"])
    );
}

#[test]
fn privileged_users_cross_only_where_they_are_listed() {
    let manager = caller("system:kube-controller-manager", &[]);
    assert_eq!(abroad(&[], &manager), None);
    assert!(abroad(&["system:kube-controller-manager"], &manager).is_some());
    for user in [
        "system:node:n0",
        "system:serviceaccount:a",
        "system:serviceaccount:a:b:c",
        "system:serviceaccount::b",
    ] {
        assert_eq!(abroad(&[], &caller(user, &[])), None, "{user}");
    }
    let Passage::Refused { reason } = crossing(&[]).to(&manager, &name("osaka")) else {
        panic!("refused");
    };
    insta::assert_snapshot!(reason, @r#""system:kube-controller-manager" is privileged and acts in tokyo only"#);
}

#[test]
fn service_accounts_cross_under_the_name_of_their_cluster() {
    let user = "system:serviceaccount:shop:web";
    let account = caller(user, &["system:serviceaccounts", "system:serviceaccounts:shop"]);
    let authenticated = vec!["system:authenticated".to_owned()];
    assert_eq!(
        abroad(&[], &account),
        Some((format!("cluster:tokyo:{user}"), authenticated.clone()))
    );
    assert_eq!(abroad(&[user], &account), Some((user.to_owned(), authenticated)));
}

#[test]
fn nobody_can_pose_as_a_service_account_that_crossed() {
    for user in
        ["cluster:tokyo:system:serviceaccount:a:b", "cluster:osaka:system:serviceaccount:a:b"]
    {
        assert_eq!(abroad(&[], &caller(user, &[])), None, "{user}");
    }
}

#[test]
fn what_describes_own_stays_in_own() {
    let extra = BTreeMap::from([
        ("authentication.kubernetes.io/node-name".to_owned(), vec!["n0".to_owned()]),
        ("scopes.example.com".to_owned(), vec!["read".to_owned()]),
    ]);
    for (user, uid) in [("alice", Some("7")), ("system:serviceaccount:a:b", None)] {
        let caller =
            Caller::new(user.to_owned(), Some("7".to_owned()), vec![], extra.clone()).unwrap();
        let Passage::As(crossed) = crossing(&[]).to(&caller, &name("osaka")) else {
            panic!("{user} crosses");
        };
        assert_eq!(crossed.uid(), uid);
        assert_eq!(crossed.extra().keys().collect::<Vec<_>>(), ["scopes.example.com"]);
    }
}

prop_compose! {
    fn any_caller()(
        user in "(system:(node:|serviceaccount:)?|cluster:|kube)?[a-z:é ]{1,9}",
        uid in prop::option::of("[a-z]{0,3}"),
        groups in prop::collection::vec("(system:|cluster:)?[a-zA-Z:]{0,9}|system:masters", 0..5),
        extra in prop::collection::btree_map("[ -~é]{1,6}", prop::collection::vec("[a-z]{0,3}", 0..3), 0..3),
    ) -> Option<Caller> {
        Caller::new(user, uid, groups, extra).ok()
    }
}

proptest! {
    #[test]
    fn nothing_privileged_crosses_when_nothing_is_listed(caller in any_caller()) {
        let Some(caller) = caller else { return Ok(()) };
        let Passage::As(crossed) = crossing(&[]).to(&caller, &name("osaka")) else { return Ok(()) };
        for (header, value) in crossed.impersonation_headers() {
            if header == "Impersonate-User" || header == "Impersonate-Group" {
                prop_assert!(!value.starts_with("system:") || value == "system:authenticated");
            }
        }
        let renamed = crossed.user() == format!("cluster:tokyo:{}", caller.user());
        prop_assert!(renamed && is_service_account(caller.user()) || crossed.user() == caller.user());
        prop_assert!(crossed.groups().iter().all(|group| caller.groups().contains(group)));
    }

    #[test]
    fn impersonation_headers_are_sent_as_they_are_and_extra_keys_come_back(caller in any_caller()) {
        let Some(caller) = caller else { return Ok(()) };
        for (header, value) in caller.impersonation_headers() {
            prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic() && !b":/\"(),".contains(&byte)));
            prop_assert_eq!(value.trim(), &value);
            prop_assert!(!value.contains(char::is_control));
            if let Some(key) = header.strip_prefix("Impersonate-Extra-") {
                let lower = key.to_ascii_lowercase();
                let read = percent_encoding::percent_decode_str(&lower).decode_utf8().unwrap();
                prop_assert!(caller.extra().contains_key(read.as_ref()));
            }
        }
    }
}
