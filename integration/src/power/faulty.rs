//! A fake predictor, in this process, for the faults that `MLServer` cannot be made to have.
//!
//! It answers `…/v2/models/<model>[/versions/<version>]/infer` under any prefix with the formulas
//! of [`Model`], and misbehaves as it is told. What works is tested against the real `MLServer`.

mod wire;

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::models::Model;
use wire::Answer;

/// How many requests are remembered.
const REMEMBERED: usize = 10_000;

/// What it does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Answers, flat: `[w, w, …]`.
    #[default]
    Formula,
    /// Answers, nested: `[[w], [w], …]`.
    Nested,
    /// Answers requests of one row, and 400 to others.
    RefuseBatches,
    /// Answers this status with a JSON error.
    Status(u16),
    /// Reads the request and never answers, until the behaviour changes.
    Hang,
    /// Watts that are `NaN`, which is no JSON but what Python writes.
    NotANumber,
    /// Watts below zero.
    Negative,
    /// 200 with 10 MB of watts.
    Huge,
    /// 200 with plain text.
    Text,
    /// One watt less than there were rows.
    TooFew,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its path, prefix and query included.
    pub path: String,
    /// Its head, lines by CRLF.
    pub head: String,
    /// Its rows; empty when the body was not a V2 request.
    pub rows: Vec<[f64; 3]>,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    delay: Duration,
    closed: bool,
    requests: u64,
    rows: u64,
    asked: VecDeque<Asked>,
    /// Dropped when the behaviour changes, which lets those go that hang.
    hanging: Vec<Sender<()>>,
}

/// A running fake. Its port closes when it is dropped.
#[derive(Debug)]
pub struct FaultyPredictor {
    address: SocketAddr,
    state: Arc<Shared>,
}

#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "threads of the harness, no actors")]
struct Shared(std::sync::Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl FaultyPredictor {
    /// Listens on a free loopback port and behaves.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("binding a fake predictor")?;
        let address = listener.local_addr().context("finding a fake predictor's port")?;
        let state = Arc::<Shared>::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.lock().closed {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    wire::serve(stream, |head, body| shared.answer(head, body));
                });
            }
        });
        Ok(Self { address, state })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The endpoint of a model as a `NodeConfig` has it.
    pub fn endpoint(&self, model: &str) -> String {
        super::predictor::endpoint(&self.url(), model)
    }

    /// What it does from now on; what hangs ends.
    pub fn behave(&self, behaviour: Behaviour) {
        let mut state = self.state.lock();
        state.behaviour = behaviour;
        state.hanging.clear();
    }

    /// How long it thinks about each request.
    pub fn delay(&self, delay: Duration) {
        self.state.lock().delay = delay;
    }

    /// How many requests came so far.
    pub fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    /// How many rows they had.
    pub fn rows(&self) -> u64 {
        self.state.lock().rows
    }

    /// The requests since this was asked last, at most the last 10,000.
    pub fn take_asked(&self) -> Vec<Asked> {
        self.state.lock().asked.drain(..).collect()
    }
}

impl Drop for FaultyPredictor {
    fn drop(&mut self) {
        self.behave(Behaviour::Formula);
        self.state.lock().closed = true;
        // The listening thread looks up when somebody connects.
        drop(std::net::TcpStream::connect(self.address));
    }
}

impl Shared {
    /// The answer, once it is time; `None` closes the connection.
    fn answer(&self, head: &str, body: &[u8]) -> Option<Answer> {
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let rows = rows(body);
        let (behaviour, delay) = {
            let mut state = self.lock();
            if state.closed {
                return None;
            }
            state.requests += 1;
            state.rows += u64::try_from(rows.len()).unwrap_or_default();
            if state.asked.len() >= REMEMBERED {
                state.asked.pop_front();
            }
            let (path, head, rows) = (path.clone(), head.to_owned(), rows.clone());
            state.asked.push_back(Asked { path, head, rows });
            (state.behaviour, state.delay)
        };
        if behaviour == Behaviour::Hang {
            self.hang();
            return None;
        }
        if !delay.is_zero() {
            think(delay);
        }
        Some(answer(behaviour, &path, &rows))
    }

    fn hang(&self) {
        let (sender, receiver): (_, Receiver<()>) = channel();
        self.lock().hanging.push(sender);
        // Until the sender is dropped.
        receiver.recv().unwrap_or_default();
    }
}

#[expect(clippy::disallowed_methods, reason = "slowness is what this fake is asked for")]
fn think(delay: Duration) {
    std::thread::sleep(delay);
}

fn answer(behaviour: Behaviour, path: &str, rows: &[[f64; 3]]) -> Answer {
    let error = |status, message: &str| Answer::json(status, &json!({"error": message}));
    let Some(model) = model(path) else {
        return error(404, "no such model");
    };
    let watts = rows.iter().map(|[cpu, inlet, pressure]| model.watts(*cpu, *inlet, *pressure));
    let watts: Vec<f64> = watts.collect();
    match behaviour {
        _ if rows.is_empty() => error(400, "no rows"),
        Behaviour::Formula | Behaviour::Hang => outputs(&json!(watts), watts.len()),
        Behaviour::Nested => {
            let nested: Vec<[f64; 1]> = watts.iter().map(|watts| [*watts]).collect();
            outputs(&json!(nested), watts.len())
        }
        Behaviour::RefuseBatches if rows.len() > 1 => error(400, "one row at a time"),
        Behaviour::RefuseBatches => outputs(&json!(watts), 1),
        Behaviour::Status(status) => error(status, "told to fail"),
        Behaviour::NotANumber => {
            let data = vec!["NaN"; watts.len()].join(",");
            literal(&data, watts.len())
        }
        Behaviour::Negative => outputs(&json!(vec![-100.0; watts.len()]), watts.len()),
        Behaviour::Huge => {
            // As text, since a debug build takes a second to make JSON of so many numbers.
            let data = "100.25,".repeat(1_500_000);
            literal(data.trim_end_matches(','), 1_500_000)
        }
        Behaviour::Text => Answer::new(200, "text/plain", b"about 100 watts".to_vec()),
        Behaviour::TooFew => outputs(&json!(watts.get(1..)), watts.len()),
    }
}

fn outputs(data: &Value, rows: usize) -> Answer {
    let output = json!({"name": "predict", "shape": [rows, 1], "datatype": "FP64", "data": data});
    Answer::json(200, &json!({"model_name": "fake", "outputs": [output]}))
}

/// [`outputs`] with this text between the brackets of the data.
fn literal(data: &str, rows: usize) -> Answer {
    let Answer { body, .. } = outputs(&json!("data"), rows);
    let body = String::from_utf8_lossy(&body);
    let body = body.replace("\"data\":\"data\"", &format!("\"data\":[{data}]"));
    Answer::new(200, "application/json", body.into_bytes())
}

/// The model that a path names.
fn model(path: &str) -> Option<Model> {
    let (_, rest) = path.split_once("/v2/models/")?;
    let name = rest.split(['/', '?']).next()?;
    Model::named(name).ok()
}

/// The rows of a V2 request, flat or nested.
fn rows(body: &[u8]) -> Vec<[f64; 3]> {
    fn flatten(value: &Value, into: &mut Vec<f64>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
            value => into.extend(value.as_f64()),
        }
    }
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut numbers = Vec::new();
    if let Some(data) = request.pointer("/inputs/0/data") {
        flatten(data, &mut numbers);
    }
    let (rows, _) = numbers.as_chunks::<3>();
    rows.to_vec()
}
