//! Asks power models by the V2 inference protocol (`wao.md` 5.4), many rows at once where they
//! allow it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use awc::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tenbin_kernel::Clock;
use tenbin_model::power::Features;

use super::api::Basic;
use super::budget::Budget;
use super::models::{Model, Secrets, credentials};
use super::web::{PLACES, Refusal, Web, shown};

/// Rows of one request.
const BATCH: usize = 1000;
/// How long a model that refused a batch is asked row by row.
const REMEMBERED: Duration = Duration::from_mins(5);
/// The watts of WAO's stand-in.
#[expect(clippy::approx_constant, reason = "these are watts")]
pub(super) const FAKE_WATTS: f64 = 3.14;

/// The predicted watts of each row; an error is a reason.
pub(super) type Predictions = Vec<Result<f64, String>>;

/// The models of a cluster.
pub(super) struct Predictor {
    web: Web,
    clock: Clock,
    /// Models that refuse batches, and until when this is believed.
    singly: RefCell<HashMap<Model, Duration>>,
    /// Those that were silent the last time are asked after the others.
    suspects: RefCell<HashSet<Model>>,
    rows: Cell<u64>,
}

// === impl Predictor ===

impl Predictor {
    pub(super) fn new(web: Web, clock: Clock) -> Self {
        let (singly, suspects) = (RefCell::default(), RefCell::default());
        Self { web, clock, singly, suspects, rows: Cell::new(0) }
    }

    /// The client that asks predictors and BMCs.
    pub(super) fn web(&self) -> &Web {
        &self.web
    }

    /// Rows that were sent so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.get()
    }

    /// Whether a model is asked row by row at present.
    pub(super) fn is_slow(&self, model: &Model) -> bool {
        self.singly.borrow().get(model).is_some_and(|until| *until > self.clock.elapsed())
    }

    /// Asks all models, each for its rows; what they do not tell within the budget is an error.
    pub(super) async fn predict(
        &self,
        rows: BTreeMap<Model, Vec<Features>>,
        secrets: &Secrets,
        budget: &Budget,
    ) -> BTreeMap<Model, Predictions> {
        let now = self.clock.elapsed();
        self.singly.borrow_mut().retain(|_, until| *until > now);
        let asking = self.ordered(rows).into_iter().map(|(model, rows)| async move {
            let predictions = self.model(&model, &rows, secrets, budget).await;
            (model, predictions)
        });
        let answers: BTreeMap<_, _> = join_all(asking).await.into_iter().collect();
        self.suspects.borrow_mut().retain(|model| answers.contains_key(model));
        answers
    }

    /// In the order in which they take their turns.
    fn ordered(&self, rows: BTreeMap<Model, Vec<Features>>) -> Vec<(Model, Vec<Features>)> {
        let mut jobs: Vec<_> = rows.into_iter().collect();
        jobs.sort_by_key(|(model, _)| self.suspects.borrow().contains(model));
        jobs
    }

    async fn model(
        &self,
        model: &Model,
        rows: &[Features],
        secrets: &Secrets,
        budget: &Budget,
    ) -> Predictions {
        let (url, secret) = match model {
            Model::Fake => return vec![Ok(FAKE_WATTS); rows.len()],
            Model::Inference { url, secret } => (url.as_str(), secret.as_deref()),
        };
        let basic = match credentials(secret, secrets) {
            Ok(basic) => basic,
            Err(reason) => return vec![Err(reason); rows.len()],
        };
        let asked = Asked { predictor: self, model, url, basic, budget };
        let answers = if self.is_slow(model) {
            asked.singly(rows).await
        } else {
            let batches = rows.chunks(BATCH).map(|batch| asked.batch(batch));
            join_all(batches).await.concat()
        };
        if answers.iter().any(|answer| matches!(answer, Err(Refusal::Silent(_)))) {
            self.suspects.borrow_mut().insert(model.clone());
        } else if answers.iter().any(Result::is_ok) {
            self.suspects.borrow_mut().remove(model);
        }
        let reason = |refusal| format!("predictor {} {refusal}", shown(url));
        answers.into_iter().map(|answer| answer.map_err(reason)).collect()
    }
}

/// One model, as it is asked in one round.
struct Asked<'a> {
    predictor: &'a Predictor,
    model: &'a Model,
    url: &'a str,
    basic: Option<&'a Basic>,
    budget: &'a Budget,
}

type Answers = Vec<Result<f64, Refusal>>;

// === impl Asked ===

impl Asked<'_> {
    /// All rows in one request; one by one where that is refused.
    async fn batch(&self, rows: &[Features]) -> Answers {
        match self.ask(rows).await {
            Ok(answers) => answers,
            // A predictor that is silent to many rows is silent to one.
            Err(refusal) if refusal.is_silence() || rows.len() == 1 => {
                vec![Err(refusal); rows.len()]
            }
            Err(_) => {
                let answers = self.singly(rows).await;
                if answers.iter().any(Result::is_ok) {
                    let until = self.predictor.clock.elapsed().saturating_add(REMEMBERED);
                    self.predictor.singly.borrow_mut().insert(self.model.clone(), until);
                }
                answers
            }
        }
    }

    /// Row by row. Where none of the first is predicted, the others are not asked for.
    async fn singly(&self, rows: &[Features]) -> Answers {
        let (first, rest) = rows.split_at(rows.len().min(1));
        let mut answers = self.each(first).await;
        match answers.first() {
            Some(Err(refusal)) if refusal.is_silence() => {
                return vec![Err(refusal.clone()); rows.len()];
            }
            _ => {}
        }
        let (some, others) = rest.split_at(rest.len().min(PLACES));
        answers.extend(self.each(some).await);
        match answers.first().cloned() {
            Some(refused @ Err(_)) if answers.iter().all(Result::is_err) => {
                answers.resize(rows.len(), refused);
            }
            _ => answers.extend(self.each(others).await),
        }
        answers
    }

    async fn each(&self, rows: &[Features]) -> Answers {
        let single = |row: &Features| {
            let row = [*row];
            async move { self.ask(&row).await.unwrap_or_else(|refusal| vec![Err(refusal)]) }
        };
        join_all(rows.iter().map(single)).await.concat()
    }

    /// As many answers as rows.
    async fn ask(&self, rows: &[Features]) -> Result<Answers, Refusal> {
        let web = &self.predictor.web;
        let mut request =
            web.client().post(self.url).insert_header((CONTENT_TYPE, "application/json"));
        if let Some(Basic { username, password }) = self.basic {
            request = request.basic_auth(username, password);
        }
        let sent = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.predictor.rows.set(self.predictor.rows.get().saturating_add(sent));
        let answer = web.fetch(request, Some(question(rows)), self.budget).await?;
        let watts = |watts: Option<f64>| match watts {
            Some(watts) if watts.is_finite() && watts > 0.0 => Ok(watts),
            Some(watts) => Err(Refusal::Unusable(format!("predicts {watts} W"))),
            None => Err(Refusal::Unusable("predicts no number".to_owned())),
        };
        Ok(read(&answer, rows.len())?.into_iter().map(watts).collect())
    }
}

fn question(rows: &[Features]) -> Bytes {
    let data = rows.iter().map(|row| [row.cpu_percent, row.inlet_celsius, row.delta_p_pascal]);
    let data: Vec<[f64; 3]> = data.collect();
    let shape = [rows.len(), 3];
    let input = json!({"name": "predict-prob", "shape": shape, "datatype": "FP32", "data": data});
    json!({"inputs": [input]}).to_string().into()
}

/// The first output's numbers, flat or nested; `None` for one that is no number.
fn read(answer: &[u8], rows: usize) -> Result<Vec<Option<f64>>, Refusal> {
    let unusable = |text: &str| Refusal::Unusable(text.to_owned());
    let answer: Value = serde_json::from_slice(answer).map_err(|_| unusable("answers no JSON"))?;
    let data = answer.pointer("/outputs/0/data").ok_or_else(|| unusable("answers no output"))?;
    let mut numbers = Vec::with_capacity(rows);
    flatten(data, &mut numbers);
    if numbers.len() != rows {
        return Err(Refusal::Unusable(format!("answers {} values for {rows} rows", numbers.len())));
    }
    Ok(numbers)
}

fn flatten(data: &Value, numbers: &mut Vec<Option<f64>>) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, numbers)),
        other => numbers.push(other.as_f64()),
    }
}

#[cfg(test)]
mod tests;
