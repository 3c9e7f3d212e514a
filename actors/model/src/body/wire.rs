//! Protobuf messages as they are on the wire: fields left out or replaced, the rest copied through.

use prost::DecodeError;
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, encode_key, encode_varint,
    skip_field,
};

/// What becomes of one field.
pub(super) enum Edit {
    /// Its bytes are copied, unread.
    Keep,
    /// It is left out.
    Drop,
    /// A message or text gets another content; a number is copied.
    Become(Vec<u8>),
}

/// Copies `message` field by field.
///
/// `edit` sees the number of each field and the content of messages, texts and bytes; of numbers
/// `None`, so that a known field of a wrong wire type can be told. A field may come more than once, as protobuf allows: `edit` then sees each.
pub(super) fn rewrite(
    message: &[u8],
    mut edit: impl FnMut(u32, Option<&[u8]>) -> Result<Edit, DecodeError>,
) -> Result<Vec<u8>, DecodeError> {
    let mut rest = message;
    let mut written = Vec::with_capacity(message.len() + 256);
    while !rest.is_empty() {
        let field = rest;
        let (number, wire_type) = decode_key(&mut rest)?;
        let mut after = rest;
        skip_field(wire_type, number, &mut after, DecodeContext::default())?;
        let mut content = None;
        if wire_type == WireType::LengthDelimited {
            decode_varint(&mut rest)?;
            content = Some(head(rest, after));
        }
        match edit(number, content)? {
            Edit::Become(content) if wire_type == WireType::LengthDelimited => {
                append(&mut written, number, &content);
            }
            Edit::Keep | Edit::Become(_) => written.extend_from_slice(head(field, after)),
            Edit::Drop => {}
        }
        rest = after;
    }
    Ok(written)
}

/// The content of a field that must not be a number.
pub(super) fn content(of: Option<&[u8]>) -> Result<&[u8], DecodeError> {
    match of {
        Some(content) => Ok(content),
        None => check_wire_type(WireType::LengthDelimited, WireType::Varint).map(|()| &[][..]),
    }
}

/// Appends a message, a text or bytes as field `number`.
pub(super) fn append(message: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

/// What `bytes` has before its own tail `after`.
fn head<'a>(bytes: &'a [u8], after: &[u8]) -> &'a [u8] {
    bytes.len().checked_sub(after.len()).and_then(|end| bytes.get(..end)).unwrap_or_default()
}
