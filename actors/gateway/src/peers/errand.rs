//! What a peer asks on its own behalf: scores, estimates, health.

use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::header::{ACCEPT, HeaderMap, IF_NONE_MATCH};
use actix_http::{HttpMessage as _, Method, Request, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tenbin_fleet::lane::{Call, PROMPT, READ_LIMIT};
use tenbin_fleet::member::Member;
use tenbin_model::request::path::{RequestPath, Resource};
use tenbin_model::request::query::Query;
use tenbin_model::status::{Reason, Status};

use super::{PeersPort, Question};
use crate::discoverer::MAX_DOCUMENT;
use crate::respond::{self, Answered};
use crate::worker::Worker;
use crate::{asked, pass};

/// The API groups of ClusterScores: tenbin's and the original's first one, and its later one.
const GROUPS: [&str; 2] =
    ["waoendpointproxy.bitmedia.co.jp", "multicluster-endpoint-proxy.waok8s.github.io"];
/// The largest question to the estimator.
const MAX_QUESTION: usize = 64 * 1024;
/// The largest answer of own's health endpoints.
const MAX_HEALTH: usize = 64 * 1024;
/// How long they may take: a peer waits no longer for them.
const HEALTH_LIMIT: Duration = Duration::from_secs(2);

/// One of the requests that are no user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Errand {
    /// The scores that own knows, in the words of an API group; one of them where it is named.
    Scores { group: String, namespace: String, name: Option<String> },
    /// What more pods would add.
    Estimate { namespace: String, estimator: String },
    /// Whether own's API server lives.
    Health { path: String },
    /// What own's API server serves.
    Discovery { path: String },
}

// === impl Errand ===

impl Errand {
    /// The errand of a request; `None` where it is a user's affair.
    pub(super) fn of(request: &Request) -> Result<Option<Self>, Status> {
        let query = request.uri().query().unwrap_or_default();
        Self::read(request.method(), request.path(), query)
    }

    fn read(method: &Method, path: &str, query: &str) -> Result<Option<Self>, Status> {
        if *method == Method::POST {
            return Ok(estimate(path));
        }
        if *method != Method::GET {
            return Ok(None);
        }
        if matches!(path, "/livez" | "/readyz" | "/healthz") {
            return Ok(Some(Self::Health { path: path.to_owned() }));
        }
        if matches!(path, "/api" | "/apis" | "/openapi/v3") {
            return Ok(Some(Self::Discovery { path: path.to_owned() }));
        }
        let is_scores = |resource: &Resource| {
            resource.version == "v1beta1"
                && GROUPS.iter().any(|group| resource.is(group, "clusterscores"))
        };
        let (collection, name) = match RequestPath::parse(path)? {
            RequestPath::Collection(collection) => (collection, None),
            RequestPath::Object(object) if object.subresource.is_none() => {
                (object.collection, Some(object.name))
            }
            _ => return Ok(None),
        };
        if !is_scores(&collection.resource) || Query::parse(query)?.watches() {
            return Ok(None);
        }
        let group = collection.resource.group;
        Ok(collection.namespace.map(|namespace| Self::Scores { group, namespace, name }))
    }

    pub(super) async fn run(
        self,
        port: &PeersPort,
        worker: &Worker,
        own: &Arc<Member>,
        request: &mut Request,
    ) -> Answered {
        match self {
            Self::Scores { group, namespace, name } => {
                scores(&(port.answers.scores)(&group, &namespace), &group, name)
            }
            Self::Estimate { namespace, estimator } => {
                let body = asked::body(request, MAX_QUESTION).await?;
                let question = Question { namespace, estimator, body };
                let (code, body) = (port.answers.estimate)(question).await;
                Ok(respond::json(code, body.to_string()))
            }
            Self::Health { path } => {
                ask(worker, own, path, HeaderMap::new(), Some(HEALTH_LIMIT), MAX_HEALTH).await
            }
            Self::Discovery { path } => {
                let mut headers = HeaderMap::new();
                for name in [ACCEPT, IF_NONE_MATCH] {
                    if let Some(value) = request.headers().get(&name) {
                        headers.insert(name, value.clone());
                    }
                }
                ask(worker, own, path, headers, READ_LIMIT, MAX_DOCUMENT).await
            }
        }
    }
}

/// `/namespaces/{ns}/estimators/{name}/values/powerconsumption`
fn estimate(path: &str) -> Option<Errand> {
    let segments: Vec<_> = path.strip_prefix('/')?.split('/').collect();
    match segments.as_slice() {
        ["namespaces", namespace, "estimators", estimator, "values", "powerconsumption"] => {
            let (namespace, estimator) = ((*namespace).to_owned(), (*estimator).to_owned());
            Some(Errand::Estimate { namespace, estimator })
        }
        _ => None,
    }
}

fn scores(list: &Value, group: &str, name: Option<String>) -> Answered {
    let Some(name) = name else { return Ok(respond::json(200, list.to_string())) };
    let items = list.get("items").and_then(Value::as_array).into_iter().flatten();
    let has_name = |item: &&Value| {
        item.pointer("/metadata/name").and_then(Value::as_str) == Some(name.as_str())
    };
    let item = items.into_iter().find(has_name).ok_or_else(|| {
        Status::new(Reason::NotFound, format!("clusterscores.{group} {name:?} not found"))
    })?;
    Ok(respond::json(200, item.to_string()))
}

/// What own's API server says to the daemon itself.
async fn ask(
    worker: &Worker,
    own: &Arc<Member>,
    path: String,
    headers: HeaderMap,
    first_byte: Option<Duration>,
    limit: usize,
) -> Answered {
    let call = Call {
        method: Method::GET,
        path_and_query: path,
        headers,
        body: Bytes::new(),
        first_byte,
        patience: PROMPT,
    };
    let answer = worker.lanes.send(own, call).await.map_err(|fault| fault.to_status())?;
    let (code, headers) = (answer.status.as_u16(), pass::passed_headers(&answer));
    let body = answer.whole(limit).await.map_err(|fault| fault.to_status())?;
    if code == StatusCode::NOT_MODIFIED.as_u16() {
        return Ok(respond::head(code, headers));
    }
    Ok(respond::head(code, headers).set_body(BoxBody::new(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, path: &str, query: &str) -> Option<Errand> {
        Errand::read(method, path, query).unwrap()
    }

    #[test]
    fn scores_are_told_in_both_groups_and_any_namespace() {
        for group in GROUPS {
            let list = format!("/apis/{group}/v1beta1/namespaces/any/clusterscores");
            let scores = |name: Option<&str>| {
                let (group, namespace) = (group.to_owned(), "any".to_owned());
                Some(Errand::Scores { group, namespace, name: name.map(str::to_owned) })
            };
            assert_eq!(read(&Method::GET, &list, "limit=500"), scores(None));
            assert_eq!(read(&Method::GET, &format!("{list}/tokyo"), ""), scores(Some("tokyo")));
            for (method, path, query) in [
                (Method::GET, list.clone(), "watch=1"),
                (Method::POST, list.clone(), ""),
                (Method::DELETE, format!("{list}/tokyo"), ""),
                (Method::GET, format!("{list}/tokyo/status"), ""),
                (Method::GET, format!("/apis/{group}/v1beta1/clusterscores"), ""),
                (Method::GET, format!("/apis/{group}/v1/namespaces/any/clusterscores"), ""),
                (Method::GET, "/apis/other/v1beta1/namespaces/any/clusterscores".to_owned(), ""),
            ] {
                assert_eq!(read(&method, &path, query), None, "{method} {path}?{query}");
            }
        }
    }

    #[test]
    fn estimates_and_health_have_paths_of_their_own() {
        let path = "/namespaces/default/estimators/e1/values/powerconsumption";
        let (namespace, estimator) = ("default".to_owned(), "e1".to_owned());
        assert_eq!(read(&Method::POST, path, ""), Some(Errand::Estimate { namespace, estimator }));
        assert_eq!(read(&Method::GET, path, ""), None);
        assert_eq!(read(&Method::POST, &format!("{path}/x"), ""), None);
        let livez = Errand::Health { path: "/livez".to_owned() };
        assert_eq!(read(&Method::GET, "/livez", "verbose"), Some(livez));
        let apis = Errand::Discovery { path: "/apis".to_owned() };
        assert_eq!(read(&Method::GET, "/apis", ""), Some(apis));
        for path in [
            "/apis/apps",
            "/openapi/v3/apis/apps/v1",
            "/livez/etcd",
            "/metrics",
            "/version",
            "/api/v1/pods",
            "/clusters/osaka/livez",
        ] {
            assert_eq!(read(&Method::GET, path, ""), None, "{path}");
        }
    }
}
