//! Finds the items of one list or Table in its bytes, as they arrive.

use bytes::{Buf, Bytes, BytesMut};

use super::ScanError;
use super::skip::Skip;
use super::walk::{is_space, text};

/// A scanner of one document, `{…,"items":[…],…}` or `{…,"rows":[…],…}`.
///
/// Any chunking of the same bytes gives the same pieces, each byte is scanned once, and at most
/// one value is buffered beyond what was pushed and not asked for.
#[derive(Debug)]
pub struct ListScanner {
    buffer: BytesMut,
    skip: Skip,
    key: Option<String>,
    expect: Expect,
    seen_items: bool,
    max_value_bytes: usize,
}

/// What a list is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A member of the document other than its items.
    Field {
        /// The key.
        name: String,
        /// The value, a whole JSON value without the space around it.
        value: Bytes,
    },
    /// Items follow.
    ItemsStart(Shape),
    /// One item or row, exactly as it stands.
    Item(Bytes),
    /// There are no more items; fields may follow.
    ItemsEnd,
    /// The document is whole.
    End,
}

/// The two shapes of a list.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Objects under `items`.
    #[default]
    List,
    /// Rows under `rows`.
    Table,
}

#[derive(Debug, Clone, Copy)]
enum Expect {
    Document,
    KeyOrEnd,
    Key,
    Colon,
    Value,
    CommaOrEnd,
    ItemOrClose,
    Item,
    CommaOrClose,
    CloseOfNothing,
    Nothing,
}

// === impl ListScanner ===

impl ListScanner {
    /// Makes a scanner that refuses keys, values and items of more than `max_value_bytes`.
    pub fn new(max_value_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            skip: Skip::default(),
            key: None,
            expect: Expect::Document,
            seen_items: false,
            max_value_bytes,
        }
    }

    /// Takes the next bytes of the document.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that were pushed and not looked at yet.
    pub fn unscanned(&self) -> usize {
        self.buffer.len().saturating_sub(self.skip.position())
    }

    /// The next piece; `None` asks for more bytes.
    ///
    /// After an error the scanner must not be used.
    pub fn next_piece(&mut self) -> Result<Option<Piece>, ScanError> {
        loop {
            self.pass_space();
            let Some(&byte) = self.buffer.first() else {
                return Ok(None);
            };
            let step = match self.expect {
                Expect::Key | Expect::Value | Expect::Item => {
                    let Some(value) = self.value(byte)? else {
                        return Ok(None);
                    };
                    self.on_value(value)?
                }
                _ => self.on_byte(byte)?,
            };
            if step.is_some() {
                return Ok(step);
            }
        }
    }

    /// Checks that the document is whole once all bytes were pushed and all pieces taken.
    pub fn finish(&self) -> Result<(), ScanError> {
        match self.expect {
            Expect::Nothing if self.buffer.iter().copied().all(is_space) => Ok(()),
            Expect::Nothing => Err(ScanError::Trailing),
            _ => Err(ScanError::Truncated),
        }
    }

    /// Punctuation: what is expected decides what a byte means.
    fn on_byte(&mut self, byte: u8) -> Result<Option<Piece>, ScanError> {
        let (expect, piece) = match (self.expect, byte) {
            (Expect::Document, b'{') => (Expect::KeyOrEnd, None),
            (Expect::Document, b'[' | b'"') => return Err(ScanError::Unexpected("document")),
            (Expect::KeyOrEnd | Expect::CommaOrEnd, b'}') => (Expect::Nothing, Some(Piece::End)),
            (Expect::KeyOrEnd, b'"') => {
                self.expect = Expect::Key;
                return Ok(None);
            }
            (Expect::Colon, b':') => (Expect::Value, None),
            (Expect::CommaOrEnd, b',') => (Expect::Key, None),
            (Expect::ItemOrClose | Expect::CommaOrClose, b']') => {
                (Expect::CommaOrEnd, Some(Piece::ItemsEnd))
            }
            (Expect::ItemOrClose, _) => {
                self.expect = Expect::Item;
                return Ok(None);
            }
            (Expect::CommaOrClose, b',') => (Expect::Item, None),
            (Expect::CloseOfNothing, _) => {
                self.expect = Expect::CommaOrEnd;
                return Ok(Some(Piece::ItemsEnd));
            }
            (Expect::Nothing, _) => return Err(ScanError::Trailing),
            _ => return Err(ScanError::Syntax),
        };
        self.buffer.advance(1);
        self.expect = expect;
        Ok(piece)
    }

    /// Takes one whole value; at the value of `items`, only its opening bracket.
    fn value(&mut self, first: u8) -> Result<Option<Bytes>, ScanError> {
        let opens = matches!(self.expect, Expect::Value) && first == b'[';
        if opens && self.shape().is_some() {
            return Ok(Some(self.buffer.split_to(1).freeze()));
        }
        if matches!(self.expect, Expect::Key) && first != b'"' {
            return Err(ScanError::Syntax);
        }
        let end = self.skip.advance(&self.buffer)?;
        if end.unwrap_or(self.skip.position()) > self.max_value_bytes {
            return Err(ScanError::TooLarge(self.max_value_bytes));
        }
        let Some(end) = end else { return Ok(None) };
        self.skip.reset();
        Ok(Some(self.buffer.split_to(end).freeze()))
    }

    fn on_value(&mut self, value: Bytes) -> Result<Option<Piece>, ScanError> {
        match self.expect {
            Expect::Item => {
                self.expect = Expect::CommaOrClose;
                return Ok(Some(Piece::Item(value)));
            }
            Expect::Key => {
                self.key = Some(text(&value).ok_or(ScanError::Syntax)?.into_owned());
                self.expect = Expect::Colon;
                return Ok(None);
            }
            _ => {}
        }
        let Some(shape) = self.shape() else {
            self.expect = Expect::CommaOrEnd;
            let name = self.key.take().unwrap_or_default();
            return Ok(Some(Piece::Field { name, value }));
        };
        if std::mem::replace(&mut self.seen_items, true) {
            return Err(ScanError::Twice("items"));
        }
        self.expect = match &*value {
            b"[" => Expect::ItemOrClose,
            b"null" => Expect::CloseOfNothing,
            _ => return Err(ScanError::Unexpected("items")),
        };
        Ok(Some(Piece::ItemsStart(shape)))
    }

    fn shape(&self) -> Option<Shape> {
        match self.key.as_deref() {
            Some("items") => Some(Shape::List),
            Some("rows") => Some(Shape::Table),
            _ => None,
        }
    }

    /// Drops the space before a token; inside a value there is none to drop.
    fn pass_space(&mut self) {
        if self.skip.position() == 0 {
            let length = self.buffer.iter().position(|byte| !is_space(*byte));
            self.buffer.advance(length.unwrap_or(self.buffer.len()));
        }
    }
}
