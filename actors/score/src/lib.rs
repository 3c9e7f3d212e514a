//! What each member costs in watts, and the ledger that remembers it.
//!
//! ```text
//! Poller (one per source) --Sampled--> Scorer --Persist--> Ledger
//!                                        |
//!                                        `--> Arc<ArcSwap<ScoreBoard>> (read by anyone)
//!
//! Placer, peers port --Estimate--> Estimator (reads the published power, or asks a peer)
//! ```

pub mod cluster_score;
pub mod estimator;
pub mod ledger;
pub mod measure;
pub mod poller;
pub mod scorer;

pub use estimator::Estimator;
pub use ledger::Ledger;
pub use poller::Poller;
pub use scorer::Scorer;

#[cfg(test)]
mod tests;
