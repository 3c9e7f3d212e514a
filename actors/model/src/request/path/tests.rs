use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

fn collection(group: &str, plural: &str, namespace: Option<&str>) -> Collection {
    let version = "v1".to_owned();
    Collection {
        resource: Resource { group: group.to_owned(), version, plural: plural.to_owned() },
        namespace: namespace.map(str::to_owned),
    }
}

fn object(collection: Collection, name: &str, subresource: Option<(&str, &str)>) -> Object {
    let subresource = subresource
        .map(|(name, rest)| Subresource { name: name.to_owned(), rest: rest.to_owned() });
    Object { collection, name: name.to_owned(), subresource }
}

fn parse(raw: &str) -> RequestPath {
    RequestPath::parse(raw).unwrap_or_else(|status| panic!("{raw}: {status}"))
}

#[test]
fn collections_are_read_with_and_without_a_namespace() {
    for (raw, expected) in [
        ("/api/v1/pods", collection("", "pods", None)),
        ("/api/v1/pods/", collection("", "pods", None)),
        ("/api/v1/namespaces", collection("", "namespaces", None)),
        ("/api/v1/namespaces/shop/pods", collection("", "pods", Some("shop"))),
        ("/apis/apps/v1/deployments", collection("apps", "deployments", None)),
        (
            "/apis/apps/v1/namespaces/a%3Ab/deployments",
            collection("apps", "deployments", Some("a:b")),
        ),
    ] {
        assert_eq!(parse(raw), RequestPath::Collection(expected), "{raw}");
    }
}

#[test]
fn objects_are_read_with_their_subresources() {
    let namespaces = || collection("", "namespaces", None);
    let pods = || collection("", "pods", Some("shop"));
    for (raw, expected) in [
        ("/api/v1/namespaces/shop", object(namespaces(), "shop", None)),
        ("/api/v1/namespaces/shop/", object(namespaces(), "shop", None)),
        ("/api/v1/namespaces/shop/status", object(namespaces(), "shop", Some(("status", "")))),
        ("/api/v1/namespaces/shop/finalize", object(namespaces(), "shop", Some(("finalize", "")))),
        ("/api/v1/namespaces/shop/pods/web", object(pods(), "web", None)),
        ("/api/v1/namespaces/shop/pods/web/log", object(pods(), "web", Some(("log", "")))),
        ("/api/v1/namespaces/shop/pods/web/%73cale/", object(pods(), "web", Some(("scale", "")))),
        ("/api/v1/namespaces/shop/pods/web/proxy/", object(pods(), "web", Some(("proxy", "/")))),
        (
            "/api/v1/namespaces/shop/pods/web/proxy/a//%2fb/",
            object(pods(), "web", Some(("proxy", "/a//%2fb/"))),
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
            object(
                collection("rbac.authorization.k8s.io", "clusterroles", None),
                "system:node",
                None,
            ),
        ),
    ] {
        assert_eq!(parse(raw), RequestPath::Object(expected), "{raw}");
    }
}

#[test]
fn the_deprecated_watch_prefix_is_read() {
    let pods = collection("", "pods", Some("shop"));
    assert_eq!(
        parse("/api/v1/watch/namespaces/shop/pods"),
        RequestPath::WatchCollection(pods.clone())
    );
    assert_eq!(
        parse("/api/v1/watch/namespaces/shop/pods/web"),
        RequestPath::WatchObject(object(pods, "web", None))
    );
    for raw in ["/api/v1/watch", "/api/v1/watch/namespaces/shop/pods/web/log"] {
        assert_eq!(RequestPath::parse(raw).unwrap_err().code, 400, "{raw}");
    }
}

#[test]
fn discovery_and_other_paths_are_told_apart() {
    for raw in [
        "/api",
        "/api/",
        "/apis",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        "/openapi/v2",
        "/version",
        "/openapi/v3",
        "/openapi/v3/apis/apps/v1",
    ] {
        assert_eq!(parse(raw), RequestPath::Discovery, "{raw}");
    }
    for raw in ["/", "/livez/etcd", "/.well-known/openid-configuration", "/clusters"] {
        assert_eq!(parse(raw), RequestPath::NonResource, "{raw}");
    }
}

#[test]
fn a_members_path_keeps_its_rest_as_raw_text() {
    for (raw, expected) in [
        ("/clusters/osaka", "/"),
        ("/clusters/osaka/", "/"),
        ("/clusters/osaka/api/v1/pods", "/api/v1/pods"),
        ("/clusters/osaka/x%2Fy//z", "/x%2Fy//z"),
    ] {
        let name = ClusterName::new("osaka").unwrap();
        assert_eq!(parse(raw), RequestPath::Member { name, rest: expected.to_owned() }, "{raw}");
    }
    assert_eq!(RequestPath::parse("/clusters/Osaka/api").unwrap_err().code, 404);
}

#[test]
fn paths_that_a_member_could_read_otherwise_are_refused() {
    for raw in [
        "",
        "api/v1",
        "*",
        "/a b",
        "/a?b",
        "/a#b",
        "/é",
        "/api//v1",
        "//api",
        "/api/v1/./pods",
        "/api/v1/%2e%2E/pods",
        "/api/v1/pods%2Fx",
        "/api/v1/namespaces%2fkube-system/pods/x",
        "/api/v1/pods/%",
        "/api/v1/pods/%4",
        "/api/v1/pods/%zz",
        "/api/v1/pods/%%41",
        "/api/v1/pods/%ff",
        "/api/v1/pods/a%0Ab",
        "/api/v1/pods/a%00",
        "/api/v1/namespaces/a/pods/b/proxy/../../x",
        "/api/v1/namespaces/a/pods/b/proxy/%2e%2e%2fx",
        "/clusters/osaka//host/x",
        "/clusters/osaka/..",
        "/clusters/osaka/..%2f..",
        "/clusters/osaka/%2e%2e/tokyo",
    ] {
        assert_eq!(RequestPath::parse(raw).unwrap_err().code, 400, "{raw}");
    }
}

fn segment() -> impl Strategy<Value = String> {
    "[^/\\p{Cc}]{1,12}".prop_filter("dots and keywords", |text| {
        !matches!(text.as_str(), "." | ".." | "watch" | "namespaces" | "status" | "finalize")
    })
}

prop_compose! {
    fn any_object()(
        group in prop::option::of(segment()),
        version in segment(),
        plural in segment(),
        namespace in prop::option::of(segment()),
        name in segment(),
        sub in prop::option::of((segment(), prop::sample::select(vec!["", "/a//b%20c"]))),
    ) -> Object {
        let subresource = sub.map(|(name, rest)| Subresource { name, rest: rest.to_owned() });
        let resource = Resource { group: group.unwrap_or_default(), version, plural };
        Object { collection: Collection { resource, namespace }, name, subresource }
    }
}

proptest! {
    #[test]
    fn a_path_that_was_built_reads_back_as_the_same_object(object in any_object()) {
        prop_assert_eq!(
            RequestPath::parse(&object.path()),
            Ok(RequestPath::Object(object.clone()))
        );
        prop_assert_eq!(
            RequestPath::parse(&object.collection.path()),
            Ok(RequestPath::Collection(object.collection))
        );
    }

    #[test]
    fn any_text_is_a_path_or_a_refusal(raw in "\\PC*", escaped in "(/|%2[eEfF]|\\.|%|[a-z]){0,40}") {
        for text in [raw.as_str(), &format!("/{escaped}"), &format!("/clusters/osaka/{escaped}")] {
            match RequestPath::parse(text) {
                Ok(RequestPath::Member { rest, .. }) => {
                    let decoded = percent_decode_str(&rest).decode_utf8_lossy().into_owned();
                    prop_assert!(rest.starts_with('/'));
                    prop_assert!(decoded.split('/').all(|part| part != ".." && part != "."));
                }
                Ok(_) => {}
                Err(status) => prop_assert!(matches!(status.code, 400 | 404)),
            }
        }
    }
}

#[test]
fn a_proxied_name_loses_its_scheme_and_port() {
    for (path, name) in [
        ("/api/v1/namespaces/a/pods/web/proxy/x", "web"),
        ("/api/v1/namespaces/a/pods/web:80/proxy", "web"),
        ("/api/v1/namespaces/a/services/https:web:8443/proxy/", "web"),
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node", "system:node"),
    ] {
        let RequestPath::Object(object) = RequestPath::parse(path).unwrap() else {
            panic!("{path}")
        };
        assert_eq!(object.whole().name, name, "{path}");
    }
}
