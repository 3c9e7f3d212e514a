//! Any bytes are a body that is stamped and read again, or an error, without a panic.
//!
//! The input is the object inside the envelope. A stamped body is one that can be stamped again.

use tenbin_model::body::{Body, BodyKind, Encoding, Stamp};
use tenbin_model::ids::ClusterName;
use tenbin_model::managed::Shares;

const KINDS: [BodyKind; 4] =
    [BodyKind::Deployment, BodyKind::StatefulSet, BodyKind::PersistentVolume, BodyKind::Other];

/// Holds the law for one input.
pub(crate) fn check(raw: &[u8]) {
    // runtime.Unknown with nothing but raw = 2, whose length is a varint.
    let mut bytes = b"k8s\0\x12".to_vec();
    let mut length = raw.len();
    while length > 0x7f {
        bytes.push(low_bits(length) | 0x80);
        length >>= 7;
    }
    bytes.push(low_bits(length));
    bytes.extend_from_slice(raw);
    for kind in KINDS {
        let Ok(body) = Body::parse(Encoding::Protobuf, kind, &bytes) else { continue };
        let Ok(encoded) = body.for_member(&stamp()) else { continue };
        let again = Body::parse(Encoding::Protobuf, kind, &encoded.bytes).unwrap();
        assert_eq!(again.summary().name, body.summary().name);
        if kind.is_split() {
            assert_eq!(again.summary().replicas, Some(3));
        }
    }
}

fn stamp() -> Stamp {
    Stamp {
        label_key: "tenbin".to_owned(),
        label_value: "osaka".to_owned(),
        member: ClusterName::new("osaka").unwrap(),
        home: ClusterName::new("tokyo").unwrap(),
        home_uid: None,
        epoch: 1,
        shares: Shares::parse("tokyo:2,osaka:3"),
        ordinals_base: 0,
        name: None,
        resource_version: None,
    }
}

fn low_bits(length: usize) -> u8 {
    u8::try_from(length & 0x7f).unwrap_or(0)
}
