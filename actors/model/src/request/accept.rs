//! Which form of an answer a client accepts.
//!
//! Answers that tenbin merges or annotates are JSON: kubectl and client-go name `application/json`
//! or `*/*` after protobuf. Protobuf, CBOR and YAML are therefore never asked of a member there.

use crate::list::IncludeObject;
use crate::status::{Reason, Status};

/// The form in which a client wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// The object or list itself.
    Json,
    /// A Table, with columns and rows.
    Table(MetaVersion),
    /// `PartialObjectMetadata` or a list of it.
    Partial(MetaVersion),
}

/// The version of `meta.k8s.io` of a Table or of partial metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion {
    /// `v1`.
    V1,
    /// `v1beta1`.
    V1Beta1,
}

// === impl AnswerForm ===

impl AnswerForm {
    /// Whether answers have objects with their specs, whose shape depends on the version.
    pub fn shows_whole(self, in_rows: IncludeObject) -> bool {
        match self {
            Self::Json => true,
            Self::Partial(_) => false,
            Self::Table(_) => in_rows == IncludeObject::Object,
        }
    }
}

/// What a client accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The form it likes best; a member that cannot make it answers in a later one of `upstream`,
    /// which the answer's `kind` tells.
    pub form: AnswerForm,
    /// The `Accept` value for members: the JSON forms, best first.
    pub upstream: String,
}

// === impl Accepted ===

impl Accepted {
    /// Whether a Table is liked best.
    pub fn is_table(&self) -> bool {
        matches!(self.form, AnswerForm::Table(_))
    }
}

/// One acceptable JSON form.
struct Clause<'a> {
    form: AnswerForm,
    quality: f32,
    /// How few of type and subtype are `*`.
    precision: u8,
    /// From the first `;` on, or empty.
    parameters: &'a str,
}

/// Reads an `Accept` header; several header lines are joined with `,` before.
///
/// None, or an empty one, accepts JSON. Quality orders the forms and excludes at 0; equal ones keep
/// their order. Where no JSON form is acceptable it is a 406.
pub fn negotiate(accept: Option<&str>) -> Result<Accepted, Status> {
    let text = accept.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("application/json");
    let mut clauses: Vec<_> = text.split(',').filter_map(Clause::parse).collect();
    clauses.sort_by(|one, other| {
        let by_quality = other.quality.total_cmp(&one.quality);
        by_quality.then(other.precision.cmp(&one.precision))
    });
    let Some(best) = clauses.first() else {
        let message = "only the following media types are accepted: application/json";
        return Err(Status::new(Reason::NotAcceptable, message));
    };
    let values: Vec<_> =
        clauses.iter().map(|clause| format!("application/json{}", clause.parameters)).collect();
    Ok(Accepted { form: best.form, upstream: values.join(",") })
}

// === impl Clause ===

impl<'a> Clause<'a> {
    /// Reads one clause; `None` where it is not a JSON form that an API server makes.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let at = text.find(';').unwrap_or(text.len());
        let (range, parameters) = text.split_at_checked(at)?;
        let precision = match range.trim_end() {
            "*/*" => 0,
            "application/*" => 1,
            range if range.eq_ignore_ascii_case("application/json") => 2,
            _ => return None,
        };
        let (mut kind, mut group, mut version, mut quality) = ("", "", "", 1.0);
        for parameter in parameters.split(';') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name.trim(), value.trim()) {
                ("as", value) => kind = value,
                ("g", value) => group = value,
                ("v", value) => version = value,
                ("q", value) => quality = value.parse().unwrap_or(1.0),
                _ => {}
            }
        }
        let form = form(kind, group, version)?;
        (quality > 0.0).then_some(Self { form, quality, precision, parameters })
    }
}

fn form(kind: &str, group: &str, version: &str) -> Option<AnswerForm> {
    if kind.is_empty() && group.is_empty() && version.is_empty() {
        return Some(AnswerForm::Json);
    }
    let version = match (group, version) {
        ("meta.k8s.io", "v1") => MetaVersion::V1,
        ("meta.k8s.io", "v1beta1") => MetaVersion::V1Beta1,
        _ => return None,
    };
    match kind {
        "Table" => Some(AnswerForm::Table(version)),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(AnswerForm::Partial(version)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(accept: &str) -> (AnswerForm, String) {
        let Accepted { form, upstream } = negotiate(Some(accept)).unwrap();
        (form, upstream)
    }

    #[test]
    fn kubectl_gets_a_table_and_its_own_fallbacks() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,\
                     application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let (form, upstream) = accepted(table);
        assert_eq!((form, upstream.as_str()), (AnswerForm::Table(MetaVersion::V1), table));
        let old = "application/json;as=Table;g=meta.k8s.io;v=v1beta1, */*";
        assert_eq!(accepted(old).0, AnswerForm::Table(MetaVersion::V1Beta1));
    }

    #[test]
    fn typed_clients_get_json_and_no_member_is_asked_for_protobuf() {
        for accept in [
            "application/vnd.kubernetes.protobuf,application/json",
            "application/vnd.kubernetes.protobuf, */*",
            "application/cbor;q=1,application/json;q=0.9",
            "application/yaml, application/*",
            "*/*",
            "",
        ] {
            let (form, upstream) = accepted(accept);
            assert_eq!(form, AnswerForm::Json, "{accept}");
            assert!(upstream.starts_with("application/json"), "{upstream}");
            assert!(!upstream.contains("protobuf") && !upstream.contains('*'), "{upstream}");
        }
        assert_eq!(negotiate(None).unwrap().upstream, "application/json");
    }

    #[test]
    fn metadata_informers_get_partial_objects() {
        let partial = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;\
                       g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;\
                       g=meta.k8s.io;v=v1,application/json";
        assert_eq!(accepted(partial).0, AnswerForm::Partial(MetaVersion::V1));
    }

    #[test]
    fn quality_orders_and_excludes() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let swapped = format!("{table};q=0.5,application/json;q=0.8");
        assert_eq!(
            accepted(&swapped),
            (AnswerForm::Json, format!("application/json;q=0.8,{table};q=0.5"))
        );
        assert_eq!(accepted(&format!("{table};q=0, application/json")).0, AnswerForm::Json);
        assert_eq!(accepted("application/json;q=x").0, AnswerForm::Json);
    }

    #[test]
    fn a_client_without_any_json_form_is_told_what_there_is() {
        for accept in [
            "application/vnd.kubernetes.protobuf",
            "text/html",
            "application/json;q=0",
            "application/json;as=Table;v=v2;g=meta.k8s.io",
            "application/json;as=Chair;v=v1;g=meta.k8s.io",
            ",;",
        ] {
            assert_eq!(negotiate(Some(accept)).unwrap_err().code, 406, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(accept in "(application/json|\\*/\\*|;|,|q=|as=|\\PC){0,20}") {
            if let Ok(accepted) = negotiate(Some(&accept)) {
                prop_assert!(accepted.upstream.starts_with("application/json"));
            }
        }
    }
}
