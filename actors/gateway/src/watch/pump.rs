//! Moves bytes from the members' watches through the merge to the client, as long as it stays.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Response;
use actix_http::body::BoxBody;
use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tenbin_fleet::answer::AnswerBody;
use tenbin_fleet::fault::Fault;
use tenbin_fleet::member::{Fleet, Member};
use tenbin_model::status::{Reason, Status};
use tenbin_model::watch::{Fetch, Fetched, Next, WatchError, WatchMerge};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::debug;

use super::ask::{self, Reply};
use super::plan::Plan;
use crate::asked::Asked;
use crate::lists::{nobody, unfolded_warning};

/// How long a client may leave what was written unread, before its watch ends.
const SLOW_LIMIT: Duration = Duration::from_mins(1);
/// After this time a member that failed is asked again, twice that the next time, up to the limit.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const WAIT_LIMIT: Duration = Duration::from_secs(2);
/// How often a member is asked for a resource that it did not have.
const LACKING_WAIT: Duration = Duration::from_secs(30);

/// What became of a watch before its answer began.
pub(super) enum Opened {
    /// It runs; these warnings go in front.
    Pump(Box<Pump>, Vec<String>),
    /// The answer of a member that refuses the request itself.
    Refused(Response<BoxBody>),
}

/// Something that was waited for.
enum Done {
    Read(usize, u64, AnswerBody, Result<Option<Bytes>, Fault>),
    Replied(usize, u64, Next, Reply),
    Fetched(Fetch, Fetched),
    /// A lacking or dead member may be asked again.
    Retry(usize),
    /// A member may be asked again for what it owes.
    Again(usize),
}

/// What is read of one member.
#[derive(Default)]
struct Link {
    member: Option<Arc<Member>>,
    /// The version from which it was last watched.
    watched: u64,
    /// A body that is not being read, because the merge wants nothing of it now.
    idle: Option<AnswerBody>,
    doing: Doing,
    /// Tells what is under way from what was given up.
    attempt: u64,
    failures: u32,
    /// Whether it will be asked again for what it owes.
    asked_again: bool,
}

/// What is under way with a member.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Doing {
    #[default]
    Nothing,
    Asking,
    Reading,
}

/// The members' watches on their way into one.
pub(super) struct Pump {
    asked: Rc<Asked>,
    plan: Rc<Plan>,
    merge: WatchMerge,
    fleet: watch::Receiver<Arc<Fleet>>,
    links: Vec<Link>,
    tasks: FuturesUnordered<LocalBoxFuture<'static, Done>>,
}

// === impl Pump ===

impl Pump {
    /// Asks all members; the answer can begin when each has said something.
    pub(super) async fn open(asked: Rc<Asked>, plan: Plan) -> Result<Opened, Status> {
        let fleet = asked.worker.shared.fleet.clone();
        let current = Arc::clone(&asked.table.fleet);
        if let Some(name) = plan.has_left(&current) {
            return Err(told(&WatchError::Left(name)));
        }
        let members = plan.members(&current);
        let starts = members
            .iter()
            .map(|member| Ok((member.name.clone(), plan.start(&current, member)?)))
            .collect::<Result<Vec<_>, Status>>()?;
        let merge = WatchMerge::new(plan.options(&asked, &current), starts);
        let link = |member| Link { member: Some(member), ..Link::default() };
        let pump = Self {
            plan: Rc::new(plan),
            merge,
            fleet,
            links: members.iter().cloned().map(link).collect(),
            tasks: FuturesUnordered::new(),
            asked,
        };
        let asking = members.iter().enumerate().map(|(index, member)| {
            let (asked, plan, next) = (&pump.asked, &pump.plan, pump.merge.next(index));
            async move { (next, ask::ask(asked, plan, member, next).await) }
        });
        let replies = join_all(asking).await;
        pump.judge(replies)
    }

    /// Decides whether there is anything to watch, as [`crate::lists`] does.
    fn judge(mut self, replies: Vec<(Next, Reply)>) -> Result<Opened, Status> {
        let (mut warnings, mut verdicts, mut heard) = (Vec::new(), Vec::new(), false);
        if self.plan.is_unfolding() {
            warnings.push(unfolded_warning());
        }
        for (index, (next, reply)) in replies.into_iter().enumerate() {
            match reply {
                Reply::Refused(response) => return Ok(Opened::Refused(response)),
                Reply::Dead(reason) => {
                    let status =
                        Status::new(Reason::ServiceUnavailable, reason.clone()).retry_after(5);
                    // Who resumes knows what the dead member had, and waits for it.
                    let resumes = matches!(next, Next::Watch(_));
                    if !resumes && !self.spares(index) {
                        return Err(status);
                    }
                    heard |= resumes;
                    warnings.push(reason.clone());
                    verdicts.push(status);
                    self.replied(index, next, Reply::Dead(reason)).map_err(|it| told(&it))?;
                }
                Reply::Lacking(status) => {
                    if status.code == Reason::Forbidden.code() {
                        warnings.push(format!("left out: {status}"));
                    }
                    verdicts.push(status.clone());
                    self.replied(index, next, Reply::Lacking(status)).map_err(|it| told(&it))?;
                }
                reply @ (Reply::Body(_) | Reply::Expired) => {
                    heard = true;
                    self.replied(index, next, reply).map_err(|it| told(&it))?;
                }
            }
        }
        if heard { Ok(Opened::Pump(Box::new(self), warnings)) } else { Err(nobody(&verdicts)) }
    }

    /// Runs until the client leaves, the time is over, the daemon drains, or nothing can go on.
    ///
    /// Dropping it ends all upstream watches.
    pub(super) async fn run(mut self: Box<Self>, client: mpsc::Sender<Bytes>) {
        let end = Instant::now() + self.plan.limit;
        let draining = self.asked.worker.shared.draining.clone();
        loop {
            match self.merge.next_chunk() {
                Ok(Some(chunk)) => {
                    // Whoever does not read for long comes back from where it was.
                    tokio::select! {
                        biased;
                        sent = client.send_timeout(chunk, SLOW_LIMIT) => {
                            if sent.is_err() {
                                return;
                            }
                        }
                        () = draining.cancelled() => return,
                        () = tokio::time::sleep_until(end) => return,
                    }
                }
                Ok(None) => {}
                Err(error) => return tell(&client, &error).await,
            }
            self.go_on();
            let done = tokio::select! {
                biased;
                () = client.closed() => return,
                () = draining.cancelled() => return,
                () = tokio::time::sleep_until(end) => return,
                Ok(()) = self.fleet.changed() => self.refleet(),
                Some(done) = self.tasks.next() => self.done(done),
            };
            if let Err(error) = done {
                return tell(&client, &error).await;
            }
        }
    }

    /// Asks and reads whatever can be asked and read now.
    fn go_on(&mut self) {
        for fetch in self.merge.fetches() {
            let member = self.links.get(fetch.asked).and_then(|link| link.member.clone());
            let (asked, plan) = (Rc::clone(&self.asked), Rc::clone(&self.plan));
            let fetching = async move {
                let answer = match member {
                    Some(member) => ask::fetch(&asked, &plan, &member, &fetch).await,
                    None => Fetched::Nothing,
                };
                Done::Fetched(fetch, answer)
            };
            self.tasks.push(fetching.boxed_local());
        }
        for index in 0..self.links.len() {
            let (next, wants) = (self.merge.next(index), self.merge.wants(index));
            let Some(link) = self.links.get_mut(index) else { return };
            if next != Next::Nothing {
                if link.doing == Doing::Reading || link.idle.is_some() {
                    // The merge is done with what is being read.
                    link.give_up();
                }
                if link.doing == Doing::Nothing {
                    self.ask(index, next);
                }
            } else if let Some(body) = link.idle.take_if(|_| wants) {
                self.read(index, body);
            }
            self.ask_again(index);
        }
    }

    /// Lets a member be asked again for what it owes, after a time.
    fn ask_again(&mut self, index: usize) {
        let owes = self.merge.owes(index);
        let Some(link) = self.links.get_mut(index).filter(|it| owes && !it.asked_again) else {
            return;
        };
        link.asked_again = true;
        self.tasks.push(
            async move {
                tokio::time::sleep(WAIT_LIMIT).await;
                Done::Again(index)
            }
            .boxed_local(),
        );
    }

    fn done(&mut self, done: Done) -> Result<(), WatchError> {
        match done {
            Done::Read(index, attempt, body, chunk) => {
                let Some(link) = self.links.get_mut(index).filter(|it| it.attempt == attempt)
                else {
                    return Ok(());
                };
                link.doing = Doing::Nothing;
                match chunk {
                    Ok(Some(chunk)) => {
                        link.idle = Some(body);
                        self.merge.push(index, &chunk);
                    }
                    Ok(None) => self.merge.ended(index),
                    Err(fault) => {
                        debug!(%fault, "a member's watch breaks off");
                        self.merge.ended(index);
                    }
                }
                Ok(())
            }
            Done::Replied(index, attempt, next, reply) => {
                let Some(link) = self.links.get_mut(index).filter(|it| it.attempt == attempt)
                else {
                    return Ok(());
                };
                link.doing = Doing::Nothing;
                self.replied(index, next, reply)
            }
            Done::Fetched(fetch, answer) => self.merge.fetched(&fetch, answer),
            Done::Again(index) => {
                if let Some(link) = self.links.get_mut(index) {
                    link.asked_again = false;
                }
                self.merge.retry(index);
                Ok(())
            }
            Done::Retry(index) => {
                self.merge.retry(index);
                Ok(())
            }
        }
    }

    fn replied(&mut self, index: usize, next: Next, reply: Reply) -> Result<(), WatchError> {
        let seen = self.merge.was_seen(index);
        let Some(link) = self.links.get_mut(index) else { return Ok(()) };
        match reply {
            Reply::Body(body) => {
                // Nothing came of it yet.
                link.failures = link.failures.saturating_add(1);
                link.idle = Some(body);
                self.merge.opened(index, next);
            }
            Reply::Expired => return self.merge.expired(index),
            Reply::Lacking(status) if status.code == Reason::NotFound.code() || !seen => {
                self.merge.lacking(index)?;
                self.retry(index, LACKING_WAIT);
            }
            // An API server that starts refuses all until it has read its rules.
            Reply::Lacking(_) | Reply::Refused(_) | Reply::Dead(_) => {
                link.failures = link.failures.saturating_add(1);
                let wait = link.wait();
                if self.spares(index) {
                    self.merge.dead(index);
                }
                self.retry(index, wait);
            }
        }
        Ok(())
    }

    fn spares(&self, index: usize) -> bool {
        self.merge.members().get(index).is_some_and(|member| self.plan.spare.has(member))
    }

    fn ask(&mut self, index: usize, next: Next) {
        let Some(link) = self.links.get_mut(index) else { return };
        let Some(member) = link.member.clone() else { return };
        link.goes_on(next);
        link.doing = Doing::Asking;
        let (attempt, wait) = (link.attempt, link.wait());
        let (asked, plan) = (Rc::clone(&self.asked), Rc::clone(&self.plan));
        let asking = async move {
            tokio::time::sleep(wait).await;
            Done::Replied(index, attempt, next, ask::ask(&asked, &plan, &member, next).await)
        };
        self.tasks.push(asking.boxed_local());
    }

    fn read(&mut self, index: usize, mut body: AnswerBody) {
        let Some(link) = self.links.get_mut(index) else { return };
        link.doing = Doing::Reading;
        let attempt = link.attempt;
        let reading = async move {
            let chunk = body.next().await;
            Done::Read(index, attempt, body, chunk)
        };
        self.tasks.push(reading.boxed_local());
    }

    fn retry(&self, index: usize, wait: Duration) {
        let waiting = async move {
            tokio::time::sleep(wait).await;
            Done::Retry(index)
        };
        self.tasks.push(waiting.boxed_local());
    }

    /// Takes the fleet as it is now.
    fn refleet(&mut self) -> Result<(), WatchError> {
        let fleet = Arc::clone(&self.fleet.borrow_and_update());
        let members = self.plan.members(&fleet);
        let names: Vec<_> = members.iter().map(|member| member.name.clone()).collect();
        self.merge.reorder(&names, Arc::clone(&fleet.space))?;
        self.links.resize_with(self.merge.members().len(), Link::default);
        for (link, name) in self.links.iter_mut().zip(self.merge.members()) {
            let member = members.iter().find(|member| member.name == *name).cloned();
            if member.is_none() {
                link.give_up();
            }
            link.member = member;
        }
        Ok(())
    }
}

// === impl Link ===

impl Link {
    /// Lets go of what is under way.
    fn give_up(&mut self) {
        self.attempt += 1;
        self.doing = Doing::Nothing;
        self.idle = None;
    }

    /// Notes what it is asked next. Only a list with a version, a change or a bookmark is progress:
    /// who is asked for the same again, whatever it sent, is asked after a pause.
    fn goes_on(&mut self, next: Next) {
        match next {
            Next::Watch(version) if version != self.watched => {
                self.watched = version;
                self.failures = 0;
            }
            Next::List if self.watched > 0 => self.failures = self.failures.max(1),
            Next::Watch(_) | Next::List | Next::Version | Next::Nothing => {}
        }
    }

    /// How long to wait before the next attempt.
    fn wait(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            n => FIRST_WAIT.saturating_mul(1 << n.min(8)).min(WAIT_LIMIT),
        }
    }
}

/// What a client is told whose watch cannot go on.
fn told(error: &WatchError) -> Status {
    let reason = match error {
        WatchError::Expired(_) | WatchError::Left(_) => Reason::Expired,
        WatchError::Scan { .. } | WatchError::Fold(_) | WatchError::TooMany(_) => {
            Reason::InternalError
        }
    };
    Status::new(reason, error.to_string())
}

async fn tell(client: &mpsc::Sender<Bytes>, error: &WatchError) {
    debug!(%error, "a merged watch ends");
    let line = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", told(error).to_json());
    client.send_timeout(Bytes::from(line), SLOW_LIMIT).await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses before these questions, each of which a member begins to answer.
    fn pauses(asked: &[Next]) -> Vec<u128> {
        let mut link = Link::default();
        let mut pause = |next: &Next| {
            link.goes_on(*next);
            let wait = link.wait();
            link.failures += 1;
            wait.as_millis()
        };
        asked.iter().map(&mut pause).collect()
    }

    #[test]
    fn whoever_tells_something_is_asked_on_without_a_pause() {
        let asked = [Next::List, Next::Watch(5), Next::Watch(7), Next::Watch(9)];
        assert_eq!(pauses(&asked), [0, 0, 0, 0]);
        assert_eq!(pauses(&[Next::Version, Next::Watch(5)]), [0, 0]);
    }

    #[test]
    fn a_list_that_settles_nothing_is_asked_for_again_after_ever_longer_pauses() {
        assert_eq!(pauses(&[Next::List; 8]), [0, 100, 200, 400, 800, 1600, 2000, 2000]);
    }

    #[test]
    fn a_watch_that_ends_without_a_change_is_asked_for_again_after_ever_longer_pauses() {
        assert_eq!(pauses(&[Next::Watch(5); 4]), [0, 100, 200, 400]);
        let refused = [Next::List, Next::Watch(5), Next::List, Next::Watch(6), Next::List];
        assert_eq!(pauses(&refused), [0, 0, 100, 0, 100]);
    }
}
