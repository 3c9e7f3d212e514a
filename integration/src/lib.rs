//! Real control planes, the daemon under test, and a shim that breaks the network.
//!
//! A test binary starts one [`Fleet`] (etcd, kube-apiserver and, when asked, the controllers, the
//! scheduler and kwok for each cluster), keeps it in a `static LazyLock`, and isolates its tests
//! by namespace. Children die with the process that started them, however it ends.
//!
//! ```no_run
//! use tenbin_integration::{FleetBuilder, Kubectl, eventually};
//!
//! let fleet = FleetBuilder::new("docs").clusters(["tokyo", "osaka"]).nodes(2).start()?;
//! let daemon = fleet.daemon().start()?;
//! let kubectl = Kubectl::new(daemon.kubeconfig()?)?;
//! eventually!(kubectl.ok(["get", "nodes"]), |rows: &String| rows.lines().count() == 5);
//! # Ok::<(), anyhow::Error>(())
//! ```

pub mod apiserver;
pub mod cluster;
pub mod controllers;
pub mod daemon;
pub mod etcd;
pub mod eventually;
pub mod fleet;
pub mod http;
pub mod informer;
pub mod kubeconfig;
pub mod kubectl;
pub mod kubelet;
pub mod kwok;
pub mod pki;
pub mod ports;
pub mod power;
pub mod power_fleet;
pub mod process;
pub mod random;
pub mod scores;
pub mod shim;
pub mod space;
pub mod table;
pub mod tools;
pub mod workdir;

pub use cluster::{Cluster, ClusterSpec};
pub use daemon::{Daemon, DaemonBuilder};
pub use fleet::{Fleet, FleetBuilder};
pub use http::{Client, Response, Streaming};
pub use informer::Informer;
pub use kubectl::{Kubectl, Output};
pub use kubelet::{Kubelet, Usage};
pub use power::{Behaviour, FaultyPredictor, Metrics, Model, Power};
pub use power_fleet::{Condition, PowerFleet};
pub use process::{Process, Signal};
pub use random::Random;
pub use shim::{Mode, Shim};
pub use space::{Space, config_map, copies, deployment, stateful_set};
pub use table::Table;
