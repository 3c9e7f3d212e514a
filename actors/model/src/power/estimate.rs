//! The question what more pods would add, as one tenbin asks another.
//!
//! It is wao-estimator's API (`wao.md` 5.9), so that its clients can ask tenbin and tenbin can ask it;
//! tenbin's own `memory_bytes` is passed over by the original.

use serde::{Deserialize, Serialize};

use super::{Curve, MAX_PODS, PodShape};

/// How the original says that so many pods have no room: Go's `math.MaxFloat64`.
const NO_ROOM: f64 = f64::MAX;

/// The question: the body of a POST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimateRequest {
    /// What each pod asks for, in thousandths of a core.
    pub cpu_milli: u64,
    /// The pods.
    pub num_workloads: u32,
    /// What each pod asks for, in bytes; the original's clients do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// The answer: the question, and the watts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EstimateResponse {
    /// As it was asked.
    pub cpu_milli: u64,
    /// As it was asked.
    pub num_workloads: u32,
    /// The watts that 1, 2, ... pods add, one for each pod.
    pub watt_increases: Vec<f64>,
}

/// The answer where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimateRefusal {
    /// One of the original's words, as `ErrEstimator`.
    pub code: String,
    /// Why, for a person.
    pub message: String,
}

/// Why a question cannot be answered; the asker's mistake, so 400.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEstimate {
    /// It is not the JSON of a question.
    #[error("the question cannot be read: {0}")]
    Json(#[source] serde_json::Error),
    /// More pods than a curve is worked out for.
    #[error("num_workloads is {0}, and at most {MAX_PODS} are estimated")]
    TooMany(u32),
}

// === impl EstimateRequest ===

impl EstimateRequest {
    /// Asks for the curve of so many pods.
    pub fn new(shape: PodShape, pods: u32) -> Self {
        let PodShape { cpu_milli, memory_bytes } = shape;
        Self { cpu_milli, num_workloads: pods, memory_bytes: Some(memory_bytes) }
    }

    /// Reads a question and checks it.
    pub fn parse(body: &[u8]) -> Result<Self, InvalidEstimate> {
        let request: Self = serde_json::from_slice(body).map_err(InvalidEstimate::Json)?;
        if request.num_workloads > MAX_PODS {
            return Err(InvalidEstimate::TooMany(request.num_workloads));
        }
        Ok(request)
    }

    /// What each pod asks for.
    pub fn shape(&self) -> PodShape {
        let memory_bytes = self.memory_bytes.unwrap_or(0);
        PodShape { cpu_milli: self.cpu_milli, memory_bytes }
    }

    /// The answer, as long as was asked, where the curve may end earlier.
    pub fn answer(&self, curve: &Curve) -> EstimateResponse {
        let watts = curve.watts().iter().copied().chain(std::iter::repeat(NO_ROOM));
        EstimateResponse {
            cpu_milli: self.cpu_milli,
            num_workloads: self.num_workloads,
            watt_increases: watts.take(self.num_workloads as usize).collect(),
        }
    }
}

// === impl EstimateResponse ===

impl EstimateResponse {
    /// The curve; it ends where the member has no room.
    pub fn into_curve(self) -> Curve {
        Curve::new(self.watt_increases)
    }
}

// === impl EstimateRefusal ===

impl EstimateRefusal {
    /// The answer to a question that cannot be answered.
    pub fn invalid(error: &InvalidEstimate) -> Self {
        Self { code: "ErrEstimatorInvalidRequest".to_owned(), message: error.to_string() }
    }

    /// The answer of a cluster that cannot say now.
    pub fn unable(message: String) -> Self {
        Self { code: "ErrEstimator".to_owned(), message }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_original_s_client_is_answered_in_its_words() {
        let request = EstimateRequest::parse(br#"{"cpu_milli":500,"num_workloads":5}"#).unwrap();
        assert_eq!(request.shape(), PodShape { cpu_milli: 500, memory_bytes: 0 });
        let answer = request.answer(&Curve::new([5.0, 9.5, 13.0]));
        insta::assert_snapshot!(serde_json::to_string(&answer).unwrap(), @r#"{"cpu_milli":500,"num_workloads":5,"watt_increases":[5.0,9.5,13.0,1.7976931348623157e+308,1.7976931348623157e+308]}"#);
    }

    #[test]
    fn the_original_is_asked_in_its_words_and_its_answer_ends_where_room_does() {
        let request = EstimateRequest::new(PodShape { cpu_milli: 500, memory_bytes: 7 }, 5);
        insta::assert_snapshot!(serde_json::to_string(&request).unwrap(), @r#"{"cpu_milli":500,"num_workloads":5,"memory_bytes":7}"#);
        let answer =
            r#"{"cpu_milli":500,"num_workloads":5,"watt_increases":[5,9,1.797e308,1.797e308,0]}"#;
        let answer: EstimateResponse = serde_json::from_str(answer).unwrap();
        assert_eq!(answer.into_curve().watts(), [5.0, 9.0]);
    }

    #[test]
    fn a_wrong_question_is_named() {
        let refusal = |body: &str| {
            let error = EstimateRequest::parse(body.as_bytes()).unwrap_err();
            serde_json::to_string(&EstimateRefusal::invalid(&error)).unwrap()
        };
        insta::assert_snapshot!(refusal(r#"{"cpu_milli":-1,"num_workloads":5}"#), @r#"{"code":"ErrEstimatorInvalidRequest","message":"the question cannot be read: invalid value: integer `-1`, expected u64 at line 1 column 15"}"#);
        insta::assert_snapshot!(refusal(r#"{"cpu_milli":1,"num_workloads":1001}"#), @r#"{"code":"ErrEstimatorInvalidRequest","message":"num_workloads is 1001, and at most 1000 are estimated"}"#);
        insta::assert_snapshot!(refusal("x"), @r#"{"code":"ErrEstimatorInvalidRequest","message":"the question cannot be read: expected value at line 1 column 1"}"#);
    }

    proptest! {
        #[test]
        fn a_curve_survives_the_way_to_a_peer(
            watts in proptest::collection::vec(0.0_f64..1e9, 0..20), pods in 20_u32..30,
        ) {
            let curve = Curve::new(watts);
            let request = EstimateRequest::new(PodShape::default(), pods);
            let sent = serde_json::to_vec(&request).unwrap();
            prop_assert_eq!(&EstimateRequest::parse(&sent).unwrap(), &request);
            let answer = serde_json::to_vec(&request.answer(&curve)).unwrap();
            let answer: EstimateResponse = serde_json::from_slice(&answer).unwrap();
            prop_assert_eq!(answer.into_curve(), curve);
        }
    }
}
