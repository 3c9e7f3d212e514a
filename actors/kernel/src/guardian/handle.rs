//! What can be asked of a Guardian.

use std::time::Duration;

use tokio::sync::watch;

use super::{
    ChildReport, ChildSpec, DrainAll, DrainReport, DrainStep, Failure, Guardian, ObserveAll, Spawn,
    SpawnError, Stop, Supervised,
};
use crate::slot::{AskError, Slot};

/// How long a child that is stopped alone may take to finish.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// The way to a Guardian. Cheap to clone, from any thread.
#[derive(Debug, Clone)]
pub struct GuardianHandle {
    guardian: Slot<Guardian>,
    failed: watch::Receiver<Option<Failure>>,
}

// === impl GuardianHandle ===

impl GuardianHandle {
    pub(super) fn new(guardian: Slot<Guardian>, failed: watch::Receiver<Option<Failure>>) -> Self {
        Self { guardian, failed }
    }

    /// Starts an actor; its slot is filled when this returns `Ok`.
    pub async fn spawn<A: Supervised>(&self, spec: ChildSpec<A>) -> Result<(), SpawnError> {
        let spawned = self.guardian.request(Spawn::from(spec)).map_err(SpawnError::Guardian)?;
        spawned.await.map_err(|_| SpawnError::Guardian(AskError::Stopped))?
    }

    /// Asks an actor to finish, and ends it within 5 seconds; this is not a death.
    ///
    /// `None` when there is no such actor, or it is being stopped already. The name is free again
    /// when this returns.
    pub async fn stop(&self, name: &str) -> Result<Option<DrainStep>, AskError> {
        let stop = Stop { name: name.to_owned(), deadline: STOP_DEADLINE };
        self.guardian.request(stop)?.await.map_err(|_| AskError::Stopped)
    }

    /// Ends all actors by their order, in `deadline` at most; nothing is started any more.
    pub async fn drain(&self, deadline: Duration) -> Result<DrainReport, AskError> {
        self.guardian.request(DrainAll { deadline })?.await.map_err(|_| AskError::Stopped)
    }

    /// The state of all actors by name, each asked for a second at most.
    pub async fn observe(&self) -> Result<Vec<ChildReport>, AskError> {
        self.guardian.request(ObserveAll)?.await.map_err(|_| AskError::Stopped)
    }

    /// Resolves when a child has died too often, or the Guardian itself is gone; then the process
    /// had better end (exit code 70) and be started anew.
    pub async fn failed(&self) -> Failure {
        let mut failed = self.failed.clone();
        let failure = failed.wait_for(Option::is_some).await.ok().and_then(|it| it.clone());
        failure.unwrap_or_else(|| Failure { child: "guardian".to_owned(), deaths: 1 })
    }
}
