//! Undoes what was committed, if nobody has changed it since.

use actix_http::Method;
use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tenbin_model::body::scale_patch;
use tenbin_model::managed::Shares;

use crate::answer::Answer;
use crate::copies::{uid, version};
use crate::engine::Part;
use crate::session::Session;
use crate::verdict::{self, Done, Step, Verdict};

/// Controllers write into what we made at once; so often the version is read anew.
const ATTEMPTS: usize = 4;

/// A part that was committed.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) part: Part,
    /// The path of the object.
    pub(crate) path: String,
    pub(crate) done: Done,
}

/// Takes all parts back and answers with `answer`, which says why.
pub(crate) async fn all(session: &Session<'_>, made: Vec<Made>, answer: Answer) -> Answer {
    let failures = join_all(made.iter().map(|made| restore(session, made))).await;
    answer.warned(failures.into_iter().flatten())
}

/// Gives the parts other shares, home first; tells what could not be changed.
pub(crate) async fn reshare(
    session: &Session<'_>,
    made: &mut [Made],
    shares: &Shares,
) -> Vec<String> {
    let mut failures = Vec::new();
    for made in made {
        let Some(target) = session.targets.get(made.part.target) else { continue };
        let encoded = scale_patch(&target.member.name, shares, None);
        let step = Step {
            method: Method::PATCH,
            content_type: Some(encoded.content_type.to_owned()),
            body: encoded.bytes,
            ..Step::get(made.path.clone())
        };
        match verdict::send(session, target, step).await {
            Verdict::Done(done) => made.done.object = done.object,
            Verdict::Refused(refusal) => failures.push(refusal.message()),
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => failures.push(fault.to_string()),
        }
    }
    failures
}

/// Undoes one part; `Some` says why it stays.
async fn restore(session: &Session<'_>, made: &Made) -> Option<String> {
    let target = session.targets.get(made.part.target)?;
    let stays =
        |why: &str| Some(format!("{}: what was written there stays: {why}", target.member.name));
    let mut now = made.done.object.clone();
    for _ in 0..ATTEMPTS {
        match verdict::send(session, target, undo(made, &now)).await {
            Verdict::Done(_) => return None,
            Verdict::Refused(refusal) if refusal.code == 404 => return None,
            Verdict::Refused(refusal) if refusal.code == 409 => {}
            Verdict::Refused(refusal) => return stays(&refusal.message()),
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => return stays(&fault.to_string()),
        }
        now = match verdict::send(session, target, Step::get(made.path.clone())).await {
            Verdict::Done(now) => now.object,
            Verdict::Refused(refusal) if refusal.code == 404 => return None,
            Verdict::Refused(refusal) => return stays(&refusal.message()),
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => return stays(&fault.to_string()),
        };
        if !is_as_made(&now, made) {
            return stays("somebody has changed it since");
        }
    }
    stays("it keeps changing")
}

/// Whether an object is still what a write made of it, as far as people write it.
///
/// A controller's status and annotations leave the generation as it is; kinds without one are the
/// same only in the same version.
pub(crate) fn is_as_made(now: &Value, made: &Made) -> bool {
    let made = &made.done.object;
    let same = match (generation(now), generation(made)) {
        (Some(now), Some(made)) => now == made,
        (None, _) | (_, None) => version(now) == version(made),
    };
    same && uid(now) == uid(made)
}

/// The conditional write that makes the copy what it was.
fn undo(made: &Made, now: &Value) -> Step {
    let (method, body) = match &made.part.old {
        None => {
            let preconditions = json!({"uid": uid(now), "resourceVersion": version(now)});
            let options = json!({
                "kind": "DeleteOptions", "apiVersion": "v1",
                "preconditions": preconditions, "propagationPolicy": "Background",
            });
            (Method::DELETE, options)
        }
        Some(old) => {
            let mut old = old.clone();
            if let (Some(slot), Some(version)) =
                (old.pointer_mut("/metadata/resourceVersion"), version(now))
            {
                *slot = version.into();
            }
            (Method::PUT, old)
        }
    };
    Step {
        method,
        content_type: Some("application/json".to_owned()),
        body: Bytes::from(body.to_string()),
        ..Step::get(made.path.clone())
    }
}

fn generation(object: &Value) -> Option<i64> {
    object.pointer("/metadata/generation")?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(object: Value) -> Made {
        let done = Done { code: 201, object, warnings: Vec::new() };
        Made { part: Part::first(0), path: String::new(), done }
    }

    fn object(generation: Option<u32>, version: &str) -> Value {
        let metadata = json!({"uid": "u", "generation": generation, "resourceVersion": version});
        json!({ "metadata": metadata })
    }

    #[test]
    fn a_status_is_nobodys_change_and_a_new_spec_is() {
        let made = made(object(Some(1), "7"));
        assert!(is_as_made(&object(Some(1), "9"), &made));
        assert!(!is_as_made(&object(Some(2), "9"), &made));
    }

    #[test]
    fn a_kind_without_generations_is_the_same_in_the_same_version_only() {
        let made = made(object(None, "7"));
        assert!(is_as_made(&object(None, "7"), &made));
        assert!(!is_as_made(&object(None, "9"), &made));
    }
}
