//! Laws of joining.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Versions of a group, whether each is stale, and its resources.
type Group = Vec<(u8, bool, BTreeSet<u8>)>;

fn groups() -> impl Strategy<Value = Groups> {
    let resources = prop::collection::btree_set(0..4_u8, 0..3);
    let version = (any::<bool>(), resources);
    let versions = prop::collection::btree_map(0..3_u8, version, 0..3);
    prop::collection::btree_map(0..4_u8, versions, 0..4).prop_map(|groups| {
        let groups: Vec<(u8, Group)> = groups
            .into_iter()
            .map(|(name, versions)| {
                let versions = versions.into_iter();
                (name, versions.map(|(name, (stale, has))| (name, stale, has)).collect())
            })
            .collect();
        document(&groups)
    })
}

fn document(groups: &[(u8, Group)]) -> Groups {
    let version = |(name, stale, resources): &(u8, bool, BTreeSet<u8>)| {
        let resources: Vec<Value> =
            resources.iter().map(|name| json!({"resource": format!("r{name}")})).collect();
        let freshness = if *stale { "Stale" } else { "Current" };
        json!({"version": format!("v{name}"), "resources": resources, "freshness": freshness})
    };
    let group = |(name, versions): &(u8, Group)| {
        let versions: Vec<Value> = versions.iter().map(version).collect();
        json!({"metadata": {"name": format!("g{name}")}, "versions": versions})
    };
    let items: Vec<Value> = groups.iter().map(group).collect();
    Groups::parse(json!({"kind": KIND, "items": items}).to_string().as_bytes()).unwrap()
}

/// Every resource, and every version that is stale or empty.
fn all(groups: &Groups) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for group in groups.groups() {
        all.insert(group_name(group).to_owned());
        for version in list(group, "versions") {
            let path = format!("{}/{}", group_name(group), text(version, "version"));
            all.insert(format!("{path} stale: {}", is_stale(version)));
            if !is_stale(version) {
                let resources = list(version, "resources").iter();
                all.extend(resources.map(|it| format!("{path}/{}", text(it, "resource"))));
            }
        }
    }
    all
}

/// Whether `part` stands in `whole`: each array is the beginning of the other's.
fn begins_with(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() >= part.len()
                && whole.iter().zip(part).all(|(whole, part)| begins_with(whole, part))
        }
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(key, part)| whole.get(key).is_some_and(|whole| begins_with(whole, part))),
        (whole, part) => whole == part,
    }
}

proptest! {
    #[test]
    fn what_own_has_stays_first_and_unchanged(own in groups(), one in groups(), other in groups()) {
        let joined = own.joined([&one, &other]);
        prop_assert!(begins_with(&joined.0, &own.0), "{joined:?}");
    }

    #[test]
    fn joining_twice_is_joining_once(own in groups(), other in groups()) {
        let joined = own.joined([&other]);
        prop_assert_eq!(&joined.joined([&other]), &joined);
        prop_assert_eq!(&own.joined([&own]), &own);
        prop_assert_eq!(&own.joined([]), &own);
    }

    #[test]
    fn the_order_of_the_others_adds_or_hides_nothing(own in groups(), one in groups(), other in groups()) {
        prop_assert_eq!(all(&own.joined([&one, &other])), all(&own.joined([&other, &one])));
    }

    #[test]
    fn what_a_member_serves_is_served_unless_own_calls_the_version_stale(
        own in groups(),
        other in groups(),
    ) {
        let joined = own.joined([&other]);
        for missing in all(&other).difference(&all(&joined)) {
            let version = missing.split([' ', '/']).take(2).collect::<Vec<_>>().join("/");
            let told = |stale: bool| all(&own).contains(&format!("{version} stale: {stale}"));
            prop_assert!(told(true) || missing.ends_with("stale: true") && told(false), "{}", missing);
        }
    }
}

#[test]
fn a_document_of_another_kind_is_refused() {
    for text in ["", "[]", "{}", r#"{"kind":"APIGroupList","groups":[]}"#] {
        assert!(Groups::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn fields_that_nobody_knows_survive() {
    let text = r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","new":1e400,"items":[{"metadata":{"name":"g","x":[]},"versions":[{"version":"v1","y":{}}]}]}"#;
    let text = text.replace("1e400", "12345678901234567");
    let groups = Groups::parse(text.as_bytes()).unwrap();
    assert_eq!(groups.joined([&groups]).to_json("apidiscovery.k8s.io/v2"), text);
    assert_eq!(groups.to_json("other"), text.replace("apidiscovery.k8s.io/v2", "other"));
}
