//! The one table of kinds that are written to more than one member.

use std::collections::BTreeSet;

use super::path::Resource;
use crate::fold::FoldClass;

/// Split and replicated kinds, and those that are deleted everywhere (`README.md` section 4).
const TABLE: [(&str, &str, WriteClass); 7] = [
    ("apps", "deployments", WriteClass::Split),
    ("apps", "statefulsets", WriteClass::Split),
    ("", "namespaces", WriteClass::Replicate),
    ("", "services", WriteClass::Replicate),
    ("", "persistentvolumes", WriteClass::Replicate),
    ("", "persistentvolumeclaims", WriteClass::Replicate),
    ("", "pods", WriteClass::Everywhere),
];

/// Resources that own alone answers: reviews are about the caller there, and each tenbin keeps its
/// own scores. A `*` stands for every resource of the group.
const OWN_ONLY: [(&str, &str); 3] = [
    ("authentication.k8s.io", "*"),
    ("authorization.k8s.io", "*"),
    ("waoendpointproxy.bitmedia.co.jp", "clusterscores"),
];

/// How objects of a kind are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteClass {
    /// To every member, with the replicas divided; folded in reads.
    Split,
    /// To every member; folded in reads.
    Replicate,
    /// To one member, but deleted in every member that has it; never folded.
    Everywhere,
    /// To one member; never folded.
    One,
}

/// The table of kinds, with what the operator added to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Group and plural of added replicated kinds.
    replicate: BTreeSet<(String, String)>,
}

/// Why a text is not a kind that can be replicated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKind {
    /// Not `plural`, `plural.group` or `group/plural`.
    #[error(
        "{0:?} is not a kind: write its lower-case plural, as configmaps or roles.rbac.authorization.k8s.io"
    )]
    Form(String),
    /// The kind has another class that cannot be changed.
    #[error("{0:?} cannot be replicated: tenbin treats it in its own way")]
    Fixed(String),
}

// === impl WriteClass ===

impl WriteClass {
    /// How copies of the class are folded in reads; `None` where they are not.
    pub fn fold(self) -> Option<FoldClass> {
        match self {
            Self::Split => Some(FoldClass::Split),
            Self::Replicate => Some(FoldClass::Replicate),
            Self::Everywhere | Self::One => None,
        }
    }
}

// === impl Kinds ===

impl Kinds {
    /// The table, extended by kinds to replicate: `plural`, `plural.group` or `group/plural`.
    pub fn new<'a>(replicate: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidKind> {
        let mut kinds = Self::default();
        for text in replicate {
            let (group, plural) = parse(text).ok_or_else(|| InvalidKind::Form(text.to_owned()))?;
            match fixed(group, plural) {
                Some(WriteClass::Replicate) => continue,
                Some(WriteClass::Split | WriteClass::Everywhere | WriteClass::One) => {
                    return Err(InvalidKind::Fixed(text.to_owned()));
                }
                None if is_own_only(group, plural) => {
                    return Err(InvalidKind::Fixed(text.to_owned()));
                }
                None => kinds.replicate.insert((group.to_owned(), plural.to_owned())),
            };
        }
        Ok(kinds)
    }

    /// How objects of a resource are written; the version does not matter.
    pub fn class(&self, resource: &Resource) -> WriteClass {
        let Resource { group, plural, .. } = resource;
        let added = || self.replicate.iter().any(|(of, name)| of == group && name == plural);
        match fixed(group, plural) {
            Some(class) => class,
            None if added() => WriteClass::Replicate,
            None => WriteClass::One,
        }
    }
}

/// The resource of a kind that is fanned out without configuration: events name kinds, not plurals.
pub fn managed_kind(kind: &str) -> Option<Resource> {
    let lower = kind.to_ascii_lowercase();
    let fans_out = |class: WriteClass| class.fold().is_some();
    let found = TABLE.iter().find(|(_, plural, class)| {
        fans_out(*class) && plural.strip_suffix('s').is_some_and(|singular| singular == lower)
    });
    let (group, plural, _) = found?;
    Some(Resource {
        group: (*group).to_owned(),
        version: "v1".to_owned(),
        plural: (*plural).to_owned(),
    })
}

/// Tells whether own alone answers for a resource.
pub fn is_own_only(group: &str, plural: &str) -> bool {
    OWN_ONLY.iter().any(|(of, name)| *of == group && (*name == "*" || *name == plural))
}

fn fixed(group: &str, plural: &str) -> Option<WriteClass> {
    TABLE.iter().find(|(of, name, _)| *of == group && *name == plural).map(|(_, _, class)| *class)
}

fn parse(text: &str) -> Option<(&str, &str)> {
    let (group, plural) = match (text.split_once('/'), text.split_once('.')) {
        (Some(pair), _) => pair,
        (None, Some((plural, group))) => (group, plural),
        (None, None) => ("", text),
    };
    let label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let legal = !plural.is_empty()
        && plural.bytes().all(label)
        && group.bytes().all(|byte| label(byte) || byte == b'.')
        && group.is_empty() != text.contains(['/', '.']);
    legal.then_some((group, plural))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(kinds: &Kinds, group: &str, plural: &str) -> WriteClass {
        kinds.class(&Resource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
        })
    }

    #[test]
    fn a_managed_kind_is_known_by_the_name_that_events_use() {
        let found = |kind| managed_kind(kind).map(|it| (it.group, it.plural));
        let named = |group: &str, plural: &str| Some((group.to_owned(), plural.to_owned()));
        assert_eq!(found("Deployment"), named("apps", "deployments"));
        assert_eq!(found("PersistentVolumeClaim"), named("", "persistentvolumeclaims"));
        assert_eq!((found("Pod"), found("ReplicaSet")), (None, None));
    }

    #[test]
    fn a_kind_is_known_by_its_group_and_plural() {
        let kinds = Kinds::default();
        assert_eq!(class(&kinds, "apps", "deployments"), WriteClass::Split);
        assert_eq!(class(&kinds, "example.com", "deployments"), WriteClass::One);
        assert_eq!(class(&kinds, "", "services"), WriteClass::Replicate);
        assert_eq!(class(&kinds, "", "pods"), WriteClass::Everywhere);
        assert_eq!(class(&kinds, "metrics.k8s.io", "pods"), WriteClass::One);
        assert_eq!(class(&kinds, "", "configmaps"), WriteClass::One);
    }

    #[test]
    fn an_operator_extends_the_replicated_kinds_in_three_forms() {
        let added = ["configmaps", "networking.k8s.io/ingresses", "gateways.networking.istio.io"];
        let kinds = Kinds::new(added.into_iter().chain(["services"])).unwrap();
        assert_eq!(class(&kinds, "", "configmaps"), WriteClass::Replicate);
        assert_eq!(class(&kinds, "networking.k8s.io", "ingresses"), WriteClass::Replicate);
        assert_eq!(class(&kinds, "networking.istio.io", "gateways"), WriteClass::Replicate);
        assert_eq!(class(&kinds, "", "ingresses"), WriteClass::One);
    }

    #[test]
    fn kinds_that_cannot_be_replicated_are_refused() {
        for text in ["", "ConfigMaps", "a/b/c", "/configmaps", "configmaps.", "a b", "v1/"] {
            assert_eq!(Kinds::new([text]), Err(InvalidKind::Form(text.to_owned())), "{text}");
        }
        for text in ["pods", "apps/deployments", "tokenreviews.authentication.k8s.io"] {
            assert_eq!(Kinds::new([text]), Err(InvalidKind::Fixed(text.to_owned())), "{text}");
        }
    }
}
