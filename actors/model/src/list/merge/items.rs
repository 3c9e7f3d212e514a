//! What becomes of one item, and of the copies of one managed object.

use bytes::{BufMut, BytesMut};
use serde_json::Value;

use super::{ListMerge, MergeError};
use crate::fold::{Copy, FoldClass, Groups, Marked, fold_object, fold_row};
use crate::list::held::HeldCopy;
use crate::list::member::Member;
use crate::list::outline::Outline;
use crate::list::seen::Holder;
use crate::list::table::Row;
use crate::list::{IncludeObject, ScanError, Shape};

/// An item as its bytes show it.
struct Item<'a> {
    bytes: &'a [u8],
    row: Option<Row<'a>>,
    /// Where the row has an object, or the item is one.
    outline: Option<Outline<'a>>,
}

// === impl ListMerge ===

impl ListMerge {
    /// Writes an item, holds it back, or drops it because its name was shown already.
    pub(super) fn item(&mut self, index: usize, bytes: &[u8]) -> Result<(), MergeError> {
        let Some(member) = self.members.get(index) else {
            return Ok(());
        };
        let item = self.read(bytes).map_err(|source| member.error(source))?;
        let named = item.outline.as_ref().filter(|outline| !outline.name.is_empty());
        let Some(outline) = named else {
            self.put(index, &item);
            return Ok(());
        };
        let mark = self.options.fold.and_then(|_| outline.mark());
        let holder = if mark.is_some() { Holder::Managed } else { Holder::Item };
        if self.options.one_key_once && !self.seen.take(&outline.namespace, &outline.name, holder) {
            return Ok(());
        }
        let Some(mark) = mark else {
            self.put(index, &item);
            return Ok(());
        };
        let key = (outline.namespace.to_string(), outline.name.to_string());
        let copy = Marked {
            member: member.name.clone(),
            mark,
            uid: outline.uid.to_string(),
            copy: HeldCopy { member: index, bytes: bytes.into() },
        };
        if self.held.hold(key, copy) { Ok(()) } else { Err(MergeError::HeldTooMuch) }
    }

    /// Writes the objects of one namespace and name; only the first where keys come once.
    pub(super) fn fold(&mut self, groups: Groups<HeldCopy>) -> Result<(), MergeError> {
        let Some(class) = self.options.fold else {
            return Ok(());
        };
        let at_most = if self.options.one_key_once { 1 } else { usize::MAX };
        let folds = groups.folds.len();
        for copies in groups.folds.into_iter().take(at_most) {
            self.put_fold(class, copies)?;
        }
        for stray in groups.strays.iter().take(at_most.saturating_sub(folds)) {
            let HeldCopy { member: index, bytes } = &stray.copy;
            let Some(member) = self.members.get(*index) else {
                continue;
            };
            let item = self.read(bytes).map_err(|source| member.error(source))?;
            self.put(*index, &item);
        }
        Ok(())
    }

    fn read<'a>(&self, bytes: &'a [u8]) -> Result<Item<'a>, ScanError> {
        let row = match self.frame.shape {
            Shape::List => None,
            Shape::Table => Some(Row::read(bytes)?),
        };
        let object = row.as_ref().map_or(Some(bytes), |row| row.object);
        let outline = object
            .map(|object| Outline::read(object, &self.options.label_key, self.options.show_state))
            .transpose()?;
        Ok(Item { bytes, row, outline })
    }

    /// Writes one item of one member.
    fn put(&mut self, index: usize, item: &Item<'_>) {
        let Some(member) = self.members.get(index) else {
            return;
        };
        let out = &mut self.out;
        separate(&mut self.items_written, out);
        match &item.row {
            None => put_object(item, item.bytes, member, out),
            Some(row) => {
                let object = row.object.filter(|_| self.options.include_object.keeps());
                let put = |out: &mut BytesMut| match object {
                    Some(object) => put_object(item, object, member, out),
                    None => out.put_slice(b"null"),
                };
                row.write(&member.alignment, member.cell.as_bytes(), put, out);
            }
        }
    }

    /// Writes the copies of one object as one.
    fn put_fold(
        &mut self,
        class: FoldClass,
        held: Vec<Marked<HeldCopy>>,
    ) -> Result<(), MergeError> {
        let Some(first) = held.first().map(|copy| copy.member.clone()) else {
            return Ok(());
        };
        let copies = held.into_iter().map(|copy| self.parse(&copy)).collect::<Result<_, _>>()?;
        let space = &self.options.space;
        let folded = match self.frame.shape {
            Shape::List => fold_object(class, copies, space),
            Shape::Table => fold_row(class, copies, space).map(|row| self.trimmed(row)),
        };
        let folded = folded.ok_or_else(|| MergeError::Fold(first.clone()))?;
        separate(&mut self.items_written, &mut self.out);
        serde_json::to_writer((&mut self.out).writer(), &folded)
            .map_err(|_| MergeError::Fold(first))
    }

    /// Decodes a copy; a row with its cells aligned.
    fn parse(&self, copy: &Marked<HeldCopy>) -> Result<Copy, MergeError> {
        let mut object: Value = serde_json::from_slice(&copy.copy.bytes)
            .map_err(|_| MergeError::Fold(copy.member.clone()))?;
        let member = self.members.get(copy.copy.member);
        if let (Shape::Table, Some(member), Some(cells)) =
            (self.frame.shape, member, object.get_mut("cells").and_then(Value::as_array_mut))
        {
            let cell = |place: &Option<usize>| {
                place.and_then(|place| cells.get(place)).cloned().unwrap_or_default()
            };
            *cells = member.alignment.iter().map(cell).collect();
        }
        Ok(Copy { member: copy.member.clone(), object })
    }

    fn trimmed(&self, mut row: Value) -> Value {
        if let (IncludeObject::None, Some(object)) =
            (self.options.include_object, row.get_mut("object"))
        {
            *object = Value::Null;
        }
        row
    }
}

fn put_object(item: &Item<'_>, object: &[u8], member: &Member, out: &mut BytesMut) {
    match &item.outline {
        Some(outline) => outline.write(object, &member.origin, out),
        None => out.put_slice(object),
    }
}

fn separate(written: &mut bool, out: &mut BytesMut) {
    if std::mem::replace(written, true) {
        out.put_slice(b",");
    }
}
