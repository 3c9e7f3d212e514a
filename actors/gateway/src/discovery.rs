//! What clients are told of what there is: one document for the whole fleet (`reads.md`).
//!
//! Every authenticated caller may read it, as by the role `system:discovery` of any API server.

use std::sync::Arc;

use actix_http::body::BoxBody;
use actix_http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use actix_http::{Response, StatusCode};
use tenbin_fleet::member::Member;
use tenbin_model::discovery::catalogue::{Document, Known};
use tenbin_model::discovery::form::Form;
use tenbin_model::status::Status;

use crate::asked::Asked;
use crate::discoverer::Subject;
use crate::pass;
use crate::respond::{self, Answered};
use crate::serving::{members, refresh};

/// Answers `/api`, `/apis`, their groups and versions, `/openapi` and `/version`.
pub(crate) async fn answer(asked: &Asked) -> Answered {
    let path = asked.path.strip_suffix('/').unwrap_or(&asked.path);
    if let Some(schema) = path.strip_prefix("/openapi/v3/") {
        let member = schema_holder(asked, schema)?;
        return pass::to(asked, &member, &asked.path, &asked.query).await;
    }
    if matches!(path, "/openapi/v2" | "/version") {
        let member = living(asked)?;
        return pass::to(asked, &member, &asked.path, &asked.query).await;
    }
    let is_index = path.starts_with("/openapi");
    refresh(asked, if is_index { Subject::Schemas } else { Subject::Groups }).await;
    let form = Form::negotiated(asked.accept().as_deref());
    // Groups have aggregated forms only all together.
    let form = form.map(|form| if matches!(path, "/api" | "/apis") { form } else { Form::Classic });
    let catalogue = asked.catalogue();
    if let Some((form, document)) =
        form.and_then(|form| Some((form, catalogue.document(form, path)?)))
    {
        return Ok(told(asked, form, document));
    }
    let member = version_holder(asked, path)?;
    pass::to(asked, &member, &asked.path, &asked.query).await
}

/// The document, or 304 where the client has it.
fn told(asked: &Asked, form: Form, document: &Document) -> Response<BoxBody> {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::from_str(&document.etag) {
        headers.insert(ETAG, etag);
    }
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public"));
    if is_named(asked, &IF_NONE_MATCH, &document.etag) {
        return respond::head(StatusCode::NOT_MODIFIED.as_u16(), headers);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    let response = respond::head(StatusCode::OK.as_u16(), headers);
    response.set_body(BoxBody::new(document.body.clone()))
}

/// Whether a list of entity tags has this one (RFC 9110 section 13.1.2).
fn is_named(asked: &Asked, name: &HeaderName, etag: &str) -> bool {
    let tags = asked.headers.get_all(name).filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Who has a schema: a member that lives, and names it by the hash that the client asks for.
///
/// A member whose schema has another hash would send the client on to that.
fn schema_holder(asked: &Asked, schema: &str) -> Result<Arc<Member>, Status> {
    let catalogue = asked.catalogue();
    let hash = asked.query.split('&').find_map(|pair| pair.strip_prefix("hash="));
    let of = |wanted: Option<&str>| {
        let has = |known: &Known| {
            let named = known.schemas.as_ref().and_then(|schemas| schemas.hash(schema));
            named.is_some_and(|named| wanted.is_none_or(|wanted| wanted == named))
        };
        members(asked, catalogue.having(has)).find(|member| lives(asked, member)).cloned()
    };
    let exact = hash.and_then(|hash| of(Some(hash)));
    exact.or_else(|| of(None)).map_or_else(|| pass::own(asked), Ok)
}

/// Who answers for a version of a group of which there is no document: the first that has it,
/// stale as it is; own where nobody has.
fn version_holder(asked: &Asked, path: &str) -> Result<Arc<Member>, Status> {
    let catalogue = asked.catalogue();
    let version = path.strip_prefix("/apis/").and_then(|path| path.split_once('/'));
    let found = version.and_then(|(group, version)| {
        let has = |known: &Known| known.has_version(group, version);
        members(asked, catalogue.having(has)).next().cloned()
    });
    found.map_or_else(|| pass::own(asked), Ok)
}

/// Own, or the first member that lives where own is known to be dead.
fn living(asked: &Asked) -> Result<Arc<Member>, Status> {
    let own = pass::own(asked)?;
    let mut members = asked.table.fleet.members().iter();
    Ok(members.find(|member| lives(asked, member)).cloned().unwrap_or(own))
}

fn lives(asked: &Asked, member: &Member) -> bool {
    member.fault(asked.worker.shared.clock.now()).is_none()
}
