//! One look at what a member serves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{ACCEPT, ACCEPT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use actix_http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::{Call, Lanes, PROMPT};
use tenbin_fleet::member::Member;
use tenbin_fleet::patience::Patience;
use tenbin_model::discovery::UnreadableDocument;
use tenbin_model::discovery::catalogue::Known;
use tenbin_model::discovery::form::AGGREGATED;
use tenbin_model::discovery::groups::Groups;
use tenbin_model::discovery::schemas::Schemas;

use super::{MAX_DOCUMENT, Subject};

/// How long a member may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// What is known of one member.
#[derive(Debug, Clone, Default)]
pub(super) struct Learnt {
    core: Said<Groups>,
    groups: Said<Groups>,
    schemas: Said<Schemas>,
}

/// A document, and what tells whether it has changed.
#[derive(Debug)]
pub(super) struct Said<T> {
    etag: Option<HeaderValue>,
    body: Bytes,
    read: Option<Arc<T>>,
}

/// What a look brought.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) changes: Vec<Change>,
    /// Why a document is not known anew.
    pub(super) failure: Option<String>,
}

/// A document that a member said anew.
pub(super) enum Change {
    Core(Said<Groups>),
    Groups(Said<Groups>),
    Schemas(Said<Schemas>),
}

/// Why a look at a document failed.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Ask(#[from] Fault),
    #[error("it answers {0}")]
    Refused(StatusCode),
    #[error(transparent)]
    Read(#[from] UnreadableDocument),
}

/// Asks a member, as the daemon itself, and tells what differs from before.
///
/// Each document fails alone: what was known of it stays.
pub(super) async fn look(
    lanes: Rc<Lanes>,
    member: Arc<Member>,
    subject: Subject,
    former: Learnt,
) -> Looked {
    let mut looked = Looked::default();
    match subject {
        Subject::Groups => {
            let (core, groups) = futures_util::future::join(
                ask(&lanes, &member, "/api", AGGREGATED, &former.core, Groups::parse),
                ask(&lanes, &member, "/apis", AGGREGATED, &former.groups, Groups::parse),
            )
            .await;
            looked.note(core, Change::Core);
            looked.note(groups, Change::Groups);
        }
        Subject::Schemas => {
            let json = "application/json";
            let schemas =
                ask(&lanes, &member, "/openapi/v3", json, &former.schemas, Schemas::parse).await;
            looked.note(schemas, Change::Schemas);
        }
    }
    looked
}

/// Asks for one document; `None` where it has not changed.
async fn ask<T>(
    lanes: &Lanes,
    member: &Arc<Member>,
    path: &str,
    accept: &'static str,
    former: &Said<T>,
    parse: impl Fn(&[u8]) -> Result<T, UnreadableDocument>,
) -> Result<Option<Said<T>>, LookError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(etag) = &former.etag {
        headers.insert(IF_NONE_MATCH, etag.clone());
    }
    let call = Call {
        method: Method::GET,
        path_and_query: path.to_owned(),
        headers,
        body: Bytes::new(),
        first_byte: Some(LIMIT),
        patience: Patience { limit: Some(LIMIT), ..PROMPT },
    };
    let answer = lanes.send(member, call).await?;
    let (status, etag) = (answer.status, answer.headers.get(&ETAG).cloned());
    // Read to its end, so that the connection is kept.
    let body = answer.whole(MAX_DOCUMENT).await?;
    match status {
        StatusCode::NOT_MODIFIED => Ok(None),
        StatusCode::OK if former.read.is_some() && body == former.body => Ok(None),
        StatusCode::OK => {
            let read = Some(Arc::new(parse(&body)?));
            Ok(Some(Said { etag, body, read }))
        }
        _ => Err(LookError::Refused(status)),
    }
}

// === impl Learnt ===

impl Learnt {
    /// What is known, without how.
    pub(super) fn known(&self) -> Known {
        Known {
            core: self.core.read.clone(),
            groups: self.groups.read.clone(),
            schemas: self.schemas.read.clone(),
        }
    }

    /// Takes over a new document.
    pub(super) fn take(&mut self, change: Change) {
        match change {
            Change::Core(said) => self.core = said,
            Change::Groups(said) => self.groups = said,
            Change::Schemas(said) => self.schemas = said,
        }
    }

    /// The sizes of the documents in bytes, for `/actors`.
    pub(super) fn observe(&self) -> Value {
        json!({
            "core_bytes": self.core.body.len(),
            "groups_bytes": self.groups.body.len(),
            "schemas_bytes": self.schemas.body.len(),
        })
    }
}

/// What a discoverer of before has published.
impl From<Known> for Learnt {
    fn from(known: Known) -> Self {
        let Known { core, groups, schemas } = known;
        Self {
            core: Said { read: core, ..Said::default() },
            groups: Said { read: groups, ..Said::default() },
            schemas: Said { read: schemas, ..Said::default() },
        }
    }
}

// === impl Said ===

impl<T> Clone for Said<T> {
    fn clone(&self) -> Self {
        Self { etag: self.etag.clone(), body: self.body.clone(), read: self.read.clone() }
    }
}

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self { etag: None, body: Bytes::new(), read: None }
    }
}

// === impl Looked ===

impl Looked {
    fn note<T>(
        &mut self,
        asked: Result<Option<Said<T>>, LookError>,
        change: fn(Said<T>) -> Change,
    ) {
        match asked {
            Ok(said) => self.changes.extend(said.map(change)),
            Err(error) => self.failure = Some(error.to_string()),
        }
    }
}
