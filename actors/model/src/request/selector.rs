//! Selectors: the pseudo label `tenbin/cluster`, and the fields that narrow a read.

use super::query::Query;
use crate::ids::ClusterName;
use crate::managed::CLUSTER;
use crate::status::{Reason, Status};

/// Which members a read is narrowed to by the pseudo label `tenbin/cluster`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberFilter(Vec<Requirement>);

/// One requirement on the pseudo label, which every item carries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    /// `tenbin/cluster`: always true, said only to unfold.
    Exists,
    /// `!tenbin/cluster`: never true.
    Missing,
    /// `=`, `==` and `in`.
    In(Vec<String>),
    /// `!=` and `notin`.
    NotIn(Vec<String>),
}

// === impl MemberFilter ===

impl MemberFilter {
    /// Takes the pseudo label out of a label selector.
    ///
    /// Returns the filter, and what is left to go upstream: each other requirement with its text
    /// unchanged, or `None` where nothing is left. A pseudo label that is used in another way than
    /// equality, sets and existence is a 400. What is wrong elsewhere is left to the members.
    pub fn split(label_selector: &str) -> Result<(Self, Option<String>), Status> {
        if !label_selector.contains(CLUSTER) {
            let rest = Some(label_selector).filter(|text| !text.is_empty());
            return Ok((Self::default(), rest.map(str::to_owned)));
        }
        let mut filter = Self::default();
        let mut rest: Option<String> = None;
        for requirement in requirements(label_selector) {
            if let Some(requirement) = Requirement::parse(requirement)? {
                filter.0.push(requirement);
                continue;
            }
            match &mut rest {
                Some(rest) => {
                    rest.push(',');
                    rest.push_str(requirement);
                }
                None => rest = Some(requirement.to_owned()),
            }
        }
        Ok((filter, rest))
    }

    /// Tells whether a member's items are asked for.
    pub fn admits(&self, member: &ClusterName) -> bool {
        self.0.iter().all(|requirement| requirement.admits(member.as_str()))
    }

    /// Tells whether copies are to be shown one by one: so they are once the label is mentioned.
    pub fn is_unfolding(&self) -> bool {
        !self.0.is_empty()
    }
}

// === impl Requirement ===

impl Requirement {
    /// Reads one requirement; `None` where it is on another label.
    fn parse(text: &str) -> Result<Option<Self>, Status> {
        let text = text.trim();
        if let Some(key) = text.strip_prefix('!') {
            return Ok((key.trim_start() == CLUSTER).then_some(Self::Missing));
        }
        let Some(rest) = text.strip_prefix(CLUSTER) else {
            return Ok(None);
        };
        let operator = rest.trim_start();
        if operator.is_empty() {
            return Ok(Some(Self::Exists));
        }
        let one = |value: &str| vec![value.trim().to_owned()];
        let requirement = if let Some(value) = operator.strip_prefix("!=") {
            Some(Self::NotIn(one(value)))
        } else if let Some(value) = operator.strip_prefix("==").or(operator.strip_prefix('=')) {
            Some(Self::In(one(value)))
        } else if rest.len() == operator.len() {
            // Another label that begins with this text, such as `tenbin/clusters`.
            return if operator.starts_with(['<', '>', '(']) { Err(bad(text)) } else { Ok(None) };
        } else if let Some(values) = operator.strip_prefix("notin") {
            set(values).map(Self::NotIn)
        } else if let Some(values) = operator.strip_prefix("in") {
            set(values).map(Self::In)
        } else {
            None
        };
        requirement.map(Some).ok_or_else(|| bad(text))
    }

    fn admits(&self, member: &str) -> bool {
        match self {
            Self::Exists => true,
            Self::Missing => false,
            Self::In(names) => names.iter().any(|name| name == member),
            Self::NotIn(names) => names.iter().all(|name| name != member),
        }
    }
}

/// The value that a field selector demands of `field` with `=` or `==`, unescaped.
///
/// The first such term counts, as in `RequiresExactMatch` of apimachinery's `fields` package.
pub fn exact_field(field_selector: &str, field: &str) -> Option<String> {
    let mut escaped = false;
    let mut terms = field_selector.split(|character| {
        let separates = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        separates
    });
    terms.find_map(|term| {
        let value = term.strip_prefix(field)?;
        let value = value.strip_prefix("==").or(value.strip_prefix('='))?;
        Some(unescape(value))
    })
}

/// The one object that a field selector asks for by `metadata.name`.
///
/// `None` also where the name cannot be a path segment.
pub fn single_name(field_selector: &str) -> Option<String> {
    exact_field(field_selector, "metadata.name").filter(|name| {
        let forbidden = |character: char| matches!(character, '/' | '%') || character.is_control();
        !name.is_empty() && name != "." && name != ".." && !name.contains(forbidden)
    })
}

/// A field selector that admits, of what this one admits, the one object of a name.
pub fn narrowed_to(field_selector: Option<&str>, name: &str) -> String {
    let mut selector = field_selector.map(|rest| format!("{rest},")).unwrap_or_default();
    selector.push_str("metadata.name=");
    for character in name.chars() {
        if matches!(character, '\\' | ',' | '=') {
            selector.push('\\');
        }
        selector.push(character);
    }
    selector
}

/// The node whose pods a field selector asks for by `spec.nodeName`.
pub fn node_name(field_selector: &str) -> Option<String> {
    exact_field(field_selector, "spec.nodeName").filter(|name| !name.is_empty())
}

/// Splits a label selector at its commas, those within parentheses left out.
fn requirements(selector: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    selector.split(move |character| {
        match character {
            '(' => within = true,
            ')' => within = false,
            _ => {}
        }
        character == ',' && !within
    })
}

/// Reads ` (a, b)`.
fn set(text: &str) -> Option<Vec<String>> {
    let values = text.trim_start().strip_prefix('(')?.strip_suffix(')')?;
    if values.contains(['(', ')']) {
        return None;
    }
    Some(values.split(',').map(|value| value.trim().to_owned()).collect())
}

fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut escaped = false;
    for character in value.chars() {
        escaped = character == '\\' && !escaped;
        if !escaped {
            text.push(character);
        }
    }
    text
}

fn bad(requirement: &str) -> Status {
    let message =
        format!("{requirement:?}: {CLUSTER} takes =, ==, !=, in (…), notin (…), or nothing");
    Status::new(Reason::BadRequest, message)
}

/// Takes the pseudo label out of a query.
pub fn member_filter(query: &mut Query) -> Result<MemberFilter, Status> {
    let Some(selector) = query.label_selector().map(str::to_owned) else {
        return Ok(MemberFilter::default());
    };
    let (filter, rest) = MemberFilter::split(&selector)?;
    match rest {
        Some(rest) => query.set("labelSelector", rest),
        None => drop(query.take("labelSelector")),
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn admitted(selector: &str) -> (Vec<&'static str>, Option<String>) {
        let (filter, rest) = MemberFilter::split(selector).unwrap();
        assert!(filter.is_unfolding(), "{selector}");
        let members = ["tokyo", "osaka", "nagoya"];
        let admits = |name: &&str| filter.admits(&ClusterName::new(name).unwrap());
        (members.into_iter().filter(admits).collect(), rest)
    }

    #[test]
    fn the_pseudo_label_narrows_to_members_and_the_rest_goes_on_unchanged() {
        for (selector, members, rest) in [
            ("tenbin/cluster=osaka", "osaka", None),
            ("tenbin/cluster == osaka", "osaka", None),
            ("tenbin/cluster!=osaka", "tokyo nagoya", None),
            ("tenbin/cluster in (tokyo, osaka)", "tokyo osaka", None),
            ("tenbin/cluster notin(tokyo),app=x", "osaka nagoya", Some("app=x")),
            ("tenbin/cluster notin (tokyo)", "osaka nagoya", None),
            ("tenbin/cluster", "tokyo osaka nagoya", None),
            ("!tenbin/cluster", "", None),
            ("tenbin/cluster=kobe", "", None),
            ("tenbin/cluster!=tokyo,tenbin/cluster!=osaka", "nagoya", None),
            (" a in (x, y) ,tenbin/cluster=tokyo,!b", "tokyo", Some(" a in (x, y) ,!b")),
        ] {
            let (admits, upstream) = admitted(selector);
            assert_eq!(
                (admits.join(" ").as_str(), upstream.as_deref()),
                (members, rest),
                "{selector}"
            );
        }
    }

    #[test]
    fn a_selector_without_the_pseudo_label_is_left_alone() {
        for selector in
            ["", "a=b", "a in (b", "tenbin=local", "tenbin/clusters=x", "x.tenbin/cluster"]
        {
            let (filter, rest) = MemberFilter::split(selector).unwrap();
            assert_eq!(rest.unwrap_or_default(), selector);
            assert!(!filter.is_unfolding() && filter.admits(&ClusterName::new("tokyo").unwrap()));
        }
    }

    #[test]
    fn uses_of_the_pseudo_label_that_mean_nothing_are_refused() {
        for selector in [
            "tenbin/cluster>3",
            "tenbin/cluster in",
            "tenbin/cluster in (a",
            "tenbin/cluster (a)",
            "tenbin/cluster(a)",
            "tenbin/cluster near (a)",
            "tenbin/cluster in ((a))",
        ] {
            assert_eq!(MemberFilter::split(selector).unwrap_err().code, 400, "{selector}");
        }
    }

    #[test]
    fn fields_that_narrow_a_read_are_found() {
        assert_eq!(single_name("metadata.name=web").as_deref(), Some("web"));
        assert_eq!(single_name("a!=b,metadata.name==web").as_deref(), Some("web"));
        assert_eq!(single_name(r"metadata.name=a\,b\\").as_deref(), Some(r"a,b\"));
        for selector in
            ["", "metadata.name!=web", "metadata.name=", "metadata.name=a/b", "a=metadata.name=b"]
        {
            assert_eq!(single_name(selector), None, "{selector}");
        }
        assert_eq!(node_name("spec.nodeName=n0,status.phase!=Failed").as_deref(), Some("n0"));
        assert_eq!(node_name(r"a=\,spec.nodeName=n0"), None);
    }

    #[test]
    fn a_narrowed_selector_admits_one_name() {
        assert_eq!(narrowed_to(None, "web"), "metadata.name=web");
        let narrowed = narrowed_to(Some("status.phase!=Failed"), "a,b=c");
        assert_eq!(single_name(&narrowed).as_deref(), Some("a,b=c"));
        assert!(narrowed.starts_with("status.phase!=Failed,"));
    }

    proptest! {
        #[test]
        fn a_mention_never_goes_upstream(text in "(a|=|,|!| |in|\\(|\\)|tenbin/cluster){0,12}") {
            if let Ok((filter, rest)) = MemberFilter::split(&text) {
                for requirement in rest.iter().flat_map(|rest| requirements(rest)) {
                    prop_assert_eq!(Requirement::parse(requirement).ok().flatten(), None);
                }
                prop_assert!(filter.is_unfolding() || rest.unwrap_or_default() == text);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _split = MemberFilter::split(&text);
            let _name = single_name(&text);
        }
    }
}
