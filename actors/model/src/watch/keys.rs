//! Which copies there are of a name, and what of them the client was shown.

use std::collections::HashMap;

use bytes::Bytes;

use crate::fold::{Marked, group};
use crate::ids::ClusterName;
use crate::managed::Mark;

/// What is shown as one: a name in all members, or in one where every copy is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    /// The one member whose copy this is; absent where the copies of all members are one.
    pub(super) member: Option<usize>,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

/// What is known of one key.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    copies: Vec<Held>,
    /// The members, as bits, of whom it is known whether they have a copy.
    settled: u64,
    /// The members, as bits, whose own streams have told of the key.
    met: u64,
    /// What the client has; absent until something was told of the key.
    pub(super) shown: Option<Vec<View>>,
    /// Whether the client was told of the key in this watch; else what it has is assumed.
    pub(super) told: bool,
    /// How it was before its last copy went, as long as the client may not be told that.
    pub(super) gone: Option<Box<Known>>,
}

/// One member's copy.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) member: usize,
    pub(super) version: u64,
    /// Whether its member's own stream has come to this version; else it will.
    pub(super) told: bool,
    /// Whether the client was told of just this version.
    pub(super) shown: bool,
    pub(super) uid: Box<str>,
    pub(super) mark: Option<Mark>,
    pub(super) body: Body,
}

/// What is kept of a copy's content.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// All of it, as the member sent it.
    Whole(Bytes),
    /// Enough to tell a client that it is gone.
    Stub(Bytes),
    /// Nothing: whoever needs it asks the member.
    Elsewhere,
}

/// One object as the client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The copies of one managed object; of several of one name, in this place.
    Fold(usize),
    /// The copy of this member.
    Single(usize),
}

/// All keys that are kept in mind.
#[derive(Debug, Default)]
pub(super) struct Keys(HashMap<Key, Known>);

// === impl Known ===

impl Known {
    pub(super) fn copy(&self, member: usize) -> Option<&Held> {
        self.copies.iter().find(|copy| copy.member == member)
    }

    pub(super) fn copies_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        self.copies.iter_mut()
    }

    pub(super) fn is_managed(&self) -> bool {
        self.copies.iter().any(|copy| copy.mark.is_some())
    }

    pub(super) fn is_settled(&self, member: usize) -> bool {
        self.settled & bit(member) != 0
    }

    /// Whether a change to `version` is older than what is known of a member's copy.
    pub(super) fn is_past(&self, member: usize, version: u64) -> bool {
        self.copy(member).is_some_and(|copy| {
            version > 0 && (version < copy.version || copy.told && version == copy.version)
        })
    }

    /// Whether the client has a member's copy of `version` already, since it was looked up.
    pub(super) fn is_shown(&self, member: usize, version: u64) -> bool {
        self.copy(member).is_some_and(|copy| copy.shown && version > 0 && copy.version == version)
    }

    /// Whether the client was told of these copies as they are.
    pub(super) fn is_told(&self, members: &[usize]) -> bool {
        members.iter().all(|member| self.copy(*member).is_some_and(|copy| copy.shown))
    }

    /// Whether all of these copies is at hand.
    pub(super) fn is_whole(&self, members: &[usize]) -> bool {
        let whole = |copy: &Held| matches!(copy.body, Body::Whole(_));
        members.iter().all(|member| self.copy(*member).is_some_and(whole))
    }

    /// Notes that the client was told of these copies.
    pub(super) fn show(&mut self, members: &[usize]) {
        for copy in self.copies.iter_mut().filter(|copy| members.contains(&copy.member)) {
            copy.shown = true;
        }
    }

    /// Whether a member's own stream has told of the key.
    pub(super) fn is_met(&self, member: usize) -> bool {
        self.met & bit(member) != 0
    }

    pub(super) fn meet(&mut self, member: usize) {
        self.met |= bit(member);
    }

    /// Takes what a member said when it was asked; it may be older than what its stream has told.
    pub(super) fn learn(&mut self, member: usize, copy: Option<Held>) {
        let known = self.copy(member).map(|known| (known.version, known.told, known.shown));
        let copy = match (known, copy) {
            (Some((version, ..)), Some(copy)) if copy.version < version => return,
            (Some((version, told, shown)), Some(copy)) if copy.version == version => {
                Some(Held { told: told || copy.told, shown, ..copy })
            }
            (_, copy) => copy,
        };
        self.settle(member, copy);
    }

    /// Takes it for known what a member has.
    pub(super) fn settle(&mut self, member: usize, copy: Option<Held>) {
        self.settled |= bit(member);
        self.copies.retain(|known| known.member != member);
        self.copies.extend(copy);
    }

    /// Whether the member's copy is the last that there is.
    pub(super) fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// The copies that make up what a key is shown as, in the members' order.
    ///
    /// `rank` orders the members. With `once` there is one view at most: that of the first member,
    /// which is a fold where its copy is managed, as in lists.
    pub(super) fn views(
        &self,
        names: &[ClusterName],
        rank: impl Fn(usize) -> usize,
        once: bool,
        speaks: impl Fn(usize) -> bool,
    ) -> Vec<(View, Vec<usize>)> {
        let mut copies: Vec<&Held> = self.copies.iter().collect();
        copies.sort_by_key(|copy| rank(copy.member));
        let first_is_single = copies.first().is_some_and(|first| first.mark.is_none());
        if once && first_is_single {
            copies.truncate(1);
        }
        let (managed, singles): (Vec<_>, Vec<_>) =
            copies.into_iter().partition(|copy| copy.mark.is_some());
        let marked = managed.into_iter().filter_map(|copy| {
            let (member, mark) = (names.get(copy.member)?.clone(), copy.mark.clone()?);
            Some(Marked { member, mark, uid: copy.uid.to_string(), copy: copy.member })
        });
        let speaks =
            |name: &ClusterName| names.iter().position(|known| known == name).is_some_and(&speaks);
        let groups = group(marked.collect(), speaks);
        let folds = groups.folds.into_iter().enumerate().map(|(place, members)| {
            (View::Fold(place), members.iter().map(|copy| copy.copy).collect::<Vec<_>>())
        });
        let strays = groups.strays.into_iter().map(|stray| stray.copy);
        let strays = strays.chain(singles.iter().map(|copy| copy.member));
        let mut views: Vec<_> =
            folds.chain(strays.map(|member| (View::Single(member), vec![member]))).collect();
        if once {
            views.truncate(1);
        }
        views
    }
}

// === impl Keys ===

impl Keys {
    pub(super) fn get(&self, key: &Key) -> Option<&Known> {
        self.0.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Known> {
        self.0.get_mut(key)
    }

    /// Keeps what is known of a key.
    pub(super) fn put(&mut self, key: Key, known: Known) {
        self.0.insert(key, known);
    }

    pub(super) fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets keys of which `keep` says no.
    pub(super) fn retain(&mut self, keep: impl Fn(&Known) -> bool) {
        self.0.retain(|_, known| keep(known));
    }

    /// The keys of which a member has a copy.
    pub(super) fn of(&self, member: usize) -> Vec<Key> {
        let held = self.0.iter().filter(|(_, known)| known.copy(member).is_some());
        let mut keys: Vec<_> = held.map(|(key, _)| key.clone()).collect();
        keys.sort();
        keys
    }
}

fn bit(member: usize) -> u64 {
    u32::try_from(member).ok().and_then(|member| 1_u64.checked_shl(member)).unwrap_or(0)
}
