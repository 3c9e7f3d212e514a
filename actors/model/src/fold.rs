//! How the copies of a managed object become one (`reads.md`, Folding a split workload).
//!
//! The *lead* of a fold is home's copy; where home's copy does not answer, the copy of the highest
//! epoch, the first of them in the members' order. Identity, template, labels and whatever is not
//! named below are the lead's.
//!
//! | | split | replicate |
//! |---|---|---|
//! | `spec.replicas` | the total | the lead's |
//! | counts in `status` | sums | the lead's |
//! | conditions | the worst of the members with a share | the lead's |
//! | `observedGeneration` | `generation` once every member has caught up | the lead's |
//! | annotation [`CLUSTER`](crate::managed::CLUSTER) | the shares | the members that hold it |

mod group;
mod object;
mod row;
mod split;

use serde_json::Value;

use crate::ids::ClusterName;

pub use group::{Groups, Marked, group};
pub use object::{fold_object, fold_scale, scale_table};
pub use row::fold_row;

/// The two ways in which copies become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldClass {
    /// Each member has a share of the replicas.
    Split,
    /// Each member has the same.
    Replicate,
}

/// One member's copy of a managed object.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// The member.
    pub member: ClusterName,
    /// The copy as the member shows it.
    pub object: Value,
}

#[cfg(test)]
mod tests;
