//! Writes to objects that tenbin did not make: the member that a GET shows, and nobody else.

use tenbin_model::body::Present;
use tenbin_model::status::{Reason, Status};

use crate::answer::Answer;
use crate::copies::{Copy, Standing, version};
use crate::engine::is_split;
use crate::session::Session;
use crate::verdict::{self, Step, Verdict};

/// Sends `step` as the user wrote it to the member that a GET shows; to every member that has the
/// object, where the configuration wants that.
pub(crate) async fn pass(session: &Session<'_>, standing: &Standing, step: Step) -> Answer {
    let Some(shown) = standing.shown() else { return nowhere(standing) };
    let present = match demanded(session, standing, shown, step.clone()) {
        Ok(step) => step,
        Err(status) => return status.into(),
    };
    let mut answer = send(session, shown, present).await;
    if answer.code >= 300 {
        return answer;
    }
    let others = || {
        standing
            .copies
            .iter()
            .enumerate()
            .filter(|(target, copy)| *target != shown && matches!(copy, Copy::Present(_)))
    };
    if session.unmanaged_everywhere {
        for (target, _) in others() {
            let other = match demanded(session, standing, target, step.clone()) {
                Ok(step) => send(session, target, step).await,
                Err(status) => status.into(),
            };
            if other.code >= 300 {
                let message = other.body.pointer("/message").and_then(|it| it.as_str());
                answer.warnings.push(message.unwrap_or("a member refused").to_owned());
            }
        }
        return answer;
    }
    let names: Vec<_> =
        others().filter_map(|(target, _)| session.name(target)).map(ToString::to_string).collect();
    if let Some(member) = session.name(shown) {
        let adopt = if is_split(session.class) {
            "its replicas are not divided"
        } else {
            "it is not replicated"
        };
        answer.warnings.push(format!(
            "tenbin does not manage this object: {member} alone was written to, and {adopt}"
        ));
    }
    if !names.is_empty() {
        answer
            .warnings
            .push(format!("objects of this name in {} were left alone", names.join(", ")));
    }
    answer
}

/// The step in the words of the member whose copy it is for.
fn demanded(
    session: &Session<'_>,
    standing: &Standing,
    target: usize,
    step: Step,
) -> Result<Step, Status> {
    let version = standing.object(target).and_then(version).and_then(|text| text.parse().ok());
    let Some(version) = version else { return Ok(step) };
    let slot = session.targets.get(target).and_then(|target| target.slot);
    let present = Present { space: &session.space, slot, version };
    let body = present.demanded(step.content_type.as_deref(), &step.body)?;
    Ok(match body {
        Some(body) => Step { body, ..step },
        None => step,
    })
}

/// The answer where no member shows the object; where own is dead, nobody can tell.
pub(crate) fn nowhere(standing: &Standing) -> Answer {
    if let Some(refusal) = standing.refusal() {
        return refusal.clone().into();
    }
    let silent = || {
        standing.copies.iter().filter_map(|copy| match copy {
            Copy::Out(reason) => Some(reason.clone()),
            Copy::Present(_) | Copy::Absent(_) | Copy::Refused(_) => None,
        })
    };
    match standing.copies.first() {
        Some(Copy::Out(reason)) => Status::new(Reason::ServiceUnavailable, reason.clone()).into(),
        Some(Copy::Absent(refusal)) => Answer::in_its_words(refusal.clone()).warned(silent()),
        Some(Copy::Present(_) | Copy::Refused(_)) | None => Answer::lost_target(),
    }
}

async fn send(session: &Session<'_>, target: usize, step: Step) -> Answer {
    let Some(target) = session.targets.get(target) else { return Answer::lost_target() };
    match verdict::send(session, target, step).await {
        Verdict::Done(done) => done.into(),
        Verdict::Refused(refusal) => refusal.into(),
        Verdict::Unsent(fault) | Verdict::Unknown(fault) => (&fault).into(),
    }
}
