//! Reads the members' copies of one object and finds its home.

use futures_util::future::join_all;
use serde_json::Value;
use tenbin_model::managed::Mark;

use crate::session::Session;
use crate::verdict::{self, Refusal, Step, Verdict};

/// One member's copy of an object.
#[derive(Debug)]
pub(crate) enum Copy {
    /// It is there.
    Present(Value),
    /// The member has no object of the name, and says so.
    Absent(Refusal),
    /// The member cannot be asked; why.
    Out(String),
    /// The member refuses to show it.
    Refused(Refusal),
}

/// The members' copies of one object, by target.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) copies: Vec<Copy>,
    /// The home's target and mark, where the object is managed.
    pub(crate) home: Option<(usize, Mark)>,
}

// === impl Standing ===

impl Standing {
    /// Asks every member for its copy.
    pub(crate) async fn read(session: &Session<'_>, path: &str) -> Self {
        let reading = session.targets.iter().map(|target| async move {
            if let Some(reason) = &target.down {
                return Copy::Out(reason.clone());
            }
            match verdict::send(session, target, Step::get(path)).await {
                Verdict::Done(done) => Copy::Present(done.object),
                Verdict::Refused(refusal) if refusal.code == 404 => Copy::Absent(refusal),
                Verdict::Refused(refusal) => Copy::Refused(refusal),
                Verdict::Unsent(fault) | Verdict::Unknown(fault) => Copy::Out(fault.to_string()),
            }
        });
        let copies = join_all(reading).await;
        let home = home(session, &copies);
        Self { copies, home }
    }

    /// The target that a GET shows: the first that has the object.
    pub(crate) fn shown(&self) -> Option<usize> {
        self.copies.iter().position(|copy| matches!(copy, Copy::Present(_)))
    }

    /// The copy of a target.
    pub(crate) fn object(&self, target: usize) -> Option<&Value> {
        match self.copies.get(target) {
            Some(Copy::Present(object)) => Some(object),
            Some(Copy::Absent(_) | Copy::Out(_) | Copy::Refused(_)) | None => None,
        }
    }

    /// Whether the copy of `target` belongs to the managed object, and is no namesake.
    pub(crate) fn belongs(&self, session: &Session<'_>, target: usize) -> bool {
        let Some((home, _)) = &self.home else { return false };
        if target == *home {
            return true;
        }
        let home_uid = self.object(*home).and_then(|object| uid(object));
        let mark = self.object(target).and_then(|it| Mark::of(it, session.label_key));
        mark.is_some_and(|mark| {
            Some(&mark.home) == session.name(*home)
                && (home_uid.is_none() || mark.home_uid.as_deref() == home_uid)
        })
    }

    /// Whether the copy of `target` is of an object that its home has no more.
    pub(crate) fn is_orphan(&self, session: &Session<'_>, target: usize) -> bool {
        let mark = self.object(target).and_then(|it| Mark::of(it, session.label_key));
        let Some((home, mark)) = mark.and_then(|it| Some((session.index(&it.home)?, it))) else {
            return false;
        };
        match self.copies.get(home) {
            Some(Copy::Absent(_)) => true,
            Some(Copy::Present(object)) => {
                home != target && mark.home_uid.as_deref() != uid(object)
            }
            Some(Copy::Out(_) | Copy::Refused(_)) | None => false,
        }
    }

    /// The first refusal other than 404 of the members that were asked.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.copies.iter().find_map(|copy| match copy {
            Copy::Refused(refusal) => Some(refusal),
            Copy::Present(_) | Copy::Absent(_) | Copy::Out(_) => None,
        })
    }
}

/// The home that the copies name; where they disagree, the highest epoch wins (writes.md, Home).
fn home(session: &Session<'_>, copies: &[Copy]) -> Option<(usize, Mark)> {
    copies
        .iter()
        .enumerate()
        .filter_map(|(target, copy)| match copy {
            Copy::Present(object) => {
                let mark = Mark::of(object, session.label_key)?;
                let home = session.index(&mark.home)?;
                // A copy of an object whose home lost it is not managed from there any more,
                // but only home's own silence leaves that open.
                let orphan = home != target && matches!(copies.get(home), Some(Copy::Absent(_)));
                (!orphan).then_some((target, home, mark))
            }
            Copy::Absent(_) | Copy::Out(_) | Copy::Refused(_) => None,
        })
        // Home's own word goes before others' of the same epoch, and earlier members' before later.
        .max_by_key(|(target, home, mark)| (mark.epoch, target == home, usize::MAX - target))
        .map(|(_, home, mark)| (home, mark))
}

/// The uid of an object.
pub(crate) fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid")?.as_str()
}

/// The version of an object.
pub(crate) fn version(object: &Value) -> Option<&str> {
    object.pointer("/metadata/resourceVersion")?.as_str()
}
