//! Query strings, read, changed and written in their order.

use std::fmt;

use form_urlencoded::Serializer;
use percent_encoding::percent_decode_str;

use super::escapes_are_whole;
use crate::status::{Reason, Status};

/// A query string: pairs in the order of the request.
///
/// Where a key stands twice an API server reads the first value (apimachinery
/// `runtime/conversion.go`), and so do the readers here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// What the rows of a Table carry beside their cells (`meta/v1 IncludeObjectPolicy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Cells only.
    None,
    /// The object's metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

// === impl Query ===

impl Query {
    /// Reads a raw query string, without its `?`.
    ///
    /// A wrong percent escape, wrong UTF-8 and a bare `;` are a 400: an API server drops such a
    /// pair in silence, so that it would read another request than tenbin decided upon.
    pub fn parse(raw: &str) -> Result<Self, Status> {
        let utf8 = percent_decode_str(raw).decode_utf8().is_ok();
        if raw.contains(';') || !utf8 || !escapes_are_whole(raw) {
            return Err(bad("the query string is malformed"));
        }
        Ok(Self(form_urlencoded::parse(raw.as_bytes()).into_owned().collect()))
    }

    /// The first value of `key`.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// All values of `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Removes all values of `key` and returns the first.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let taken = self.first(key).map(str::to_owned);
        self.0.retain(|(name, _)| name != key);
        taken
    }

    /// Gives `key` this one value, where its first one stood or else at the end.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let at = self.0.iter().position(|(name, _)| name == key).unwrap_or(self.0.len());
        self.0.retain(|(name, _)| name != key);
        self.0.insert(at, (key.to_owned(), value.into()));
    }

    /// Tells whether a flag is set: present, and neither `0` nor `false`; `?watch` sets it.
    pub fn is_set(&self, flag: &str) -> bool {
        self.first(flag).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// Tells whether the answer is to be a watch.
    pub fn watches(&self) -> bool {
        self.is_set("watch")
    }

    /// Tells whether a watch is to begin with what exists.
    pub fn sends_initial_events(&self) -> bool {
        self.is_set("sendInitialEvents")
    }

    /// Tells whether a write is only to be tried.
    pub fn is_dry_run(&self) -> bool {
        self.first("dryRun").is_some_and(|value| !value.is_empty())
    }

    /// The most items of one page; absent or not above zero for no limit.
    pub fn limit(&self) -> Result<Option<u64>, Status> {
        match self.first("limit") {
            None => Ok(None),
            Some(text) => match text.parse::<i64>() {
                Ok(limit) => Ok(u64::try_from(limit).ok().filter(|limit| *limit > 0)),
                Err(_) => Err(bad(&format!("limit {text:?} is not a number"))),
            },
        }
    }

    /// The token of the page to continue with.
    pub fn continue_token(&self) -> Option<&str> {
        self.first("continue").filter(|token| !token.is_empty())
    }

    /// The version that is asked for; absent where it is empty, which means the newest.
    pub fn resource_version(&self) -> Option<&str> {
        self.first("resourceVersion").filter(|version| !version.is_empty())
    }

    /// How the version is meant: `Exact` or `NotOlderThan`.
    pub fn resource_version_match(&self) -> Option<&str> {
        self.first("resourceVersionMatch").filter(|text| !text.is_empty())
    }

    /// What the rows of a Table are to carry.
    pub fn include_object(&self) -> Result<IncludeObject, Status> {
        match self.first("includeObject") {
            None | Some("" | "Metadata") => Ok(IncludeObject::Metadata),
            Some("None") => Ok(IncludeObject::None),
            Some("Object") => Ok(IncludeObject::Object),
            Some(text) => Err(bad(&format!("includeObject {text:?} is not known"))),
        }
    }

    /// The field selector.
    pub fn field_selector(&self) -> Option<&str> {
        self.first("fieldSelector").filter(|selector| !selector.is_empty())
    }

    /// The label selector.
    pub fn label_selector(&self) -> Option<&str> {
        self.first("labelSelector").filter(|selector| !selector.is_empty())
    }
}

impl fmt::Display for Query {
    /// Writes the percent-encoded query string, without `?`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&Serializer::new(String::new()).extend_pairs(&self.0).finish())
    }
}

fn bad(message: &str) -> Status {
    Status::new(Reason::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(raw: &str) -> Query {
        Query::parse(raw).unwrap()
    }

    #[test]
    fn a_watch_is_asked_for_as_an_api_server_understands_it() {
        for raw in ["watch", "watch=", "watch=true", "watch=1", "watch=yes", "a=b&watch=t&watch=0"]
        {
            assert!(query(raw).watches(), "{raw}");
        }
        for raw in ["", "watch=0", "watch=false", "watch=False", "Watch=1", "watch=0&watch=1"] {
            assert!(!query(raw).watches(), "{raw}");
        }
    }

    #[test]
    fn order_and_unknown_keys_survive_taking_and_setting() {
        let mut query = query("b=1&continue=x%3D&a=%26&b=2&continue=y");
        assert_eq!(query.take("continue").as_deref(), Some("x="));
        assert_eq!(query.take("continue"), None);
        query.set("b", "3");
        query.set("limit", "1 0");
        assert_eq!(query.to_string(), "b=3&a=%26&limit=1+0");
    }

    #[test]
    fn options_of_lists_are_read() {
        let query = query(
            "limit=500&continue=&resourceVersion=0&resourceVersionMatch=NotOlderThan\
             &sendInitialEvents=true&includeObject=Object&dryRun=All&fieldSelector=a%3Db",
        );
        assert_eq!(query.limit(), Ok(Some(500)));
        assert_eq!(query.continue_token(), None);
        assert_eq!(query.resource_version(), Some("0"));
        assert_eq!(query.resource_version_match(), Some("NotOlderThan"));
        assert_eq!(query.include_object(), Ok(IncludeObject::Object));
        assert_eq!(query.field_selector(), Some("a=b"));
        assert_eq!(query.label_selector(), None);
        assert!(query.sends_initial_events() && query.is_dry_run());
    }

    #[test]
    fn a_limit_that_limits_nothing_is_none_and_a_word_is_refused() {
        assert_eq!(query("limit=0").limit(), Ok(None));
        assert_eq!(query("limit=-5").limit(), Ok(None));
        assert_eq!(query("limit=ten").limit().unwrap_err().code, 400);
        assert_eq!(query("includeObject=All").include_object().unwrap_err().code, 400);
    }

    #[test]
    fn a_query_that_an_api_server_would_read_otherwise_is_refused() {
        for raw in ["a=b;watch=1", "a=%", "a=%zz", "a=%ff", "%ff=a"] {
            assert_eq!(Query::parse(raw).unwrap_err().code, 400, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_reads_back_the_same(
            pairs in prop::collection::vec(("\\PC{1,8}", "\\PC{0,8}"), 0..6),
        ) {
            let query = Query(pairs);
            prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
        }

        #[test]
        fn any_text_is_a_query_or_a_refusal(raw in "\\PC*") {
            let _parsed = Query::parse(&raw);
        }
    }
}
