//! `DeleteOptions`: preconditions are the member's own, everything else is the user's.

use prost::Message;
use serde_json::{Map, Value};

use super::protobuf::{Envelope, filled};
use super::tree::{self, object, string};
use super::wire::{self, Edit};
use super::{BodyError, Encoded, Encoding};
use crate::request::query::Query;

/// What an object must be for a DELETE to touch it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Preconditions {
    /// The uid that it must have.
    #[prost(string, optional, tag = "1")]
    pub uid: Option<String>,
    /// The version that it must have.
    #[prost(string, optional, tag = "2")]
    pub resource_version: Option<String>,
}

/// The body of a DELETE, read once and written anew for each member.
#[derive(Debug, Clone)]
pub struct DeleteBody {
    content: Content,
    preconditions: Preconditions,
}

#[derive(Debug, Clone)]
enum Content {
    Tree(Map<String, Value>),
    Protobuf(Envelope),
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
}

const PRECONDITIONS: u32 = 2;
const GRACE: &str = "gracePeriodSeconds";

// === impl DeleteBody ===

impl DeleteBody {
    /// Reads the body of a DELETE; where it is empty, the options of `query` take its place.
    ///
    /// So an API server decides too (apiserver `handlers/delete.go`): it reads the query's options
    /// only where there is no body.
    pub fn parse(encoding: Encoding, bytes: &[u8], query: &Query) -> Result<Self, BodyError> {
        if bytes.is_empty() {
            return Self::of_tree(of_query(query)?);
        }
        if encoding == Encoding::Protobuf {
            let envelope = Envelope::open(bytes)?;
            let options = DeleteOptions::decode(envelope.raw.as_slice());
            let read = options.map_err(BodyError::Protobuf)?.preconditions.unwrap_or_default();
            let preconditions = Preconditions {
                uid: filled(read.uid),
                resource_version: filled(read.resource_version),
            };
            return Ok(Self { content: Content::Protobuf(envelope), preconditions });
        }
        Self::of_tree(tree::decode(encoding, bytes)?)
    }

    fn of_tree(tree: Map<String, Value>) -> Result<Self, BodyError> {
        let mut preconditions = Preconditions::default();
        if let Some(read) = object(&tree, "preconditions", "preconditions")? {
            preconditions.uid = string(read, "uid", "preconditions.uid")?;
            preconditions.resource_version =
                string(read, "resourceVersion", "preconditions.resourceVersion")?;
        }
        Ok(Self { content: Content::Tree(tree), preconditions })
    }

    /// What the user demands of the object, in the fleet view's terms.
    pub fn preconditions(&self) -> &Preconditions {
        &self.preconditions
    }

    /// Writes the body for one member, with that member's preconditions; nothing of the query is
    /// to be sent beside it.
    pub fn for_member(&self, own: &Preconditions) -> Result<Encoded, BodyError> {
        let demands = *own != Preconditions::default();
        match &self.content {
            Content::Tree(tree) => {
                let mut tree = tree.clone();
                tree.shift_remove("preconditions");
                if demands {
                    tree.insert("preconditions".to_owned(), own.to_json());
                }
                Ok(Encoded::json(tree))
            }
            Content::Protobuf(envelope) => {
                let others = wire::rewrite(&envelope.raw, |field, _| {
                    Ok(if field == PRECONDITIONS { Edit::Drop } else { Edit::Keep })
                });
                let mut raw = others.map_err(BodyError::Protobuf)?;
                if demands {
                    wire::append(&mut raw, PRECONDITIONS, &own.encode_to_vec());
                }
                Ok(envelope.seal(&raw))
            }
        }
    }
}

// === impl Preconditions ===

impl Preconditions {
    fn to_json(&self) -> Value {
        let mut tree = Map::new();
        if let Some(uid) = &self.uid {
            tree.insert("uid".to_owned(), uid.as_str().into());
        }
        if let Some(version) = &self.resource_version {
            tree.insert("resourceVersion".to_owned(), version.as_str().into());
        }
        Value::Object(tree)
    }
}

/// `DeleteOptions` as an API server reads them of a query (apimachinery `meta/v1/conversion.go`).
fn of_query(query: &Query) -> Result<Map<String, Value>, BodyError> {
    let mut tree = Map::new();
    tree.insert("kind".to_owned(), "DeleteOptions".into());
    tree.insert("apiVersion".to_owned(), "v1".into());
    let dry_run: Vec<&str> = query.all("dryRun").collect();
    if !dry_run.is_empty() {
        tree.insert("dryRun".to_owned(), dry_run.into());
    }
    if let Some(policy) = query.first("propagationPolicy") {
        tree.insert("propagationPolicy".to_owned(), policy.into());
    }
    if let Some(text) = query.first("gracePeriodSeconds") {
        let wrong = |_| BodyError::WrongType { path: GRACE, expected: "a whole number" };
        tree.insert(GRACE.to_owned(), text.parse::<i64>().map_err(wrong)?.into());
    }
    for flag in ["orphanDependents", "ignoreStoreReadErrorWithClusterBreakingPotential"] {
        if query.first(flag).is_some() {
            tree.insert(flag.to_owned(), query.is_set(flag).into());
        }
    }
    let preconditions = Preconditions {
        uid: filled(query.first("uid").map(str::to_owned)),
        resource_version: filled(query.first("resourceVersion").map(str::to_owned)),
    };
    if preconditions != Preconditions::default() {
        tree.insert("preconditions".to_owned(), preconditions.to_json());
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn the_preconditions_of_a_delete_become_the_members_own() {
        let text = br#"{"kind":"DeleteOptions","propagationPolicy":"Foreground","gracePeriodSeconds":3,"preconditions":{"uid":"home","resourceVersion":"1"}}"#;
        let body = DeleteBody::parse(Encoding::Json, text, &query("dryRun=All")).unwrap();
        assert_eq!(body.preconditions().uid.as_deref(), Some("home"));
        let own = Preconditions { uid: Some("own".into()), resource_version: None };
        insta::assert_snapshot!(written(&body, &own), @r#"{"kind":"DeleteOptions","propagationPolicy":"Foreground","gracePeriodSeconds":3,"preconditions":{"uid":"own"}}"#);
        insta::assert_snapshot!(written(&body, &Preconditions::default()), @r#"{"kind":"DeleteOptions","propagationPolicy":"Foreground","gracePeriodSeconds":3}"#);
    }

    #[test]
    fn the_options_of_the_query_count_where_there_is_no_body() {
        let own = Preconditions { uid: Some("own".into()), resource_version: None };
        let read = |text| DeleteBody::parse(Encoding::Json, b"", &query(text));
        let all = read("dryRun=All&propagationPolicy=Orphan&gracePeriodSeconds=3&orphanDependents=false&uid=u&resourceVersion=7&pretty=true").unwrap();
        assert_eq!(all.preconditions().uid.as_deref(), Some("u"));
        assert_eq!(all.preconditions().resource_version.as_deref(), Some("7"));
        insta::assert_snapshot!(written(&all, &own), @r#"{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"],"propagationPolicy":"Orphan","gracePeriodSeconds":3,"orphanDependents":false,"preconditions":{"uid":"own"}}"#);
        insta::assert_snapshot!(written(&read("").unwrap(), &own), @r#"{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"own"}}"#);
        // An API server refuses the empty word; it must not hide the other.
        insta::assert_snapshot!(written(&read("dryRun=&dryRun=All").unwrap(), &own), @r#"{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["","All"],"preconditions":{"uid":"own"}}"#);
        assert!(read("gracePeriodSeconds=soon").is_err());
    }

    fn written(body: &DeleteBody, own: &Preconditions) -> String {
        String::from_utf8(body.for_member(own).unwrap().bytes.to_vec()).unwrap()
    }
}
