//! Home, the rest, take back: what follows a rehearsal that nobody refused.

use futures_util::future::join_all;
use tenbin_fleet::fault::Fault;
use tenbin_model::status::{Reason, Status};

use crate::answer::{self, Answer};
use crate::copies::{uid, version};
use crate::engine::{Carried, Part, Write};
use crate::namespace;
use crate::take_back::{self, Made};
use crate::verdict::{self, Done, Refusal, Step, Verdict};

/// So often a member's copy is written anew when somebody else was quicker there.
const ATTEMPTS: usize = 6;

/// One member's part, sent.
struct Sent {
    part: Part,
    /// The namespace that was made for it.
    namespace: Option<Made>,
    outcome: Outcome,
}

enum Outcome {
    Of(Verdict),
    /// A later write has committed on home, and goes on here; this is the copy now.
    Later(Done),
}

// === impl Write ===

impl Write<'_> {
    pub(crate) async fn commit_home(&mut self) -> Result<Made, Box<Answer>> {
        let home = self.parts.iter().position(|part| part.target == self.plan.home);
        let part = home.map(|index| self.parts.remove(index));
        let (Some(part), Some(target)) = (part, self.session.targets.get(self.plan.home)) else {
            return Err(Box::new(answer::lost().into()));
        };
        let step = self.step(&part).map_err(|status| Box::new(status.into()))?;
        match verdict::send(self.session, target, step).await {
            Verdict::Done(done) => {
                self.plan.home_uid = uid(&done.object).map(str::to_owned);
                Ok(Made { part, path: self.path.clone(), done })
            }
            Verdict::Refused(refusal) => Err(Box::new(refusal.into())),
            Verdict::Unsent(fault) | Verdict::Unknown(fault) => Err(Box::new((&fault).into())),
        }
    }

    pub(crate) async fn commit_rest(mut self, home: Made) -> Answer {
        let parts = std::mem::take(&mut self.parts);
        let sent = join_all(parts.into_iter().map(|part| self.commit(part, &home))).await;
        let (mut made, mut namespaces, mut later) = (vec![home], Vec::new(), Carried::new());
        let (mut refused, mut unknown, mut late) = (None, Vec::new(), Vec::new());
        for Sent { part, namespace, outcome } in sent {
            namespaces.extend(namespace);
            match outcome {
                Outcome::Of(Verdict::Done(done)) => {
                    made.push(Made { part, path: self.path.clone(), done });
                }
                Outcome::Of(Verdict::Refused(refusal)) => refused = refused.or(Some(refusal)),
                Outcome::Of(Verdict::Unsent(fault)) => late.push((part.target, fault)),
                Outcome::Of(Verdict::Unknown(fault)) => unknown.push(fault),
                Outcome::Later(done) => later.push((part.target, done)),
            }
        }
        if let Some(refusal) = refused {
            made.extend(namespaces);
            return self.take_back(made, refusal, &unknown).await;
        }
        if let Some(fault) = unknown.first() {
            return self.unknown(fault);
        }
        self.move_from_late(&mut made, late).await;
        let made = made.into_iter().map(|made| (made.part.target, made.done));
        let carried: Carried = made.chain(later).collect();
        self.answer(&carried)
    }

    /// Sends one member's part, which home has committed.
    async fn commit(&self, mut part: Part, home: &Made) -> Sent {
        let mut namespace = None;
        if let (Some(step), Some(target)) =
            (part.namespace.take(), self.session.targets.get(part.target))
        {
            match verdict::send(self.session, target, step).await {
                Verdict::Done(done) => namespace = namespace::made(part.target, done),
                Verdict::Refused(refusal) if refusal.says_it_exists() => {}
                verdict => return Sent { part, namespace, outcome: Outcome::Of(verdict) },
            }
        }
        let outcome = self.arbitrate(&mut part, home).await;
        Sent { part, namespace, outcome }
    }

    /// Writes the copy as it was read. If somebody was quicker, home decides who is the last: the
    /// one whose version home still has writes again, the other leaves the copy alone.
    async fn arbitrate(&self, part: &mut Part, home: &Made) -> Outcome {
        let Some(target) = self.session.targets.get(part.target) else {
            return Outcome::Of(Verdict::Refused(answer::lost().into()));
        };
        for _ in 1..ATTEMPTS {
            part.version = part.old.as_ref().and_then(version).map(str::to_owned);
            let verdict = self.send(part).await;
            if !matches!(&verdict, Verdict::Refused(refusal)
                if part.old.is_some() && refusal.is_conflict())
            {
                return Outcome::Of(verdict);
            }
            let read = Step::get(self.path.clone());
            let now = match verdict::send(self.session, target, read).await {
                Verdict::Done(now) => now,
                verdict => return Outcome::Of(verdict),
            };
            if !self.is_last_on_home(home).await {
                return Outcome::Later(now);
            }
            part.old = Some(now.object);
        }
        // It changes all the time; whoever does that, it is no write of this object's replicas.
        part.version = None;
        Outcome::Of(self.send(part).await)
    }

    async fn send(&self, part: &Part) -> Verdict {
        match (self.step(part), self.session.targets.get(part.target)) {
            (Ok(step), Some(target)) => verdict::send(self.session, target, step).await,
            (Err(status), _) => Verdict::Refused(status.into()),
            (Ok(_), None) => Verdict::Refused(answer::lost().into()),
        }
    }

    async fn is_last_on_home(&self, home: &Made) -> bool {
        let Some(target) = self.session.targets.get(self.plan.home) else { return true };
        match verdict::send(self.session, target, Step::get(self.path.clone())).await {
            Verdict::Done(now) => take_back::is_as_made(&now.object, home),
            Verdict::Refused(_) | Verdict::Unsent(_) | Verdict::Unknown(_) => true,
        }
    }

    async fn take_back(self, made: Vec<Made>, refusal: Refusal, unknown: &[Fault]) -> Answer {
        let open = unknown.iter().map(|fault| {
            format!("{fault}: nobody knows whether it was written there; it was not taken back")
        });
        let answer = Answer::from(refusal).warned(self.warnings).warned(open);
        take_back::all(self.session, made, answer).await
    }

    fn unknown(self, fault: &Fault) -> Answer {
        let message = format!(
            "{fault}: the others carried the write out, and nobody knows whether {} did",
            fault.member()
        );
        Answer::from(Status::new(Reason::Timeout, message)).warned(self.warnings)
    }

    /// Members that died after home had committed get share 0; the living get theirs.
    async fn move_from_late(&mut self, made: &mut [Made], late: Vec<(usize, Fault)>) {
        if late.is_empty() {
            return;
        }
        for (target, fault) in late {
            self.warn_of(target, &fault.to_string());
        }
        if self.order.is_none() {
            return;
        }
        let among: Vec<usize> = made.iter().map(|made| made.part.target).collect();
        if let Err(answer) = self.divide(&among).await {
            self.warnings
                .push(format!("the shares of dead members were not moved: {}", answer.body));
            return;
        }
        let Some(shares) = self.plan.shares.clone() else { return };
        let moved = take_back::reshare(self.session, made, &shares).await;
        self.warnings.extend(moved);
    }
}
