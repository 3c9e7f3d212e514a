//! Walks over the members of one whole object, or the elements of one whole array.

use std::borrow::Cow;
use std::ops::Range;

use super::ScanError;
use super::skip::Skip;

/// A walk over the entries of a container whose bytes are all there.
pub(crate) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    close: u8,
    stage: Stage,
    skip: Skip,
}

#[derive(PartialEq, Eq)]
enum Stage {
    Fresh,
    Between,
    Done,
}

/// One member of an object, or one element of an array.
pub(crate) struct Entry<'a> {
    /// The key with its quotes; empty in an array.
    pub(crate) key: &'a [u8],
    /// The value without the space around it.
    pub(crate) value: &'a [u8],
    /// Where the value stands in the container.
    pub(crate) value_range: Range<usize>,
    /// Everything between the delimiters, space included.
    pub(crate) whole: &'a [u8],
}

// === impl Walk ===

impl<'a> Walk<'a> {
    /// Starts behind the brace of the object that `bytes` are.
    pub(crate) fn object(bytes: &'a [u8]) -> Result<Self, ScanError> {
        Self::new(bytes, b'{', b'}')
    }

    /// Starts behind the bracket of the array that `bytes` are.
    pub(crate) fn array(bytes: &'a [u8]) -> Result<Self, ScanError> {
        Self::new(bytes, b'[', b']')
    }

    /// The next entry; `None` is the end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'a>>, ScanError> {
        let start = self.at;
        self.pass_space();
        if self.stage == Stage::Fresh && self.peek() == Some(self.close) {
            self.stage = Stage::Done;
        }
        if self.stage == Stage::Done {
            return Ok(None);
        }
        let key = if self.close == b'}' { self.key()? } else { Range::default() };
        let value_range = self.value()?;
        self.pass_space();
        let end = self.at;
        self.stage = match self.peek() {
            Some(b',') => Stage::Between,
            Some(byte) if byte == self.close => Stage::Done,
            _ => return Err(ScanError::Syntax),
        };
        self.at += 1;
        Ok(Some(Entry {
            key: self.slice(key),
            value: self.slice(value_range.clone()),
            value_range,
            whole: self.slice(start..end),
        }))
    }

    fn new(bytes: &'a [u8], open: u8, close: u8) -> Result<Self, ScanError> {
        if bytes.first() != Some(&open) {
            return Err(ScanError::Syntax);
        }
        Ok(Self { bytes, at: 1, close, stage: Stage::Fresh, skip: Skip::default() })
    }

    fn key(&mut self) -> Result<Range<usize>, ScanError> {
        if self.peek() != Some(b'"') {
            return Err(ScanError::Syntax);
        }
        let key = self.value()?;
        self.pass_space();
        if self.peek() != Some(b':') {
            return Err(ScanError::Syntax);
        }
        self.at += 1;
        self.pass_space();
        Ok(key)
    }

    fn value(&mut self) -> Result<Range<usize>, ScanError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.skip.reset();
        let length = self.skip.advance(rest)?.ok_or(ScanError::Syntax)?;
        let start = self.at;
        self.at += length;
        Ok(start..self.at)
    }

    fn pass_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range).unwrap_or_default()
    }
}

// === impl Entry ===

impl Entry<'_> {
    /// Whether the key says `name`, however it is escaped.
    pub(crate) fn is(&self, name: &str) -> bool {
        text(self.key).is_some_and(|key| key == name)
    }
}

/// The space of JSON.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// What a string says; `None` where `raw` is not one.
pub(crate) fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice(raw).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}
