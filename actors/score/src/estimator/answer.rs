//! Answers a peer's question about own.

use serde_json::{Value, json};
use tenbin_kernel::Slot;
use tenbin_model::ids::ClusterName;
use tenbin_model::power::estimate::{EstimateRefusal, EstimateRequest};

use super::{Estimate, Estimator, LIMIT};

/// Answers the body of a question about `own` with a status code and a body, as wao-estimator does
/// (`wao.md` 5.9): 200, 400 for a wrong question, 500 where there is no curve.
pub async fn answer(estimator: &Slot<Estimator>, own: ClusterName, body: &[u8]) -> (u16, Value) {
    let request = match EstimateRequest::parse(body) {
        Ok(request) => request,
        Err(error) => return (400, json!(EstimateRefusal::invalid(&error))),
    };
    let (shape, pods) = (request.shape(), request.num_workloads);
    let estimate = Estimate { cluster: own.clone(), shape, pods };
    let refused = |reason: String| {
        (500, json!(EstimateRefusal::unable(format!("{own} has no curve: {reason}"))))
    };
    match estimator.ask(estimate, LIMIT * 2).await {
        Ok(Ok(curve)) => (200, json!(request.answer(&curve))),
        Ok(Err(error)) => refused(error.to_string()),
        Err(error) => refused(error.to_string()),
    }
}
