//! Where a request goes: the table of `README.md` section 4.

use super::classify::RequestClass;
use super::kinds::{Kinds, WriteClass, is_own_only};
use super::path::{Collection, Object};
use crate::config::NamespacePattern;
use crate::ids::ClusterName;

/// tenbin's own namespace: never split nor fanned out.
pub const OWN_NAMESPACE: &str = "wao-system";

/// What the operator decided about routes.
#[derive(Debug, Clone, Default)]
pub struct RoutePolicy {
    kinds: Kinds,
    exclude: Vec<NamespacePattern>,
}

/// What the gateway does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Pass it to own as it came.
    Own,
    /// Answer with own's resources, joined with the groups that only other members have.
    Discovery,
    /// Pass it to one member.
    Member {
        /// The member.
        name: ClusterName,
        /// The raw path on that member; it begins with `/`.
        rest: String,
    },
    /// List in every member and merge; managed items are folded where the class says so.
    MergeList {
        /// What is listed.
        collection: Collection,
        /// `Split` and `Replicate` fold.
        class: WriteClass,
    },
    /// Get from every member: the fold of a managed object, else own's or the one that has it.
    ReadOne {
        /// The object, or its status.
        object: Object,
        /// `Split` and `Replicate` fold.
        class: WriteClass,
    },
    /// Get the scale of a split object: folded where it is managed, else the one that has it.
    ReadScale {
        /// The object with its scale.
        object: Object,
    },
    /// Watch in every member and merge; managed objects are folded where the class says so.
    MergeWatch {
        /// What is watched.
        collection: Collection,
        /// The one object of it that is watched.
        name: Option<String>,
        /// `Split` and `Replicate` fold.
        class: WriteClass,
    },
    /// Pass it to own if own has the object, else to the member that has it; to own where no
    /// member has it, since a PUT or an apply may create it.
    FindThenPass {
        /// The object, or its part.
        object: Object,
    },
    /// Pass it to own, or to the one member that serves the kind where own does not.
    PassToServing {
        /// What is created in, or emptied.
        collection: Collection,
    },
    /// Divide the replicas over the members.
    SplitWrite(SplitWrite),
    /// Write it to every member.
    ReplicateWrite(ReplicateWrite),
    /// Delete it in every member that has it.
    DeleteEverywhere {
        /// The object.
        object: Object,
    },
    /// Delete the objects of every member.
    DeleteCollectionEverywhere {
        /// What is emptied.
        collection: Collection,
    },
}

/// A write of a split kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SplitWrite {
    /// POST.
    Create(Collection),
    /// PUT.
    Replace(Object),
    /// PATCH of any kind, server-side apply included.
    Patch(Object),
    /// PUT of `/scale`.
    PutScale(Object),
    /// PATCH of `/scale`.
    PatchScale(Object),
}

/// A write of a replicated kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicateWrite {
    /// POST.
    Create(Collection),
    /// PUT.
    Replace(Object),
    /// PATCH of any kind, server-side apply included.
    Patch(Object),
}

// === impl RoutePolicy ===

impl RoutePolicy {
    /// Makes a policy of the kinds' classes and the namespaces that are never split nor fanned out.
    pub fn new(kinds: Kinds, exclude: Vec<NamespacePattern>) -> Self {
        Self { kinds, exclude }
    }

    /// Tells whether a namespace is never split nor fanned out.
    ///
    /// A POST of a Namespace has its name in the body only: whoever carries out
    /// [`ReplicateWrite::Create`] asks here too, and writes an excluded one to own alone.
    pub fn excludes(&self, namespace: &str) -> bool {
        namespace == OWN_NAMESPACE || self.exclude.iter().any(|pattern| pattern.matches(namespace))
    }

    /// How an object is written: its kind's class, but `One` in an excluded namespace.
    ///
    /// `name` is the object's where it is known; an excluded Namespace is itself excluded.
    pub fn class(&self, collection: &Collection, name: Option<&str>) -> WriteClass {
        let is_namespace = collection.resource.is("", "namespaces");
        let namespace = if is_namespace { name } else { collection.namespace.as_deref() };
        if namespace.is_some_and(|namespace| self.excludes(namespace)) {
            return WriteClass::One;
        }
        self.kinds.class(&collection.resource)
    }

    fn class_of(&self, object: &Object) -> WriteClass {
        self.class(&object.collection, Some(&object.name))
    }
}

/// Tells where a request goes.
pub fn route(class: RequestClass, policy: &RoutePolicy) -> Route {
    let own_only =
        class.resource().is_some_and(|resource| is_own_only(&resource.group, &resource.plural));
    match class {
        RequestClass::Member { name, rest } => Route::Member { name, rest },
        RequestClass::Discovery => Route::Discovery,
        RequestClass::Own => Route::Own,
        _ if own_only => Route::Own,
        RequestClass::Watch(collection) => {
            let class = policy.class(&collection, None);
            Route::MergeWatch { collection, name: None, class }
        }
        RequestClass::WatchOne(object) => {
            let class = policy.class_of(&object);
            let Object { collection, name, .. } = object;
            Route::MergeWatch { collection, name: Some(name), class }
        }
        RequestClass::Connect(object) => Route::FindThenPass { object },
        RequestClass::List(collection) => {
            let class = policy.class(&collection, None);
            Route::MergeList { collection, class }
        }
        RequestClass::Get(object) => {
            let class = policy.class_of(&object);
            Route::ReadOne { object, class }
        }
        RequestClass::GetScale(object) => match policy.class_of(&object) {
            WriteClass::Split => Route::ReadScale { object },
            WriteClass::Replicate | WriteClass::Everywhere | WriteClass::One => {
                Route::FindThenPass { object }
            }
        },
        RequestClass::Create(collection) => create(collection, policy),
        RequestClass::DeleteCollection(collection) => delete_collection(collection, policy),
        RequestClass::Delete(object) => match policy.class_of(&object) {
            WriteClass::Split | WriteClass::Replicate | WriteClass::Everywhere => {
                Route::DeleteEverywhere { object }
            }
            WriteClass::One => Route::FindThenPass { object },
        },
        RequestClass::Replace(object) => {
            change(object, policy, SplitWrite::Replace, Some(ReplicateWrite::Replace))
        }
        RequestClass::Patch(object) => {
            change(object, policy, SplitWrite::Patch, Some(ReplicateWrite::Patch))
        }
        RequestClass::PutScale(object) => change(object, policy, SplitWrite::PutScale, None),
        RequestClass::PatchScale(object) => change(object, policy, SplitWrite::PatchScale, None),
    }
}

fn create(collection: Collection, policy: &RoutePolicy) -> Route {
    match policy.class(&collection, None) {
        WriteClass::Split => Route::SplitWrite(SplitWrite::Create(collection)),
        WriteClass::Replicate => Route::ReplicateWrite(ReplicateWrite::Create(collection)),
        WriteClass::Everywhere | WriteClass::One => Route::PassToServing { collection },
    }
}

fn delete_collection(collection: Collection, policy: &RoutePolicy) -> Route {
    match policy.class(&collection, None) {
        WriteClass::Split | WriteClass::Replicate | WriteClass::Everywhere => {
            Route::DeleteCollectionEverywhere { collection }
        }
        WriteClass::One => Route::PassToServing { collection },
    }
}

/// A write of one object; `replicate` is absent for parts that replicated kinds do not have.
fn change(
    object: Object,
    policy: &RoutePolicy,
    split: fn(Object) -> SplitWrite,
    replicate: Option<fn(Object) -> ReplicateWrite>,
) -> Route {
    match (policy.class_of(&object), replicate) {
        (WriteClass::Split, _) => Route::SplitWrite(split(object)),
        (WriteClass::Replicate, Some(replicate)) => Route::ReplicateWrite(replicate(object)),
        (WriteClass::Replicate, None) | (WriteClass::Everywhere | WriteClass::One, _) => {
            Route::FindThenPass { object }
        }
    }
}

/// Compares a name with a pattern in which `*` stands for any text.
#[cfg(test)]
mod tests;
