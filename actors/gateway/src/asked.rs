//! What is known of a request once its caller is.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use actix_http::{Method, Payload, Request};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tenbin_fleet::lane::{Call, PROMPT, READ_LIMIT, STREAM, WRITE_LIMIT};
use tenbin_fleet::member::Member;
use tenbin_model::discovery::catalogue::Catalogue;
use tenbin_model::identity::{Caller, Passage};
use tenbin_model::list::IncludeObject;
use tenbin_model::request::accept::{Accepted, negotiate};
use tenbin_model::request::classify::Head;
use tenbin_model::request::headers::{self, Connection};
use tenbin_model::request::lasting::{Lasting, lasting};
use tenbin_model::request::query::Query;
use tenbin_model::request::selector::member_filter;
use tenbin_model::request::versions::{BareMeans, in_words_of};
use tenbin_model::resource_version::ResourceVersion;
use tenbin_model::status::{Reason, Status};

use crate::router::RouteTable;
use crate::worker::Worker;

/// How long a client may take to send a body.
const BODY_LIMIT: Duration = Duration::from_mins(1);

/// One request of a known caller.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) worker: Rc<Worker>,
    pub(crate) table: Arc<RouteTable>,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    /// The raw path.
    pub(crate) path: String,
    /// The raw query, without `?`.
    pub(crate) query: String,
    /// The headers as the client sent them.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

// === impl Asked ===

impl Asked {
    /// The value of a header as text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the client accepts, its header lines joined.
    pub(crate) fn accept(&self) -> Option<String> {
        let lines: Vec<&str> =
            self.headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).collect();
        (!lines.is_empty()).then(|| lines.join(","))
    }

    /// What the members serve, as far as they have said.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.worker.shared.discovery.catalogue.load_full()
    }

    /// The query, read.
    pub(crate) fn parsed_query(&self) -> Result<Query, Status> {
        Query::parse(&self.query)
    }

    /// Whether nothing is changed by it.
    pub(crate) fn reads(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The form of answer that the client wants, and what its rows are to have of objects.
    ///
    /// Members are asked for metadata at least, without which rows cannot be told apart.
    ///
    /// # Errors
    /// 406 where no JSON form is accepted, 400 where `includeObject` is not known.
    pub(crate) fn form(&self, query: &mut Query) -> Result<(Accepted, IncludeObject), Status> {
        let accepted = negotiate(self.accept().as_deref())?;
        let include_object = query.include_object()?;
        if accepted.is_table() && include_object == IncludeObject::None {
            query.set("includeObject", "Metadata");
        }
        Ok((accepted, include_object))
    }

    /// The query of a read of one object. A merged version asks for what is not older: the newest is
    /// not.
    pub(crate) fn newest_query(&self) -> Result<Query, Status> {
        let mut query = self.parsed_query()?;
        let version = query.resource_version().map(ResourceVersion::parse);
        if matches!(version, Some(Ok(ResourceVersion::Composite(_)))) {
            query.take("resourceVersion");
        }
        Ok(query)
    }

    /// The headers with which the caller goes to `member`; 403 where it may not.
    pub(crate) fn passage(&self, member: &Member) -> Result<HeaderMap, Status> {
        let crossing = self.table.crossing.as_ref();
        let caller = match crossing.map(|crossing| crossing.to(&self.caller, &member.name)) {
            Some(Passage::As(caller)) => caller,
            None => return Err(Status::new(Reason::ServiceUnavailable, "own is not known yet")),
            Some(Passage::Refused { reason }) => {
                let message = format!("{}: {reason}", member.name);
                return Err(Status::new(Reason::Forbidden, message));
            }
        };
        let connection =
            Connection::named(self.headers.get_all("connection").map(HeaderValue::as_bytes));
        let mut passed = HeaderMap::new();
        for (name, value) in &self.headers {
            if let Some(value) = headers::to_upstream(name.as_str(), value.as_bytes(), &connection)
                && let Ok(value) = HeaderValue::from_bytes(&value)
            {
                passed.append(name.clone(), value);
            }
        }
        for (name, value) in caller.impersonation_headers() {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value.as_bytes()),
            ) else {
                // The identity must go whole or not at all.
                return Err(Status::new(Reason::Forbidden, "the caller's name fits no header"));
            };
            passed.append(name, value);
        }
        Ok(passed)
    }

    /// A request of the caller to `member`, but for its body as the client sent it.
    pub(crate) fn call(
        &self,
        member: &Member,
        path_and_query: String,
        body: Bytes,
    ) -> Result<Call, Status> {
        let limit = if self.reads() { READ_LIMIT } else { WRITE_LIMIT };
        let lasts = self.lasting().is_some();
        Ok(Call {
            method: self.method.clone(),
            path_and_query,
            headers: self.passage(member)?,
            body,
            first_byte: limit.filter(|_| !lasts),
            patience: if lasts { STREAM } else { PROMPT },
        })
    }

    /// A GET of the caller to `member`, answered in JSON as `accept` has it, uncompressed.
    pub(crate) fn get(
        &self,
        member: &Member,
        path_and_query: String,
        accept: &str,
    ) -> Result<Call, Status> {
        let mut headers = self.passage(member)?;
        let accept = HeaderValue::from_str(accept)
            .map_err(|_| Status::new(Reason::NotAcceptable, "Accept cannot be passed on"))?;
        headers.insert(ACCEPT, accept);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Ok(Call {
            method: Method::GET,
            path_and_query,
            headers,
            body: Bytes::new(),
            first_byte: READ_LIMIT,
            patience: PROMPT,
        })
    }

    /// The query of a watch in the words of the one member that it goes to.
    pub(crate) fn watch_query(&self, member: &Member) -> Result<String, Status> {
        let mut query = self.parsed_query()?;
        drop(member_filter(&mut query)?);
        in_words_of(&mut query, &self.table.fleet.space, &member.name, BareMeans::Its)?;
        Ok(query.to_string())
    }

    /// Whether the answer may last, and be silent for long without being dead.
    pub(crate) fn lasting(&self) -> Option<Lasting> {
        lasting(&Head { method: self.method.as_str(), path: &self.path, query: &self.query })
    }
}

/// Path and query as they go upstream.
pub(crate) fn target(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Reads the body of a request, at most `limit` bytes; an API server takes
/// [`tenbin_model::body::MAX_BODY`].
pub(crate) async fn body(request: &mut Request, limit: usize) -> Result<Bytes, Status> {
    let payload = request.take_payload();
    match tokio::time::timeout(BODY_LIMIT, collect(payload, limit)).await {
        Ok(collected) => collected,
        Err(_) => Err(Status::new(Reason::Timeout, "the body did not come in time")),
    }
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, Status> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Status::new(Reason::BadRequest, format!("the body cannot be read: {error}"))
        })?;
        if body.len() + chunk.len() > limit {
            let message = format!("Request entity too large: limit is {limit}");
            return Err(Status::new(Reason::RequestEntityTooLarge, message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
