use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tenbin_kernel::ManualClock;

use super::*;
use crate::measure::tests::{Reply, Served, output, predicted, serve, serve_tls, watts};
use crate::measure::web::{PredictorTlsError, predictor_tls};
use crate::tests::until;

const WITHIN: Duration = Duration::from_secs(10);

fn loads(count: u32) -> Vec<Features> {
    let row = |load| Features { cpu_percent: load, inlet_celsius: 20.0, delta_p_pascal: 5.0 };
    (0..count).map(|load| row(f64::from(load))).collect()
}

/// A predictor whose server answers as the test wants, and what was asked of it.
struct Fixture {
    predictor: Predictor,
    model: Model,
    asked: Arc<AtomicUsize>,
    clock: Clock,
    hand: ManualClock,
}

impl Fixture {
    fn new(answer: impl Fn(&Served) -> Reply + Send + Sync + 'static) -> Self {
        Self::at("/v2/models/m/infer", answer)
    }

    fn at(path: &str, answer: impl Fn(&Served) -> Reply + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let url = serve(move |served| {
            count.fetch_add(1, Ordering::SeqCst);
            answer(served)
        });
        let model = Model::Inference { url: format!("{url}{path}"), secret: None };
        let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
        let web = Web::outward(predictor_tls(None).unwrap());
        let predictor = Predictor::new(web, clock.clone());
        Self { predictor, model, asked, clock, hand }
    }

    async fn predict(&self, rows: Vec<Features>) -> Predictions {
        let budget = Budget::new(&self.clock, WITHIN);
        let rows = [(self.model.clone(), rows)].into();
        let mut answers = self.predictor.predict(rows, &Secrets::new(), &budget).await;
        answers.remove(&self.model).unwrap()
    }

    /// The requests since the last time.
    fn requests(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn all_predicted(predictions: &[Result<f64, String>]) {
    for (load, watts) in predictions.iter().enumerate() {
        assert_eq!(*watts, Ok(125.0 + f64::from(u32::try_from(load).unwrap())));
    }
}

#[actix::test]
async fn rows_are_asked_for_together_at_the_very_path_and_as_json() {
    let fixture = Fixture::at("/serving/ns-1/v2/models/m%20x/infer?raw=1", |served| {
        assert_eq!(served.path, "/serving/ns-1/v2/models/m%20x/infer?raw=1");
        assert_eq!(served.content_type, "application/json");
        let input = &served.body["inputs"][0];
        assert_eq!((&input["name"], &input["datatype"]), (&json!("predict-prob"), &json!("FP32")));
        assert_eq!(input["shape"], json!([served.rows().len(), 3]));
        predicted(served)
    });
    let predictions = fixture.predict(loads(2500)).await;
    assert_eq!(predictions.len(), 2500);
    all_predicted(&predictions);
    assert_eq!(fixture.requests(), 3);
    assert_eq!(fixture.predictor.rows(), 2500);
}

#[actix::test]
async fn a_predictor_that_refuses_batches_is_asked_row_by_row_for_a_while() {
    let fixture =
        Fixture::new(
            |served| {
                if served.rows().len() > 1 { Reply::Status(400) } else { predicted(served) }
            },
        );
    all_predicted(&fixture.predict(loads(100)).await);
    assert_eq!(fixture.requests(), 101);
    assert!(fixture.predictor.is_slow(&fixture.model));
    all_predicted(&fixture.predict(loads(100)).await);
    assert_eq!(fixture.requests(), 100);

    fixture.hand.advance(REMEMBERED);
    assert!(!fixture.predictor.is_slow(&fixture.model));
    all_predicted(&fixture.predict(loads(100)).await);
    assert_eq!(fixture.requests(), 101);
}

#[actix::test]
async fn a_predictor_that_answers_the_first_row_only_is_asked_row_by_row() {
    let fixture = Fixture::new(|served| Reply::Json(output(&json!([watts(&served.rows()[0])]))));
    all_predicted(&fixture.predict(loads(40)).await);
    assert!(fixture.predictor.is_slow(&fixture.model));
}

#[actix::test]
async fn one_row_that_has_no_watts_costs_the_others_nothing() {
    let fixture = Fixture::new(|served| {
        let watts = served.rows().iter().map(|row| match row[0].as_f64().unwrap() {
            7.0 => Value::Null,
            8.0 => json!(-3.5),
            9.0 => json!("12"),
            _ => json!([watts(row)]),
        });
        Reply::Json(output(&watts.collect()))
    });
    let predictions = fixture.predict(loads(60)).await;
    assert_eq!(fixture.requests(), 1);
    let failed: Vec<usize> = (0..60).filter(|row| predictions[*row].is_err()).collect();
    assert_eq!(failed, [7, 8, 9]);
    let reason = |row: usize| predictions[row].clone().unwrap_err();
    assert!(reason(7).ends_with("/v2/models/m/infer predicts no number"), "{}", reason(7));
    assert!(reason(8).ends_with("predicts -3.5 W"), "{}", reason(8));
}

#[actix::test]
async fn nan_as_python_writes_it_costs_only_its_own_row() {
    let fixture = Fixture::new(|served| {
        let poisoned = served.rows().iter().any(|row| row[0] == 7.0);
        if poisoned {
            Reply::Text("{\"outputs\":[{\"data\":[NaN]}]}".into())
        } else {
            predicted(served)
        }
    });
    let predictions = fixture.predict(loads(60)).await;
    let failed: Vec<usize> = (0..60).filter(|row| predictions[*row].is_err()).collect();
    assert_eq!(failed, [7]);
    assert!(predictions[7].as_ref().unwrap_err().ends_with("answers no JSON"));
}

#[actix::test]
async fn a_broken_predictor_is_not_asked_for_every_row_and_the_reason_is_short() {
    for (answer, reason) in [
        (Reply::Status(500), "answers 500 Internal Server Error"),
        (Reply::Text("Traceback: secret".into()), "answers no JSON"),
        (Reply::Json(json!({"error": "secret"})), "answers no output"),
        (Reply::Json(output(&json!([]))), "answers 0 values for 1 rows"),
        (Reply::Status(302), "answers 302 Found"),
    ] {
        let fixture = Fixture::new(move |_| answer.clone());
        let predictions = fixture.predict(loads(500)).await;
        assert_eq!(predictions.len(), 500);
        for prediction in predictions {
            let told = prediction.unwrap_err();
            assert!(told.ends_with(reason), "{told}");
            assert!(told.len() < 150 && !told.contains("secret"), "{told}");
        }
        assert_eq!(fixture.requests(), 1 + 1 + PLACES);
        assert!(!fixture.predictor.is_slow(&fixture.model));
    }
}

#[actix::test]
async fn an_answer_without_end_is_cut_off() {
    let fixture = Fixture::new(|_| Reply::Text("x".repeat(10_000_000)));
    let reason = fixture.predict(loads(1)).await.remove(0).unwrap_err();
    assert!(reason.ends_with("answers more than 1048576 bytes"), "{reason}");
    assert_eq!(fixture.requests(), 1);
}

#[actix::test]
async fn a_predictor_that_hangs_costs_its_limit_once_and_the_other_nothing() {
    let fixture = Fixture::new(|_| Reply::Never);
    let good = serve(predicted);
    let well = Model::Inference { url: format!("{good}/v2/models/m/infer"), secret: None };
    let budget = Budget::new(&fixture.clock, WITHIN);
    let rows = [(fixture.model.clone(), loads(500)), (well.clone(), loads(3))].into();
    let secrets = Secrets::new();
    let predicting = fixture.predictor.predict(rows, &secrets, &budget);
    let patience = async {
        // Until one is silent and the other has been read; then the time passes at once.
        let asked = || fixture.predictor.web().requests() == 2;
        until(|| asked() && fixture.hand.sleepers() == 1).await;
        fixture.hand.advance(Duration::from_secs(3));
    };
    let (answers, ()) = tokio::join!(predicting, patience);
    all_predicted(&answers[&well]);
    assert_eq!(answers[&fixture.model].len(), 500);
    let reason = answers[&fixture.model][499].as_ref().unwrap_err();
    assert!(reason.ends_with("does not answer: silent for 3.0 s"), "{reason}");
    assert_eq!(fixture.predictor.web().requests(), 2);
}

#[actix::test]
async fn a_predictor_that_nobody_serves_is_told_as_such_and_without_its_password() {
    let fixture = Fixture::new(|_| Reply::Never);
    let url = "http://user:hunter2@127.0.0.1:1/v2/models/m/infer?key=hunter2".to_owned();
    let model = Model::Inference { url, secret: None };
    let budget = Budget::new(&fixture.clock, WITHIN);
    let rows = [(model.clone(), loads(3))].into();
    let answers = fixture.predictor.predict(rows, &Secrets::new(), &budget).await;
    let reason = answers[&model][0].as_ref().unwrap_err();
    assert!(
        reason.starts_with("predictor http://127.0.0.1:1/v2/models/m/infer does not answer: "),
        "{reason}"
    );
}

#[actix::test]
async fn credentials_are_sent_and_without_them_nothing_is() {
    let fixture = Fixture::new(|served| {
        // user:pass
        let known = served.authorization == "Basic dXNlcjpwYXNz";
        if known { predicted(served) } else { Reply::Status(401) }
    });
    let Model::Inference { url, .. } = fixture.model.clone() else { unreachable!() };
    let model = Model::Inference { url, secret: Some("s".to_owned()) };
    let ask = async |secret: Result<Basic, String>| {
        let budget = Budget::new(&fixture.clock, WITHIN);
        let secrets = [("s".to_owned(), secret)].into();
        let rows = [(model.clone(), loads(2))].into();
        fixture.predictor.predict(rows, &secrets, &budget).await.remove(&model).unwrap()
    };
    let basic = Basic { username: "user".into(), password: "pass".into() };
    all_predicted(&ask(Ok(basic)).await);
    assert_eq!(fixture.requests(), 1);
    assert_eq!(ask(Err("Secret s: gone".into())).await[1], Err("Secret s: gone".into()));
    assert_eq!(fixture.requests(), 0);
}

#[test]
fn answers_are_read_flat_and_nested_and_counted() {
    let numbers = |data: Value, rows| read(output(&data).to_string().as_bytes(), rows);
    assert_eq!(numbers(json!([1, 2.5]), 2), Ok(vec![Some(1.0), Some(2.5)]));
    assert_eq!(numbers(json!([[1], [[2.5]]]), 2), Ok(vec![Some(1.0), Some(2.5)]));
    assert_eq!(numbers(json!(7), 1), Ok(vec![Some(7.0)]));
    assert_eq!(numbers(json!(["7", null, true]), 3), Ok(vec![None, None, None]));
    for (data, rows) in [(json!([1, 2]), 1), (json!([]), 1), (json!({"x": 1}), 2)] {
        assert!(matches!(numbers(data, rows), Err(Refusal::Unusable(_))));
    }
    for text in
        ["", "NaN", "[", "{}", "[1]", "{\"outputs\":[]}", "{\"outputs\":[{\"data\":[1e999]}]}"]
    {
        assert!(matches!(read(text.as_bytes(), 1), Err(Refusal::Unusable(_))), "{text}");
    }
}

#[actix::test]
async fn a_model_that_was_silent_is_asked_after_those_that_had_no_turn() {
    let fixture = Fixture::new(predicted);
    // Nobody listens at port 1; the model comes first by its name.
    let silent = Model::Inference { url: "http://127.0.0.1:1/infer".to_owned(), secret: None };
    let rows: BTreeMap<_, _> =
        [silent.clone(), fixture.model.clone()].map(|it| (it, loads(2))).into();
    let order = || {
        let ordered = fixture.predictor.ordered(rows.clone());
        ordered.into_iter().map(|(model, _)| model).collect::<Vec<_>>()
    };
    let predict = async |within| {
        let budget = Budget::new(&fixture.clock, within);
        fixture.predictor.predict(rows.clone(), &Secrets::new(), &budget).await
    };
    let answers = predict(Duration::ZERO).await;
    let reason = answers[&fixture.model][0].as_ref().unwrap_err();
    assert!(reason.ends_with("was not asked: no time was left"), "{reason}");
    assert_eq!(order(), [silent.clone(), fixture.model.clone()]);

    all_predicted(&predict(WITHIN).await[&fixture.model]);
    assert_eq!(order(), [fixture.model.clone(), silent]);
}

#[actix::test]
async fn a_predictor_behind_https_is_believed_by_the_configured_authority_only() {
    let (url, ca) = serve_tls(predicted);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.crt");
    assert!(matches!(predictor_tls(Some(&path)), Err(PredictorTlsError::ReadFile { .. })));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(predictor_tls(Some(&path)), Err(PredictorTlsError::NoCertificate { .. })));
    std::fs::write(&path, ca).unwrap();
    let model = Model::Inference { url, secret: None };
    let ask = async |ca: Option<&std::path::Path>| {
        let clock = Clock::system();
        let web = Web::outward(predictor_tls(ca).unwrap());
        let predictor = Predictor::new(web, clock.clone());
        let budget = Budget::new(&clock, WITHIN);
        let rows = [(model.clone(), loads(1))].into();
        predictor.predict(rows, &Secrets::new(), &budget).await.remove(&model).unwrap()
    };
    all_predicted(&ask(Some(&path)).await);
    let reason = ask(None).await.remove(0).unwrap_err();
    assert!(reason.contains("does not answer") && reason.contains("certificate"), "{reason}");
}
