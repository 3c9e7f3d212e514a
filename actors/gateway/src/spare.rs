//! Which dead members an answer can do without.

use tenbin_model::fold::FoldClass;
use tenbin_model::ids::ClusterName;
use tenbin_model::request::path::Collection;

use crate::asked::Asked;
use crate::find;

/// The dead members that a list or a watch can do without.
pub(crate) struct Spare {
    /// Whether there are any.
    any: bool,
    /// The one without which there is no answer nevertheless: it has the one object.
    needed: Option<ClusterName>,
}

// === impl Spare ===

impl Spare {
    /// Decides it for what is asked of a collection, or of the one `name` in it.
    ///
    /// What fills a cache needs all, to which less would mean deletions. One object is told as in a GET:
    /// a managed one from the copies that live, another by the member that it was last seen in.
    pub(crate) fn new(
        asked: &Asked,
        collection: &Collection,
        name: Option<&str>,
        fold: Option<FoldClass>,
        fills: bool,
    ) -> Self {
        let unmanaged = name.filter(|_| fold.is_none());
        let needed = unmanaged.and_then(|name| find::last_holder(asked, collection, name));
        let one = needed.is_some() || name.is_some() && fold.is_some();
        Self { any: asked.table.rules.partial.allows(!fills || one), needed }
    }

    /// For what goes on from an answer of all: none.
    pub(crate) fn none() -> Self {
        Self { any: false, needed: None }
    }

    /// Whether there is an answer without `member`, where that is dead.
    pub(crate) fn has(&self, member: &ClusterName) -> bool {
        self.any && self.needed.as_ref() != Some(member)
    }
}
