//! The mark of its member on a single object.

use bytes::{Bytes, BytesMut};

use super::ScanError;
use super::outline::{Outline, origin};
use crate::ids::ClusterName;

/// Writes the annotation `tenbin/cluster` into a JSON object, as a merge does with its items.
///
/// Tenbin's state annotations go; all other bytes stay.
pub fn annotate(object: &[u8], member: &ClusterName) -> Result<Bytes, ScanError> {
    let object = object.trim_ascii();
    let outline = Outline::read(object, "", false)?;
    let mut out = BytesMut::with_capacity(object.len() + 64);
    outline.write(object, &origin(member.as_str()), &mut out);
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_names_its_member_and_keeps_its_bytes() {
        let object = b"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"x\":1.0}\n";
        let osaka = ClusterName::new("osaka").unwrap();
        assert_eq!(
            annotate(object, &osaka).unwrap(),
            r#"{"kind":"Pod","metadata":{"annotations":{"tenbin/cluster":"osaka"},"name":"a"},"x":1.0}"#
        );
        assert!(annotate(b"[]", &osaka).is_err());
    }
}
