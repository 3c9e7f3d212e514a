//! An item's key and marks, and how its annotations are edited in place.

use std::borrow::Cow;
use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::ScanError;
use super::walk::{Entry, Walk, is_space, text};
use crate::managed::{CLUSTER, Mark, STATE};
use crate::resource_version::ResourceVersion;

/// What a merge has to know of one item; the scan ends behind the item's metadata.
#[derive(Debug)]
pub(crate) struct Outline<'a> {
    /// `metadata.namespace`, empty where there is none.
    pub(crate) namespace: Cow<'a, str>,
    /// `metadata.name`, empty where there is none.
    pub(crate) name: Cow<'a, str>,
    /// `metadata.uid`, empty where there is none.
    pub(crate) uid: Cow<'a, str>,
    /// Where the value of `metadata.resourceVersion` stands in the item, its quotes included.
    pub(crate) version: Option<Range<usize>>,
    /// The raw value of `metadata.labels`, empty where there is none.
    pub(crate) labels: &'a [u8],
    /// The raw value of `metadata.ownerReferences`, empty where there is none.
    pub(crate) owners: &'a [u8],
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
    pub(crate) fn read(
        item: &'a [u8],
        label_key: &str,
        show_state: bool,
    ) -> Result<Self, ScanError> {
        let mut outline = Self {
            namespace: Cow::Borrowed(""),
            name: Cow::Borrowed(""),
            uid: Cow::Borrowed(""),
            version: None,
            labels: &[],
            owners: &[],
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
    pub(crate) fn mark(&self) -> Option<Mark> {
        Mark::read(self.labelled, |key| {
            self.state.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_ref())
        })
    }

    /// The item's own version, where it is one member's number.
    pub(crate) fn version(&self, item: &[u8]) -> Option<u64> {
        match ResourceVersion::parse(&text(item.get(self.version.clone()?)?)?) {
            Ok(ResourceVersion::Bare(version)) => Some(version),
            Ok(_) | Err(_) => None,
        }
    }

    /// Writes `item` with `origin`, a whole member of an object, as its first annotation.
    pub(super) fn write(&self, item: &[u8], origin: &[u8], out: &mut BytesMut) {
        self.write_part(item, 0..item.len(), origin, out);
    }

    /// Writes `item` as [`Self::write`] does, with `version`, a JSON string, in the place of its own.
    pub(crate) fn write_at(&self, item: &[u8], origin: &[u8], version: &[u8], out: &mut BytesMut) {
        let Some(Range { start, end }) = self.version.clone() else {
            return self.write(item, origin, out);
        };
        let (before, after) = (0..start, end..item.len());
        if start < self.place.start() {
            out.put_slice(item.get(before).unwrap_or_default());
            out.put_slice(version);
            self.write_part(item, after, origin, out);
        } else {
            self.write_part(item, before, origin, out);
            out.put_slice(version);
            out.put_slice(item.get(after).unwrap_or_default());
        }
    }

    /// Writes a part of `item` in which the place of the annotations is.
    fn write_part(&self, item: &[u8], part: Range<usize>, origin: &[u8], out: &mut BytesMut) {
        let whole = item.get(..part.end).unwrap_or_default();
        let (first, rest, open, close): (usize, usize, &[u8], &[u8]) = match &self.place {
            Place::Annotations(range) => (range.start, range.end, b"{", b"}"),
            Place::Metadata(range) => {
                (range.start + 1, range.start + 1, b"\"annotations\":{", b"}")
            }
            Place::NullMetadata(range) => (range.start, range.end, b"{\"annotations\":{", b"}}"),
            Place::Item => (1, 1, b"\"metadata\":{\"annotations\":{", b"}}"),
        };
        out.put_slice(whole.get(part.start..first).unwrap_or_default());
        out.put_slice(open);
        out.put_slice(origin);
        if let Place::Annotations(_) = self.place {
            for kept in &self.kept {
                out.put_slice(b",");
                out.put_slice(kept);
            }
        }
        out.put_slice(close);
        if first == rest && !is_last(item, rest) {
            out.put_slice(b",");
        }
        out.put_slice(whole.get(rest..).unwrap_or_default());
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
                "resourceVersion" => {
                    let Range { start: from, end: to } = entry.value_range;
                    self.version = Some(start + from..start + to);
                }
                "ownerReferences" => self.owners = entry.value,
                "labels" if entry.value != b"null" => {
                    self.labels = entry.value;
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
pub(crate) fn origin(cluster: &str) -> Vec<u8> {
    format!("{}:{}", quoted(CLUSTER), quoted(cluster)).into_bytes()
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
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

/// Whether the object that is open at `at` ends there.
fn is_last(item: &[u8], at: usize) -> bool {
    let rest = item.get(at..).unwrap_or_default();
    rest.iter().copied().find(|byte| !is_space(*byte)) == Some(b'}')
}

// === impl Place ===

impl Place {
    /// Where the annotations begin.
    fn start(&self) -> usize {
        match self {
            Self::Annotations(range) | Self::Metadata(range) | Self::NullMetadata(range) => {
                range.start
            }
            Self::Item => 0,
        }
    }
}
