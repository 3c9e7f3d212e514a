//! The real parts that power scores come from, behind [`FleetBuilder::power`].
//!
//! One kubelet stand-in, one predictor and one BMC serve all clusters of a fleet; each cluster has
//! a metrics-server and a custom metrics adapter of its own, behind its API server's aggregation
//! layer, and WAO's CRDs in namespace `wao-system`.
//!
//! [`FleetBuilder::power`]: crate::FleetBuilder::power

mod aggregated;
mod faulty;
mod metrics_server;
mod models;
mod predictor;
mod redfish;
mod sensors;
pub mod wao;

use std::path::Path;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::kubelet::Kubelet;

pub use faulty::{Asked, Behaviour, FaultyPredictor};
pub use metrics_server::MetricsServer;
pub use models::{Model, VERSION};
pub use predictor::{Predictor, question};
pub use redfish::{PASSWORD, Redfish, USER};
pub use sensors::Sensors;

/// The parts that a fleet shares.
#[derive(Debug)]
pub struct Power {
    predictor: Predictor,
    redfish: Redfish,
}

impl Power {
    /// Takes seconds: it starts beside the clusters.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let predictor = Predictor::start(&folder.join("predictor"))?;
        let redfish = Redfish::start(&folder.join("redfish"), &predictor.url())?;
        Ok(Self { predictor, redfish })
    }

    /// `MLServer`.
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// The BMC.
    pub fn redfish(&self) -> &Redfish {
        &self.redfish
    }
}

/// The parts that each cluster has for itself.
#[derive(Debug)]
pub struct Metrics {
    server: MetricsServer,
    sensors: Sensors,
}

impl Metrics {
    /// Starts both at once and installs WAO's CRDs meanwhile.
    pub(crate) fn start(cluster: &Cluster, kubelet: &Kubelet, group: wao::Group) -> Result<Self> {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| MetricsServer::start(cluster, kubelet));
            let sensors = scope.spawn(|| Sensors::start(cluster));
            wao::install(cluster, group)?;
            let panicked = |_| anyhow::anyhow!("a starting thread panicked");
            Ok(Self {
                server: server.join().map_err(panicked)??,
                sensors: sensors.join().map_err(panicked)??,
            })
        })
    }

    /// CPU and memory: `metrics.k8s.io`.
    pub fn server(&self) -> &MetricsServer {
        &self.server
    }

    /// Inlet temperatures and pressures: `custom.metrics.k8s.io`.
    pub fn sensors(&self) -> &Sensors {
        &self.sensors
    }
}
