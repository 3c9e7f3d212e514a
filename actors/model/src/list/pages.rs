//! Pages of a merged list: which members a page asks for how much, and what its token remembers.
//!
//! Members are read one behind the other, each in its own order. The first page asks every member
//! at once: the first one for as many items as the page may have, each other for its part of them.
//! So a short list takes one round trip, and of a long one the position of every member is fixed:
//! where an answer has no room on the page it is dropped, and only its version is kept, at which
//! later pages read it (`resourceVersionMatch=Exact`). Later pages know how much is left of each
//! member, and ask no more than they can show.
//!
//! Only lists that show every copy have pages: Tables, unfolded lists, those of one member. Where
//! each key is shown once, a page of one member would have to know the keys of all members before
//! it, on all earlier pages. Such a list is answered whole, as the API allows; it streams.

mod token;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::token::{Token, no_token, too_old};
use crate::ids::ClusterName;
use crate::request::query::Query;
use crate::resource_version::{ResourceVersion, VersionSpace};
use crate::status::Status;

/// The most bytes of a member's own token; those of API servers stay below 1 KiB.
pub(super) const MAX_PART_BYTES: usize = 8 << 10;
/// The most bytes of columns in a token; of longer ones each page has those of its members.
const MAX_COLUMN_BYTES: usize = 8 << 10;
/// Which part of a list one answer has.
#[derive(Debug, Clone)]
pub struct Page {
    /// Who is asked now.
    turns: Vec<Turn>,
    /// Who is asked on later pages.
    later: Vec<Turn>,
    limit: Option<u64>,
    /// The version of the first page; `None` on the first.
    version: Option<String>,
    columns: Option<Box<RawValue>>,
}

/// What is left of one member's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    #[serde(rename = "m")]
    member: ClusterName,
    #[serde(rename = "at")]
    position: Position,
    /// How many items are left, where that is known.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// How many items are asked for now.
    #[serde(skip)]
    limit: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Position {
    /// At the beginning, of the version that the client asks for; only on the first page.
    #[serde(skip)]
    Asked,
    /// At the beginning of this version.
    Exact(u64),
    /// At the beginning of the newest version: the member has none, or lost the one that it had.
    Newest,
    /// Behind what this token of the member's stands for.
    Behind(String),
}

// === impl Page ===

impl Page {
    /// The first page of a list of `members`, which has at most `limit` items.
    pub fn first(members: &[ClusterName], limit: u64) -> Self {
        let count = u64::try_from(members.len()).unwrap_or(u64::MAX).max(1);
        let turn = |(index, member): (usize, &ClusterName)| Turn {
            member: member.clone(),
            position: Position::Asked,
            count: None,
            limit: Some(if index == 0 { limit } else { (limit / count).max(1) }),
        };
        let turns = members.iter().enumerate().map(turn).collect();
        Self { turns, later: Vec::new(), limit: Some(limit), version: None, columns: None }
    }

    /// The page that a token stands for; members that are no longer there are passed over.
    ///
    /// # Errors
    /// 400 where it is no token, 410 where it is of another epoch or where no member is left.
    pub fn continued(
        token: &str,
        limit: Option<u64>,
        space: &VersionSpace,
        is_there: impl Fn(&ClusterName) -> bool,
    ) -> Result<Self, Status> {
        let token = Token::decode(token)?;
        let version = token.rv.as_deref().unwrap_or_default();
        match ResourceVersion::parse(version) {
            Ok(ResourceVersion::Composite(seen)) if seen.epoch() != space.epoch() => {
                return Err(too_old());
            }
            Ok(_) => {}
            Err(_) => return Err(no_token("its version is none")),
        }
        let mut left = token.left;
        left.retain(|turn| is_there(&turn.member));
        if left.is_empty() {
            return Err(too_old());
        }
        let asked = share(&mut left, limit);
        let later = left.split_off(asked);
        Ok(Self { turns: left, later, limit, version: token.rv, columns: token.columns })
    }

    /// Who is asked, in the order of the answer.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// Whether pages came before this one.
    pub fn is_continued(&self) -> bool {
        !self.turns.iter().any(|turn| turn.position == Position::Asked)
    }

    /// The token with which a client may go on although the member at `index` no longer has the
    /// state that this page stands for; what follows is then of no single version.
    ///
    /// `token` is what the member offers for that; without one only what was not begun can be read.
    pub fn inconsistent(&self, index: usize, token: Option<String>) -> Option<String> {
        let mut page = self.clone();
        let turn = page.turns.get_mut(index)?;
        turn.position = match (&turn.position, token) {
            (Position::Behind(_), Some(token)) => Position::Behind(token),
            (Position::Behind(_), None) => return None,
            (Position::Asked | Position::Exact(_) | Position::Newest, _) => Position::Newest,
        };
        turn.count = None;
        // One question is enough: whoever goes on takes newer states of the others too.
        for turn in page.turns.iter_mut().chain(&mut page.later) {
            if matches!(turn.position, Position::Exact(_)) {
                *turn = turn.newest();
            }
        }
        let left = std::mem::take(&mut page.turns);
        page.after(left, None).1.map(|(token, _)| token)
    }

    /// The most items of this page.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The columns of the list, where a page cannot know them from its own members.
    pub(super) fn columns(&self) -> Option<&RawValue> {
        self.columns.as_deref()
    }

    /// Keeps the columns for later pages, unless they are too long or kept already.
    pub(super) fn keep_columns<'a>(&mut self, columns: impl Iterator<Item = &'a RawValue>) {
        if self.columns.is_none() {
            let all = serde_json::value::to_raw_value(&columns.collect::<Vec<_>>());
            self.columns = all.ok().filter(|all| all.get().len() <= MAX_COLUMN_BYTES);
        }
    }

    /// The version of the list, and the token for what is left of it, with the number of its items
    /// where that is known; `version` is that of this page.
    pub(super) fn after(
        self,
        mut left: Vec<Turn>,
        version: Option<String>,
    ) -> (Option<String>, Option<(String, Option<u64>)>) {
        left.extend(self.later);
        let rv = self.version.or(version);
        if left.is_empty() {
            return (rv, None);
        }
        let count = left.iter().try_fold(0_u64, |sum, turn| sum.checked_add(turn.count?));
        let token = Token::new(rv.clone(), left, self.columns);
        (rv, Some((token.encode(), count)))
    }
}

/// Gives each member its part of a page that has at most `limit` items; how many get one.
///
/// Behind a member of which nobody knows how much is left none is asked: it may fill the page.
fn share(left: &mut [Turn], limit: Option<u64>) -> usize {
    let mut room = limit;
    for (index, turn) in left.iter_mut().enumerate() {
        if room == Some(0) {
            return index;
        }
        turn.limit = room;
        if let Some(some) = room {
            room = Some(turn.count.map_or(0, |count| some.saturating_sub(count)));
        }
    }
    left.len()
}

// === impl Turn ===

impl Turn {
    /// The member.
    pub fn member(&self) -> &ClusterName {
        &self.member
    }

    /// Asks for this part of the list in `query`.
    pub fn ask(&self, query: &mut Query) {
        match self.limit {
            Some(limit) => query.set("limit", limit.to_string()),
            None => drop(query.take("limit")),
        }
        drop(query.take("continue"));
        if self.position == Position::Asked {
            return;
        }
        drop(query.take("resourceVersion"));
        drop(query.take("resourceVersionMatch"));
        match &self.position {
            Position::Exact(version) => {
                query.set("resourceVersion", version.to_string());
                query.set("resourceVersionMatch", "Exact");
            }
            Position::Behind(token) => query.set("continue", token.as_str()),
            Position::Newest | Position::Asked => {}
        }
    }

    /// The same from the newest version, where the member does not read exact ones.
    pub fn unpinned(&self) -> Option<Self> {
        matches!(self.position, Position::Exact(_)).then(|| self.newest())
    }

    /// How many items are asked for.
    pub(super) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// What is left when the member's answer was shown and ends with `token`.
    pub(super) fn behind(&self, token: &str, count: Option<u64>) -> Self {
        Self { position: Position::Behind(token.to_owned()), count, ..self.clone() }
    }

    /// What is left when nothing of the member's answer, which is of `version`, was shown.
    pub(super) fn unread(&self, version: Option<u64>, count: Option<u64>) -> Self {
        let position = match &self.position {
            Position::Asked => version.map_or(Position::Newest, Position::Exact),
            known => known.clone(),
        };
        Self { position, count, ..self.clone() }
    }

    fn newest(&self) -> Self {
        // What the old version had need not be what the newest has.
        Self { position: Position::Newest, count: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
