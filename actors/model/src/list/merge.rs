//! The merge of the members' lists.

mod frame;
mod items;
mod pager;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use self::frame::Frame;
use self::pager::Pager;
use super::held::{Held, MAX_HELD_BYTES};
use super::member::{Member, Stage};
use super::seen::Seen;
use super::{IncludeObject, Page, Piece, ScanError, Shape};
use crate::fold::FoldClass;
use crate::ids::ClusterName;
use crate::resource_version::VersionSpace;

/// The most bytes of one item; etcd refuses objects that come near it.
pub const MAX_ITEM_BYTES: usize = 16 << 20;
/// How many bytes are buffered for a member before [`ListMerge::wants`] says no, unless told otherwise.
const BUFFER_BYTES: usize = 1 << 20;
/// Answers go out in chunks of at least this, the last one excepted.
const MIN_CHUNK_BYTES: usize = 16 << 10;
/// Answers go out in chunks of at most this.
const MAX_CHUNK_BYTES: usize = 64 << 10;

/// What a merged list shall look like.
#[derive(Debug, Clone)]
pub struct MergeOptions {
    /// The members in the order of the answer, own first.
    pub members: Vec<ClusterName>,
    /// The slots of the answer's version.
    pub space: Arc<VersionSpace>,
    /// The label of managed objects.
    pub label_key: String,
    /// How managed items are folded; `None` shows every copy.
    pub fold: Option<FoldClass>,
    /// Whether each namespace/name is shown once, the first member's.
    pub one_key_once: bool,
    /// Whether items keep tenbin's state annotations.
    pub show_state: bool,
    /// What the client wants in the rows of Tables; upstream is asked for metadata at least.
    pub include_object: IncludeObject,
    /// Which part of the list the answer is; `None` is the whole list.
    pub page: Option<Page>,
}

/// Why the members' lists cannot be merged, or not any further.
///
/// An answer that has begun must then be cut, never ended as if whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A member's bytes are not a list.
    #[error("{member}: {source}")]
    Scan {
        /// The member.
        member: ClusterName,
        /// What is wrong with its bytes.
        source: ScanError,
    },
    /// One member answers with a Table and another with a plain list.
    #[error("{0} answers in another shape than the members before it")]
    MixedShapes(ClusterName),
    /// A member answers with a page, which would make the answer lack what follows.
    #[error("{0} answers with one page of a longer list")]
    Paged(ClusterName),
    /// A copy of a managed object cannot be folded.
    #[error("{0} has a managed object that cannot be read")]
    Fold(ClusterName),
    /// There is more of managed objects than may be held back.
    #[error("managed objects of more than {MAX_HELD_BYTES} bytes")]
    HeldTooMuch,
    /// No member answers.
    #[error("no member answers")]
    NobodyAnswers,
    /// A member was declared absent after a part of its answer was used.
    #[error("{0} stopped answering half way")]
    LostHalfWay(ClusterName),
    /// There is no member with that number.
    #[error("there is no member number {0}")]
    NoSuchMember(usize),
}

/// Merges the lists of several members into one.
///
/// Push what members send, tell when they end or will not answer, and write what
/// [`ListMerge::next_chunk`] gives. The order in which members' bytes arrive does not change the answer.
/// Memory stays below 1 MiB (or what [`ListMerge::read_ahead`] says) and one item for each member, but
/// for managed items that are folded.
#[derive(Debug)]
pub struct ListMerge {
    options: MergeOptions,
    members: Vec<Member>,
    phase: Phase,
    frame: Frame,
    items_written: bool,
    seen: Seen,
    held: Held,
    pager: Option<Pager>,
    out: BytesMut,
    read_ahead: usize,
    failed: Option<MergeError>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// What comes before the items has to be known of every member.
    Heads,
    /// The items of this member are next.
    Items(usize),
    Folds,
    Tail,
    Done,
}

// === impl ListMerge ===

impl ListMerge {
    /// Makes a merge of the members in `options`.
    pub fn new(mut options: MergeOptions) -> Self {
        let pager = options.page.take().map(Pager::new);
        let member = |name: &ClusterName| Member::new(name.clone(), pager.is_some());
        let members = options.members.iter().map(member).collect();
        Self {
            options,
            members,
            phase: Phase::Heads,
            frame: Frame::default(),
            items_written: false,
            seen: Seen::default(),
            held: Held::default(),
            pager,
            out: BytesMut::new(),
            read_ahead: BUFFER_BYTES,
            failed: None,
        }
    }

    /// Takes the next bytes of a member's answer; those of a member declared absent are dropped.
    pub fn push(&mut self, member: usize, bytes: &[u8]) -> Result<(), MergeError> {
        let pushed = self.member(member)?.push(bytes);
        self.remember(pushed)
    }

    /// Tells that a member's answer has ended; [`ListMerge::next_chunk`] checks that it is whole.
    pub fn end(&mut self, member: usize) -> Result<(), MergeError> {
        self.member(member)?.ended = true;
        Ok(())
    }

    /// Tells that a member will not answer: it is dead, or lacks or refuses the resource.
    ///
    /// An error where a part of its answer may already be in the merged one.
    pub fn absent(&mut self, member: usize) -> Result<(), MergeError> {
        let begun = !matches!(self.phase, Phase::Heads);
        let member = self.member(member)?;
        if begun && member.stage != Stage::Absent {
            let error = MergeError::LostHalfWay(member.name.clone());
            return self.remember(Err(error));
        }
        member.stage = Stage::Absent;
        Ok(())
    }

    /// Says how many bytes are buffered for a member before [`ListMerge::wants`] says no.
    pub fn read_ahead(&mut self, bytes: usize) {
        self.read_ahead = bytes;
    }

    /// Whether more bytes of a member should be read now (backpressure).
    pub fn wants(&self, member: usize) -> bool {
        self.failed.is_none()
            && self.members.get(member).is_some_and(|member| {
                !member.ended
                    && member.stage != Stage::Absent
                    && member.unscanned() < self.read_ahead
            })
    }

    /// The next bytes of the answer; `None` asks for more bytes of the members, or is the end.
    ///
    /// The first bytes come when every member has begun to answer or is absent. An error is final.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, MergeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        while self.out.len() < MIN_CHUNK_BYTES {
            let step = self.step();
            if !self.remember(step)? {
                break;
            }
        }
        let done = matches!(self.phase, Phase::Done);
        if self.out.is_empty() || (self.out.len() < MIN_CHUNK_BYTES && !done) {
            return Ok(None);
        }
        let length = self.out.len().min(MAX_CHUNK_BYTES);
        Ok(Some(self.out.split_to(length).freeze()))
    }

    /// Whether the answer is whole and all of it was taken.
    pub fn finished(&self) -> bool {
        self.failed.is_none() && matches!(self.phase, Phase::Done) && self.out.is_empty()
    }

    /// Whether the answer is a list or a Table; known once its first bytes came.
    pub fn shape(&self) -> Option<Shape> {
        (!matches!(self.phase, Phase::Heads)).then_some(self.frame.shape)
    }

    fn remember<T>(&mut self, result: Result<T, MergeError>) -> Result<T, MergeError> {
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    fn member(&mut self, member: usize) -> Result<&mut Member, MergeError> {
        self.members.get_mut(member).ok_or(MergeError::NoSuchMember(member))
    }

    /// Goes one step on; false where bytes of a member are missing, and at the end.
    fn step(&mut self) -> Result<bool, MergeError> {
        match self.phase {
            Phase::Heads => {
                let mut known = true;
                for member in &mut self.members {
                    known &= member.read_head()?;
                }
                if known {
                    let (space, pager) = (&self.options.space, self.pager.as_mut());
                    self.frame.begin(&mut self.members, space, pager, &mut self.out)?;
                    self.phase = Phase::Items(0);
                }
                Ok(known)
            }
            Phase::Items(index) => self.step_items(index),
            Phase::Folds => {
                let members = &self.members;
                let answered = |name: &ClusterName| {
                    members.iter().any(|member| member.name == *name && member.answers())
                };
                match self.held.take(answered) {
                    Some(groups) => self.fold(groups)?,
                    None => self.phase = Phase::Tail,
                }
                Ok(true)
            }
            Phase::Tail => {
                let (space, pager) = (&self.options.space, self.pager.take());
                self.frame.finish(&self.members, space, pager, &mut self.out);
                self.phase = Phase::Done;
                Ok(true)
            }
            Phase::Done => Ok(false),
        }
    }

    fn step_items(&mut self, index: usize) -> Result<bool, MergeError> {
        let Some(member) = self.members.get_mut(index) else {
            self.phase = Phase::Folds;
            return Ok(true);
        };
        match member.next()? {
            Some(Piece::Item(item)) => {
                if self.pager.as_mut().is_none_or(|pager| pager.admits(index)) {
                    self.item(index, &item)?;
                }
            }
            Some(_) => {}
            None if member.stage == Stage::Items => return Ok(false),
            None => {
                if let Some(pager) = &mut self.pager {
                    pager.leave(index, member);
                }
                self.phase = Phase::Items(index + 1);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
