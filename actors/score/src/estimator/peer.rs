//! Asks a member's own tenbin.

use std::sync::Arc;

use actix_http::Method;
use actix_http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tenbin_fleet::lane::{Call, Lanes, PROMPT, READ_LIMIT};
use tenbin_fleet::member::Member;
use tenbin_model::power::estimate::{EstimateRequest, EstimateResponse};
use tenbin_model::power::{Curve, PodShape};

use super::EstimateError;

/// A tenbin answers under any namespace and name.
const PATH: &str = "/namespaces/default/estimators/default/values/powerconsumption";
/// A curve of 1000 values takes half of it.
const MAX_ANSWER: usize = 64 * 1024;
/// How much of a refusal is repeated.
const MAX_MESSAGE: usize = 256;

/// Asks for the curve; the caller bounds the time. Cancellation safe: nothing changes there.
pub(super) async fn ask(
    lanes: &Lanes,
    member: &Arc<Member>,
    shape: PodShape,
    pods: u32,
) -> Result<Curve, EstimateError> {
    let unreadable = |error: serde_json::Error| EstimateError::Unreadable(error.to_string());
    let body = serde_json::to_vec(&EstimateRequest::new(shape, pods)).map_err(unreadable)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let call = Call {
        method: Method::POST,
        path_and_query: PATH.to_owned(),
        headers,
        body: body.into(),
        first_byte: READ_LIMIT,
        patience: PROMPT,
    };
    let answer = lanes.send(member, call).await?;
    let (status, body) = (answer.status, answer.whole(MAX_ANSWER).await?);
    if status.is_success() {
        let answer: EstimateResponse = serde_json::from_slice(&body).map_err(unreadable)?;
        return Ok(answer.into_curve());
    }
    // The estimator's refusals and those of the port before it (`Status`) both have a message.
    let refusal = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let message = refusal.get("message").and_then(Value::as_str).unwrap_or("without a reason");
    let message = message.chars().take(MAX_MESSAGE).collect();
    Err(EstimateError::Refused { code: status.as_u16(), message })
}
