//! What stands around the items of the answer.

use bytes::{BufMut, BytesMut};

use super::MergeError;
use super::pager::Pager;
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
        pager: Option<&mut Pager>,
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
        // What follows a page is known behind its items.
        let known = pager.is_none()
            && members.iter().all(|member| !member.answers() || member.knows_metadata());
        out.put_slice(b"{");
        for field in self.fields(members, || known.then(|| metadata(members, space))) {
            out.put_slice(field.as_bytes());
            out.put_slice(b",");
        }
        match self.shape {
            Shape::List => out.put_slice(b"\"items\":["),
            Shape::Table => {
                out.put_slice(b"\"columnDefinitions\":");
                columns(members, pager)?.write(out);
                out.put_slice(b",\"rows\":[");
            }
        }
        Ok(())
    }

    /// Writes what comes behind the items.
    pub(super) fn finish(
        &mut self,
        members: &[Member],
        space: &VersionSpace,
        pager: Option<Pager>,
        out: &mut BytesMut,
    ) {
        out.put_slice(b"]");
        let metadata = || match pager {
            None => metadata(members, space),
            Some(pager) => pager.metadata(version(members, space)),
        };
        for field in self.fields(members, || Some(metadata())) {
            out.put_slice(b",");
            out.put_slice(field.as_bytes());
        }
        out.put_slice(b"}\n");
    }

    /// The fields that are known and not written yet.
    fn fields(
        &mut self,
        members: &[Member],
        metadata: impl FnOnce() -> Option<String>,
    ) -> Vec<String> {
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
        if !self.metadata
            && let Some(metadata) = metadata()
        {
            fields.push(format!("\"metadata\":{metadata}"));
            self.metadata = true;
        }
        fields
    }
}

fn metadata(members: &[Member], space: &VersionSpace) -> String {
    let version = version(members, space);
    version.map_or_else(|| "{}".to_owned(), |it| format!("{{\"resourceVersion\":\"{it}\"}}"))
}

/// The version of what all members answered.
fn version(members: &[Member], space: &VersionSpace) -> Option<String> {
    let answering = members.iter().filter(|member| member.answers());
    let parts: Vec<_> =
        answering.filter_map(|member| Some((&member.name, member.version()?))).collect();
    // Aggregated APIs without storage have no versions.
    (!parts.is_empty()).then(|| space.compose(parts))
}

/// Joins the members' columns, and tells each member where its cells go.
///
/// All pages of a list have the columns of the first, also where the members differ.
fn columns(members: &mut [Member], pager: Option<&mut Pager>) -> Result<Columns, MergeError> {
    let mut columns = Columns::default();
    if let Some(known) = pager.as_ref().and_then(|pager| pager.columns()) {
        // A token that a client has changed; its columns are not worth an error of their own.
        columns.add(known.get().as_bytes()).unwrap_or_default();
    }
    let table = |member: &&mut Member| member.shape == Some(Shape::Table) && member.answers();
    for member in members.iter_mut().filter(table) {
        let definitions = member.columns.clone().unwrap_or_default();
        columns.add(&definitions).map_err(|source| member.error(source))?;
    }
    if let Some(pager) = pager {
        let mut all = members.iter().filter_map(|member| member.columns.as_ref());
        let first = all.next();
        if all.any(|definitions| Some(definitions) != first) {
            pager.keep_columns(&columns);
        }
    }
    for member in members.iter_mut().filter(table) {
        let definitions = member.columns.take().unwrap_or_default();
        let aligned = columns.align(&definitions);
        member.alignment = aligned.map_err(|source: ScanError| member.error(source))?;
    }
    Ok(columns)
}
