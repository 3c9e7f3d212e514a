//! The plan of a write, its rehearsal and its answer: the same for all writes (writes.md, All or
//! nothing). What follows the rehearsal is in `commit`.

use futures_util::future::join_all;
use serde_json::Value;
use tenbin_model::fold::{self, FoldClass};
use tenbin_model::managed::Shares;
use tenbin_model::status::{Reason, Status};

use crate::answer::Answer;
use crate::session::{Order, Session};
use crate::verdict::{self, Done, Step, Verdict};

/// One member's part in a write.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) target: usize,
    /// The member's copy before the write; `None` where it gets its first.
    pub(crate) old: Option<Value>,
    /// The version that the copy must still have.
    pub(crate) version: Option<String>,
    /// Makes the namespace first, where the member lacks it.
    pub(crate) namespace: Option<Step>,
}

/// What all parts of a write have in common.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) home: usize,
    /// The uid of home's copy, once it is known.
    pub(crate) home_uid: Option<String>,
    pub(crate) epoch: u64,
    /// The replicas of all members, where the object is split.
    pub(crate) shares: Option<Shares>,
}

/// Makes the request for each part.
pub(crate) trait Job {
    /// The request for `part`, a pure function of its arguments.
    fn step(&self, session: &Session<'_>, part: &Part, plan: &Plan) -> Result<Step, Status>;
}

/// A write in progress.
pub(crate) struct Write<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) job: &'a dyn Job,
    /// The path of the object.
    pub(crate) path: String,
    /// Home's part first.
    pub(crate) parts: Vec<Part>,
    pub(crate) plan: Plan,
    /// What to divide, where replicas change.
    pub(crate) order: Option<Order>,
    /// The shares that stay if the total does: nobody moves pods by saying the same again.
    pub(crate) present: Option<Shares>,
    pub(crate) warnings: Vec<String>,
    /// What the user should know of the last division.
    pub(crate) note: Option<String>,
}

/// What was carried out, part by part.
pub(crate) type Carried = Vec<(usize, Done)>;

// === impl Part ===

impl Part {
    /// A part that gives `target` its first copy.
    pub(crate) fn first(target: usize) -> Self {
        Self { target, old: None, version: None, namespace: None }
    }

    /// A part that changes the copy of `target`.
    pub(crate) fn of(target: usize, old: Value, version: Option<String>) -> Self {
        Self { target, old: Some(old), version, namespace: None }
    }
}

// === impl Write ===

impl Write<'_> {
    /// Carries the write out, or nothing of it.
    ///
    /// Cancellation leaves what was sent; the caller lets a write run to its end.
    pub(crate) async fn run(mut self) -> Answer {
        let rehearsed = match self.rehearse().await {
            Ok(rehearsed) => rehearsed,
            Err(answer) => return answer.warned(self.warnings),
        };
        if self.session.dry_run {
            return self.answer(&rehearsed);
        }
        match self.commit_home().await {
            Ok(made) => self.commit_rest(made).await,
            Err(answer) => answer.warned(self.warnings),
        }
    }

    /// Asks every member whether it would carry its part out; drops those that cannot be asked.
    async fn rehearse(&mut self) -> Result<Carried, Box<Answer>> {
        self.drop_known_dead()?;
        // Each round but the last drops a member, or finds a copy or a namespace.
        for _ in 0..=2 * self.parts.len() {
            let among: Vec<usize> = self.parts.iter().map(|part| part.target).collect();
            self.divide(&among).await?;
            let (mut carried, mut changed) = (Carried::new(), false);
            for (target, verdict) in self.ask().await? {
                match verdict {
                    Verdict::Done(done) => carried.push((target, done)),
                    Verdict::Refused(refusal) if refusal.is_no_verdict() => {}
                    Verdict::Refused(refusal) => {
                        self.excuse(target, refusal).await?;
                        changed = true;
                    }
                    Verdict::Unsent(fault) | Verdict::Unknown(fault) => {
                        self.drop_part(target, &fault.to_string())?;
                        changed = true;
                    }
                }
            }
            if !changed {
                return Ok(carried);
            }
        }
        let message = "the members' copies keep changing: try again";
        Err(Box::new(Status::new(Reason::Conflict, message).into()))
    }

    fn drop_known_dead(&mut self) -> Result<(), Box<Answer>> {
        for (target, it) in self.session.targets.iter().enumerate() {
            if let Some(reason) = &it.down {
                self.drop_part(target, reason)?;
            }
        }
        Ok(())
    }

    /// Goes on without a member; without home nothing goes on.
    pub(crate) fn drop_part(&mut self, target: usize, reason: &str) -> Result<(), Box<Answer>> {
        if target == self.plan.home {
            return Err(Box::new(home_is_out(reason).into()));
        }
        let before = self.parts.len();
        self.parts.retain(|part| part.target != target);
        if self.parts.len() < before {
            self.warn_of(target, reason);
        }
        Ok(())
    }

    pub(crate) fn warn_of(&mut self, target: usize, reason: &str) {
        let effect =
            if self.order.is_some() { "it gets no replicas" } else { "it was not written there" };
        self.warnings.push(format!("{}: {effect}", self.session.named(target, reason)));
    }

    /// Divides the total among these targets.
    pub(crate) async fn divide(&mut self, among: &[usize]) -> Result<(), Box<Answer>> {
        let Some(order) = &self.order else { return Ok(()) };
        let targets = self.session.targets.iter().enumerate();
        let among = targets.filter(|(target, _)| among.contains(target));
        let among: Vec<_> = among.map(|(_, target)| target.member.name.clone()).collect();
        if let Some(present) = &self.present
            && let Some(kept) = present.kept(order.total, &among)
        {
            (self.plan.shares, self.note) = (Some(kept), None);
            return Ok(());
        }
        let divided = self.session.divider.divide(Order { among, ..order.clone() }).await;
        let divided = divided.map_err(|status| Box::new(status.into()))?;
        (self.plan.shares, self.note) = (Some(divided.shares), divided.note);
        Ok(())
    }

    /// Sends all parts at once, as a rehearsal.
    async fn ask(&self) -> Result<Vec<(usize, Verdict)>, Box<Answer>> {
        let mut sending = Vec::new();
        for part in self.parts.iter().filter(|part| part.namespace.is_none()) {
            let step = self.step(part).map_err(|status| Box::new(status.into()))?;
            let step = if self.session.dry_run { step } else { step.dry() };
            let Some(target) = self.session.targets.get(part.target) else { continue };
            sending.push(
                async move { (part.target, verdict::send(self.session, target, step).await) },
            );
        }
        Ok(join_all(sending).await)
    }

    pub(crate) fn step(&self, part: &Part) -> Result<Step, Status> {
        self.job.step(self.session, part, &self.plan)
    }

    /// The fleet view of what was carried out.
    pub(crate) fn answer(self, carried: &Carried) -> Answer {
        let home = carried.iter().find(|(target, _)| *target == self.plan.home);
        let code = home.map_or(200, |(_, done)| done.code);
        let copies = carried.iter().filter_map(|(target, done)| {
            let member = self.session.name(*target)?.clone();
            Some(fold::Copy { member, object: done.object.clone() })
        });
        let warnings = carried.iter().flat_map(|(_, done)| done.warnings.clone());
        let warnings = self.note.into_iter().chain(warnings);
        let body = fold::fold_object(self.session.class, copies.collect(), &self.session.space)
            .or_else(|| home.map(|(_, done)| done.object.clone()))
            .unwrap_or_default();
        Answer { code, body, warnings: self.warnings, retry_after_seconds: None }.warned(warnings)
    }
}

/// The answer where home cannot be written.
pub(crate) fn home_is_out(reason: &str) -> Status {
    let message = format!("{reason} (it is the home of this object)");
    Status::new(Reason::ServiceUnavailable, message)
}

/// Whether replicas of the class are divided.
pub(crate) fn is_split(class: FoldClass) -> bool {
    match class {
        FoldClass::Split => true,
        FoldClass::Replicate => false,
    }
}
