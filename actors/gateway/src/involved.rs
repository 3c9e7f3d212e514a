//! Events of a managed object: each member's are about its copy, which has a uid of its own.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;
use tenbin_fleet::member::Member;
use tenbin_model::ids::ClusterName;
use tenbin_model::managed::HOME_UID;
use tenbin_model::request::kinds;
use tenbin_model::request::path::{Collection, Object};
use tenbin_model::request::query::Query;
use tenbin_model::request::selector::exact_field;

use crate::asked::Asked;

/// Metadata alone.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
/// The largest object that is looked at.
const LIMIT: usize = 8 * 1024 * 1024;

/// The uids of the copies of the one managed object whose events are asked for.
#[derive(Debug, Default)]
pub(crate) struct Involved {
    /// Home's uid, by which the client knows the object.
    uid: String,
    copies: Vec<(ClusterName, String)>,
}

// === impl Involved ===

impl Involved {
    /// Asks `members` for their copies, where `query` wants the events of one managed object by its
    /// uid, as `kubectl describe` does. Members that show none keep the query as it is.
    pub(crate) async fn find(
        asked: &Asked,
        members: &[Arc<Member>],
        collection: &Collection,
        query: &Query,
    ) -> Self {
        let Some((object, uid)) = wanted(collection, query) else { return Self::default() };
        let path = object.path();
        let copies = members.iter().map(|member| copy(asked, member, &path, &uid));
        let copies = join_all(copies).await.into_iter().flatten().collect();
        Self { uid, copies }
    }

    /// Makes a query ask for the uid that the object has in a member.
    pub(crate) fn translate(&self, query: &mut Query, member: &ClusterName) {
        let copy = self.copies.iter().find(|(name, _)| name == member);
        if let (Some((_, uid)), Some(selector)) = (copy, query.field_selector()) {
            let translated = selector.replace(&self.uid, uid);
            query.set("fieldSelector", translated);
        }
    }
}

/// The managed object whose events a list wants, and its uid.
fn wanted(collection: &Collection, query: &Query) -> Option<(Object, String)> {
    let of = match (collection.resource.group.as_str(), collection.resource.plural.as_str()) {
        ("", "events") => "involvedObject",
        ("events.k8s.io", "events") => "regarding",
        _ => return None,
    };
    let selector = query.field_selector()?;
    let field = |name: &str| {
        exact_field(selector, &format!("{of}.{name}")).filter(|value| !value.is_empty())
    };
    let resource = kinds::managed_kind(&field("kind")?)?;
    let collection = Collection { resource, namespace: field("namespace") };
    Some((Object { collection, name: field("name")?, subresource: None }, field("uid")?))
}

/// The uid of a member's copy, if it is a copy of the object whose home has this uid.
async fn copy(
    asked: &Asked,
    member: &Arc<Member>,
    path: &str,
    home_uid: &str,
) -> Option<(ClusterName, String)> {
    let call = asked.get(member, path.to_owned(), METADATA).ok()?;
    let answer = asked.worker.lanes.send(member, call).await.ok()?;
    let found: Value = serde_json::from_slice(&answer.whole(LIMIT).await.ok()?).ok()?;
    let metadata = found.get("metadata")?;
    let is_copy = metadata.get("annotations")?.get(HOME_UID)? == home_uid;
    let uid = metadata.get("uid")?.as_str()?;
    is_copy.then(|| (member.name.clone(), uid.to_owned()))
}
