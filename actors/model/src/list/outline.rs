//! An item's key and marks, and how its annotations are edited in place.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::ScanError;
use super::walk::{Entry, Walk, is_space, text};
use crate::managed::{CLUSTER, Mark, STATE};

/// What a merge has to know of one item; the scan ends behind the item's metadata.
#[derive(Debug)]
pub(super) struct Outline<'a> {
    /// `metadata.namespace`, empty where there is none.
    pub(super) namespace: Cow<'a, str>,
    /// `metadata.name`, empty where there is none.
    pub(super) name: Cow<'a, str>,
    /// `metadata.uid`, empty where there is none.
    pub(super) uid: Cow<'a, str>,
    labelled: bool,
    state: Vec<(&'static str, Cow<'a, str>)>,
    /// The annotations that stay, with the space around them.
    kept: Vec<&'a [u8]>,
    place: Place,
}

/// Where the annotations of an item go.
#[derive(Debug)]
enum Place {
    /// They replace this value.
    Annotations(Range<usize>),
    /// They come first in this object.
    Metadata(Range<usize>),
    /// They replace this `null`.
    NullMetadata(Range<usize>),
    /// They come first in the item, in metadata of their own.
    Item,
}

// === impl Outline ===

impl<'a> Outline<'a> {
    /// Reads an item; the annotations of [`STATE`] go unless `show_state`.
    pub(super) fn read(
        item: &'a [u8],
        label_key: &str,
        show_state: bool,
    ) -> Result<Self, ScanError> {
        let mut outline = Self {
            namespace: Cow::Borrowed(""),
            name: Cow::Borrowed(""),
            uid: Cow::Borrowed(""),
            labelled: false,
            state: Vec::new(),
            kept: Vec::new(),
            place: Place::Item,
        };
        let mut walk = Walk::object(item)?;
        while let Some(entry) = walk.next()? {
            if entry.is("metadata") {
                outline.metadata(&entry, label_key, show_state)?;
                break;
            }
        }
        Ok(outline)
    }

    /// The mark of a managed copy.
    pub(super) fn mark(&self) -> Option<Mark> {
        Mark::read(self.labelled, |key| {
            self.state.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_ref())
        })
    }

    /// Writes `item` with `origin`, a whole member of an object, as its first annotation.
    pub(super) fn write(&self, item: &[u8], origin: &[u8], out: &mut BytesMut) {
        match &self.place {
            Place::Annotations(range) => {
                out.put_slice(item.get(..range.start).unwrap_or_default());
                out.put_slice(b"{");
                out.put_slice(origin);
                for kept in &self.kept {
                    out.put_slice(b",");
                    out.put_slice(kept);
                }
                out.put_slice(b"}");
                out.put_slice(item.get(range.end..).unwrap_or_default());
            }
            Place::Metadata(range) => {
                put_first(item, range.start, &[b"\"annotations\":{", origin, b"}"], out);
            }
            Place::NullMetadata(range) => {
                out.put_slice(item.get(..range.start).unwrap_or_default());
                out.put_slice(b"{\"annotations\":{");
                out.put_slice(origin);
                out.put_slice(b"}}");
                out.put_slice(item.get(range.end..).unwrap_or_default());
            }
            Place::Item => {
                put_first(item, 0, &[b"\"metadata\":{\"annotations\":{", origin, b"}}"], out);
            }
        }
    }

    fn metadata(
        &mut self,
        metadata: &Entry<'a>,
        label_key: &str,
        show_state: bool,
    ) -> Result<(), ScanError> {
        let start = metadata.value_range.start;
        if metadata.value == b"null" {
            self.place = Place::NullMetadata(metadata.value_range.clone());
            return Ok(());
        }
        self.place = Place::Metadata(metadata.value_range.clone());
        let mut walk = Walk::object(metadata.value)?;
        while let Some(entry) = walk.next()? {
            let Some(key) = text(entry.key) else {
                return Err(ScanError::Syntax);
            };
            match key.as_ref() {
                "name" => self.name = text(entry.value).ok_or(ScanError::Unexpected("name"))?,
                "namespace" => {
                    self.namespace = text(entry.value).ok_or(ScanError::Unexpected("namespace"))?;
                }
                "uid" => self.uid = text(entry.value).ok_or(ScanError::Unexpected("uid"))?,
                "labels" if entry.value != b"null" => {
                    self.labelled = has_key(entry.value, label_key)?;
                }
                "annotations" => {
                    if matches!(self.place, Place::Annotations(_)) {
                        return Err(ScanError::Twice("annotations"));
                    }
                    let Range { start: from, end: to } = entry.value_range;
                    self.place = Place::Annotations(start + from..start + to);
                    self.annotations(entry.value, show_state)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn annotations(&mut self, annotations: &'a [u8], show_state: bool) -> Result<(), ScanError> {
        if annotations == b"null" {
            return Ok(());
        }
        let mut walk = Walk::object(annotations)?;
        while let Some(entry) = walk.next()? {
            let Some(key) = text(entry.key) else {
                return Err(ScanError::Syntax);
            };
            let state = STATE.into_iter().find(|state| *state == key);
            if let (Some(state), Some(value)) = (state, text(entry.value)) {
                self.state.push((state, value));
            }
            if key != CLUSTER && (show_state || state.is_none()) {
                self.kept.push(entry.whole);
            }
        }
        Ok(())
    }
}

/// The annotation that names an item's member, as a member of an object.
pub(super) fn origin(cluster: &str) -> Vec<u8> {
    format!("{}:{}", quoted(CLUSTER), quoted(cluster)).into_bytes()
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn has_key(object: &[u8], key: &str) -> Result<bool, ScanError> {
    let mut walk = Walk::object(object)?;
    while let Some(entry) = walk.next()? {
        if entry.is(key) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes `item` with `parts` as the first member of the object that starts at `brace`.
fn put_first(item: &[u8], brace: usize, parts: &[&[u8]], out: &mut BytesMut) {
    let (head, rest) = item.split_at_checked(brace + 1).unwrap_or((item, &[]));
    out.put_slice(head);
    for part in parts {
        out.put_slice(part);
    }
    if rest.iter().copied().find(|byte| !is_space(*byte)) != Some(b'}') {
        out.put_slice(b",");
    }
    out.put_slice(rest);
}
