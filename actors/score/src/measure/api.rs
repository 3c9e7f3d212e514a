//! The cluster's API server, asked for metrics and Secrets.

use awc::http::header::{ACCEPT, AUTHORIZATION};
use k8s_openapi::api::core::v1::Secret;
use serde::de::DeserializeOwned;
use tenbin_fleet::access::Access;
use tenbin_fleet::connect;

use super::budget::Budget;
use super::web::{Refusal, Web};

/// The longest answer: 10,000 nodes' metrics are 4 MB.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// A client of one thread.
///
/// kube's would retry a 503 for seconds, and read an answer of any length.
pub(super) struct ApiServer {
    web: Web,
    access: Access,
}

/// Credentials of HTTP Basic.
#[derive(Clone)]
pub(super) struct Basic {
    pub(super) username: String,
    pub(super) password: String,
}

// === impl ApiServer ===

impl ApiServer {
    pub(super) fn new(access: Access) -> Self {
        Self { web: Web::new(connect::client(&access), ANSWER_LIMIT), access }
    }

    /// Requests that were sent so far.
    pub(super) fn requests(&self) -> u64 {
        self.web.requests()
    }

    /// Reads what is at a path.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        budget: &Budget,
    ) -> Result<T, Refusal> {
        let credentials = self.access.credentials.authorization();
        let credentials = budget.limit(budget.left(), credentials).await;
        let authorization = match credentials {
            Some(Ok(authorization)) => authorization,
            Some(Err(error)) => return Err(Refusal::Unusable(error.to_string())),
            None => {
                return Err(Refusal::Silent("the daemon's token is not had in time".to_owned()));
            }
        };
        let mut request = self.web.client().get(format!("{}{path}", self.access.base));
        request = request.insert_header((ACCEPT, "application/json"));
        if let Some(value) = authorization {
            request = request.insert_header((AUTHORIZATION, value.as_bytes()));
        }
        let body = self.web.fetch(request, None, budget).await?;
        serde_json::from_slice(&body)
            .map_err(|_| Refusal::Unusable("answers what cannot be read".to_owned()))
    }

    /// Reads a Secret of HTTP Basic (keys `username` and `password`); an error is a reason.
    pub(super) async fn basic(
        &self,
        namespace: &str,
        name: &str,
        budget: &Budget,
    ) -> Result<Basic, String> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let secret: Secret = self
            .get(&path, budget)
            .await
            .map_err(|refusal| format!("Secret {name}: the API server {refusal}"))?;
        let text = |key: &str| {
            let value = secret.data.as_ref().and_then(|data| data.get(key));
            let value = value.and_then(|value| std::str::from_utf8(&value.0).ok());
            value.map(str::to_owned).ok_or_else(|| format!("Secret {name} has no {key}"))
        };
        Ok(Basic { username: text("username")?, password: text("password")? })
    }
}
