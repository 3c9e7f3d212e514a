//! Measures one cluster: load and air of its nodes, watts by their power models, and tables of these
//! for curves.
//!
//! ```text
//! API server --watches--> Stocktaker --Arc<Stock>--.
//!            --metrics-------------------------> MeasuredSource --> Measured (to the Poller)
//! predictors, BMCs ----------------------------'
//! ```

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tenbin_fleet::access::Access;
use tenbin_kernel::Clock;
use tenbin_model::config::Scheduler;
use tenbin_model::ids::ClusterName;
use tenbin_model::score::ScoreBoard;
use tokio::sync::watch;

mod api;
mod budget;
mod curve;
mod features;
mod inventory;
mod metrics;
mod models;
mod predictor;
mod reasons;
mod redfish;
mod source;
mod tables;
mod web;

pub use inventory::{Inventory, Stock, Stocktaker, StocktakerParts};
pub use source::MeasuredSource;
pub use web::{PredictorTlsError, predictor_tls};

#[cfg(test)]
mod tests;

/// How a cluster is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasureSettings {
    /// The namespace of NodeConfigs and their Secrets.
    pub namespace: String,
    /// How long a metric's timestamp may stand still before its value is not believed any more.
    pub stuck_after: Duration,
    /// How long the last known watts of a node count.
    pub max_age: Duration,
    /// How the cluster's scheduler spreads pods.
    pub scheduler: Scheduler,
}

/// What a [`MeasuredSource`] needs of its surroundings; a restarted Poller's gets the same.
#[derive(Clone)]
pub struct MeasureParts {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its API server.
    pub access: Access,
    /// What its [`Stocktaker`] publishes.
    pub stock: watch::Receiver<Arc<Stock>>,
    /// The last known scores, across restarts of the daemon.
    pub board: Arc<ArcSwap<ScoreBoard>>,
    /// TLS towards predictors and BMCs, of [`predictor_tls`].
    pub tls: Arc<rustls::ClientConfig>,
    /// How it is measured.
    pub settings: MeasureSettings,
    /// Time.
    pub clock: Clock,
}
