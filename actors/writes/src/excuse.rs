//! What a member's refusal of a rehearsal means for the write.

use serde_json::Value;

use crate::answer::Answer;
use crate::copies::{Standing, version};
use crate::engine::{Part, Write};
use crate::namespace;
use crate::verdict::{self, Refusal, Step, Verdict};

// === impl Write ===

impl Write<'_> {
    /// Decides whether a refusal ends the write, or only the member's part in it.
    pub(crate) async fn excuse(
        &mut self,
        target: usize,
        refusal: Refusal,
    ) -> Result<(), Box<Answer>> {
        let part = self.parts.iter().find(|part| part.target == target);
        let creates = part.is_some_and(|part| part.old.is_none());
        if target == self.plan.home {
            Err(Box::new(refusal.into()))
        } else if creates && refusal.says_it_exists() {
            self.meet_namesake(target, refusal).await
        } else if creates && refusal.lacks_namespace() {
            self.follow_namespace(target, &refusal).await
        } else if !creates && refusal.is_conflict() {
            self.read_again(target).await
        } else {
            Err(Box::new(refusal.into()))
        }
    }

    /// Writes over a copy that lost its home, since it was tenbin's; leaves any other alone.
    async fn meet_namesake(&mut self, target: usize, refusal: Refusal) -> Result<(), Box<Answer>> {
        let standing = Standing::read(self.session, &self.path).await;
        match (&standing.home, standing.object(target)) {
            // The fleet view has an object of this name already.
            (Some((home, _)), _) if *home != self.plan.home => {
                return Err(Box::new(refusal.into()));
            }
            (_, Some(found))
                if standing.belongs(self.session, target)
                    || standing.is_orphan(self.session, target) =>
            {
                self.change_from(target, found);
                return Ok(());
            }
            (Some(_) | None, _) => {}
        }
        self.drop_part(target, "an object of this name is there that is not managed from here")
    }

    /// Takes a copy that has changed since it was read as it is now.
    async fn read_again(&mut self, target: usize) -> Result<(), Box<Answer>> {
        let Some(member) = self.session.targets.get(target) else { return Ok(()) };
        match verdict::send(self.session, member, Step::get(self.path.clone())).await {
            Verdict::Done(found) => {
                self.change_from(target, &found.object);
                Ok(())
            }
            Verdict::Refused(refusal) => self.drop_part(target, &refusal.message()),
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => {
                self.drop_part(target, &fault.to_string())
            }
        }
    }

    fn change_from(&mut self, target: usize, found: &Value) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.target == target) {
            *part = Part::of(target, found.clone(), version(found).map(str::to_owned));
        }
    }

    /// Rehearses the namespace in a member that lacks it, with the caller's own rights.
    ///
    /// What is to stand in it cannot be rehearsed there: the commit is the first to know.
    async fn follow_namespace(
        &mut self,
        target: usize,
        refusal: &Refusal,
    ) -> Result<(), Box<Answer>> {
        let name = refusal.body.pointer("/details/name").and_then(Value::as_str);
        let step =
            namespace::step(self.session, self.plan.home, target, name.unwrap_or_default()).await;
        let (step, member) = match (step, self.session.targets.get(target)) {
            (Ok(step), Some(member)) => (step, member),
            (Err(reason), _) => return self.drop_part(target, &reason),
            (Ok(_), None) => return Ok(()),
        };
        match verdict::send(self.session, member, step.clone().dry()).await {
            Verdict::Done(_) => {
                if let Some(part) = self.parts.iter_mut().find(|part| part.target == target) {
                    part.namespace = Some(step);
                }
                Ok(())
            }
            Verdict::Refused(refusal) if refusal.says_it_exists() => Ok(()),
            Verdict::Refused(refusal) => {
                let why = refusal.message();
                let reason = format!("the namespace is not there and cannot be made: {why}");
                self.drop_part(target, &reason)
            }
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => {
                self.drop_part(target, &fault.to_string())
            }
        }
    }
}
