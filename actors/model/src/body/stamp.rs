//! What tenbin writes into one member's copy.

use crate::ids::ClusterName;
use crate::managed::{self, Shares};

/// What tenbin writes into one member's copy of a managed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The key of tenbin's label.
    pub label_key: String,
    /// The label's value in this member; on an object that lives, the one that it has.
    pub label_value: String,
    /// The member that gets the copy.
    pub member: ClusterName,
    /// The member whose copy is the truth.
    pub home: ClusterName,
    /// The uid of home's copy, written outside home; `None` before home's copy exists (dry run).
    pub home_uid: Option<String>,
    /// Raised when a home is taken over.
    pub epoch: u64,
    /// The replicas of every member; read on split kinds only. Their sum is the total.
    pub shares: Option<Shares>,
    /// What is added to the user's own `spec.ordinals.start` of a StatefulSet: 0 in home, and the
    /// [`managed::ordinals_base`] elsewhere.
    pub ordinals_base: i64,
    /// The name that a `generateName` came to; `None` leaves the body's own.
    pub name: Option<String>,
    /// The member's own resourceVersion; `None` strips it.
    pub resource_version: Option<String>,
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn is_home(&self) -> bool {
        self.member == self.home
    }

    /// The state annotations of this member's copy.
    pub(super) fn annotations(&self, split: bool) -> Vec<(&'static str, String)> {
        let mut annotations = vec![(managed::HOME, self.home.to_string())];
        if let Some(uid) = self.home_uid.as_ref().filter(|_| !self.is_home()) {
            annotations.push((managed::HOME_UID, uid.clone()));
        }
        annotations.push((managed::EPOCH, self.epoch.to_string()));
        if let Some(shares) = self.shares.as_ref().filter(|_| split) {
            annotations.extend(share_annotations(shares));
        }
        annotations
    }

    /// This member's replicas.
    pub(super) fn share(&self) -> Option<u32> {
        self.shares.as_ref().map(|shares| shares.of(&self.member))
    }
}

/// The annotations that go with every change of replicas.
pub(super) fn share_annotations(shares: &Shares) -> [(&'static str, String); 2] {
    [(managed::TOTAL, shares.total().to_string()), (managed::SHARES, shares.to_string())]
}
