//! How events are written.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

use super::WatchError;
use super::event::{EventKind, TypeMeta};
use super::keys::{Body, Held, Known, View};
use super::merge::WatchMerge;
use crate::fold::{Copy, fold_object, fold_row};
use crate::ids::ClusterName;
use crate::list::outline::{Outline, quoted};
use crate::list::table::{self, Row};
use crate::list::{IncludeObject, ScanError};

/// The annotation of the bookmark behind all that exists (KEP-3157).
const INITIAL_END: &str = "k8s.io/initial-events-end";

/// The columns of a watch that answers in Tables; they grow when a member has more of them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    joined: table::Columns,
    is_table: bool,
    /// Whether the client has to be told of them.
    due: bool,
}

// === impl Columns ===

impl Columns {
    pub(super) fn is_table(&self) -> bool {
        self.is_table
    }
}

// === impl EventKind ===

impl EventKind {
    fn text(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

// === impl WatchMerge ===

impl WatchMerge {
    /// Writes the event of one view; false where its content is not at hand.
    pub(super) fn put(
        &mut self,
        kind: EventKind,
        known: &Known,
        view: View,
        members: &[usize],
    ) -> Result<bool, WatchError> {
        let copies: Vec<&Held> = members.iter().filter_map(|member| known.copy(*member)).collect();
        let Some(first) = copies.first() else { return Ok(false) };
        let bytes = match (&first.body, view) {
            (Body::Whole(bytes), _) => bytes,
            (Body::Stub(bytes), View::Single(_)) if kind == EventKind::Deleted => bytes,
            // Its member does not tell, and will when it can.
            (Body::Stub(_) | Body::Elsewhere, View::Single(_)) => return Ok(false),
            (_, View::Fold(_)) => return Err(self.unfoldable(first.member)),
        };
        for member in members {
            // Also of whom was only asked, the client has something with this event.
            self.at(*member, |member| member.started = true);
        }
        let mut body = BytesMut::new();
        match view {
            View::Single(member) => {
                self.put_single(member, bytes, &mut body)
                    .map_err(|source| self.scan_error(member, source))?;
            }
            View::Fold(_) => {
                let folded = self.fold(&copies)?;
                serde_json::to_writer((&mut body).writer(), &folded)
                    .map_err(|_| self.unfoldable(first.member))?;
            }
        }
        self.out.put_slice(b"{\"type\":\"");
        self.out.put_slice(kind.text().as_bytes());
        self.out.put_slice(b"\",\"object\":");
        self.wrap(&body);
        self.out.put_slice(b"}\n");
        Ok(true)
    }

    /// Writes a bookmark, if the client wants them; `end` marks the end of what exists.
    pub(super) fn bookmark(&mut self, end: bool) {
        if !self.began || !(self.options.bookmarks || end) {
            return;
        }
        let Some(names) = self.type_meta().cloned() else { return };
        let mut metadata = json!({"resourceVersion": self.vector(0)});
        if let (true, Some(metadata)) = (end, metadata.as_object_mut()) {
            metadata.insert("annotations".to_owned(), json!({INITIAL_END: "true"}));
        }
        let mut object =
            json!({"kind": names.kind, "apiVersion": names.api_version, "metadata": metadata});
        if let (true, Some(object)) = (self.columns.is_table, object.as_object_mut()) {
            let row = json!({"cells": [], "object": {"kind": "PartialObjectMetadata",
                "apiVersion": names.api_version, "metadata": metadata}});
            object.insert("columnDefinitions".to_owned(), Value::Null);
            object.insert("rows".to_owned(), json!([row]));
        }
        let event = json!({"type": "BOOKMARK", "object": object});
        self.out.put_slice(event.to_string().as_bytes());
        self.out.put_slice(b"\n");
    }

    /// What is kept of an object or row, to tell that it is gone.
    pub(super) fn stub(&self, bytes: &Bytes) -> Body {
        let row = self.columns.is_table.then(|| Row::read(bytes).ok()).flatten();
        let object = row.as_ref().map_or(Some(&**bytes), |row| row.object);
        let outline = object.and_then(|object| Outline::read(object, "", true).ok());
        let (Some(object), Some(outline)) = (object, outline) else { return Body::Elsewhere };
        let mut stub = BytesMut::new();
        if row.is_some() {
            stub.put_slice(b"{\"cells\":[");
            stub.put_slice(quoted(&outline.name).as_bytes());
            stub.put_slice(b"],\"object\":");
        }
        let TypeMeta { kind, api_version } = TypeMeta::of(object).unwrap_or_default();
        stub.put_slice(b"{\"kind\":");
        stub.put_slice(quoted(&kind).as_bytes());
        stub.put_slice(b",\"apiVersion\":");
        stub.put_slice(quoted(&api_version).as_bytes());
        stub.put_slice(b",\"metadata\":{\"name\":");
        stub.put_slice(quoted(&outline.name).as_bytes());
        let version = outline.version.clone().and_then(|range| object.get(range));
        let fields = [
            ("namespace", quoted(&outline.namespace).into_bytes(), !outline.namespace.is_empty()),
            ("uid", quoted(&outline.uid).into_bytes(), true),
            ("resourceVersion", version.unwrap_or_default().to_vec(), version.is_some()),
            ("labels", outline.labels.to_vec(), !outline.labels.is_empty()),
            ("ownerReferences", outline.owners.to_vec(), !outline.owners.is_empty()),
        ];
        for (key, value, _) in fields.iter().filter(|(_, _, present)| *present) {
            stub.put_slice(format!(",\"{key}\":").as_bytes());
            stub.put_slice(value);
        }
        stub.put_slice(b"}}");
        if row.is_some() {
            stub.put_slice(b"}");
        }
        Body::Stub(stub.freeze())
    }

    /// Joins a member's columns with those of the others.
    pub(super) fn align(&mut self, index: usize) -> Result<(), ScanError> {
        let Some(definitions) = self
            .members
            .get(index)
            .filter(|it| it.alignment.is_empty())
            .and_then(|it| it.columns.clone())
        else {
            return Ok(());
        };
        self.columns.is_table = true;
        let width = self.columns.joined.len();
        self.columns.joined.add(&definitions)?;
        self.columns.due |= self.columns.joined.len() > width || width == 0;
        for member in &mut self.members {
            if let Some(definitions) = &member.columns {
                member.alignment = self.columns.joined.align(definitions)?;
            }
        }
        Ok(())
    }

    fn put_single(&self, index: usize, bytes: &Bytes, out: &mut BytesMut) -> Result<(), ScanError> {
        let Some(member) = self.members.get(index) else { return Ok(()) };
        let write = |object: &[u8], out: &mut BytesMut| -> Result<(), ScanError> {
            let outline = Outline::read(object, &self.options.label_key, self.options.show_state)?;
            let version = outline.version(object).unwrap_or(0);
            let version = format!("\"{}\"", self.vector(version));
            outline.write_at(object, &member.origin, version.as_bytes(), out);
            Ok(())
        };
        if !self.columns.is_table {
            return write(bytes, out);
        }
        let row = Row::read(bytes)?;
        let mut object = BytesMut::from(&b"null"[..]);
        if let Some(bytes) = row.object.filter(|_| self.options.include_object.keeps()) {
            object.clear();
            write(bytes, &mut object)?;
        }
        let cell = member.cell.as_bytes();
        row.write(&member.alignment, cell, |out| out.put_slice(&object), out);
        Ok(())
    }

    fn fold(&self, copies: &[&Held]) -> Result<Value, WatchError> {
        let first = copies.first().map_or(usize::MAX, |copy| copy.member);
        let parsed = copies.iter().map(|copy| self.parse(copy)).collect::<Option<Vec<_>>>();
        let (Some(class), Some(parsed)) = (self.options.fold, parsed) else {
            return Err(self.unfoldable(first));
        };
        let space = &self.options.space;
        let mut folded = if self.columns.is_table {
            fold_row(class, parsed, space)
        } else {
            fold_object(class, parsed, space)
        }
        .ok_or_else(|| self.unfoldable(first))?;
        let pointer = if self.columns.is_table {
            "/object/metadata/resourceVersion"
        } else {
            "/metadata/resourceVersion"
        };
        if let Some(version) = folded.pointer_mut(pointer) {
            let is_home = |copy: &&&Held| {
                let home = copy.mark.as_ref().map(|mark| &mark.home);
                home.is_some() && self.names.get(copy.member) == home
            };
            let own = copies.iter().find(is_home).map_or(0, |copy| copy.version);
            *version = Value::from(self.vector(own));
        }
        if let (IncludeObject::None, true, Some(object)) =
            (self.options.include_object, self.columns.is_table, folded.get_mut("object"))
        {
            *object = Value::Null;
        }
        Ok(folded)
    }

    /// Decodes a copy; a row with its cells aligned.
    fn parse(&self, copy: &Held) -> Option<Copy> {
        let member = self.members.get(copy.member)?;
        let Body::Whole(bytes) = &copy.body else { return None };
        let mut object: Value = serde_json::from_slice(bytes).ok()?;
        if self.columns.is_table {
            let cells = object.get_mut("cells")?.as_array_mut()?;
            let cell = |place: &Option<usize>| {
                place.and_then(|place| cells.get(place)).cloned().unwrap_or_default()
            };
            *cells = member.alignment.iter().map(cell).collect();
        }
        Some(Copy { member: member.name.clone(), object })
    }

    /// Writes an object, or a row in a Table of its own.
    fn wrap(&mut self, body: &[u8]) {
        if !self.columns.is_table {
            self.out.put_slice(body);
            return;
        }
        let api_version =
            self.type_meta().map_or("meta.k8s.io/v1", |names| names.api_version.as_str());
        let head = format!(
            "{{\"kind\":\"Table\",\"apiVersion\":{},\"metadata\":{{\"resourceVersion\":\"{}\"}},\"columnDefinitions\":",
            quoted(api_version),
            self.vector(0)
        );
        self.out.put_slice(head.as_bytes());
        if std::mem::take(&mut self.columns.due) {
            self.columns.joined.write(&mut self.out);
        } else {
            self.out.put_slice(b"null");
        }
        self.out.put_slice(b",\"rows\":[");
        self.out.put_slice(body);
        self.out.put_slice(b"]}");
    }

    /// Up to where the client has seen every member; with it an object of the version `own`.
    pub(super) fn vector(&self, own: u64) -> String {
        let seen = self.members.iter().map(|member| (&member.name, member.seen()));
        self.options.space.compose_for(own, seen)
    }

    fn unfoldable(&self, index: usize) -> WatchError {
        let name = self.names.get(index).or_else(|| self.names.first()).cloned();
        name.map_or(WatchError::TooMany(0), |name: ClusterName| WatchError::Fold(name))
    }
}
