use proptest::prelude::*;

use super::super::classify::{Head, classify};
use super::*;

fn policy() -> RoutePolicy {
    let kinds = Kinds::new(["configmaps"]).unwrap();
    RoutePolicy::new(kinds, NamespacePattern::new("kube-*").into_iter().collect())
}

/// The plan for a request in a few words: what is done, to what, and how it is folded.
fn plan(method: &str, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    match route(classify(&Head { method, path, query }).unwrap(), &policy()) {
        Route::Own => "own".to_owned(),
        Route::Discovery => "discovery".to_owned(),
        Route::Member { name, rest } => format!("{name} alone: {rest}"),
        Route::MergeList { collection, class } => {
            format!("merge {}, {class:?}", collection.resource.plural)
        }
        Route::ReadOne { object, class } => format!("read {}, {class:?}", object.name),
        Route::ReadScale { object } => format!("read scale of {}", object.name),
        Route::MergeWatch { collection, name, class } => {
            format!("watch {} {} {class:?}", collection.resource.plural, name.unwrap_or_default())
        }
        Route::FindThenPass { object } => {
            let part = object.subresource.map(|part| format!("/{}{}", part.name, part.rest));
            format!("find {}{}", object.name, part.unwrap_or_default())
        }
        Route::PassToServing { collection } => format!("own or serving {}", collection.path()),
        Route::SplitWrite(write) => variant("split", &write),
        Route::ReplicateWrite(write) => variant("replicate", &write),
        Route::DeleteEverywhere { object } => format!("delete {} everywhere", object.name),
        Route::DeleteCollectionEverywhere { collection } => {
            format!("empty {} everywhere", collection.resource.plural)
        }
    }
}

fn variant(class: &str, write: &impl std::fmt::Debug) -> String {
    format!("{class} {}", format!("{write:?}").split('(').next().unwrap_or_default())
}

/// Checks rows of `words of the design | method target | plan`.
fn check(table: &str) {
    for line in table.trim().lines() {
        let cells: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [row, request, expected] = cells[..] else { panic!("three cells: {line}") };
        let (method, target) = request.split_once(' ').unwrap();
        assert_eq!(plan(method, target), expected, "{row}: {request}");
    }
}

#[test]
fn reads_follow_the_table() {
    check(
        "
GET list, any resource | GET /api/v1/namespaces/shop/pods | merge pods, Everywhere
GET list, any resource | GET /apis/apps/v1/deployments | merge deployments, Split
GET list, any resource | GET /api/v1/namespaces | merge namespaces, Replicate
GET list, any resource | GET /api/v1/secrets?limit=5 | merge secrets, One
GET watch (list) | GET /api/v1/pods?watch=1 | watch pods  Everywhere
GET watch (single) | GET /apis/apps/v1/namespaces/a/deployments?watch=true&fieldSelector=metadata.name%3Dweb | watch deployments web Split
GET one object | GET /api/v1/namespaces/shop/pods/a | read a, Everywhere
GET one object | GET /api/v1/namespaces/shop/services/a | read a, Replicate
GET one object | GET /apis/apps/v1/namespaces/shop/statefulsets/a/status | read a, Split
GET one object | GET /apis/apps/v1/namespaces/shop/deployments/a/scale | read scale of a
GET one object | GET /apis/apps/v1/namespaces/shop/replicasets/a/scale | find a/scale
GET log | GET /api/v1/namespaces/shop/pods/a/log?follow=true | find a/log
exec | POST /api/v1/namespaces/shop/pods/a/exec?command=sh | find a/exec
attach | GET /api/v1/namespaces/shop/pods/a/attach | find a/attach
portforward | GET /api/v1/namespaces/shop/pods/a/portforward | find a/portforward
proxy | DELETE /api/v1/namespaces/shop/pods/a/proxy/b//c | find a/proxy/b//c
any pod subresource | POST /api/v1/namespaces/shop/pods/a/eviction | find a/eviction
discovery, OpenAPI | GET /apis | discovery
discovery, OpenAPI | GET /openapi/v3/apis/apps/v1 | discovery
/version | GET /version | discovery
/readyz | GET /readyz/etcd?verbose | own
HEAD | HEAD /api/v1/namespaces/shop/pods | own
OPTIONS | OPTIONS /apis | own
/clusters/{name} | PUT /clusters/osaka/api/v1/x | osaka alone: /api/v1/x",
    );
}

#[test]
fn what_own_alone_answers_follows_the_table() {
    let group = "/apis/waoendpointproxy.bitmedia.co.jp/v1beta1";
    check(&format!(
        "
GET ClusterScore | GET {group}/clusterscores | own
GET ClusterScore | GET {group}/namespaces/wao-system/clusterscores | own
GET ClusterScore | GET {group}/namespaces/wao-system/clusterscores/tokyo | own
GET ClusterScore | GET {group}/clusterscores?watch=1 | own
GET ClusterScore | GET {group}/watch/namespaces/wao-system/clusterscores/tokyo | own
a peer is added to own | POST {group}/namespaces/wao-system/clusterscores | own
a peer is removed from own | DELETE {group}/namespaces/wao-system/clusterscores/osaka | own
reviews | POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews | own
reviews | POST /apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews | own
reviews | POST /apis/authentication.k8s.io/v1/selfsubjectreviews | own"
    ));
}

#[test]
fn writes_follow_the_table() {
    check(
        "
POST Deployment | POST /apis/apps/v1/namespaces/shop/deployments | split Create
PUT StatefulSet | PUT /apis/apps/v1/namespaces/shop/statefulsets/web | split Replace
PUT /scale | PUT /apis/apps/v1/namespaces/shop/statefulsets/web/scale | split PutScale
PATCH Deployment, StatefulSet | PATCH /apis/apps/v1/namespaces/shop/deployments/web | split Patch
PATCH /scale | PATCH /apis/apps/v1/namespaces/shop/deployments/web/scale | split PatchScale
POST Namespace | POST /api/v1/namespaces | replicate Create
PUT Service | PUT /api/v1/namespaces/shop/services/a | replicate Replace
POST PersistentVolumeClaim | POST /api/v1/namespaces/shop/persistentvolumeclaims | replicate Create
PATCH Namespace | PATCH /api/v1/namespaces/shop | replicate Patch
PATCH PV | PATCH /api/v1/persistentvolumes/a | replicate Patch
[routing] replicate | POST /api/v1/namespaces/shop/configmaps | replicate Create
POST others | POST /apis/batch/v1/namespaces/a/jobs | own or serving /apis/batch/v1/namespaces/a/jobs
POST others | POST /api/v1/namespaces/a/pods | own or serving /api/v1/namespaces/a/pods
DELETE Deployment | DELETE /apis/apps/v1/namespaces/shop/deployments/web | delete web everywhere
DELETE Namespace | DELETE /api/v1/namespaces/shop | delete shop everywhere
DELETE Pod | DELETE /api/v1/namespaces/shop/pods/a | delete a everywhere
deletecollection of Pod | DELETE /api/v1/namespaces/shop/pods | empty pods everywhere
deletecollection of Service | DELETE /api/v1/namespaces/shop/services | empty services everywhere
deletecollection of others | DELETE /api/v1/namespaces/a/secrets | own or serving /api/v1/namespaces/a/secrets
PUT of anything else | PUT /api/v1/namespaces/shop/pods/a | find a
PUT of anything else | PUT /apis/apps/v1/namespaces/shop/deployments/web/status | find web/status
PATCH of anything else | PATCH /api/v1/nodes/n0 | find n0
DELETE of anything else | DELETE /api/v1/namespaces/shop/secrets/b | find b",
    );
}

#[test]
fn excluded_namespaces_are_written_as_own_and_merged_in_reads() {
    check(
        "
list | GET /apis/apps/v1/namespaces/kube-system/deployments | merge deployments, One
get | GET /apis/apps/v1/namespaces/kube-system/deployments/web | read web, One
get scale | GET /apis/apps/v1/namespaces/kube-system/deployments/web/scale | find web/scale
patch | PATCH /apis/apps/v1/namespaces/kube-system/deployments/web | find web
scale | PATCH /apis/apps/v1/namespaces/kube-system/deployments/web/scale | find web/scale
delete a pod | DELETE /api/v1/namespaces/kube-system/pods/a | find a
tenbin's own | POST /api/v1/namespaces/wao-system/services | own or serving /api/v1/namespaces/wao-system/services
the Namespace itself | PATCH /api/v1/namespaces/kube-x | find kube-x
the Namespace itself | DELETE /api/v1/namespaces/wao-system | find wao-system
another Namespace | PATCH /api/v1/namespaces/kubernetes | replicate Patch
a name is no namespace | PATCH /api/v1/persistentvolumes/kube-x | replicate Patch",
    );
}

#[test]
fn patterns_of_namespaces_match_whole_names() {
    for (pattern, name, expected) in [
        ("kube-*", "kube-system", true),
        ("kube-*", "kube-", true),
        ("kube-*", "my-kube-x", false),
        ("*", "", true),
        ("a*b*c", "a-bb-c", true),
        ("a*b*c", "ac", false),
        ("ab*bc", "abc", false),
        ("exact", "exact", true),
        ("exact", "exactly", false),
        ("**x", "x", true),
    ] {
        let matches = NamespacePattern::new(pattern).unwrap().matches(name);
        assert_eq!(matches, expected, "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn nothing_in_an_excluded_namespace_is_fanned_out_by_a_write(
        method in prop::sample::select(vec!["POST", "PUT", "PATCH", "DELETE"]),
        plural in prop::sample::select(vec!["pods", "services", "configmaps", "deployments"]),
        prefix in prop::sample::select(vec!["/api/v1", "/apis/apps/v1"]),
        namespace in "kube-[a-z]{0,5}|wao-system",
        rest in prop::sample::select(vec!["", "/a", "/a/scale", "/a/status"]),
    ) {
        let path = format!("{prefix}/namespaces/{namespace}/{plural}{rest}");
        if let Ok(class) = classify(&Head { method, path: &path, query: "" }) {
            let route = route(class, &policy());
            let single = matches!(route, Route::FindThenPass { .. } | Route::PassToServing { .. });
            prop_assert!(single, "{method} {path}: {route:?}");
        }
    }
}
