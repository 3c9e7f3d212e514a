//! What a change of one copy means for the client.

use bytes::Bytes;

use super::WatchError;
use super::event::EventKind;
use super::keys::{Body, Held, Key, Known, View};
use super::member::{Change, Link, Listing, Said};
use super::merge::{Fetch, WatchMerge};
use crate::list::ScanError;
use crate::list::outline::Outline;
use crate::list::table::Row;

/// More names than a watch keeps in mind: 15,000 pods of each of 64 members.
pub(super) const MAX_KEYS: usize = 1_000_000;

/// What is shown of a key before and after a change.
type Views = Vec<(View, Vec<usize>)>;

// === impl WatchMerge ===

impl WatchMerge {
    /// Takes a change; false where it has to wait for what other members have.
    pub(super) fn apply(&mut self, index: usize, change: &Change) -> Result<bool, WatchError> {
        self.align(index).map_err(|source| self.scan_error(index, source))?;
        let (key, held) = self.read(index, &change.bytes)?;
        if let Some(member) = self.members.get_mut(index)
            && let Link::Listing(listing) = &mut member.link
            && change.listed
        {
            listing.seen.insert(key.clone());
        }
        let gone = change.kind == EventKind::Deleted;
        if self.is_no_news(index, change, &key, &held) {
            return Ok(true);
        }
        let mut known = self.keys.get(&key).cloned().unwrap_or_default();
        let seen = self.members.get(index).map_or(0, |member| member.version);
        if !self.began && held.mark.is_some() {
            self.advance(index, change, 0);
            known.settle(index, (!gone).then_some(held));
            known.shown.get_or_insert_default();
            self.postpone(index, &key, seen);
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
        known.gone = None;
        if gone {
            // The last that was seen of it is what is told.
            known.settle(index, Some(held));
        }
        self.overtake(index, &key);
        self.settle_owed(index, &key, &next);
        if self.is_awaited(&key) {
            self.postpone(index, &key, seen);
        }
        self.tell(index, &key, &known, &mut next, &before, &after)?;
        if self.is_awaited(&key) {
            self.postpone(index, &key, seen);
        }
        self.keep(index, key, next)?;
        Ok(true)
    }

    /// Takes a change of which the client knows, or knows better; false where it is news.
    fn is_no_news(&mut self, index: usize, change: &Change, key: &Key, held: &Held) -> bool {
        let Some(known) = self.keys.get_mut(key) else { return false };
        let gone = change.kind == EventKind::Deleted;
        let past = !(change.listed && gone) && known.is_past(index, held.version);
        let shown = !gone && known.is_shown(index, held.version);
        if shown && !past {
            known.copies_mut().filter(|it| it.member == index).for_each(|it| it.told = true);
            known.meet(index);
            self.overtake(index, key);
        }
        if past || shown {
            self.advance(index, change, held.version);
        }
        past || shown
    }

    /// Tells an object that was held back, or that a member could not tell; false where it has to
    /// wait.
    pub(super) fn tell_held(&mut self, index: usize, key: &Key) -> Result<bool, WatchError> {
        let mut known = self.keys.get(key).cloned().unwrap_or_default();
        let mut missing = self.missing(index, key, &known, true);
        let itself = self.members.get(index).is_some_and(|member| {
            let unsure = !member.complete && !known.is_settled(index);
            unsure && member.takes_part() && member.silent & (1 << index) == 0
        });
        if itself {
            missing.push(index);
        }
        if !missing.is_empty() {
            self.ask(index, key.clone(), missing);
            return Ok(false);
        }
        let after = self.views(&known);
        if let Some(elsewhere) = self.elsewhere(index, &known, &known, &after) {
            self.ask(index, key.clone(), vec![elsewhere]);
            return Ok(false);
        }
        let (was, before) = match known.gone.take() {
            Some(was) => {
                let views = self.views(&was);
                (*was, views)
            }
            None => (known.clone(), Views::new()),
        };
        self.tell(index, key, &was, &mut known, &before, &after)?;
        self.keep(index, key.clone(), known)?;
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
            Ok((key, Held { member: index, version, told: true, shown: false, uid, mark, body }))
        };
        read().map_err(|source| self.scan_error(index, source))
    }

    /// The one item of a list, where it has one.
    pub(super) fn only(&mut self, index: usize, list: &Bytes) -> Result<Option<Held>, WatchError> {
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
            let tells = member.takes_part();
            let unsure = !member.complete && !known.is_settled(*other);
            matters && tells && unsure && silent & (1 << other) == 0
        });
        asked.map(|(other, _)| other).collect()
    }

    /// The members that may have a copy, cannot be asked, and are waited for.
    fn unsure(&self, index: usize, key: &Key, known: &Known) -> Vec<usize> {
        if key.member.is_some() {
            return Vec::new();
        }
        let silent = self.members.get(index).map_or(0, |member| member.silent);
        let unsure = self.members.iter().enumerate().filter(|(other, member)| {
            let waited = member.takes_part() && !member.away;
            waited && !member.complete && !known.is_settled(*other) && silent & (1 << other) != 0
        });
        unsure.map(|(other, _)| other).collect()
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
            if !known.told && known.gone.is_none() {
                known.shown = None;
            }
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
        key: &Key,
        known: &Known,
        next: &mut Known,
        before: &Views,
        after: &Views,
    ) -> Result<(), WatchError> {
        let shown = known.shown.clone().unwrap_or_default();
        let once = self.options.one_key_once;
        next.gone = None;
        if once && after.is_empty() && !shown.is_empty() {
            let unsure = self.unsure(index, key, next);
            if !unsure.is_empty() {
                // Who cannot be asked may have the copy that lives; until then it is not gone.
                for member in unsure {
                    self.owe(member, key)?;
                }
                next.gone = Some(Box::new(known.clone()));
                return Ok(());
            }
            // Whichever copy the client has, it was the last.
            if let Some((view, members)) = before.first() {
                self.put(EventKind::Deleted, known, *view, members)?;
            }
        }
        for view in shown.iter().filter(|_| !once) {
            let lost = before.iter().find(|(old, _)| old == view);
            if let (Some((view, members)), None) = (lost, after.iter().find(|(it, _)| it == view)) {
                self.put(EventKind::Deleted, known, *view, members)?;
            }
        }
        let mut now = Vec::new();
        for (view, members) in after {
            let was = before.iter().find(|(old, _)| old == view);
            let touched = if before.is_empty() {
                // What was owed may have been told meanwhile.
                !next.is_told(members)
            } else {
                members.contains(&index) || was.is_some_and(|(_, members)| members.contains(&index))
            };
            let kind = match shown.contains(view) {
                true if touched => EventKind::Modified,
                // Whoever comes back may have what was told when others could not be asked.
                true if once && !known.told && next.is_whole(members) => EventKind::Modified,
                true => {
                    now.push(*view);
                    continue;
                }
                false if once && !shown.is_empty() => EventKind::Modified,
                false => EventKind::Added,
            };
            if self.put(kind, next, *view, members)? {
                now.push(*view);
                next.show(members);
                next.told = true;
            } else {
                // Its member cannot be asked; until then the client has what it had.
                for member in members {
                    self.owe(*member, key)?;
                }
                if once {
                    now.clone_from(&shown);
                }
            }
        }
        next.shown = Some(now);
        Ok(())
    }

    /// Keeps what is known now, without the content that nobody will need.
    fn keep(&mut self, index: usize, key: Key, mut known: Known) -> Result<(), WatchError> {
        let keeps = self.members.get(index).is_some_and(|member| member.keeps);
        self.settle_owed(index, &key, &known);
        if known.is_empty() && !self.is_owed(&key) || key.member.is_some() && !keeps {
            // Who is not kept in mind is asked again when the name comes back.
            self.keys.forget(&key);
            return Ok(());
        }
        for copy in known.copies_mut().filter(|copy| copy.mark.is_none()) {
            let keeps = self.members.get(copy.member).is_some_and(|member| member.keeps);
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
                    .any(|(index, member)| member.keeps && known.copy(index).is_some())
                    || known.gone.is_some()
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
