//! How far each member is, and whose turn it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::WatchError;
use super::event::TypeMeta;
use super::keys::{Key, Keys};
use super::member::{Change, Link, Listing, Member, Said};
use super::write::Columns;
use crate::fold::FoldClass;
use crate::ids::ClusterName;
use crate::list::{IncludeObject, ScanError};
use crate::resource_version::VersionSpace;
use crate::watch::event::{EventKind, Lines};
use crate::watch::keys::Body;

/// How many bytes are buffered for a member before [`WatchMerge::wants`] says no.
const BUFFER_BYTES: usize = 1 << 20;
/// How many bytes wait for the client before no member is read.
const OUT_BYTES: usize = 256 << 10;
/// Members that may take part in one watch, former ones included.
const MAX_MEMBERS: usize = 64;

/// What a merged watch shall look like.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "wishes that do not depend on each other")]
pub struct WatchOptions {
    /// The slots of the events' versions.
    pub space: Arc<VersionSpace>,
    /// The label of managed objects.
    pub label_key: String,
    /// How managed objects are folded; `None` shows every copy.
    pub fold: Option<FoldClass>,
    /// Whether each namespace/name is one object, the first member's.
    pub one_key_once: bool,
    /// Whether objects keep tenbin's state annotations.
    pub show_state: bool,
    /// What the client wants in the rows of Tables.
    pub include_object: IncludeObject,
    /// Whether the client wants bookmarks.
    pub bookmarks: bool,
    /// Whether the client wants to be told when all that exists was sent.
    pub tell_initial_end: bool,
}

/// Where the watch of a member begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With all that it has.
    Fresh,
    /// With what comes from now on.
    Now,
    /// With what came after this version.
    At(u64),
}

/// What is to be asked of a member that is not being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing at the moment.
    Nothing,
    /// Its list.
    List,
    /// The version of its list; one item is enough.
    Version,
    /// A watch, with bookmarks, from this version on.
    Watch(u64),
}

/// What has to be known before a member's next change can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Whose change waits.
    pub waiting: usize,
    /// The member to be asked.
    pub asked: usize,
    /// The namespace, empty where there is none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// The answer to a [`Fetch`]: what a list of that one name has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The whole list, of one item or none.
    List(Bytes),
    /// The member does not have the resource.
    Nothing,
    /// The member does not answer, or not this caller.
    Silent,
    /// The member has not answered for so long that nobody waits for it any more.
    Away,
}

/// Merges the watches of several members into one.
///
/// For each member ask [`WatchMerge::next`] what to send, tell that it was [`opened`] and push what
/// comes, or tell that it is lacking, expired or dead. Answer what [`WatchMerge::fetches`] gives, and
/// write what [`WatchMerge::next_chunk`] gives. An error is final: the client lists again.
///
/// [`opened`]: WatchMerge::opened
#[derive(Debug)]
pub struct WatchMerge {
    pub(super) options: WatchOptions,
    pub(super) members: Vec<Member>,
    pub(super) names: Vec<ClusterName>,
    pub(super) keys: Keys,
    pub(super) columns: Columns,
    /// Managed objects that wait until every member has spoken, with the last that has a copy.
    pub(super) held: BTreeMap<Key, usize>,
    /// Whether every member has said what exists.
    pub(super) began: bool,
    /// Whether the client waits to be told that this was all.
    end_due: bool,
    /// Questions that were not taken yet.
    pub(super) fetches: Vec<Fetch>,
    /// Questions without an answer.
    pub(super) open: Vec<Fetch>,
    /// Those of them of whose object the asked member's own stream has told since.
    pub(super) overtaken: Vec<Fetch>,
    pub(super) out: BytesMut,
}

// === impl WatchMerge ===

impl WatchMerge {
    /// Makes a merge of members in the order of the fleet.
    pub fn new(
        options: WatchOptions,
        members: impl IntoIterator<Item = (ClusterName, Start)>,
    ) -> Self {
        let mut merge = Self {
            options,
            members: Vec::new(),
            names: Vec::new(),
            keys: Keys::default(),
            columns: Columns::default(),
            held: BTreeMap::new(),
            began: false,
            end_due: false,
            fetches: Vec::new(),
            open: Vec::new(),
            overtaken: Vec::new(),
            out: BytesMut::new(),
        };
        for (name, start) in members {
            merge.add(name, start);
        }
        merge
    }

    /// Takes the fleet as it is now: who is new begins with all it has, who left is taken out.
    ///
    /// Members are found by their numbers, the places of [`WatchMerge::members`], which never
    /// change. An error where a member left whose objects nobody remembers.
    pub fn reorder(
        &mut self,
        fleet: &[ClusterName],
        space: Arc<VersionSpace>,
    ) -> Result<(), WatchError> {
        self.options.space = space;
        for name in fleet {
            let known = self.names.iter().position(|known| known == name);
            match known.and_then(|known| self.members.get_mut(known)) {
                None => self.add(name.clone(), Start::Fresh),
                Some(member) if matches!(member.link, Link::Left) => {
                    member.link = Link::Off;
                    member.keeps = true;
                    member.from_now = false;
                }
                Some(_) => {}
            }
        }
        for index in 0..self.members.len() {
            let rank = self.names.get(index).and_then(|it| fleet.iter().position(|at| at == it));
            match rank {
                Some(rank) => self.at(index, |member| member.rank = rank),
                None => self.leave(index)?,
            }
        }
        Ok(())
    }

    /// The members by their numbers.
    pub fn members(&self) -> &[ClusterName] {
        &self.names
    }

    /// What is to be asked of a member now.
    pub fn next(&self, member: usize) -> Next {
        let Some(member) = self.members.get(member) else { return Next::Nothing };
        match member.link {
            Link::Off if !member.due.is_empty() => Next::Nothing,
            Link::Off if member.relist => Next::List,
            Link::Off if member.version > 0 => Next::Watch(member.version),
            Link::Off if member.from_now => Next::Version,
            Link::Off => Next::List,
            _ => Next::Nothing,
        }
    }

    /// Tells that a member begins to answer what was asked.
    pub fn opened(&mut self, member: usize, asked: Next) {
        self.at(member, |member| {
            member.ended = false;
            member.link = match asked {
                Next::Nothing => return,
                Next::List => {
                    member.keeps = true;
                    Link::Listing(Box::new(Listing::new(false)))
                }
                Next::Version => Link::Listing(Box::new(Listing::new(true))),
                Next::Watch(_) => Link::Watching(Lines::default()),
            };
        });
    }

    /// Takes the next bytes of a member.
    pub fn push(&mut self, member: usize, bytes: &[u8]) {
        self.at(member, |member| match &mut member.link {
            Link::Listing(listing) => listing.push(bytes),
            Link::Watching(lines) => lines.push(bytes),
            _ => {}
        });
    }

    /// Tells that a member's answer has ended, whole or not.
    pub fn ended(&mut self, member: usize) {
        self.at(member, |member| member.ended = true);
    }

    /// Tells that a member does not remember the version that it was asked for.
    pub fn expired(&mut self, member: usize) -> Result<(), WatchError> {
        let Some(known) = self.members.get_mut(member) else { return Ok(()) };
        if !known.complete {
            return Err(WatchError::Expired(known.name.clone()));
        }
        known.relist = true;
        known.link = Link::Off;
        Ok(())
    }

    /// Tells that a member has no such resource, or does not show it to the caller: nothing is
    /// missing. [`WatchMerge::retry`] asks it again. An error where the client has some of it that
    /// nobody remembers.
    pub fn lacking(&mut self, member: usize) -> Result<(), WatchError> {
        let Some(known) = self.members.get(member) else { return Ok(()) };
        if !known.keeps && known.seen() > 0 {
            return Err(WatchError::Expired(known.name.clone()));
        }
        self.remove_all(member);
        self.at(member, |member| member.link = Link::Lacking);
        Ok(())
    }

    /// Tells that nobody waits for a dead member, where it was not seen yet.
    pub fn dead(&mut self, member: usize) {
        self.at(member, |member| {
            if !member.complete && member.version == 0 {
                member.link = Link::Dead;
            }
        });
    }

    /// Tells that a member may be asked again: a lacking or dead one for all it has, any other for
    /// what it could not tell when it was asked.
    pub fn retry(&mut self, member: usize) {
        self.at(member, |member| {
            if matches!(member.link, Link::Lacking | Link::Dead) {
                member.link = Link::Off;
            }
            if !member.due.iter().any(|said| matches!(said, Said::Held(_))) {
                // Of who is away one question tells as much as all.
                let asked = if member.away { 1 } else { usize::MAX };
                member.due.extend(member.owed.iter().take(asked).cloned().map(Said::Held));
            }
        });
    }

    /// Whether a member is to be asked again before long, by [`WatchMerge::retry`].
    pub fn owes(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| !member.owed.is_empty())
    }

    /// Whether the client was told of something that a member has.
    pub fn was_seen(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| member.seen() > 0)
    }

    /// Whether more bytes of a member should be read now (backpressure).
    pub fn wants(&self, member: usize) -> bool {
        self.out.len() < OUT_BYTES
            && self.members.get(member).is_some_and(|member| {
                member.waits.is_none() && member.due.is_empty() && member.waiting() < BUFFER_BYTES
            })
    }

    /// What has to be asked of members now, each once.
    pub fn fetches(&mut self) -> Vec<Fetch> {
        std::mem::take(&mut self.fetches)
    }

    /// The next whole lines for the client; `None` asks for more bytes of the members.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, WatchError> {
        while self.out.len() < OUT_BYTES && self.round()? {}
        Ok((!self.out.is_empty()).then(|| self.out.split().freeze()))
    }

    /// Lets each member whose turn it is say one thing; false where none has anything to say.
    fn round(&mut self) -> Result<bool, WatchError> {
        self.begin();
        self.end_beginning();
        let mut order: Vec<usize> = (0..self.members.len()).collect();
        order.sort_by_key(|index| self.members.get(*index).map(|member| member.rank));
        let mut moved = false;
        for index in order {
            moved |= self.turn(index)?;
            // What exists is told in the members' order.
            if !self.began && self.members.get(index).is_some_and(|member| !member.is_settled()) {
                break;
            }
        }
        Ok(moved)
    }

    fn turn(&mut self, index: usize) -> Result<bool, WatchError> {
        let Some(member) = self.members.get_mut(index) else { return Ok(false) };
        let watches = matches!(member.link, Link::Watching(_));
        if member.waits.is_some() || watches && !self.began {
            return Ok(false);
        }
        let said = match member.next() {
            Ok(Some(said)) => said,
            Ok(None)
                if member.ended && matches!(member.link, Link::Listing(_) | Link::Watching(_)) =>
            {
                member.link = Link::Off;
                return Ok(true);
            }
            Ok(None) => return Ok(false),
            Err(source) => return Err(self.scan_error(index, source)),
        };
        match said {
            Said::Change(change) => {
                if !self.apply(index, &change)? {
                    self.at(index, |member| member.due.push_front(Said::Change(change)));
                    return Ok(false);
                }
                self.at(index, |member| member.silent = 0);
            }
            Said::Held(key) => {
                if !self.tell_held(index, &key)? {
                    self.at(index, |member| member.due.push_front(Said::Held(key)));
                    return Ok(false);
                }
                self.at(index, |member| member.silent = 0);
            }
            Said::Bookmark(version) => {
                self.at(index, |member| member.version = member.version.max(version));
                self.bookmark(false);
            }
            Said::Listed(version) => self.listed(index, version),
            Said::Settled { version, complete } => {
                self.at(index, |member| {
                    member.version = version.unwrap_or(member.version);
                    member.complete |= complete;
                    member.relist = false;
                    member.from_now = false;
                    member.link = Link::Off;
                });
                // What a list told carries no version to come back with: this does.
                self.bookmark(false);
            }
            Said::Gone => self.at(index, |member| {
                member.started = !member.postponed.is_empty();
                member.complete = false;
            }),
            Said::Expired => self.expired(index)?,
            Said::Over => self.ended(index),
        }
        Ok(true)
    }

    /// Tells what was held back, once every member has spoken.
    fn begin(&mut self) {
        if self.began || !self.members.iter().all(Member::is_settled) {
            return;
        }
        self.began = true;
        self.end_due = true;
        for (key, index) in std::mem::take(&mut self.held) {
            self.at(index, |member| member.due.push_back(Said::Held(key)));
        }
    }

    /// Tells that all that exists was told.
    fn end_beginning(&mut self) {
        let told = |member: &Member| member.due.is_empty() && member.waits.is_none();
        if self.end_due && self.members.iter().all(told) {
            self.end_due = false;
            self.bookmark(self.options.tell_initial_end);
        }
    }

    /// What a whole list lacks is gone.
    fn listed(&mut self, index: usize, version: Option<u64>) {
        let Some(member) = self.members.get(index) else { return };
        let Link::Listing(listing) = &member.link else { return };
        let had = if listing.quiet { Vec::new() } else { self.keys.of(index) };
        if !listing.quiet {
            // Answers to what was asked before are old.
            let asked = self.open.iter().filter(|open| open.asked == index);
            self.overtaken.extend(asked.cloned());
        }
        let gone: Vec<_> = had.into_iter().filter(|key| !listing.seen.contains(key)).collect();
        let settled = Said::Settled { version, complete: !listing.quiet };
        let gone = gone.iter().filter_map(|key| self.removal(index, key)).collect::<Vec<_>>();
        self.at(index, |member| {
            member.due.extend(gone);
            member.due.push_back(settled);
        });
    }

    fn leave(&mut self, index: usize) -> Result<(), WatchError> {
        let Some(member) = self.members.get(index) else { return Ok(()) };
        if matches!(member.link, Link::Left) {
            return Ok(());
        }
        if !member.keeps && member.seen() > 0 {
            return Err(WatchError::Left(member.name.clone()));
        }
        self.remove_all(index);
        self.at(index, |member| member.link = Link::Left);
        Ok(())
    }

    /// Takes all copies of a member out.
    fn remove_all(&mut self, index: usize) {
        self.open.retain(|open| open.waiting != index);
        let keys = self.keys.of(index);
        let gone: Vec<_> = keys.iter().filter_map(|key| self.removal(index, key)).collect();
        self.at(index, |member| {
            // Nobody has to wait for what it has any more.
            member.due.retain(|said| matches!(said, Said::Held(_)));
            member.due.extend(std::mem::take(&mut member.owed).into_iter().map(Said::Held));
            member.due.extend(gone);
            // While it is taken out, whoever comes back has to see all of it again.
            member.version = 0;
            member.started = true;
            member.due.push_back(Said::Gone);
            member.waits = None;
            member.silent = 0;
            (member.away, member.forgotten) = (false, false);
        });
    }

    fn removal(&self, index: usize, key: &Key) -> Option<Said> {
        let copy = self.keys.get(key)?.copy(index)?;
        let (Body::Whole(bytes) | Body::Stub(bytes)) = &copy.body else { return None };
        let change = Change { kind: EventKind::Deleted, bytes: bytes.clone(), listed: true };
        Some(Said::Change(change))
    }

    fn add(&mut self, name: ClusterName, start: Start) {
        if self.members.len() >= MAX_MEMBERS {
            return;
        }
        let version = if let Start::At(version) = start { version } else { 0 };
        let mut member = Member::new(name.clone(), self.members.len(), version);
        member.from_now = start == Start::Now;
        member.keeps = start == Start::Fresh;
        self.members.push(member);
        self.names.push(name);
    }

    /// What the members watch, as the first of them that said so.
    pub(super) fn type_meta(&self) -> Option<&TypeMeta> {
        self.members.iter().find_map(|member| member.names.as_ref())
    }

    pub(super) fn at(&mut self, member: usize, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.members.get_mut(member) {
            change(member);
        }
    }

    pub(super) fn scan_error(&self, member: usize, source: ScanError) -> WatchError {
        match self.names.get(member) {
            Some(name) => WatchError::Scan { member: name.clone(), source },
            None => WatchError::TooMany(MAX_MEMBERS),
        }
    }
}
