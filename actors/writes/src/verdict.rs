//! Sends one request to one member and judges what came of it.

use std::time::Duration;

use actix_http::Method;
use actix_http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use bytes::Bytes;
use serde_json::Value;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::{Call, PROMPT, READ_LIMIT, WRITE_LIMIT};
use tenbin_model::ids::ClusterName;
use tenbin_model::status::Status;
use tenbin_model::warning;

use crate::session::{Session, Target};

/// The largest answer to a write: the object, at most 3 MiB as etcd keeps it, and managed fields.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;

/// One request to one member.
#[derive(Debug, Clone)]
pub struct Step {
    /// The method.
    pub method: Method,
    /// The path without query.
    pub path: String,
    /// The query without `?`.
    pub query: String,
    /// The media type of the body; `None` where there is no body.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Whether nothing of it may stay.
    pub dry: bool,
}

/// What came of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It was carried out, or would be, if it was a dry run.
    Done(Done),
    /// The member refused it; nothing changed there.
    Refused(Refusal),
    /// The member did not see it.
    Unsent(Fault),
    /// Nobody knows whether it was carried out.
    Unknown(Fault),
}

/// A request that was carried out.
#[derive(Debug, Clone)]
pub struct Done {
    /// The status code.
    pub code: u16,
    /// What the member answered.
    pub object: Value,
    /// The member's warnings, named.
    pub warnings: Vec<String>,
}

/// A request that was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The member that refused; `None` where tenbin itself did.
    pub member: Option<ClusterName>,
    /// The `Status`, as the member wrote it.
    pub body: Value,
    /// The status code.
    pub code: u16,
    /// The member's warnings, named.
    pub warnings: Vec<String>,
    /// After how many seconds the client may come again.
    pub retry_after_seconds: Option<u32>,
}

// === impl Step ===

impl Step {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: String::new(),
            content_type: None,
            body: Bytes::new(),
            dry: false,
        }
    }

    /// The same request to another path.
    #[must_use]
    pub(crate) fn at(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// The same request, of which nothing may stay.
    #[must_use]
    pub(crate) fn dry(mut self) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str("dryRun=All");
        self.dry = true;
        self
    }

    fn call(self, target: &Target) -> Result<Call, Fault> {
        let refused = |reason: &str| Fault::NoCredentials {
            member: target.member.name.clone(),
            reason: reason.to_owned(),
        };
        let mut headers = target.passage.clone().map_err(|reason| refused(&reason))?;
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(content_type) = &self.content_type {
            let value = HeaderValue::from_str(content_type)
                .map_err(|_| refused("the media type is no header value"))?;
            headers.insert(CONTENT_TYPE, value);
        }
        let reads = self.method == Method::GET;
        let mark = if self.query.is_empty() { "" } else { "?" };
        Ok(Call {
            path_and_query: format!("{}{mark}{}", self.path, self.query),
            method: self.method,
            headers,
            body: self.body,
            first_byte: if reads { READ_LIMIT } else { WRITE_LIMIT },
            patience: PROMPT,
        })
    }
}

// === impl Refusal ===

impl Refusal {
    /// What the member said, begun with its name.
    pub(crate) fn message(&self) -> String {
        let said = self.body.get("message").and_then(Value::as_str);
        let said = said.unwrap_or("refused without a message");
        match &self.member {
            Some(member) => format!("{member}: {said}"),
            None => said.to_owned(),
        }
    }

    /// Whether an object of the name is there.
    pub(crate) fn says_it_exists(&self) -> bool {
        self.reason() == Some("AlreadyExists")
    }

    /// Whether the object is no longer what it was read as.
    pub(crate) fn is_conflict(&self) -> bool {
        self.reason() == Some("Conflict")
    }

    fn reason(&self) -> Option<&str> {
        self.body.get("reason")?.as_str()
    }

    /// Whether the namespace of the object is not there.
    pub(crate) fn lacks_namespace(&self) -> bool {
        let kind = self.body.pointer("/details/kind").and_then(Value::as_str);
        self.code == 404 && kind == Some("namespaces")
    }

    /// Whether an admission webhook there cannot take part in dry runs, which is no verdict.
    pub(crate) fn is_no_verdict(&self) -> bool {
        self.code == 400 && self.message().contains("does not support dry run")
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let body = serde_json::from_str(&status.to_json()).unwrap_or_default();
        Self {
            member: None,
            body,
            code: status.code,
            warnings: Vec::new(),
            retry_after_seconds: status.retry_after_seconds,
        }
    }
}

/// Sends `step` to a target of the session; see [`Verdict`].
pub(crate) async fn send(session: &Session<'_>, target: &Target, step: Step) -> Verdict {
    let dry = step.dry || session.dry_run;
    let call = match step.call(target) {
        Ok(call) => call,
        Err(fault) => return Verdict::Unsent(fault),
    };
    let answer = match session.lanes.send(&target.member, call).await {
        Ok(answer) => answer,
        Err(fault) if fault.is_unsent() => return Verdict::Unsent(fault),
        Err(fault) => return Verdict::Unknown(fault),
    };
    let (code, headers) = (answer.status.as_u16(), answer.headers.clone());
    match answer.whole(ANSWER_LIMIT).await {
        Ok(body) => judge(&target.member.name, code, &headers, &body, dry),
        Err(fault) => Verdict::Unknown(fault),
    }
}

fn judge(name: &ClusterName, code: u16, headers: &HeaderMap, body: &[u8], dry: bool) -> Verdict {
    let lost = |reason: String| Verdict::Unknown(Fault::Lost { member: name.clone(), reason });
    let warnings = warnings(name, headers);
    let object = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let is_status = object.get("kind").and_then(Value::as_str) == Some("Status");
    match code {
        200..=299 if object.is_object() => Verdict::Done(Done { code, object, warnings }),
        200..=299 => lost("its answer is no object in JSON".to_owned()),
        // The daemon's own credentials: the caller's are known before anything is sent.
        401 => Verdict::Unsent(Fault::NoCredentials {
            member: name.clone(),
            reason: "it does not accept the daemon's credentials".to_owned(),
        }),
        // The request may have been carried out behind these, unless it was a rehearsal: then it is
        // a webhook's failure, which the commit would meet as well.
        500 if dry && is_status => refused(name, code, headers, object, warnings),
        500 | 502 | 504 => {
            let said = object.get("message").and_then(Value::as_str).unwrap_or_default();
            lost(format!("answered {code} {said}").trim_end().to_owned())
        }
        400..=599 if is_status => refused(name, code, headers, object, warnings),
        // A proxy's word, not an API server's.
        _ => Verdict::Unsent(Fault::Down {
            member: name.clone(),
            since: Duration::ZERO,
            reason: format!("answered {code} without a Status"),
        }),
    }
}

fn refused(
    name: &ClusterName,
    code: u16,
    headers: &HeaderMap,
    body: Value,
    warnings: Vec<String>,
) -> Verdict {
    let header = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let details = || body.pointer("/details/retryAfterSeconds")?.as_u64()?.try_into().ok();
    let retry_after_seconds = header.or_else(details);
    Verdict::Refused(Refusal {
        member: Some(name.clone()),
        body,
        code,
        warnings,
        retry_after_seconds,
    })
}

/// The member's warnings, named.
fn warnings(name: &ClusterName, headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all("warning").filter_map(|value| {
        // Not `to_str`: a policy may speak Japanese.
        warning::text(std::str::from_utf8(value.as_bytes()).ok()?)
    });
    texts.map(|text| format!("{name}: {text}")).collect()
}

#[cfg(test)]
mod tests;
