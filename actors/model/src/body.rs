//! What each member gets of a user's body (`writes.md`, Bodies).
//!
//! | module | rewrites |
//! |---|---|
//! | this one | objects that are created or replaced |
//! | [`Patch`] | merge and strategic merge patches |
//! | [`ScaleBody`] | writes of `/scale`, which become patches of the workload |
//! | [`DeleteBody`] | `DeleteOptions` |
//!
//! JSON and YAML are decoded once into a tree, edited per member, and sent on as JSON. Protobuf
//! stays bytes: what must not reach the member is left out field by field, what tenbin adds is
//! appended, and everything else is copied through, known or not (`protobuf`).

use bytes::Bytes;
use serde_json::{Map, Value};

mod allocated;
mod delete;
mod error;
mod kind;
mod patch;
mod pod;
mod present;
mod protobuf;
mod scale;
mod stamp;
mod strip;
mod summary;
#[cfg(test)]
mod tests;
mod tree;
mod wire;

pub use self::delete::{DeleteBody, Preconditions};
pub use self::error::BodyError;
pub use self::kind::BodyKind;
pub use self::patch::{Patch, PatchKind, PatchSummary, ReplicasChange, apply_json_patch};
pub use self::pod::pod_shape;
pub use self::present::{Present, may_demand_merged};
pub use self::scale::{ScaleBody, scale_patch};
pub use self::stamp::Stamp;
pub use self::strip::strip_state;
pub use self::summary::Summary;

/// The most bytes that a body may have: the API server's own limit, 3 MiB.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

/// A body as it is sent to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Bytes,
}

/// A user's object, read once and written anew for each member.
#[derive(Debug, Clone)]
pub struct Body {
    kind: BodyKind,
    content: Content,
    summary: Summary,
}

#[derive(Debug, Clone)]
enum Content {
    Tree(Map<String, Value>),
    Protobuf(protobuf::Envelope),
}

// === impl Encoding ===

impl Encoding {
    /// The value of the `Content-Type` header.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::MEDIA_TYPE,
        }
    }

    /// Reads the `Content-Type` of a request.
    ///
    /// An absent one means JSON, as to an API server: `kubectl scale --current-replicas` sends none.
    pub fn of(content_type: Option<&str>) -> Result<Self, BodyError> {
        match essence(content_type).as_str() {
            "" | JSON => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            protobuf::MEDIA_TYPE => Ok(Self::Protobuf),
            _ => Err(BodyError::MediaType {
                accepted: "application/json, application/yaml, application/vnd.kubernetes.protobuf",
            }),
        }
    }
}

// === impl Encoded ===

impl Encoded {
    fn json(tree: Map<String, Value>) -> Self {
        Self { content_type: JSON, bytes: Bytes::from(Value::Object(tree).to_string()) }
    }
}

// === impl Body ===

impl Body {
    /// Reads a body of at most [`MAX_BODY`] bytes.
    ///
    /// Takes time and memory in proportion to the bytes, whatever they are.
    pub fn parse(encoding: Encoding, kind: BodyKind, bytes: &[u8]) -> Result<Self, BodyError> {
        let (content, summary) = if encoding == Encoding::Protobuf {
            let envelope = protobuf::Envelope::open(bytes)?;
            let summary = envelope.summary(kind)?;
            (Content::Protobuf(envelope), summary)
        } else {
            let tree = tree::decode(encoding, bytes)?;
            let summary = Summary::of_tree(kind, &tree)?;
            (Content::Tree(tree), summary)
        };
        Ok(Self { kind, content, summary })
    }

    /// What the writer has to know of the body.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes the body for one member.
    ///
    /// | field | what happens |
    /// |---|---|
    /// | tenbin's label, on the object and on the pod template of split kinds | set |
    /// | tenbin's state annotations and `tenbin/cluster` | dropped, then made anew |
    /// | spec.replicas of split kinds | the member's share, also 0 |
    /// | spec.ordinals.start of a StatefulSet | raised by the member's base |
    /// | uid | dropped; the writer compares it |
    /// | resourceVersion | the member's own, else dropped |
    /// | status, ownerReferences, managedFields, generation, the timestamps of metadata, and uid and resourceVersion of a volume's claimRef | dropped outside home |
    pub fn for_member(&self, stamp: &Stamp) -> Result<Encoded, BodyError> {
        match &self.content {
            Content::Tree(tree) => {
                let mut tree = tree.clone();
                tree::stamp(&mut tree, self.kind, &self.summary, stamp)?;
                Ok(Encoded::json(tree))
            }
            Content::Protobuf(envelope) => envelope.for_member(self.kind, &self.summary, stamp),
        }
    }

    /// Replaces what home's API server allocated by what this member's did.
    ///
    /// For a PUT to a member other than home, before [`Body::for_member`]: a user sends back what
    /// the fleet view showed, which is home's `clusterIP`, `clusterIPs`, `healthCheckNodePort` and
    /// `nodePort` of a Service, home's `claimRef` of a volume, home's `volumeName` of a claim.
    /// Where the body says what `home` (home's live copy) says, it gets the value of `member` (this
    /// member's live copy). Where the member has none, so that PUT becomes POST, it keeps only what
    /// a field manager of home's copy owns, which is how a chosen value is told from an allocated
    /// one. What the user changed is kept. A protobuf body of these kinds is refused for now.
    pub fn with_allocated(self, home: &Value, member: Option<&Value>) -> Result<Self, BodyError> {
        match self.content {
            Content::Tree(mut tree) => {
                allocated::settle(&mut tree, self.kind, home, member);
                Ok(Self { content: Content::Tree(tree), ..self })
            }
            Content::Protobuf(_) if self.kind.has_allocated() => Err(BodyError::NotYet {
                what: "a protobuf update of this kind",
                instead: "send it as JSON",
            }),
            content @ Content::Protobuf(_) => Ok(Self { content, ..self }),
        }
    }
}

const JSON: &str = "application/json";

/// The media type without its parameters, in lower case.
fn essence(content_type: Option<&str>) -> String {
    let text = content_type.unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
