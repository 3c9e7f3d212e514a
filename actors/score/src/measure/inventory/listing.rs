//! What one watch knows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::runtime::watcher;

use super::Broken;

/// The longest text of an error that is kept.
const SHOWN: usize = 160;

/// What a watch has listed, by the object's key; the values are lean.
#[derive(Debug)]
pub(super) struct Listing<V> {
    live: Option<BTreeMap<Box<str>, V>>,
    /// The list that is being read, until it is whole.
    arriving: BTreeMap<Box<str>, V>,
    broken: Option<Broken>,
    /// Whether 404 means that the kind is not served. Without it, it is a failure as any other.
    optional: bool,
}

// === impl Listing ===

impl<V> Listing<V> {
    /// Of a kind that an API server may not serve.
    pub(super) fn optional() -> Self {
        Self { optional: true, ..Self::default() }
    }

    /// Takes in what the watch says; an object without a value is left out.
    pub(super) fn take<K>(
        &mut self,
        event: watcher::Result<watcher::Event<K>>,
        now: Timestamp,
        lean: impl Fn(K) -> (String, Option<V>),
    ) {
        match event {
            Ok(event) => {
                // The begin of a list is no success: its next page may fail, again and again.
                if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                    self.broken = None;
                }
                self.apply(event, lean);
            }
            Err(error) => self.fail(&error, now),
        }
    }

    fn apply<K>(&mut self, event: watcher::Event<K>, lean: impl Fn(K) -> (String, Option<V>)) {
        match event {
            watcher::Event::Init => self.arriving.clear(),
            watcher::Event::InitApply(object) => put(&mut self.arriving, lean(object)),
            watcher::Event::InitDone => self.live = Some(std::mem::take(&mut self.arriving)),
            watcher::Event::Apply(object) => {
                put(self.live.get_or_insert_default(), lean(object));
            }
            watcher::Event::Delete(object) => {
                let (key, _) = lean(object);
                self.live.get_or_insert_default().remove(key.as_str());
            }
        }
    }

    fn fail(&mut self, error: &watcher::Error, now: Timestamp) {
        // A list that failed is begun anew.
        self.arriving.clear();
        let reason = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => {
                if status.code == 404 && self.optional {
                    // The kind is not served any more.
                    self.live = None;
                }
                format!("the API server answers {} {}", status.code, status.reason)
            }
            error => error.to_string(),
        };
        let before = self.broken.as_ref().filter(|broken| broken.is_still(now));
        let since = before.map_or(now, |broken| broken.since);
        let reason = reason.chars().take(SHOWN).collect();
        self.broken = Some(Broken { since, last: now, reason });
    }

    /// What was listed; `None` before the first list is whole.
    pub(super) fn listed(&self) -> Option<&BTreeMap<Box<str>, V>> {
        self.live.as_ref()
    }

    /// The failure that has not been followed by any event.
    pub(super) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }
}

impl<V> Default for Listing<V> {
    fn default() -> Self {
        Self { live: None, arriving: BTreeMap::new(), broken: None, optional: false }
    }
}

fn put<V>(objects: &mut BTreeMap<Box<str>, V>, (key, value): (String, Option<V>)) {
    match value {
        Some(value) => objects.insert(key.into(), value),
        None => objects.remove(key.as_str()),
    };
}
