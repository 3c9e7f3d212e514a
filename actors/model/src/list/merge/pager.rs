//! Where one page of a list ends.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::list::member::{Member, Stage};
use crate::list::pages::{Page, Turn};
use crate::list::table::Columns;

/// One page, while its items are written.
#[derive(Debug)]
pub(super) struct Pager {
    page: Page,
    /// How many items the page still has room for; `None` for all.
    room: Option<u64>,
    /// Whether the list goes on behind this page, so that no later member shows anything.
    full: bool,
    /// The items of the member whose turn it is.
    items: u64,
    /// What follows the page.
    left: Vec<Turn>,
}

// === impl Pager ===

impl Pager {
    pub(super) fn new(page: Page) -> Self {
        let room = page.limit();
        Self { page, room, full: false, items: 0, left: Vec::new() }
    }

    /// Counts an item of the member at `index`; whether it is on this page.
    pub(super) fn admits(&mut self, index: usize) -> bool {
        self.items += 1;
        self.takes(index)
    }

    /// Ends the turn of a member, whose answer is over.
    pub(super) fn leave(&mut self, index: usize, member: &Member) {
        let items = std::mem::take(&mut self.items);
        let Some(turn) = self.page.turns().get(index).filter(|_| member.stage != Stage::Absent)
        else {
            return;
        };
        let rest = member.rest();
        let left = if self.takes(index) {
            self.room = self.room.map(|room| room.saturating_sub(items));
            rest.map(|(token, remaining)| turn.behind(token, remaining))
        } else if items > 0 || rest.is_some() {
            let remaining = rest.map_or(Some(0), |(_, remaining)| remaining);
            let count = remaining.map(|remaining| remaining.saturating_add(items));
            Some(turn.unread(member.version(), count))
        } else {
            None
        };
        self.full |= left.is_some();
        self.left.extend(left);
    }

    /// The columns of the first page, where its members' differed.
    pub(super) fn columns(&self) -> Option<&RawValue> {
        self.page.columns()
    }

    /// Remembers the columns for the pages to come.
    pub(super) fn keep_columns(&mut self, columns: &Columns) {
        self.page.keep_columns(columns.definitions());
    }

    /// The metadata of the page, as JSON; `version` is that of what was read for it.
    ///
    /// All pages carry the version of the first, since client-go's pager keeps that one.
    pub(super) fn metadata(self, version: Option<String>) -> String {
        let (version, rest) = self.page.after(self.left, version);
        let mut metadata = Map::new();
        if let Some(version) = version {
            metadata.insert("resourceVersion".to_owned(), Value::from(version));
        }
        if let Some((token, remaining)) = rest {
            metadata.insert("continue".to_owned(), Value::from(token));
            if let Some(remaining) = remaining {
                metadata.insert("remainingItemCount".to_owned(), Value::from(remaining));
            }
        }
        Value::Object(metadata).to_string()
    }

    /// Whether the page shows the items of the member at `index`: all that were asked for, or none.
    fn takes(&self, index: usize) -> bool {
        let asked = self.page.turns().get(index).and_then(Turn::limit);
        !self.full && self.room.is_none_or(|room| asked.is_none_or(|asked| asked <= room))
    }
}
