//! What members could not be asked, and are asked again.

use super::WatchError;
use super::change::MAX_KEYS;
use super::keys::{Key, Known};
use super::member::{Member, Said};
use super::merge::{Fetch, Fetched, WatchMerge};

/// Deletions that are told while a member is away that may have another copy; if there are more, the
/// client has to list when it is back.
const MAX_AWAY: usize = 1000;

// === impl WatchMerge ===

impl WatchMerge {
    /// Takes the answer to a [`Fetch`].
    pub fn fetched(&mut self, fetch: &Fetch, answer: Fetched) -> Result<(), WatchError> {
        let asked = self.open.len();
        self.open.retain(|open| open != fetch);
        if self.open.len() == asked {
            return Ok(());
        }
        let overtaken = self.overtaken.contains(fetch);
        self.overtaken.retain(|it| it != fetch);
        let waits = self.members.get(fetch.waiting).and_then(|member| member.waits.clone());
        let same = |key: &Key| *key.name == *fetch.name && *key.namespace == *fetch.namespace;
        let Some(key) = waits.filter(same) else { return Ok(()) };
        let mut known = self.keys.get(&key).cloned().unwrap_or_default();
        let takes_part = self.members.get(fetch.asked).is_some_and(Member::takes_part);
        if takes_part {
            self.heard(fetch.asked, matches!(answer, Fetched::Away))?;
        }
        let copy = match answer {
            _ if !takes_part => None,
            Fetched::Silent | Fetched::Away => {
                self.owe(fetch.asked, &key)?;
                None
            }
            Fetched::Nothing => Some(None),
            Fetched::List(list) => Some(self.only(fetch.asked, &list)?),
        };
        match copy {
            // Its own stream knows better; what is still missing is asked again.
            _ if overtaken => {}
            // What its own stream has told, its own stream takes back.
            Some(None) if known.copy(fetch.asked).is_some() => self.silence(fetch),
            Some(copy) => {
                known.learn(fetch.asked, copy);
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

    /// Notes whether a member is away.
    ///
    /// When it goes, what waits for it is told; when it comes back, it is asked for what it owes. An
    /// error where nobody remembers all of that.
    fn heard(&mut self, index: usize, away: bool) -> Result<(), WatchError> {
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        if member.forgotten && !away {
            return Err(WatchError::Expired(member.name.clone()));
        }
        if away && !member.away {
            member.due.extend(member.owed.iter().cloned().map(Said::Held));
        }
        member.away = away;
        Ok(())
    }

    /// Notes that a member has to be asked for an object again.
    pub(super) fn owe(&mut self, index: usize, key: &Key) -> Result<(), WatchError> {
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        if member.away && member.owed.len() >= MAX_AWAY && !member.owed.contains(key) {
            member.forgotten = true;
            return Ok(());
        }
        member.owed.insert(key.clone());
        let too_many = member.owed.len() > MAX_KEYS;
        if too_many { Err(WatchError::TooMany(MAX_KEYS)) } else { Ok(()) }
    }

    /// Takes it for told what the members had to say of an object.
    pub(super) fn settle_owed(&mut self, index: usize, key: &Key, known: &Known) {
        let silent = self.members.get(index).map_or(0, |member| member.silent);
        for (other, member) in self.members.iter_mut().enumerate() {
            if (member.complete || known.is_settled(other)) && silent & (1 << other) == 0 {
                member.owed.remove(key);
            }
        }
        if !self.is_awaited(key) {
            for member in &mut self.members {
                member.postponed.remove(key);
            }
        }
    }

    pub(super) fn is_owed(&self, key: &Key) -> bool {
        self.members.iter().any(|member| member.owed.contains(key))
    }

    /// Whether somebody owes it for whom the client waits.
    pub(super) fn is_awaited(&self, key: &Key) -> bool {
        self.members.iter().any(|member| !member.away && member.owed.contains(key))
    }

    /// Lets a client that comes back see again what a member told after `seen`, as long as others
    /// owe the rest of it.
    pub(super) fn postpone(&mut self, index: usize, key: &Key, seen: u64) {
        self.at(index, |member| {
            member.postponed.entry(key.clone()).or_insert(seen);
        });
    }

    /// A member's own stream has told of a key: answers to what was asked before are old.
    pub(super) fn overtake(&mut self, index: usize, key: &Key) {
        let told = |open: &&Fetch| {
            open.asked == index && *open.name == *key.name && *open.namespace == *key.namespace
        };
        self.overtaken.extend(self.open.iter().filter(told).cloned());
        for member in self.members.iter_mut().filter(|member| member.waits.as_ref() == Some(key)) {
            member.silent &= !(1 << index);
        }
    }
}
