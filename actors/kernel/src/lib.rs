//! What actix lacks: supervision by factories, ordered start and drain, and a clock that tests can hold.
//!
//! | module | holds |
//! |---|---|
//! | [`clock`] | the only reader of the wall clock |
//! | [`slot`] | the present address of an actor, across restarts |
//! | [`lifeline`] | how an actor's end is noticed |
//! | [`guardian`] | who starts, restarts, shows and drains actors |
//! | [`arbiters`] | the threads they live on |

pub mod arbiters;
pub mod clock;
pub mod guardian;
pub mod lifeline;
pub mod slot;

pub use arbiters::Arbiters;
pub use clock::{Clock, ManualClock};
pub use guardian::{ChildSpec, Drain, Guardian, GuardianHandle, Observe, Supervised};
pub use lifeline::Lifeline;
pub use slot::{AskError, Slot};
