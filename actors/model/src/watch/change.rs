//! What a change of one copy means for the client.

use bytes::Bytes;

use super::event::EventKind;
use super::keys::{Body, Held, Key, Known, View};
use super::member::{Change, Link, Listing, Said};
use super::merge::{Fetch, Fetched, WatchMerge};
use super::{WatchError, member};
use crate::list::ScanError;
use crate::list::outline::Outline;
use crate::list::table::Row;

/// More names than a watch keeps in mind: 15,000 pods of each of 64 members.
const MAX_KEYS: usize = 1_000_000;

/// What is shown of a key before and after a change.
type Views = Vec<(View, Vec<usize>)>;

// === impl WatchMerge ===

impl WatchMerge {
    /// Takes a change; false where it has to wait for what other members have.
    pub(super) fn apply(&mut self, index: usize, change: &Change) -> Result<bool, WatchError> {
        self.align(index).map_err(|source| self.scan_error(index, source))?;
        let (key, held) = self.read(index, &change.bytes)?;
        let mut known = self.keys.get(&key).cloned().unwrap_or_default();
        if let Some(member) = self.members.get_mut(index)
            && let Link::Listing(listing) = &mut member.link
            && change.listed
        {
            listing.seen.insert(key.clone());
        }
        let gone = change.kind == EventKind::Deleted;
        if !(change.listed && gone) && known.is_past(index, held.version) {
            self.advance(index, change, held.version);
            return Ok(true);
        }
        if !self.began && held.mark.is_some() {
            self.advance(index, change, 0);
            known.settle(index, (!gone).then_some(held));
            known.shown.get_or_insert_default();
            self.held.insert(key.clone(), index);
            self.keys.put(key, known);
            return Ok(true);
        }
        let managed = held.mark.is_some() || known.is_managed();
        let missing = self.missing(index, &key, &known, managed || gone);
        if !missing.is_empty() {
            self.ask(index, key, missing);
            return Ok(false);
        }
        let version = held.version;
        self.assume(index, change.kind, &held, &mut known);
        let before = self.views(&known);
        let mut next = known.clone();
        next.settle(index, (!gone).then_some(held.clone()));
        let after = self.views(&next);
        if let Some(elsewhere) = self.elsewhere(index, &known, &next, &after) {
            self.ask(index, key, vec![elsewhere]);
            return Ok(false);
        }
        self.advance(index, change, version);
        if gone {
            // The last that was seen of it is what is told.
            known.settle(index, Some(held));
        }
        self.tell(index, &known, &next, &before, &after)?;
        self.keep(index, key, next, &after)?;
        Ok(true)
    }

    /// Takes the answer to a [`Fetch`].
    pub fn fetched(&mut self, fetch: &Fetch, answer: Fetched) -> Result<(), WatchError> {
        self.open.retain(|open| open != fetch);
        let waits = self.members.get(fetch.waiting).and_then(|member| member.waits.clone());
        let same = |key: &Key| *key.name == *fetch.name && *key.namespace == *fetch.namespace;
        let Some(key) = waits.filter(same) else { return Ok(()) };
        let mut known = self.keys.get(&key).cloned().unwrap_or_default();
        let copy = match answer {
            Fetched::Silent => None,
            Fetched::Nothing => Some(None),
            Fetched::List(list) => Some(self.only(fetch.asked, &list)?),
        };
        match copy {
            // What its own stream has told, its own stream takes back.
            Some(None) if known.copy(fetch.asked).is_some() => self.silence(fetch),
            Some(copy) => {
                known.settle(fetch.asked, copy);
                self.keys.put(key, known);
            }
            None => self.silence(fetch),
        }
        if !self.open.iter().any(|open| open.waiting == fetch.waiting) {
            self.at(fetch.waiting, |member| member.waits = None);
        }
        Ok(())
    }

    fn silence(&mut self, fetch: &Fetch) {
        self.at(fetch.waiting, |member| member.silent |= 1 << fetch.asked);
    }

    /// Tells a managed object that was held back; false where it has to wait.
    pub(super) fn tell_held(&mut self, index: usize, key: &Key) -> Result<bool, WatchError> {
        let Some(known) = self.keys.get(key).cloned() else { return Ok(true) };
        let missing = self.missing(index, key, &known, true);
        if !missing.is_empty() {
            self.ask(index, key.clone(), missing);
            return Ok(false);
        }
        let after = self.views(&known);
        if let Some(elsewhere) = self.elsewhere(index, &known, &known, &after) {
            self.ask(index, key.clone(), vec![elsewhere]);
            return Ok(false);
        }
        self.tell(index, &known, &known, &Views::new(), &after)?;
        self.keep(index, key.clone(), known, &after)?;
        Ok(true)
    }

    /// Reads an object or a row: the key that it belongs to, and the copy that it is.
    fn read(&self, index: usize, bytes: &Bytes) -> Result<(Key, Held), WatchError> {
        let read = || -> Result<(Key, Held), ScanError> {
            let row = if self.columns.is_table() { Some(Row::read(bytes)?) } else { None };
            let object = row.as_ref().map_or(Some(&**bytes), |row| row.object);
            let object = object.ok_or(ScanError::Unexpected("row without an object"))?;
            let outline = Outline::read(object, &self.options.label_key, true)?;
            let mark = self.options.fold.and_then(|_| outline.mark());
            let shared = self.options.one_key_once || mark.is_some();
            let key = Key {
                member: (!shared).then_some(index),
                namespace: outline.namespace.as_ref().into(),
                name: outline.name.as_ref().into(),
            };
            let version = outline.version(object).unwrap_or(0);
            let body = Body::Whole(Bytes::copy_from_slice(bytes));
            let uid = outline.uid.as_ref().into();
            Ok((key, Held { member: index, version, told: true, uid, mark, body }))
        };
        read().map_err(|source| self.scan_error(index, source))
    }

    /// The one item of a list, where it has one.
    fn only(&mut self, index: usize, list: &Bytes) -> Result<Option<Held>, WatchError> {
        let mut listing = Listing::new(false);
        listing.push(list);
        let mut columns = None;
        let said = listing.next(&mut columns).map_err(|source| self.scan_error(index, source))?;
        self.at(index, |member| {
            if member.columns.is_none() {
                member.columns = columns;
            }
        });
        self.align(index).map_err(|source| self.scan_error(index, source))?;
        match said {
            Some(Said::Change(change)) => {
                let held = self.read(index, &change.bytes)?.1;
                let told =
                    self.members.get(index).is_some_and(|member| held.version <= member.version);
                Ok(Some(Held { told, ..held }))
            }
            _ => Ok(None),
        }
    }

    /// The members of whom has to be known whether they have a copy.
    fn missing(&self, index: usize, key: &Key, known: &Known, all: bool) -> Vec<usize> {
        if key.member.is_some() {
            return Vec::new();
        }
        let silent = self.members.get(index).map_or(0, |member| member.silent);
        let rank = self.rank(index);
        let asked = self.members.iter().enumerate().filter(|(other, member)| {
            let matters = *other != index && (all || member.rank < rank);
            let tells = matches!(member.link, Link::Off | Link::Listing(_) | Link::Watching(_));
            let unsure = !member.complete && !known.is_settled(*other);
            matters && tells && unsure && silent & (1 << other) == 0
        });
        asked.map(|(other, _)| other).collect()
    }

    fn ask(&mut self, index: usize, key: Key, members: Vec<usize>) {
        for asked in members {
            let fetch = Fetch {
                waiting: index,
                asked,
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
            };
            self.open.push(fetch.clone());
            self.fetches.push(fetch);
        }
        self.at(index, |member| member.waits = Some(key));
    }

    /// Takes for granted what the client has of a key that is met for the first time.
    ///
    /// A client that resumed has seen what is changed or deleted now, and what others have.
    fn assume(&self, index: usize, kind: EventKind, held: &Held, known: &mut Known) {
        let complete = self.members.get(index).is_some_and(|member| member.complete);
        let existed = !complete && !known.is_met(index) && kind != EventKind::Added;
        if existed && known.copy(index).is_none() {
            known.settle(index, Some(held.clone()));
            known.shown = None;
        }
        known.meet(index);
        if known.shown.is_none() {
            known.shown = Some(self.views(known).into_iter().map(|(view, _)| view).collect());
        }
    }

    /// The member whose copy has to be shown and is not at hand.
    fn elsewhere(&self, index: usize, known: &Known, next: &Known, after: &Views) -> Option<usize> {
        let silent = self.members.get(index).map_or(0, |member| member.silent);
        let shown = known.shown.as_deref().unwrap_or_default();
        let new = after.iter().filter(|(view, _)| !shown.contains(view));
        let members = new.flat_map(|(_, members)| members).copied();
        members.filter(|member| silent & (1 << member) == 0).find(|member| {
            next.copy(*member).is_some_and(|copy| !matches!(copy.body, Body::Whole(_)))
        })
    }

    /// Writes what the change means: views that went, came, and changed.
    fn tell(
        &mut self,
        index: usize,
        known: &Known,
        next: &Known,
        before: &Views,
        after: &Views,
    ) -> Result<(), WatchError> {
        let shown = known.shown.clone().unwrap_or_default();
        let once = self.options.one_key_once;
        for view in shown.iter().filter(|_| !once || after.is_empty()) {
            let lost = before.iter().find(|(old, _)| old == view);
            if let (Some((view, members)), None) = (lost, after.iter().find(|(it, _)| it == view)) {
                self.put(EventKind::Deleted, known, *view, members)?;
            }
        }
        for (view, members) in after {
            let was = before.iter().find(|(old, _)| old == view);
            let touched = members.contains(&index)
                || was.is_some_and(|(_, members)| members.contains(&index));
            let kind = match shown.contains(view) {
                true if touched => EventKind::Modified,
                true => continue,
                false if once && !shown.is_empty() => EventKind::Modified,
                false => EventKind::Added,
            };
            self.put(kind, next, *view, members)?;
        }
        Ok(())
    }

    /// Keeps what is known now, without the content that nobody will need.
    fn keep(
        &mut self,
        index: usize,
        key: Key,
        mut known: Known,
        after: &Views,
    ) -> Result<(), WatchError> {
        let keeps = self.members.get(index).is_some_and(member::Member::keeps);
        let all_complete = self.members.iter().all(|member| {
            member.keeps() || matches!(member.link, Link::Lacking | Link::Dead | Link::Left)
        });
        if known.is_empty() && all_complete || key.member.is_some() && !keeps {
            self.keys.forget(&key);
            return Ok(());
        }
        known.shown = Some(after.iter().map(|(view, _)| *view).collect());
        for copy in known.copies_mut().filter(|copy| copy.mark.is_none()) {
            let keeps = self.members.get(copy.member).is_some_and(member::Member::keeps);
            copy.body = match &copy.body {
                Body::Whole(bytes) if keeps => self.stub(bytes),
                Body::Stub(stub) if keeps => Body::Stub(stub.clone()),
                _ => Body::Elsewhere,
            };
        }
        self.keys.put(key, known);
        if self.keys.len() > MAX_KEYS {
            // What was only looked up can be looked up again.
            let members = &self.members;
            self.keys.retain(|known| {
                members
                    .iter()
                    .enumerate()
                    .any(|(index, member)| member.keeps() && known.copy(index).is_some())
            });
            if self.keys.len() > MAX_KEYS {
                return Err(WatchError::TooMany(MAX_KEYS));
            }
        }
        Ok(())
    }

    fn views(&self, known: &Known) -> Views {
        let speaks = |index: usize| {
            self.members.get(index).is_some_and(|member| {
                let silent = matches!(member.link, Link::Lacking | Link::Dead | Link::Left);
                !silent && (member.complete || known.is_settled(index))
            })
        };
        known.views(&self.names, |index| self.rank(index), self.options.one_key_once, speaks)
    }

    fn rank(&self, index: usize) -> usize {
        self.members.get(index).map_or(usize::MAX, |member| member.rank)
    }

    /// What a member's watch has told, the client has seen.
    fn advance(&mut self, index: usize, change: &Change, version: u64) {
        self.at(index, |member| {
            member.started = true;
            if !change.listed {
                member.version = member.version.max(version);
            }
        });
    }
}
