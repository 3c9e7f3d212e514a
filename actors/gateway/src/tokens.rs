//! Bearer tokens: own's API server says whose they are (`identity.md`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use actix_http::Method;
use actix_http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use sha2::{Digest as _, Sha256};
use tenbin_fleet::fault::Fault;
use tenbin_fleet::lane::{Call, Lanes, PROMPT, READ_LIMIT};
use tenbin_model::identity::Caller;
use tenbin_model::status::{Reason, Status};

use crate::respond::JSON;
use crate::router::RouteTable;

/// How long an answer of own counts.
const FRESH: Duration = Duration::from_secs(10);
/// How long it counts while own is down (`reads.md`).
const STALE: Duration = Duration::from_mins(1);
/// Tokens that one worker remembers; when there are more, all are asked for anew.
const REMEMBERED: usize = 4096;
/// The longest token that is asked for: the head has 64 KiB.
const LIMIT: usize = 64 * 1024;

type Key = [u8; 32];

/// What own said of tokens lately. Not `Send`: each worker has its own.
#[derive(Default)]
pub(crate) struct Tokens {
    said: RefCell<HashMap<Key, (Duration, Option<Caller>)>>,
}

// === impl Tokens ===

impl Tokens {
    /// The caller whose token it is.
    ///
    /// # Errors
    /// 401 where own does not know it; 503 where own cannot be asked and did not say it lately.
    pub(crate) async fn caller(
        &self,
        lanes: &Lanes,
        now: Duration,
        table: &RouteTable,
        token: &str,
    ) -> Result<Caller, Status> {
        let key: Key = Sha256::digest(token.as_bytes()).into();
        if let Some(said) = self.remembered(&key, now, FRESH) {
            return said;
        }
        match review(lanes, table, token).await {
            Ok(caller) => {
                let mut said = self.said.borrow_mut();
                if said.len() >= REMEMBERED {
                    said.clear();
                }
                said.insert(key, (now, caller.clone()));
                caller.ok_or_else(unknown)
            }
            Err(fault) => match self.remembered(&key, now, STALE) {
                Some(said) => said,
                None => Err(fault.to_status()),
            },
        }
    }

    fn remembered(
        &self,
        key: &Key,
        now: Duration,
        age: Duration,
    ) -> Option<Result<Caller, Status>> {
        let said = self.said.borrow();
        let (at, caller) = said.get(key)?;
        (now.saturating_sub(*at) < age).then(|| caller.clone().ok_or_else(unknown))
    }
}

fn unknown() -> Status {
    Status::new(Reason::Unauthorized, "Unauthorized")
}

/// Asks own, with the daemon's own credential.
async fn review(lanes: &Lanes, table: &RouteTable, token: &str) -> Result<Option<Caller>, Fault> {
    let Some(own) = table.fleet.own() else { return Ok(None) };
    let lost = |reason: String| Fault::Lost { member: own.name.clone(), reason };
    let asked = TokenReview {
        spec: TokenReviewSpec { token: token.to_owned(), audiences: None },
        ..TokenReview::default()
    };
    let body = serde_json::to_vec(&asked).map_err(|error| lost(error.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, JSON);
    headers.insert(CONTENT_TYPE, JSON);
    let call = Call {
        method: Method::POST,
        path_and_query: "/apis/authentication.k8s.io/v1/tokenreviews".to_owned(),
        headers,
        body: Bytes::from(body),
        first_byte: READ_LIMIT,
        patience: PROMPT,
    };
    let answer = lanes.send(own, call).await?;
    let code = answer.status.as_u16();
    let body = answer.whole(LIMIT).await?;
    if !(200..=299).contains(&code) {
        return Err(lost(format!("a token review was answered with {code}")));
    }
    let review: TokenReview =
        serde_json::from_slice(&body).map_err(|error| lost(error.to_string()))?;
    Ok(review.status.and_then(caller))
}

fn caller(status: TokenReviewStatus) -> Option<Caller> {
    let user = status.user.filter(|_| status.authenticated == Some(true))?;
    let extra = user.extra.unwrap_or_default();
    Caller::new(user.username?, user.uid, user.groups.unwrap_or_default(), extra).ok()
}
