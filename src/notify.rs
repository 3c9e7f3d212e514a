//! What the service manager is told, by `sd_notify(3)`; without `NOTIFY_SOCKET` nothing is.

use std::io;
use std::time::Duration;

use actix::ArbiterHandle;
use sd_notify::NotifyState;
use tenbin_kernel::Clock;
use tokio::sync::oneshot;
use tracing::{error, warn};

/// The ports serve.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being reread; [`ready`] ends this.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => failed(&error),
    }
}

/// The daemon drains.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells the watchdog twice in its time that the daemon lives, as long as that is so: this thread
/// runs, and those that decide on requests answer. Returns at once when there is no watchdog.
///
/// The ledger's thread is not asked: it may wait for its disk, and all goes on without it.
pub(crate) async fn watchdog(control: ArbiterHandle, data: ArbiterHandle, clock: Clock) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        match tokio::join!(answers(&control, limit / 4), answers(&data, limit / 4)) {
            (true, true) => tell(&[NotifyState::Watchdog]),
            (control, data) => error!(control, data, "a thread hangs, the watchdog is not told"),
        }
        clock.sleep(limit / 2).await;
    }
}

async fn answers(arbiter: &ArbiterHandle, patience: Duration) -> bool {
    let (answer, answered) = oneshot::channel();
    let asked = arbiter.spawn(async move {
        answer.send(()).ok();
    });
    asked && matches!(tokio::time::timeout(patience, answered).await, Ok(Ok(())))
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        failed(&error);
    }
}

fn failed(error: &io::Error) {
    warn!(%error, "the service manager cannot be told");
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::Arbiter;

    use super::*;

    #[actix::test]
    async fn a_thread_that_is_blocked_does_not_answer_until_it_goes_on() {
        let thread = Arbiter::new();
        assert!(answers(&thread.handle(), Duration::from_secs(20)).await);

        let (go_on, blocked) = mpsc::channel::<()>();
        thread.spawn_fn(move || {
            blocked.recv().ok();
        });
        assert!(!answers(&thread.handle(), Duration::from_millis(50)).await);

        drop(go_on);
        assert!(answers(&thread.handle(), Duration::from_secs(20)).await);
        thread.stop();
        assert!(thread.join().is_ok());
    }
}
