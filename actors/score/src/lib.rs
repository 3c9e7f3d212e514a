//! What each member costs in watts, and the ledger that remembers it.
//!
//! ```text
//! Poller (one per source) --Sampled--> Scorer --Persist--> Ledger
//!                                        |
//!                                        `--> Arc<ArcSwap<ScoreBoard>> (read by anyone)
//! ```

pub mod cluster_score;
pub mod ledger;
pub mod measure;
pub mod poller;
pub mod scorer;

pub use ledger::Ledger;
pub use poller::Poller;
pub use scorer::Scorer;

#[cfg(test)]
mod tests;
