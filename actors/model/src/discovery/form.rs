//! Which form of discovery a client wants.

/// A form that tenbin makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// One document for all groups, `apidiscovery.k8s.io/v2`.
    V2,
    /// The same as servers and clients before 1.30 call it.
    V2Beta1,
    /// Plain JSON.
    Classic,
}

/// How tenbin asks members for aggregated discovery.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                              application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

// === impl Form ===

impl Form {
    /// Reads an `Accept` header; a missing or empty one wants plain JSON.
    ///
    /// `profile=nopeer` changes nothing: API servers that are replicas of each other are none of
    /// tenbin's members. `None` where no JSON form is wanted.
    pub fn negotiated(accept: Option<&str>) -> Option<Self> {
        let text = accept.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("*/*");
        let mut clauses: Vec<(f32, Self)> = text.split(',').filter_map(clause).collect();
        clauses.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        clauses.first().map(|(_, form)| *form)
    }

    /// The media type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::V2Beta1 => {
                "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
            }
            Self::Classic => "application/json",
        }
    }
}

/// Quality and form of one clause.
fn clause(text: &str) -> Option<(f32, Form)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?.to_ascii_lowercase();
    if !matches!(range.as_str(), "application/json" | "application/*" | "*/*") {
        return None;
    }
    let (mut kind, mut group, mut version, mut quality) = ("", "", "", 1.0);
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        match name.trim() {
            "as" => kind = value.trim(),
            "g" => group = value.trim(),
            "v" => version = value.trim(),
            "q" => quality = value.trim().parse().unwrap_or(1.0),
            _ => {}
        }
    }
    let form = match (kind, group, version) {
        ("", "", "") => Form::Classic,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Form::V2,
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1") => Form::V2Beta1,
        _ => return None,
    };
    (quality > 0.0).then_some((quality, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Option<Form> {
        Form::negotiated(Some(accept))
    }

    #[test]
    fn each_kubectl_gets_the_best_form_that_it_knows() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        for (accept, expected) in [
            (format!("{v2},{v2beta1},application/json"), Form::V2),
            (format!("{v2};profile=nopeer,{v2},application/json"), Form::V2),
            (format!("{v2beta1},application/json"), Form::V2Beta1),
            (
                "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io".into(),
                Form::V2,
            ),
            (format!("{v2};q=0.5,application/json"), Form::Classic),
            (format!("{v2};q=0,application/json"), Form::Classic),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json".into(), Form::Classic),
            ("application/json, */*".into(), Form::Classic),
            (String::new(), Form::Classic),
        ] {
            assert_eq!(form(&accept), Some(expected), "{accept}");
        }
        assert_eq!(Form::negotiated(None), Some(Form::Classic));
    }

    #[test]
    fn who_wants_no_json_gets_none_of_these() {
        for accept in ["application/vnd.kubernetes.protobuf", "application/yaml", ",;"] {
            assert_eq!(form(accept), None, "{accept}");
        }
    }
}
