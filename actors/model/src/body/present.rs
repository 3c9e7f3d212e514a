//! Merged versions in bodies that go to one member (`reads.md`, Coming back).

use bytes::Bytes;
use prost::DecodeError;
use serde_json::Value;

use super::wire::{self, Edit};
use super::{Encoding, PatchKind, protobuf, tree};
use crate::resource_version::{COMPONENT_DIGITS, ResourceVersion, VersionSpace};
use crate::status::Status;

/// Where a body demands a version.
const DEMANDS: [&str; 3] = [
    "/metadata/resourceVersion",
    "/preconditions/resourceVersion",
    "/deleteOptions/preconditions/resourceVersion",
];

/// The copy that a body is for, as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// What merged versions are made of.
    pub space: &'a VersionSpace,
    /// The slot of its member.
    pub slot: Option<usize>,
    /// Its version.
    pub version: u64,
}

/// Whether a body may demand a version that a merged answer carried: there is a number of more digits
/// than a member's own has.
pub fn may_demand_merged(body: &[u8]) -> bool {
    body.chunk_by(|one, next| one.is_ascii_digit() && next.is_ascii_digit())
        .any(|run| run.len() > COMPONENT_DIGITS)
}

// === impl Present ===

impl Present<'_> {
    /// Puts the copy's own version where a body demands a merged one; `None` where it demands none.
    ///
    /// What cannot be read is left to the member to refuse.
    ///
    /// # Errors
    /// 409 where the copy has changed since the client saw it.
    pub fn demanded(
        &self,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Option<Bytes>, Status> {
        if !may_demand_merged(body) {
            return Ok(None);
        }
        let encoding = match (Encoding::of(content_type), PatchKind::of(content_type)) {
            (Ok(encoding), _) => encoding,
            (Err(_), Ok(PatchKind::Json)) => return self.in_json_patch(body),
            (Err(_), Ok(PatchKind::Apply)) => Encoding::Yaml,
            (Err(_), Ok(PatchKind::Merge | PatchKind::Strategic)) => Encoding::Json,
            (Err(_), Err(_)) => return Ok(None),
        };
        if encoding == Encoding::Protobuf {
            return self.in_protobuf(body);
        }
        let Ok(tree) = tree::decode(encoding, body) else { return Ok(None) };
        let mut tree = Value::Object(tree);
        for demand in DEMANDS {
            if let Some(value) = tree.pointer_mut(demand) {
                self.put(value)?;
            }
        }
        // JSON is YAML too, so the media type stays true.
        Ok(Some(Bytes::from(tree.to_string())))
    }

    fn in_json_patch(&self, body: &[u8]) -> Result<Option<Bytes>, Status> {
        let Ok(mut operations) = serde_json::from_slice::<Vec<Value>>(body) else {
            return Ok(None);
        };
        for operation in &mut operations {
            if operation.get("path").and_then(Value::as_str) == DEMANDS.first().copied()
                && let Some(value) = operation.get_mut("value")
            {
                self.put(value)?;
            }
        }
        Ok(Some(Bytes::from(Value::from(operations).to_string())))
    }

    /// Objects have their version in field 6 of their metadata, the first field; `DeleteOptions` in field
    /// 2 of their preconditions, the second.
    fn in_protobuf(&self, body: &[u8]) -> Result<Option<Bytes>, Status> {
        let Ok(envelope) = protobuf::Envelope::open(body) else { return Ok(None) };
        let mut refused = None;
        let raw = wire::rewrite(&envelope.raw, |field, content| {
            let wanted = match field {
                1 => 6,
                2 => 2,
                _ => return Ok(Edit::Keep),
            };
            let Some(message) = content else { return Ok(Edit::Keep) };
            let edited = self.in_message(message, wanted, &mut refused);
            // A specification, say, in the place of preconditions.
            Ok(edited.map_or(Edit::Keep, Edit::Become))
        });
        match (raw, refused) {
            (_, Some(status)) => Err(status),
            (Ok(raw), None) => Ok(Some(envelope.seal(&raw).bytes)),
            (Err(_), None) => Ok(None),
        }
    }

    fn in_message(
        &self,
        message: &[u8],
        wanted: u32,
        refused: &mut Option<Status>,
    ) -> Result<Vec<u8>, DecodeError> {
        wire::rewrite(message, |field, content| {
            let text = content.filter(|_| field == wanted).and_then(|it| str::from_utf8(it).ok());
            Ok(match text.map(|text| self.of(text)) {
                Some(Ok(Some(version))) => Edit::Become(version.into_bytes()),
                Some(Err(status)) => {
                    *refused = Some(status);
                    Edit::Keep
                }
                Some(Ok(None)) | None => Edit::Keep,
            })
        })
    }

    fn put(&self, value: &mut Value) -> Result<(), Status> {
        if let Some(version) = value.as_str().map(|text| self.of(text)).transpose()?.flatten() {
            *value = Value::from(version);
        }
        Ok(())
    }

    /// The copy's own version for a merged one.
    fn of(&self, text: &str) -> Result<Option<String>, Status> {
        let Ok(ResourceVersion::Composite(seen)) = ResourceVersion::parse(text) else {
            return Ok(None);
        };
        if seen.epoch() == self.space.epoch() && seen.admits(self.slot, self.version) {
            return Ok(Some(self.version.to_string()));
        }
        Err(Status::modified())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::ids::ClusterName;

    fn space() -> VersionSpace {
        let names = ["tokyo", "osaka"].map(|name| ClusterName::new(name).unwrap());
        VersionSpace::new(NonZeroU64::new(7).unwrap(), names.to_vec()).unwrap()
    }

    /// What a client holds of an object of osaka with version 50: told when osaka had come to `seen`.
    fn merged(own: u64, seen: u64) -> String {
        let space = space();
        space.compose_for(own, [(&space.slots()[0], 9), (&space.slots()[1], seen)])
    }

    /// A body for osaka's copy of version 50.
    fn demanded(content_type: &str, body: &str) -> Result<Option<String>, u16> {
        let space = space();
        let present = Present { space: &space, slot: Some(1), version: 50 };
        let demanded = present.demanded(Some(content_type), body.as_bytes());
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        demanded.map(|body| body.map(text)).map_err(|status| status.code)
    }

    #[test]
    fn a_merged_version_becomes_the_copys_own_in_every_kind_of_body() {
        let version = merged(50, 1);
        for (content_type, body) in [
            ("application/json", r#"{"a":1.5,"metadata":{"resourceVersion":"@"}}"#),
            ("application/json", r#"{"preconditions":{"resourceVersion":"@"}}"#),
            (
                "application/json",
                r#"{"metadata":{},"deleteOptions":{"preconditions":{"resourceVersion":"@"}}}"#,
            ),
            ("application/merge-patch+json", r#"{"metadata":{"resourceVersion":"@"}}"#),
            (
                "application/json-patch+json",
                r#"[{"op":"test","path":"/metadata/resourceVersion","value":"@"}]"#,
            ),
        ] {
            let answer = demanded(content_type, &body.replace('@', &version));
            assert_eq!(answer, Ok(Some(body.replace('@', "50"))), "{content_type}");
        }
    }

    #[test]
    fn who_saw_the_copy_as_it_is_may_write_it_and_nobody_else() {
        let of = |own, seen| {
            let body = format!(r#"{{"metadata":{{"resourceVersion":"{}"}}}}"#, merged(own, seen));
            demanded("application/json", &body).map(|body| body.is_some())
        };
        assert_eq!(of(50, 1), Ok(true), "told from a list");
        assert_eq!(of(50, 60), Ok(true), "told by an event");
        assert_eq!(of(0, 50), Ok(true), "told by a fold");
        assert_eq!(of(49, 49), Err(409), "changed since");
        assert_eq!(of(49, 1), Err(409), "changed since it was listed");
    }

    #[test]
    fn other_bodies_are_left_alone() {
        let plain = r#"{"metadata":{"resourceVersion":"50"}}"#;
        assert_eq!(demanded("application/json", plain), Ok(None));
        assert_eq!(demanded("text/plain", &merged(50, 1)), Ok(None));
    }

    #[test]
    fn versions_in_protobuf_become_the_copys_own() {
        let metadata = |version: &str| {
            let mut metadata = Vec::new();
            wire::append(&mut metadata, 1, b"web");
            wire::append(&mut metadata, 6, version.as_bytes());
            let mut raw = Vec::new();
            wire::append(&mut raw, 1, &metadata);
            wire::append(&mut raw, 2, b"a specification");
            let envelope = protobuf::Envelope { others: Vec::new(), raw: Vec::new() };
            envelope.seal(&raw).bytes
        };
        let space = space();
        let present = Present { space: &space, slot: Some(1), version: 50 };
        let of = |version: &str| {
            present.demanded(Some("application/vnd.kubernetes.protobuf"), &metadata(version))
        };
        assert_eq!(of(&merged(50, 1)), Ok(Some(metadata("50"))));
        assert_eq!(of(&merged(49, 1)).unwrap_err().code, 409);
        assert_eq!(of("50"), Ok(None));
    }
}
