//! The versions that merged answers carry: decimal numbers that hold one version per member.
//!
//! Clients may compare versions as big integers (KEP-5504: decimal digits, no leading zero), so a
//! composite is a non-zero epoch followed by one component of [`COMPONENT_DIGITS`] digits per slot, and
//! one for the object that carries it: its own version, with which it can be written, or zero.
//! The digits before the components are the epoch's, hence `length mod 20` of them: nothing has to
//! be looked up to decode. A bare version (one member's own) has at most 20 digits, so that every
//! composite is the greater number.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::num::NonZeroU64;

use crate::ids::ClusterName;

/// The digits of one component: those of `u64::MAX`.
pub const COMPONENT_DIGITS: usize = 20;
/// The most members that a composite has room for.
pub const MAX_SLOTS: usize = 64;

/// The epoch and the members' slots; slots are only ever appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSpace {
    epoch: NonZeroU64,
    slots: Vec<ClusterName>,
}

/// A version as a client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceVersion {
    /// Empty or absent: the most recent state.
    Unset,
    /// `0`: any state, a cache will do.
    Any,
    /// One member's own version.
    Bare(u64),
    /// One version for each slot.
    Composite(Composite),
}

/// One version for each slot of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    epoch: u64,
    components: Vec<u64>,
    own: u64,
}

/// Why slots do not make a [`VersionSpace`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpace {
    /// The epoch has more than 19 digits.
    #[error("the epoch {0} has more than 19 digits")]
    Epoch(u64),
    /// There are more members than [`MAX_SLOTS`].
    #[error("a fleet has at most {MAX_SLOTS} slots for versions, this one would have {0}")]
    Count(usize),
    /// A member would get two slots.
    #[error("{0} has two slots")]
    Twice(ClusterName),
}

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVersion {
    /// There is something other than decimal digits.
    #[error("a resourceVersion is made of decimal digits")]
    Characters,
    /// The number starts with a zero.
    #[error("a resourceVersion has no leading zero")]
    LeadingZero,
    /// No version has this many digits.
    #[error("no resourceVersion has {0} digits")]
    Length(usize),
    /// A member's version is greater than `u64::MAX`.
    #[error("a part of the resourceVersion has more than 64 bits")]
    TooBig,
}

// === impl VersionSpace ===

impl VersionSpace {
    /// Makes a space of `slots`, each member's slot being its place; none before the first member.
    pub fn new(epoch: NonZeroU64, slots: Vec<ClusterName>) -> Result<Self, InvalidSpace> {
        if epoch.get() >= 10_u64.pow(19) {
            return Err(InvalidSpace::Epoch(epoch.get()));
        }
        if slots.len() > MAX_SLOTS {
            return Err(InvalidSpace::Count(slots.len()));
        }
        for (index, slot) in slots.iter().enumerate() {
            if slots.iter().take(index).any(|earlier| earlier == slot) {
                return Err(InvalidSpace::Twice(slot.clone()));
            }
        }
        Ok(Self { epoch, slots })
    }

    /// Appends slots for those of `members` that have none; nobody's slot changes.
    pub fn extended<'a>(
        &self,
        members: impl IntoIterator<Item = &'a ClusterName>,
    ) -> Result<Self, InvalidSpace> {
        let mut slots = self.slots.clone();
        for member in members {
            if !slots.contains(member) {
                slots.push(member.clone());
            }
        }
        Self::new(self.epoch, slots)
    }

    /// What this space and one that was `kept` elsewhere come to.
    ///
    /// The later epoch wins; of one epoch, the space that begins with the other's slots. Two that gave
    /// a slot to different members cannot both be right: then the epoch `anew` begins, and clients list
    /// again.
    pub fn agreed(&self, kept: &Self, anew: NonZeroU64) -> Result<Self, InvalidSpace> {
        match self.epoch.cmp(&kept.epoch) {
            Ordering::Less => return Ok(kept.clone()),
            Ordering::Greater => return Ok(self.clone()),
            Ordering::Equal => {}
        }
        if self.slots.starts_with(&kept.slots) {
            return Ok(self.clone());
        }
        if kept.slots.starts_with(&self.slots) {
            return Ok(kept.clone());
        }
        Self::new(anew, kept.slots.clone())?.extended(&self.slots)
    }

    /// The epoch, which changes only when old versions have to be refused.
    pub fn epoch(&self) -> u64 {
        self.epoch.get()
    }

    /// The members in the order of their slots.
    pub fn slots(&self) -> &[ClusterName] {
        &self.slots
    }

    /// The slot of a member.
    pub fn slot_of(&self, member: &ClusterName) -> Option<usize> {
        self.slots.iter().position(|slot| slot == member)
    }

    /// Writes the version that holds `parts`; members without a part count as never seen.
    ///
    /// A space of one slot stays bare. A part of a member without a slot is left out: it will come
    /// anew when it has one. Of two parts of one member the greater counts.
    pub fn compose<'a>(&self, parts: impl IntoIterator<Item = (&'a ClusterName, u64)>) -> String {
        self.compose_for(0, parts)
    }

    /// As [`VersionSpace::compose`], for one object, which has the version `own` in its member.
    ///
    /// An event carries how far the stream has come, which may be less than its object's version: what
    /// is told from a list comes in no order of versions. In a space of one slot it carries its object's,
    /// as those of an API server do.
    pub fn compose_for<'a>(
        &self,
        own: u64,
        parts: impl IntoIterator<Item = (&'a ClusterName, u64)>,
    ) -> String {
        let mut components = vec![0_u64; self.slots.len()];
        for (member, version) in parts {
            let slot = self.slot_of(member).and_then(|slot| components.get_mut(slot));
            if let Some(component) = slot {
                *component = version.max(*component);
            }
        }
        if let [only] = components.as_slice() {
            return if own > 0 { own.to_string() } else { only.to_string() };
        }
        let components = components.iter().chain([&own]);
        components.fold(self.epoch.to_string(), |mut text, component| {
            // Writing to a String has no way to fail.
            write!(text, "{component:0COMPONENT_DIGITS$}").unwrap_or_default();
            text
        })
    }
}

// === impl ResourceVersion ===

impl ResourceVersion {
    /// Reads a version; total over all texts.
    pub fn parse(text: &str) -> Result<Self, InvalidVersion> {
        match text {
            "" => return Ok(Self::Unset),
            "0" => return Ok(Self::Any),
            _ => {}
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidVersion::Characters);
        }
        if text.starts_with('0') {
            return Err(InvalidVersion::LeadingZero);
        }
        if text.len() <= COMPONENT_DIGITS {
            return text.parse().map(Self::Bare).map_err(|_| InvalidVersion::TooBig);
        }
        Composite::parse(text).map(Self::Composite)
    }
}

// === impl Composite ===

impl Composite {
    /// The version of a slot; `Some(0)` was never seen, `None` is a slot that came later.
    pub fn component(&self, slot: usize) -> Option<u64> {
        self.components.get(slot).copied()
    }

    /// The version in its member of the object that carried this; zero where that is not known.
    pub fn own(&self) -> u64 {
        self.own
    }

    /// Whether an object that carried this is still the one that has `version` now, in the member of a
    /// slot (`reads.md`, Coming back).
    pub fn admits(&self, slot: Option<usize>, version: u64) -> bool {
        let seen = slot.and_then(|slot| self.component(slot)).unwrap_or(0);
        version == self.own || version <= seen
    }

    /// The epoch in which the version was made.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Reads more than 20 digits without a leading zero.
    fn parse(digits: &str) -> Result<Self, InvalidVersion> {
        let width = digits.len() % COMPONENT_DIGITS;
        if width == 0 || digits.len() / COMPONENT_DIGITS > MAX_SLOTS + 1 {
            return Err(InvalidVersion::Length(digits.len()));
        }
        let (epoch, mut rest) =
            digits.split_at_checked(width).ok_or(InvalidVersion::Length(digits.len()))?;
        let epoch = epoch.parse().map_err(|_| InvalidVersion::TooBig)?;
        let mut components = Vec::with_capacity(rest.len() / COMPONENT_DIGITS);
        while let Some((component, tail)) = rest.split_at_checked(COMPONENT_DIGITS) {
            components.push(component.parse().map_err(|_| InvalidVersion::TooBig)?);
            rest = tail;
        }
        let own = components.pop().unwrap_or_default();
        Ok(Self { epoch, components, own })
    }
}

#[cfg(test)]
mod tests;
