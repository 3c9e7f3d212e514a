//! What a line of a member's watch says.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};

use crate::list::ScanError;
use crate::list::walk::{Walk, text};
use crate::resource_version::ResourceVersion;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    Added,
    Modified,
    Deleted,
}

/// The kind and group version of what is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypeMeta {
    pub(super) kind: String,
    pub(super) api_version: String,
}

/// One line, read.
#[derive(Debug)]
pub(super) enum Told {
    /// Something happened to an object.
    Object { kind: EventKind, object: Bytes },
    /// Something happened to the objects of these rows.
    Rows { kind: EventKind, rows: Vec<Bytes>, columns: Option<Bytes>, api_version: String },
    /// Nothing happened up to this version.
    Bookmark { version: Option<u64>, names: TypeMeta },
    /// The watch ends with a status of this code.
    Error(u16),
}

/// Cuts what arrives into lines; an event is a line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// How far no end of a line was found.
    looked: usize,
}

// === impl TypeMeta ===

impl TypeMeta {
    /// What an object says that it is, in front of its metadata.
    pub(super) fn of(object: &[u8]) -> Result<Self, ScanError> {
        let mut names = Self::default();
        let mut walk = Walk::object(object)?;
        while let Some(entry) = walk.next()? {
            let owned = || text(entry.value).map(Cow::into_owned).unwrap_or_default();
            if entry.is("kind") {
                names.kind = owned();
            } else if entry.is("apiVersion") {
                names.api_version = owned();
            } else if entry.is("metadata") {
                break;
            }
        }
        Ok(names)
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes of lines that were not taken.
    pub(super) fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The next line that is whole and not empty.
    pub(super) fn next(&mut self, limit: usize) -> Result<Option<Bytes>, ScanError> {
        loop {
            let fresh = self.buffer.get(self.looked..).unwrap_or_default();
            let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
                self.looked = self.buffer.len();
                let too_large = self.looked > limit;
                return if too_large { Err(ScanError::TooLarge(limit)) } else { Ok(None) };
            };
            let line = self.buffer.split_to(self.looked + end + 1).freeze();
            self.looked = 0;
            let line = line.slice_ref(line.trim_ascii());
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }
}

// === impl Told ===

impl Told {
    /// Reads a line.
    pub(super) fn read(line: &Bytes) -> Result<Self, ScanError> {
        let (mut kind, mut object) = (None, None);
        let mut walk = Walk::object(line)?;
        while let Some(entry) = walk.next()? {
            if entry.is("type") {
                kind = text(entry.value);
            } else if entry.is("object") {
                object = Some(line.slice(entry.value_range));
            }
        }
        let object = object.ok_or(ScanError::Unexpected("event without an object"))?;
        match kind.as_deref() {
            Some("ADDED") => Self::changed(EventKind::Added, object),
            Some("MODIFIED") => Self::changed(EventKind::Modified, object),
            Some("DELETED") => Self::changed(EventKind::Deleted, object),
            Some("BOOKMARK") => bookmark(&object),
            Some("ERROR") => Ok(Self::Error(code(&object)?)),
            _ => Err(ScanError::Unexpected("type of event")),
        }
    }

    fn changed(kind: EventKind, object: Bytes) -> Result<Self, ScanError> {
        let table = Table::read(&object)?;
        Ok(match table {
            Some(Table { rows, columns, api_version }) => {
                Self::Rows { kind, rows, columns, api_version }
            }
            None => Self::Object { kind, object },
        })
    }
}

/// The Table of an event.
struct Table {
    rows: Vec<Bytes>,
    columns: Option<Bytes>,
    api_version: String,
}

// === impl Table ===

impl Table {
    /// Reads a Table; `None` where the object is something else, which its kind tells at once.
    fn read(object: &Bytes) -> Result<Option<Self>, ScanError> {
        let (mut rows, mut columns, mut api_version) = (Vec::new(), None, String::new());
        let mut walk = Walk::object(object)?;
        while let Some(entry) = walk.next()? {
            // What is no Table is known by its first fields, and need not be walked through.
            let other_kind = entry.is("kind") && entry.value != b"\"Table\"";
            if other_kind || entry.is("metadata") && api_version.is_empty() {
                return Ok(None);
            }
            if entry.is("apiVersion") {
                api_version = text(entry.value).map(Cow::into_owned).unwrap_or_default();
                if !api_version.starts_with("meta.k8s.io/") {
                    return Ok(None);
                }
            } else if entry.is("columnDefinitions") && entry.value != b"null" {
                columns = Some(object.slice(entry.value_range));
            } else if entry.is("rows") && entry.value != b"null" {
                let start = entry.value_range.start;
                let mut elements = Walk::array(entry.value)?;
                while let Some(row) = elements.next()? {
                    let (from, to) = (row.value_range.start, row.value_range.end);
                    rows.push(object.slice(start + from..start + to));
                }
            }
        }
        Ok(Some(Self { rows, columns, api_version }))
    }
}

fn bookmark(object: &Bytes) -> Result<Told, ScanError> {
    let mut version = None;
    let mut walk = Walk::object(object)?;
    while let Some(entry) = walk.next()? {
        if entry.is("metadata") {
            version = version_of(entry.value)?;
        }
    }
    Ok(Told::Bookmark { version, names: TypeMeta::of(object)? })
}

/// The version in this metadata, where it is one member's number.
fn version_of(metadata: &[u8]) -> Result<Option<u64>, ScanError> {
    let mut walk = Walk::object(metadata)?;
    while let Some(entry) = walk.next()? {
        if entry.is("resourceVersion") {
            return Ok(match ResourceVersion::parse(&text(entry.value).unwrap_or_default()) {
                Ok(ResourceVersion::Bare(version)) => Some(version),
                Ok(_) | Err(_) => None,
            });
        }
    }
    Ok(None)
}

fn code(status: &[u8]) -> Result<u16, ScanError> {
    let mut walk = Walk::object(status)?;
    while let Some(entry) = walk.next()? {
        if entry.is("code") {
            let digits = std::str::from_utf8(entry.value).ok();
            return Ok(digits.and_then(|digits| digits.parse().ok()).unwrap_or(500));
        }
    }
    Ok(500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        match Told::read(&Bytes::copy_from_slice(line.as_bytes())) {
            Ok(Told::Object { kind, object }) => {
                format!("{kind:?} {}", String::from_utf8_lossy(&object))
            }
            Ok(Told::Rows { kind, rows, columns, .. }) => {
                let rows: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row)).collect();
                format!("{kind:?} {} {}", rows.join("|"), columns.is_some())
            }
            Ok(Told::Bookmark { version, names }) => format!("{version:?} {}", names.kind),
            Ok(Told::Error(code)) => code.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_kind_of_line_is_told_apart() {
        let pod = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}"#;
        assert_eq!(told(&format!(r#"{{"type":"ADDED","object":{pod}}}"#)), format!("Added {pod}"));
        let sorted = r#"{"apiVersion":"a/v1","kind":"A","metadata":{},"rows":[1]}"#;
        let line = format!(r#"{{"object":{sorted}, "type":"DELETED"}}"#);
        assert_eq!(told(&line), format!("Deleted {sorted}"));
        let table = r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"5"},"columnDefinitions":null,"rows":[{"cells":["a"]},{"cells":["b"]}]}"#;
        let line = format!(r#"{{"type":"MODIFIED","object":{table}}}"#);
        assert_eq!(told(&line), r#"Modified {"cells":["a"]}|{"cells":["b"]} false"#);
        let line = format!(r#"{{"type":"BOOKMARK","object":{table}}}"#);
        assert_eq!(told(&line), "Some(5) Table");
        let line = r#"{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410}}"#;
        assert_eq!(told(line), "410");
        assert_eq!(told(r#"{"type":"ODD","object":{}}"#), "not a list: unexpected type of event");
        assert_eq!(told("{"), "not JSON");
    }

    #[test]
    fn lines_are_found_in_any_chunking() {
        let mut lines = Lines::default();
        for byte in b"ab\n\n c\n" {
            lines.push(&[*byte]);
        }
        lines.push(b"rest");
        assert_eq!(lines.next(9).unwrap().unwrap(), "ab");
        assert_eq!(lines.next(9).unwrap().unwrap(), "c");
        assert_eq!(lines.next(9), Ok(None));
        assert_eq!(lines.next(3), Err(ScanError::TooLarge(3)));
    }
}
