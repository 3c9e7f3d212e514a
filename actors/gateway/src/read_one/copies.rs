//! The members' copies of one object, and what a client is shown of them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tenbin_model::fold::{self, Copy, FoldClass, Marked};
use tenbin_model::ids::ClusterName;
use tenbin_model::list::{self, IncludeObject, ListMerge, MergeError, MergeOptions};
use tenbin_model::managed::Mark;
use tenbin_model::status::{Reason, Status};

use crate::router::RouteTable;

/// What a member without the object would have answered to a request for a Table.
const EMPTY_TABLE: &[u8] = br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":[],"rows":[]}"#;

/// The copies of one object, as objects or as Tables of one row.
#[derive(Default)]
pub(super) struct Copies {
    /// In the members' order.
    pub(super) objects: Vec<(ClusterName, Bytes)>,
    /// The members that answered that they have none.
    pub(super) lacking: Vec<ClusterName>,
}

// === impl Copies ===

impl Copies {
    /// The Table of the object: a merged list of one row.
    pub(super) fn table(
        &self,
        table: &RouteTable,
        fold: Option<FoldClass>,
        include_object: IncludeObject,
    ) -> Result<Bytes, Status> {
        let members = table.fleet.members().iter().map(|member| member.name.clone());
        let merge = ListMerge::new(MergeOptions {
            members: members.collect(),
            space: Arc::clone(&table.fleet.space),
            label_key: table.rules.label_key.clone(),
            fold,
            one_key_once: true,
            show_state: false,
            include_object,
            page: None,
        });
        self.merge(table, merge)
            .map_err(|error| Status::new(Reason::InternalError, error.to_string()))
    }

    fn merge(&self, table: &RouteTable, mut merge: ListMerge) -> Result<Bytes, MergeError> {
        for (index, member) in table.fleet.members().iter().enumerate() {
            let copy = self.objects.iter().find(|(name, _)| *name == member.name);
            match copy.map(|(_, body)| body.as_ref()) {
                Some(body) => merge.push(index, body)?,
                None if self.lacking.contains(&member.name) => merge.push(index, EMPTY_TABLE)?,
                None => {
                    merge.absent(index)?;
                    continue;
                }
            }
            merge.end(index)?;
        }
        let mut merged = BytesMut::new();
        while let Some(chunk) = merge.next_chunk()? {
            merged.extend_from_slice(&chunk);
        }
        Ok(merged.freeze())
    }

    /// The object: folded where it is managed, else the first member's.
    pub(super) fn plain(
        &self,
        table: &RouteTable,
        fold: Option<FoldClass>,
    ) -> Result<Bytes, Status> {
        if let Some(class) = fold
            && let Some(copies) = self.managed(table)
        {
            let folded = fold::fold_object(class, copies, &table.fleet.space);
            return Ok(Bytes::from(folded.ok_or_else(unreadable)?.to_string()));
        }
        let (member, body) = self.objects.first().ok_or_else(unreadable)?;
        list::annotate(body, member).map_err(|_| unreadable())
    }

    /// The home and the total of the managed object, if it is managed.
    pub(super) fn home(&self, table: &RouteTable) -> Option<(ClusterName, Option<u32>)> {
        let copies = self.managed(table)?;
        let marks = copies.iter().filter_map(|it| Mark::of(&it.object, &table.rules.label_key));
        let mark = marks.max_by_key(|mark| mark.epoch)?;
        Some((mark.home, mark.total))
    }

    /// Names the members whose object of the same name is not shown, as far as they were asked.
    pub(super) fn namesakes(&self, table: &RouteTable, fold: Option<FoldClass>) -> Option<String> {
        let shown: Vec<ClusterName> = match fold.and_then(|_| self.managed(table)) {
            Some(copies) => copies.into_iter().map(|copy| copy.member).collect(),
            None => self.objects.first().map(|(member, _)| member.clone()).into_iter().collect(),
        };
        let members = self.objects.iter().map(|(member, _)| member);
        let others: Vec<&str> =
            members.filter(|member| !shown.contains(member)).map(ClusterName::as_str).collect();
        (!others.is_empty())
            .then(|| format!("an object of this name in {} is not shown", others.join(", ")))
    }

    /// The copies of the managed object that a GET shows, if it shows one.
    fn managed(&self, table: &RouteTable) -> Option<Vec<Copy>> {
        let marked = self.objects.iter().filter_map(|(member, body)| {
            let object = object(body)?;
            let mark = Mark::of(&object, &table.rules.label_key)?;
            let uid = object.pointer("/metadata/uid")?.as_str()?.to_owned();
            Some(Marked { member: member.clone(), uid, mark, copy: object })
        });
        let has = |name: &ClusterName| self.objects.iter().any(|(member, _)| member == name);
        let answered = |name: &ClusterName| has(name) || self.lacking.contains(name);
        let groups = fold::group(marked.collect(), answered);
        let copies = groups.folds.into_iter().next()?.into_iter();
        Some(copies.map(|it| Copy { member: it.member, object: it.copy }).collect())
    }
}

/// The object of an answer: itself, or the one of a Table's only row.
fn object(body: &[u8]) -> Option<Value> {
    let mut answer: Value = serde_json::from_slice(body).ok()?;
    match answer.pointer_mut("/rows/0/object") {
        Some(object) => Some(object.take()),
        None => Some(answer),
    }
}

pub(super) fn unreadable() -> Status {
    Status::new(Reason::InternalError, "a member's object cannot be read")
}
