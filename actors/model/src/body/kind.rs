//! The kinds whose bodies have fields that differ between members.

use super::BodyError;

/// The kind of a body, as far as rewriting has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `apps` Deployment: split.
    Deployment,
    /// `apps` StatefulSet: split, with disjoint ordinals.
    StatefulSet,
    /// Service: addresses and node ports are allocated by each API server.
    Service,
    /// PersistentVolume: bound by each cluster.
    PersistentVolume,
    /// PersistentVolumeClaim: bound by each cluster.
    PersistentVolumeClaim,
    /// Any other kind: only its metadata differs.
    Other,
}

// === impl BodyKind ===

impl BodyKind {
    /// The kind of a resource, as a path names it (`apps`, `deployments`).
    pub fn of(group: &str, resource: &str) -> Self {
        match (group, resource) {
            ("apps", "deployments") => Self::Deployment,
            ("apps", "statefulsets") => Self::StatefulSet,
            ("", "services") => Self::Service,
            ("", "persistentvolumes") => Self::PersistentVolume,
            ("", "persistentvolumeclaims") => Self::PersistentVolumeClaim,
            _ => Self::Other,
        }
    }

    /// Whether replicas of the kind are divided.
    pub fn is_split(self) -> bool {
        match self {
            Self::Deployment | Self::StatefulSet => true,
            Self::Service | Self::PersistentVolume | Self::PersistentVolumeClaim | Self::Other => {
                false
            }
        }
    }

    pub(super) fn has_allocated(self) -> bool {
        match self {
            Self::Service | Self::PersistentVolume | Self::PersistentVolumeClaim => true,
            Self::Deployment | Self::StatefulSet | Self::Other => false,
        }
    }

    /// Checks an `int32` that counts something.
    pub(super) fn count(
        self,
        name: &str,
        path: &'static str,
        value: i64,
    ) -> Result<u32, BodyError> {
        let why = if value < 0 {
            "must be greater than or equal to 0"
        } else {
            "must be less than or equal to 2147483647"
        };
        u32::try_from(value).ok().filter(|count| i32::try_from(*count).is_ok()).ok_or_else(|| {
            BodyError::Invalid { kind: self.display(), name: name.to_owned(), path, value, why }
        })
    }

    fn display(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment.apps",
            Self::StatefulSet => "StatefulSet.apps",
            Self::Service => "Service",
            Self::PersistentVolume => "PersistentVolume",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::Other => "Scale.autoscaling",
        }
    }
}
