//! Bodies that pass to one member as they are, but for what only tenbin may write.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Encoding, PatchKind, protobuf, tree};
use crate::managed::is_state;

/// Takes tenbin's own annotations out of a body that is passed to one member.
///
/// Every item read carries `tenbin/cluster`, so `get -o yaml | apply` sends it back. `None` where
/// nothing is to be taken out; what cannot be read is left to the member to refuse. What could hide
/// such an annotation (an escape, any YAML) is written anew as it was read, so that the member reads
/// the same.
pub fn strip_state(content_type: Option<&str>, body: &[u8]) -> Option<Bytes> {
    if PatchKind::of(content_type).is_ok_and(|kind| kind == PatchKind::Json) {
        return may_mention(body).then(|| strip_json_patch(body)).flatten();
    }
    let encoding = match (Encoding::of(content_type), PatchKind::of(content_type)) {
        (Ok(encoding), _) => encoding,
        (Err(_), Ok(PatchKind::Merge | PatchKind::Strategic)) => Encoding::Json,
        (Err(_), Ok(PatchKind::Apply)) => Encoding::Yaml,
        (Err(_), Ok(PatchKind::Json) | Err(_)) => return None,
    };
    match encoding {
        Encoding::Protobuf => return protobuf::strip_state(body),
        Encoding::Json if !may_mention(body) => return None,
        Encoding::Json | Encoding::Yaml => {}
    }
    let mut tree = tree::decode(encoding, body).ok()?;
    if let Some(annotations) = annotations(&mut tree) {
        annotations.retain(|key, _| !is_state(key));
    }
    // JSON is YAML too, so the media type stays true.
    Some(Bytes::from(Value::Object(tree).to_string()))
}

/// Whether JSON can say `tenbin/`, in a JSON pointer `tenbin~1`, or either with escapes.
fn may_mention(json: &[u8]) -> bool {
    let mentions = |text: &[u8]| memchr::memmem::find(json, text).is_some();
    mentions(b"tenbin/") || mentions(b"tenbin~1") || json.contains(&b'\\')
}

/// Takes out operations on tenbin's own annotations, and those annotations out of values that
/// replace all of them.
fn strip_json_patch(body: &[u8]) -> Option<Bytes> {
    let mut operations: Vec<Value> = serde_json::from_slice(body).ok()?;
    let before = operations.clone();
    operations.retain(|operation| {
        let touches =
            |key| operation.get(key).and_then(Value::as_str).is_some_and(is_state_pointer);
        !touches("path") && !touches("from")
    });
    for operation in &mut operations {
        let depth = match operation.get("path").and_then(Value::as_str) {
            Some("") => "/metadata/annotations",
            Some("/metadata") => "/annotations",
            Some("/metadata/annotations") => "",
            Some(_) | None => continue,
        };
        let value = operation.get_mut("value").and_then(|value| value.pointer_mut(depth));
        if let Some(annotations) = value.and_then(Value::as_object_mut) {
            annotations.retain(|key, _| !is_state(key));
        }
    }
    (operations != before).then(|| Bytes::from(Value::Array(operations).to_string()))
}

fn is_state_pointer(pointer: &str) -> bool {
    let key = pointer.strip_prefix("/metadata/annotations/");
    key.is_some_and(|key| is_state(&key.replace("~1", "/").replace("~0", "~")))
}

fn annotations(tree: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    tree.get_mut("metadata")?.get_mut("annotations")?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_can_be_written_back() {
        let body = br#"{"metadata":{"annotations":{"tenbin/cluster":"osaka","tenbin/home":"x","tenbin/min":"1","a":"b"}}}"#;
        let stripped = strip_state(Some("application/json"), body).unwrap();
        assert_eq!(stripped, r#"{"metadata":{"annotations":{"tenbin/min":"1","a":"b"}}}"#);
        let yaml = b"metadata:\n  annotations:\n    tenbin/cluster: osaka\n";
        let stripped = strip_state(Some("application/apply-patch+yaml"), yaml).unwrap();
        assert_eq!(stripped, r#"{"metadata":{"annotations":{}}}"#);
    }

    #[test]
    fn a_json_patch_forges_nothing() {
        let patch = br#"[{"op":"add","path":"/metadata/annotations/tenbin~1home","value":"x"},
            {"op":"replace","path":"/metadata/annotations","value":{"tenbin/total":"9","a":"b"}},
            {"op":"remove","path":"/metadata/labels/tenbin~1x"}]"#;
        let stripped = strip_state(Some("application/json-patch+json"), patch).unwrap();
        assert_eq!(
            stripped,
            r#"[{"op":"replace","path":"/metadata/annotations","value":{"a":"b"}},{"op":"remove","path":"/metadata/labels/tenbin~1x"}]"#
        );
    }

    #[test]
    fn escapes_hide_nothing() {
        for body in [
            r#"{"metadata":{"annotations":{"tenbin\/home":"x"}}}"#,
            r#"{"metadata":{"annotations":{"tenbin\u002fhome":"x"}}}"#,
            r#"{"metadata":{"annotations":{"\u0074enbin/home":"x"}}}"#,
            r#"{"metadata":{"annotations":{"tenbin\/home":"x"}},"metadata":{"annotations":{}}}"#,
        ] {
            let stripped = strip_state(Some("application/json"), body.as_bytes()).unwrap();
            assert_eq!(stripped, r#"{"metadata":{"annotations":{}}}"#, "{body}");
        }
        let yaml = b"metadata:\n  annotations:\n    \"tenbin\\x2fhome\": osaka\n";
        let stripped = strip_state(Some("application/yaml"), yaml).unwrap();
        assert_eq!(stripped, r#"{"metadata":{"annotations":{}}}"#);
        let patch =
            br#"[{"op":"add","path":"/metadata/annotations/tenbin\u007e1home","value":"x"}]"#;
        assert_eq!(strip_state(Some("application/json-patch+json"), patch).unwrap(), "[]");
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        for body in [&b"{}"[..], b"tenbin/ garbage", br#"{"data":{"tenbin":"x"}}"#] {
            assert_eq!(strip_state(Some("application/json"), body), None);
        }
        let patch = br#"[{"op":"add","path":"/a","value":"\n"}]"#;
        assert_eq!(strip_state(Some("application/json-patch+json"), patch), None);
        let config = br#"{"data":{"a":"x\ny","tenbin/cluster":"x"}}"#;
        assert_eq!(strip_state(Some("application/json"), config).unwrap(), &config[..]);
    }
}
