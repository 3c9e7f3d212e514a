//! The documents of a small fleet.

use serde_json::json;

use super::*;

fn groups(items: &Value) -> Arc<Groups> {
    let api_version = "apidiscovery.k8s.io/v2";
    let document = json!({"kind": "APIGroupDiscoveryList", "apiVersion": api_version,
        "metadata": {}, "items": items});
    Arc::new(Groups::parse(document.to_string().as_bytes()).unwrap())
}

fn schemas(paths: &[(&str, &str)]) -> Arc<Schemas> {
    let paths: serde_json::Map<_, _> = paths
        .iter()
        .map(|(path, hash)| {
            let url = format!("/openapi/v3/{path}?hash={hash}");
            ((*path).to_owned(), json!({"serverRelativeURL": url}))
        })
        .collect();
    let document = json!({ "paths": paths }).to_string();
    Arc::new(Schemas::parse(document.as_bytes()).unwrap())
}

fn resource(plural: &str, kind: &str) -> Value {
    json!({"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": "Namespaced", "singularResource": kind.to_lowercase(),
        "verbs": ["get", "list"], "shortNames": ["x"]})
}

fn widget_of(version: &str) -> Value {
    json!({"metadata": {"name": "shop.test"}, "versions": [
        {"version": version, "resources": [resource("widgets", "Widget")], "freshness": "Current"}]})
}

fn tokyo() -> Known {
    let mut deployments = resource("deployments", "Deployment");
    deployments["categories"] = json!(["all"]);
    deployments["subresources"] = json!([
        {"subresource": "scale", "verbs": ["get"],
            "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}},
        {"subresource": "status", "verbs": ["get"],
            "responseKind": {"group": "", "version": "", "kind": "Deployment"}}]);
    let only_parts = json!({"resource": "reviews", "scope": "Cluster", "subresources": [
        {"subresource": "decide", "verbs": ["create"],
            "responseKind": {"group": "", "version": "", "kind": "Decision"}}]});
    let apps = json!({"metadata": {"name": "apps"}, "versions": [
        {"version": "v1", "resources": [deployments, only_parts], "freshness": "Current"}]});
    let metrics = json!({"metadata": {"name": "metrics.k8s.io"}, "versions": [
        {"version": "v1beta1", "freshness": "Stale"}]});
    let core = json!([{"metadata": {}, "versions": [
        {"version": "v1", "resources": [resource("pods", "Pod")], "freshness": "Current"}]}]);
    Known {
        core: Some(groups(&core)),
        groups: Some(groups(&json!([apps, metrics, widget_of("v1")]))),
        schemas: Some(schemas(&[("api/v1", "A"), ("apis/apps/v1", "B")])),
    }
}

fn osaka() -> Known {
    let seats = json!({"metadata": {"name": "seats.test"}, "versions": [
        {"version": "v2", "resources": [resource("seats", "Seat")], "freshness": "Current"}]});
    Known {
        core: None,
        groups: Some(groups(&json!([seats, widget_of("v1beta1")]))),
        schemas: Some(schemas(&[("apis/apps/v1", "OTHER"), ("apis/seats.test/v2", "C")])),
    }
}

fn fleet() -> Catalogue {
    Catalogue::new(vec![(name("tokyo"), tokyo()), (name("osaka"), osaka())])
}

fn name(name: &str) -> ClusterName {
    ClusterName::new(name).unwrap()
}

fn widgets(version: &str) -> Resource {
    Resource { group: "shop.test".into(), version: version.into(), plural: "widgets".into() }
}

#[test]
fn the_documents_of_a_fleet() {
    let catalogue = fleet();
    let mut documents: Vec<_> = catalogue
        .documents
        .iter()
        .map(|((form, path), document)| {
            let value: Value = serde_json::from_slice(&document.body).unwrap();
            (format!("{path} {form:?}"), value)
        })
        .collect();
    documents.sort_by(|one, other| one.0.cmp(&other.0));
    documents.retain(|(path, _)| !path.ends_with("V2Beta1"));
    insta::assert_json_snapshot!(documents);
}

#[test]
fn without_anything_of_own_there_is_no_document() {
    let catalogue =
        Catalogue::new(vec![(name("tokyo"), Known::default()), (name("osaka"), osaka())]);
    assert_eq!(catalogue.documents, HashMap::new());
    assert_eq!(catalogue.having(|known| known.serves(&widgets("v1beta1"))).count(), 1);
}

#[test]
fn both_forms_differ_in_their_version_only_and_change_with_what_they_say() {
    let catalogue = fleet();
    let text =
        |form| String::from_utf8(catalogue.document(form, "/apis").unwrap().body.to_vec()).unwrap();
    assert_eq!(text(Form::V2).replace("/v2\"", "/v2beta1\""), text(Form::V2Beta1));
    let etag = |catalogue: &Catalogue| catalogue.document(Form::V2, "/apis").unwrap().etag.clone();
    assert_eq!(etag(&catalogue), etag(&fleet()));
    let alone = Catalogue::new(vec![(name("tokyo"), tokyo())]);
    assert_ne!(etag(&catalogue), etag(&alone));
    assert_eq!(etag(&alone).len(), 66);
}

#[test]
fn a_member_that_serves_another_version_is_asked_in_that() {
    let catalogue = fleet();
    let other = |member: &str, version: &str| {
        catalogue.other_version(&name(member), &widgets(version)).map(str::to_owned)
    };
    assert_eq!(other("osaka", "v1"), Some("v1beta1".to_owned()));
    assert_eq!(other("osaka", "v1beta1"), None);
    assert_eq!(other("tokyo", "v1beta1"), Some("v1".to_owned()));
    assert_eq!(other("nagoya", "v1"), None);
    let seats =
        Resource { group: "seats.test".into(), version: "v2".into(), plural: "seats".into() };
    assert_eq!(catalogue.other_version(&name("tokyo"), &seats), None);
    assert_eq!(
        catalogue.having(|known| known.serves(&seats)).collect::<Vec<_>>(),
        [&name("osaka")]
    );
}

#[test]
fn only_what_is_served_and_nowhere_watched_cannot_be_watched() {
    let member = |group: &str, verbs: &[&str]| {
        let version =
            json!({"version": "v1", "resources": [{"resource": "things", "verbs": verbs}]});
        let items = json!([{"metadata": {"name": group}, "versions": [version]}]);
        Known { groups: Some(groups(&items)), ..Known::default() }
    };
    let unwatchable = |members: Vec<Known>| {
        let names = ["tokyo", "osaka"].into_iter().map(name);
        let resource =
            Resource { group: "a".into(), version: "v1".into(), plural: "things".into() };
        Catalogue::new(names.zip(members).collect()).is_unwatchable(&resource)
    };
    let (lists, watches) = (["get", "list"], ["get", "list", "watch"]);
    assert!(unwatchable(vec![member("a", &lists), member("a", &lists)]));
    assert!(unwatchable(vec![member("b", &watches), member("a", &lists)]));
    assert!(unwatchable(vec![member("a", &[]), Known::default()]));
    assert!(!unwatchable(vec![member("a", &lists), member("a", &watches)]));
    assert!(!unwatchable(vec![member("b", &lists), Known::default()]));
    assert!(!unwatchable(vec![Known::default(), Known::default()]));
}

#[test]
fn a_schema_keeps_the_hash_of_the_member_that_names_it() {
    let known = tokyo();
    let schemas = known.schemas.unwrap();
    assert_eq!(schemas.hash("apis/apps/v1"), Some("B"));
    assert_eq!(schemas.hash("apis/seats.test/v2"), None);
    let joined = schemas.joined([osaka().schemas.unwrap().as_ref()]);
    assert_eq!(joined.hash("apis/apps/v1"), Some("B"));
    assert_eq!(joined.hash("apis/seats.test/v2"), Some("C"));
}
