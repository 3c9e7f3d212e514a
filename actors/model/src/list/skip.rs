//! Finds where a JSON value ends, whatever chunks its bytes come in.

use memchr::memchr2;

use super::ScanError;

/// Strings of lists are mostly shorter: to look here costs less than to call memchr.
const SHORT: usize = 32;
/// In each byte of a word, its lowest bit, and its highest.
const LOWEST: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);

/// How deep the values of a list may be nested; real objects stay below 100.
pub const MAX_DEPTH: usize = 512;

/// A walk over one value: strings and brackets are understood, the rest only passed over.
#[derive(Debug, Default)]
pub(super) struct Skip {
    /// How many brackets are open.
    depth: usize,
    /// One bit for each open bracket, outermost first: whether it is a brace.
    braces: [u64; MAX_DEPTH / 64],
    inside: Inside,
    /// The bytes of the value that were passed.
    position: usize,
}

#[derive(Debug, Default, Clone, Copy)]
enum Inside {
    #[default]
    Nothing,
    Text,
    Escape,
    Scalar,
    Container,
}

// === impl Skip ===

impl Skip {
    /// Goes on in `bytes`, which start where the value starts; `Some` is where it ends.
    ///
    /// No byte is looked at twice. Call [`Skip::reset`] before the next value.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, ScanError> {
        while let Some((&first, _)) = bytes.get(self.position..).and_then(<[u8]>::split_first) {
            let ended = match self.inside {
                Inside::Nothing => self.start(first)?,
                Inside::Text => self.text(bytes),
                Inside::Escape => {
                    self.position += 1;
                    self.inside = Inside::Text;
                    false
                }
                Inside::Scalar => self.scalar(bytes),
                Inside::Container => self.container(bytes)?,
            };
            if ended {
                return Ok(Some(self.position));
            }
        }
        Ok(None)
    }

    /// The bytes of the value that were passed.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Makes ready for the next value.
    pub(super) fn reset(&mut self) {
        self.depth = 0;
        self.inside = Inside::Nothing;
        self.position = 0;
    }

    fn start(&mut self, first: u8) -> Result<bool, ScanError> {
        self.inside = match first {
            b'"' => Inside::Text,
            b'{' | b'[' => {
                self.open(first)?;
                Inside::Container
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Inside::Scalar,
            _ => return Err(ScanError::Syntax),
        };
        self.position += 1;
        Ok(false)
    }

    fn text(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes.get(self.position..).unwrap_or_default();
        let Some(length) = quote_or_escape(rest) else {
            self.position = bytes.len();
            return false;
        };
        self.position += length + 1;
        if rest.get(length) == Some(&b'\\') {
            self.inside = Inside::Escape;
            return false;
        }
        self.inside = Inside::Container;
        self.depth == 0
    }

    fn scalar(&mut self, bytes: &[u8]) -> bool {
        let rest = bytes.get(self.position..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
        self.position += length.unwrap_or(rest.len());
        length.is_some()
    }

    /// Goes through brackets and, where they end in `bytes` and escape nothing, the strings between.
    fn container(&mut self, bytes: &[u8]) -> Result<bool, ScanError> {
        let mut at = self.position;
        while let Some(&byte) = bytes.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    match quote_or_escape(rest) {
                        Some(length) if rest.get(length) == Some(&b'"') => at += length + 1,
                        _ => {
                            self.inside = Inside::Text;
                            self.position = at;
                            return Ok(false);
                        }
                    }
                }
                b'{' | b'[' => self.open(byte)?,
                b'}' | b']' => {
                    self.close(byte)?;
                    if self.depth == 0 {
                        self.position = at;
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
        self.position = at;
        Ok(false)
    }

    fn open(&mut self, bracket: u8) -> Result<(), ScanError> {
        let word = self.braces.get_mut(self.depth / 64).ok_or(ScanError::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *word = if bracket == b'{' { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), ScanError> {
        self.depth = self.depth.checked_sub(1).ok_or(ScanError::Syntax)?;
        let word = self.braces.get(self.depth / 64).copied().unwrap_or_default();
        let brace = word & (1 << (self.depth % 64)) != 0;
        if brace == (bracket == b'}') { Ok(()) } else { Err(ScanError::Syntax) }
    }
}

/// Where the first `"` or `\` is.
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let (true, Some(word)) = (at < SHORT, bytes.get(at..).and_then(<[u8]>::first_chunk)) {
        let word = u64::from_le_bytes(*word);
        let found =
            zeros(word ^ (LOWEST * u64::from(b'"'))) | zeros(word ^ (LOWEST * u64::from(b'\\')));
        if found != 0 {
            return usize::try_from(found.trailing_zeros() / 8).ok().map(|place| at + place);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', bytes.get(at..)?).map(|place| at + place)
}

/// The highest bit of each byte that is zero; above the first of these, other bits may be set too.
///
/// Source: Mycroft's test, as in Warren, Hacker's Delight, section 6-1.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOWEST) & !word & HIGHEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_quote_or_escape_is_found_wherever_it_is(
            bytes in prop::collection::vec(
                prop_oneof![20 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 2 => Just(b'#')],
                0..100,
            ),
        ) {
            let naive = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_escape(&bytes), naive);
        }
    }
}
