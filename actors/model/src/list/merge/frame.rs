//! What stands around the items of the answer.

use bytes::{BufMut, BytesMut};

use super::MergeError;
use crate::list::member::Member;
use crate::list::outline::quoted;
use crate::list::table::Columns;
use crate::list::{ScanError, Shape};
use crate::resource_version::VersionSpace;

/// The shape of the answer, and which of its fields were written.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) shape: Shape,
    kind: bool,
    api_version: bool,
    metadata: bool,
}

// === impl Frame ===

impl Frame {
    /// Decides the shape, and writes what comes before the items.
    pub(super) fn begin(
        &mut self,
        members: &mut [Member],
        space: &VersionSpace,
        out: &mut BytesMut,
    ) -> Result<(), MergeError> {
        let shapes = members.iter().filter(|member| member.answers());
        let mut shape = None;
        for (member, found) in shapes.filter_map(|member| Some((member, member.shape?))) {
            if *shape.get_or_insert(found) != found {
                return Err(MergeError::MixedShapes(member.name.clone()));
            }
        }
        self.shape = shape.unwrap_or_default();
        if !members.iter().any(Member::answers) {
            return Err(MergeError::NobodyAnswers);
        }
        let whole = members.iter().all(|member| !member.answers() || member.knows_metadata());
        out.put_slice(b"{");
        for field in self.fields(members, space, whole) {
            out.put_slice(field.as_bytes());
            out.put_slice(b",");
        }
        match self.shape {
            Shape::List => out.put_slice(b"\"items\":["),
            Shape::Table => {
                out.put_slice(b"\"columnDefinitions\":");
                columns(members)?.write(out);
                out.put_slice(b",\"rows\":[");
            }
        }
        Ok(())
    }

    /// Writes what comes behind the items.
    pub(super) fn finish(&mut self, members: &[Member], space: &VersionSpace, out: &mut BytesMut) {
        out.put_slice(b"]");
        for field in self.fields(members, space, true) {
            out.put_slice(b",");
            out.put_slice(field.as_bytes());
        }
        out.put_slice(b"}\n");
    }

    /// The fields that are known and not written yet.
    fn fields(&mut self, members: &[Member], space: &VersionSpace, whole: bool) -> Vec<String> {
        let mut fields = Vec::new();
        let first = members.iter().find(|member| member.answers());
        let typed = [
            ("kind", first.and_then(|first| first.kind.as_ref()), &mut self.kind),
            (
                "apiVersion",
                first.and_then(|first| first.api_version.as_ref()),
                &mut self.api_version,
            ),
        ];
        for (key, value, written) in typed {
            if let (Some(value), false) = (value, *written) {
                fields.push(format!("\"{key}\":{}", quoted(value)));
                *written = true;
            }
        }
        if whole && !std::mem::replace(&mut self.metadata, true) {
            fields.push(format!("\"metadata\":{}", metadata(members, space)));
        }
        fields
    }
}

fn metadata(members: &[Member], space: &VersionSpace) -> String {
    let answering = members.iter().filter(|member| member.answers());
    let parts: Vec<_> =
        answering.filter_map(|member| Some((&member.name, member.version()?))).collect();
    if parts.is_empty() {
        // Aggregated APIs without storage have no versions.
        return "{}".to_owned();
    }
    format!("{{\"resourceVersion\":\"{}\"}}", space.compose(parts))
}

/// Joins the members' columns, and tells each member where its cells go.
fn columns(members: &mut [Member]) -> Result<Columns, MergeError> {
    let mut columns = Columns::default();
    let table = |member: &&mut Member| member.shape == Some(Shape::Table) && member.answers();
    for member in members.iter_mut().filter(table) {
        let definitions = member.columns.clone().unwrap_or_default();
        columns.add(&definitions).map_err(|source| member.error(source))?;
    }
    for member in members.iter_mut().filter(table) {
        let definitions = member.columns.take().unwrap_or_default();
        let aligned = columns.align(&definitions);
        member.alignment = aligned.map_err(|source: ScanError| member.error(source))?;
    }
    Ok(columns)
}
