//! What every actor of the tree is started with.

use actix::ArbiterHandle;
use anyhow::Context as _;
use tenbin_kernel::guardian::Intensity;
use tenbin_kernel::{
    Arbiters, ChildSpec, Clock, Guardian, GuardianHandle, Lifeline, Slot, Supervised,
};

const MAILBOX: usize = 64;

/// Threads, time, and who restarts actors.
pub(crate) struct Base {
    pub(crate) guardian: GuardianHandle,
    /// The actors' threads end when this is dropped.
    pub(crate) arbiters: Arbiters,
    pub(crate) clock: Clock,
}

// === impl Base ===

impl Base {
    pub(super) fn start() -> anyhow::Result<Self> {
        let clock = Clock::system();
        let guardian = Guardian::start(clock.clone(), Intensity::default());
        let arbiters = Arbiters::start(&clock).context("cannot start the threads")?;
        Ok(Self { guardian, arbiters, clock })
    }

    /// Starts an actor; later orders are drained later (`style.md`, shutdown order).
    pub(super) async fn spawn<A: Supervised>(
        &self,
        name: &str,
        order: u8,
        arbiter: ArbiterHandle,
        factory: impl Fn(Lifeline) -> A + Send + Sync + 'static,
    ) -> anyhow::Result<Slot<A>> {
        self.spawn_with(name, order, arbiter, MAILBOX, factory).await
    }

    /// Starts an actor with a mailbox of its own size.
    pub(super) async fn spawn_with<A: Supervised>(
        &self,
        name: &str,
        order: u8,
        arbiter: ArbiterHandle,
        mailbox: usize,
        factory: impl Fn(Lifeline) -> A + Send + Sync + 'static,
    ) -> anyhow::Result<Slot<A>> {
        let slot = Slot::empty();
        let spec = ChildSpec {
            name: name.to_owned(),
            order,
            arbiter,
            slot: slot.clone(),
            mailbox,
            factory: Box::new(factory),
        };
        self.guardian.spawn(spec).await.with_context(|| format!("cannot start the {name}"))?;
        Ok(slot)
    }
}
