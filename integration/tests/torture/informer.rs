//! What client-go's reflector does: list, watch, go on from the last version, list again on 410.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tenbin_integration::eventually::now;
use tenbin_integration::{Client, Random, Streaming};
use tokio::sync::watch;

use super::report::Report;
use super::scene::Running;
use super::truth::{self, Kind, Store, essence, name_of};
use super::writers::ALIVE;

/// How an informer learns what exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a list.
    List,
    /// By a watch with `sendInitialEvents`.
    InitialEvents,
}

pub(crate) struct Informer {
    client: Client,
    kind: Kind,
    way: Way,
    /// Whether it always reads at once.
    prompt: bool,
    random: Random,
    began: Instant,
    report: watch::Sender<Report>,
    /// Where to go on.
    version: Option<String>,
}

/// What is known of one stream.
#[derive(Default)]
struct Stream {
    parts: Vec<u64>,
    /// What was told of each name.
    told: HashMap<String, Value>,
    /// What a stream with initial events told before their end.
    initial: Option<Store>,
}

impl Informer {
    pub(crate) fn new(
        client: Client,
        kind: Kind,
        way: Way,
        prompt: bool,
        random: Random,
        began: Instant,
    ) -> Self {
        let report = watch::Sender::new(Report::default());
        Self { client, kind, way, prompt, random, began, report, version: None }
    }

    pub(crate) fn name(&self) -> String {
        let pace = if self.prompt { "" } else { ", pausing" };
        format!("{:?} by {:?}{pace}", self.kind, self.way)
    }

    pub(crate) fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    pub(crate) fn run(mut self, running: &Running) {
        while running.goes_on() {
            let done = match (&self.version, self.way) {
                (None, Way::List) => self.list(),
                _ => self.watch(running),
            };
            if done.is_err() {
                // A refusal or a cut: the store stays, and it asks again.
                self.report.send_modify(|report| report.cuts += 1);
                running.pause(Duration::from_millis(50 + self.random.below(200)));
            }
        }
    }

    fn list(&mut self) -> Result<()> {
        let answer = self.client.get(&format!("{}?resourceVersion=0", self.kind.path()))?;
        if answer.status != 200 {
            self.refused(answer.status, &answer.text());
        }
        let list = answer.success()?.json()?;
        let version = list["metadata"]["resourceVersion"].as_str();
        self.version = Some(version.context("no version")?.to_owned());
        let store = truth::store(&list)?;
        self.report.send_modify(|report| {
            report.lists += 1;
            if self.kind == Kind::ConfigMaps && !store.contains_key(ALIVE) {
                report.fault(format!("a list without {ALIVE}: {list}"));
            }
            report.store = store;
        });
        Ok(())
    }

    fn watch(&mut self, running: &Running) -> Result<()> {
        let seconds = 2 + self.random.below(20);
        let begin = match &self.version {
            Some(version) => format!("resourceVersion={version}"),
            None => "sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
        };
        let path = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={seconds}&{begin}",
            self.kind.path()
        );
        let mut stream =
            Stream { initial: self.version.is_none().then(Store::new), ..Stream::default() };
        let opened = now();
        let mut answer = self.client.open("GET", &path, None)?;
        if answer.status != 200 {
            let status = answer.status;
            if status == 410 {
                self.version = None;
            }
            self.refused(status, &answer.line()?.unwrap_or_default());
            ensure!(status == 410, "status {status}");
            return Ok(());
        }
        self.report.send_modify(|report| report.watches += 1);
        let ended = self.read(&mut answer, &mut stream, running);
        let took = opened.elapsed();
        self.report.send_modify(|report| {
            if took > Duration::from_secs(seconds + 10) && self.prompt {
                report.fault(format!("a watch of {seconds} s took {took:?}"));
            }
        });
        ended
    }

    fn refused(&self, status: u16, text: &str) {
        self.report.send_modify(|report| {
            report.refusals += 1;
            if !matches!(status, 410 | 429 | 500..=599) {
                report.fault(format!("status {status}: {text}"));
            }
        });
    }

    fn read(
        &mut self,
        answer: &mut Streaming,
        stream: &mut Stream,
        running: &Running,
    ) -> Result<()> {
        while let Some(event) = answer.event()? {
            let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
            if kind == "ERROR" {
                ensure!(object["code"] == 410, "{event}");
                self.version = None;
                return Ok(());
            }
            self.take(kind, object, stream).with_context(|| event.to_string())?;
            if !self.prompt && self.random.below(100) == 0 {
                running.pause(Duration::from_millis(self.random.below(3000)));
            }
            if !running.goes_on() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, kind: &str, object: &Value, stream: &mut Stream) -> Result<()> {
        let version = object["metadata"]["resourceVersion"].as_str().context("no version")?;
        let mut wrong = stream.advance(version)?;
        if kind == "BOOKMARK" {
            let ends = object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true";
            if let (true, Some(store)) = (ends, stream.initial.take()) {
                self.report.send_modify(|report| report.store = store);
            }
        } else {
            wrong.extend(self.object(kind, object, stream)?);
        }
        if stream.initial.is_none() {
            self.version = Some(version.to_owned());
        }
        self.report.send_modify(|report| {
            report.events += 1;
            for wrong in wrong {
                report.fault(wrong);
            }
        });
        Ok(())
    }

    fn object(&self, kind: &str, object: &Value, stream: &mut Stream) -> Result<Vec<String>> {
        let (name, is) = (name_of(object)?, essence(object));
        let mut wrong = Vec::new();
        if kind == "DELETED" {
            if name == ALIVE {
                wrong.push(format!("DELETED of what lives: {object}"));
            }
            stream.told.remove(&name);
        } else if let Some(before) = stream.told.insert(name.clone(), is.clone()) {
            let counts = (count(&before), count(&is));
            if self.kind == Kind::ConfigMaps && before[0] == is[0] && counts.0 >= counts.1 {
                wrong.push(format!("{kind} of {is} after {before}: {object}"));
            }
        }
        if let Some(store) = &mut stream.initial {
            match kind {
                "DELETED" => drop(store.remove(&name)),
                _ => drop(store.insert(name, is)),
            }
            return Ok(wrong);
        }
        let lag = lag(&is).map(|written| self.began.elapsed().saturating_sub(written));
        self.report.send_modify(|report| {
            if kind == "DELETED" {
                report.store.remove(&name);
            } else {
                let fresh = report.store.insert(name, is.clone()) != Some(is);
                report.lags.extend(lag.filter(|_| fresh));
            }
        });
        Ok(wrong)
    }
}

impl Stream {
    /// No part of the vector goes back, but where a member has left and come back (osaka).
    fn advance(&mut self, version: &str) -> Result<Vec<String>> {
        let parts = parts(version)?;
        let back = |(slot, (was, is)): (usize, (&u64, &u64))| {
            (is < was && !(slot == 1 && *is <= 1)).then(|| format!("slot {slot}: {was} then {is}"))
        };
        let wrong = self.parts.iter().zip(&parts).enumerate().filter_map(back).collect();
        self.parts = parts;
        Ok(wrong)
    }
}

/// The parts of a composite version, 20 digits each: behind its epoch, before the object's own.
fn parts(version: &str) -> Result<Vec<u64>> {
    let (_, parts) = version.split_at_checked(version.len() % 20).context("no composite")?;
    let part = |digits: &[u8]| Ok(std::str::from_utf8(digits)?.parse()?);
    let mut parts: Vec<_> = parts.as_bytes().chunks(20).map(part).collect::<Result<_>>()?;
    parts.pop();
    Ok(parts)
}

/// The number of a value.
fn count(is: &Value) -> Option<u64> {
    is[2].as_str()?.split_once('@')?.0.parse().ok()
}

/// When a value was written.
fn lag(is: &Value) -> Option<Duration> {
    is[2].as_str()?.split_once('@')?.1.parse().ok().map(Duration::from_micros)
}
