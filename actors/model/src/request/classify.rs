//! What a request asks for.

use super::path::{Collection, Object, RequestPath, Resource};
use super::query::Query;
use super::selector::single_name;
use crate::ids::ClusterName;
use crate::status::{Reason, Status};

/// The part of a request's head that decides what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The raw path, percent-encoded.
    pub path: &'a str,
    /// The raw query string, without `?`.
    pub query: &'a str,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestClass {
    /// Anything of one member alone.
    Member {
        /// The member.
        name: ClusterName,
        /// The raw path on that member; it begins with `/`.
        rest: String,
    },
    /// The resources that there are, or their schemas.
    Discovery,
    /// What own alone answers: HEAD, OPTIONS, paths outside of the API.
    Own,
    /// The objects of a resource.
    List(Collection),
    /// The changes of a resource's objects.
    Watch(Collection),
    /// The changes of one object: a watch whose field selector names it, or the deprecated prefix.
    ///
    /// Without namespace the object may also be all those of this name in any namespace: a path
    /// does not tell whether a resource has namespaces.
    WatchOne(Object),
    /// One object; also its `status`, which is the object again.
    Get(Object),
    /// The replicas of one object.
    GetScale(Object),
    /// Any other part of an object: what is read (log), written (status, eviction) or connected to
    /// (exec, proxy) where the object lives.
    Connect(Object),
    /// A new object.
    Create(Collection),
    /// A whole object.
    Replace(Object),
    /// A change of an object, or the making of one by a server-side apply.
    Patch(Object),
    /// The end of an object.
    Delete(Object),
    /// The end of a resource's objects.
    DeleteCollection(Collection),
    /// The replicas of one object, whole.
    PutScale(Object),
    /// The replicas of one object, as a change.
    PatchScale(Object),
}

/// The methods that the API knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Options,
    Post,
    Put,
    Patch,
    Delete,
}

/// Tells what a request asks for.
///
/// A malformed path, or a malformed query where it decides, is a 400; a member's name that cannot
/// be one a 404; a method that the API does not know, or not there, a 405.
pub fn classify(head: &Head<'_>) -> Result<RequestClass, Status> {
    let path = RequestPath::parse(head.path)?;
    let method = Method::parse(head.method)?;
    match path {
        RequestPath::Member { name, rest } => Ok(RequestClass::Member { name, rest }),
        RequestPath::Discovery if method == Method::Get => Ok(RequestClass::Discovery),
        RequestPath::Discovery | RequestPath::NonResource => Ok(RequestClass::Own),
        RequestPath::Collection(collection) => on_collection(method, collection, head.query),
        RequestPath::Object(object) => on_object(method, object),
        RequestPath::WatchCollection(collection) => {
            on_watch(method, RequestClass::Watch(collection))
        }
        RequestPath::WatchObject(object) => on_watch(method, RequestClass::WatchOne(object)),
    }
}

// === impl RequestClass ===

impl RequestClass {
    /// The resource that the request is about; absent outside of the API's resources.
    pub fn resource(&self) -> Option<&Resource> {
        match self {
            Self::Member { .. } | Self::Discovery | Self::Own => None,
            Self::List(collection)
            | Self::Watch(collection)
            | Self::Create(collection)
            | Self::DeleteCollection(collection) => Some(&collection.resource),
            Self::WatchOne(object)
            | Self::Get(object)
            | Self::GetScale(object)
            | Self::Connect(object)
            | Self::Replace(object)
            | Self::Patch(object)
            | Self::Delete(object)
            | Self::PutScale(object)
            | Self::PatchScale(object) => Some(&object.collection.resource),
        }
    }
}

// === impl Method ===

impl Method {
    fn parse(text: &str) -> Result<Self, Status> {
        match text {
            "GET" => Ok(Self::Get),
            "HEAD" => Ok(Self::Head),
            "OPTIONS" => Ok(Self::Options),
            "POST" => Ok(Self::Post),
            "PUT" => Ok(Self::Put),
            "PATCH" => Ok(Self::Patch),
            "DELETE" => Ok(Self::Delete),
            _ => Err(not_allowed()),
        }
    }
}

fn on_collection(
    method: Method,
    collection: Collection,
    query: &str,
) -> Result<RequestClass, Status> {
    match method {
        Method::Head | Method::Options => Ok(RequestClass::Own),
        Method::Get => {
            let query = Query::parse(query)?;
            if !query.watches() {
                return Ok(RequestClass::List(collection));
            }
            Ok(match query.field_selector().and_then(single_name) {
                Some(name) => {
                    RequestClass::WatchOne(Object { collection, name, subresource: None })
                }
                None => RequestClass::Watch(collection),
            })
        }
        Method::Post => Ok(RequestClass::Create(collection)),
        Method::Delete => Ok(RequestClass::DeleteCollection(collection)),
        Method::Put | Method::Patch => Err(not_allowed()),
    }
}

fn on_object(method: Method, object: Object) -> Result<RequestClass, Status> {
    let part = object.subresource.as_ref().map(|part| (part.name.as_str(), part.rest.as_str()));
    Ok(match (part, method) {
        // An application behind a proxy has its own HEAD and OPTIONS.
        (Some(("proxy", _)), Method::Head | Method::Options) => RequestClass::Connect(object),
        (_, Method::Head | Method::Options) => RequestClass::Own,
        (None | Some(("status", "")), Method::Get) => RequestClass::Get(object),
        (Some(("scale", "")), Method::Get) => RequestClass::GetScale(object),
        (Some(("scale", "")), Method::Put) => RequestClass::PutScale(object),
        (Some(("scale", "")), Method::Patch) => RequestClass::PatchScale(object),
        (Some(_), Method::Get | Method::Post | Method::Put | Method::Patch | Method::Delete) => {
            RequestClass::Connect(object)
        }
        (None, Method::Put) => RequestClass::Replace(object),
        (None, Method::Patch) => RequestClass::Patch(object),
        (None, Method::Delete) => RequestClass::Delete(object),
        (None, Method::Post) => return Err(not_allowed()),
    })
}

fn on_watch(method: Method, watch: RequestClass) -> Result<RequestClass, Status> {
    match method {
        Method::Get => Ok(watch),
        Method::Head | Method::Options => Ok(RequestClass::Own),
        Method::Post | Method::Put | Method::Patch | Method::Delete => Err(not_allowed()),
    }
}

fn not_allowed() -> Status {
    let message = "the server does not allow this method on the requested resource";
    Status::new(Reason::MethodNotAllowed, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(method: &str, target: &str) -> Result<RequestClass, u16> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        classify(&Head { method, path, query }).map_err(|status| status.code)
    }

    /// The variant's name, and the path of what it is about.
    fn told(method: &str, target: &str) -> String {
        let class = match class(method, target) {
            Ok(class) => class,
            Err(code) => return code.to_string(),
        };
        let debug = format!("{class:?}");
        let variant = debug.split(['(', ' ']).next().unwrap_or_default();
        let path = match &class {
            RequestClass::List(collection) | RequestClass::Watch(collection) => collection.path(),
            RequestClass::WatchOne(object) | RequestClass::Get(object) => object.path(),
            _ => String::new(),
        };
        format!("{variant} {path}").trim().to_owned()
    }

    #[test]
    fn reads_are_told_apart() {
        let pods = "/api/v1/namespaces/shop/pods";
        for (query, expected) in [
            ("?limit=500", "List /api/v1/namespaces/shop/pods"),
            ("?watch=false", "List /api/v1/namespaces/shop/pods"),
            ("?watch", "Watch /api/v1/namespaces/shop/pods"),
            ("?watch=1&fieldSelector=spec.nodeName%3Dn0", "Watch /api/v1/namespaces/shop/pods"),
            (
                "?watch=1&fieldSelector=metadata.name%3Dweb",
                "WatchOne /api/v1/namespaces/shop/pods/web",
            ),
            ("?a;b", "400"),
            ("/web", "Get /api/v1/namespaces/shop/pods/web"),
            ("/web?watch=1", "Get /api/v1/namespaces/shop/pods/web"),
            ("/web/status", "Get /api/v1/namespaces/shop/pods/web/status"),
            ("/web/scale", "GetScale"),
            ("/web/log?follow=true", "Connect"),
            ("/web/proxy/a;b?c;d=%ff", "Connect"),
        ] {
            assert_eq!(told("GET", &format!("{pods}{query}")), expected, "{query}");
        }
        assert_eq!(told("GET", "/api/v1/watch/namespaces/shop/pods"), format!("Watch {pods}"));
        assert_eq!(told("GET", "/api/v1/watch/namespaces/a"), "WatchOne /api/v1/namespaces/a");
    }

    #[test]
    fn writes_are_told_apart() {
        let collection = "/apis/apps/v1/namespaces/shop/deployments";
        for (method, rest, expected) in [
            ("POST", "", "Create"),
            ("DELETE", "", "DeleteCollection"),
            ("PUT", "/web", "Replace"),
            ("PATCH", "/web", "Patch"),
            ("DELETE", "/web", "Delete"),
            ("PUT", "/web/scale", "PutScale"),
            ("PATCH", "/web/scale", "PatchScale"),
            ("PUT", "/web/status", "Connect"),
            ("DELETE", "/web/scale", "Connect"),
            ("POST", "/web/eviction", "Connect"),
            ("PUT", "/web/scale/more", "Connect"),
        ] {
            assert_eq!(told(method, &format!("{collection}{rest}")), expected, "{method} {rest}");
        }
    }

    #[test]
    fn methods_that_a_path_does_not_take_are_refused() {
        for (method, path) in [
            ("get", "/api/v1/pods"),
            ("TRACE", "/version"),
            ("CONNECT", "/api/v1/namespaces/a/pods/b/proxy"),
            ("", "/api"),
            ("PUT", "/api/v1/pods"),
            ("PATCH", "/api/v1/pods"),
            ("POST", "/api/v1/namespaces/a"),
            ("DELETE", "/api/v1/watch/pods"),
        ] {
            assert_eq!(class(method, path), Err(405), "{method} {path}");
        }
    }

    #[test]
    fn heads_and_options_are_owns_but_for_proxied_applications() {
        for method in ["HEAD", "OPTIONS"] {
            for path in ["/", "/api", "/api/v1/pods", "/api/v1/watch/pods", "/api/v1/namespaces/a"]
            {
                assert_eq!(class(method, path), Ok(RequestClass::Own), "{method} {path}");
            }
            assert_eq!(told(method, "/api/v1/namespaces/a/services/b/proxy/x"), "Connect");
        }
    }

    proptest! {
        #[test]
        fn any_request_has_a_class_or_a_refusal(
            method in "GET|HEAD|OPTIONS|POST|PUT|PATCH|DELETE|\\PC*",
            path in "(/|api|apis|v1|apps|watch|namespaces|status|scale|proxy|clusters|x|%2F|\\PC){0,12}",
            query in "\\PC*",
        ) {
            if let Err(status) = classify(&Head { method: &method, path: &path, query: &query }) {
                prop_assert!(matches!(status.code, 400 | 404 | 405));
            }
        }
    }
}
