//! SIGHUP: a bad file changes nothing, a good one what can change while the daemon runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tenbin_gateway::router::{Rule, Rules};
use tenbin_model::config::Config;
use tracing::{info, warn};

use crate::boot::Tree;
use crate::{cli, peers, wiring};

const ENROL_LIMIT: Duration = Duration::from_secs(30);
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Reads the file again and applies it; `current` is then what is in force.
///
/// Cancelled, it leaves each part with its old or its new configuration.
pub(crate) async fn reload(tree: &mut Tree, path: &Path, current: &mut Config) {
    match apply(tree, path, current).await {
        Ok(config) => {
            info!("configuration reloaded");
            *current = config;
        }
        Err(error) => warn!(error = format!("{error:#}"), "configuration is not changed"),
    }
}

async fn apply(tree: &mut Tree, path: &Path, current: &Config) -> anyhow::Result<Config> {
    let mut config = cli::load(path)?;
    for key in current.changes_needing_restart(&config) {
        warn!(key, "this key changes with the next restart");
    }
    config.listen = current.listen.clone();
    config.state_dir.clone_from(&current.state_dir);
    // Whatever can fail comes first, so that a bad file changes nothing.
    let rules = wiring::rules(&config)?;
    let certificates = tree.shared.certificates.changed(&wiring::tls_files(&config))?;
    let port = match &tree.peers {
        Some(port) => {
            let certificates = port.certificates.changed(&peers::tls_files(&config))?;
            Some((port, certificates, peers::originals(&config).await?))
        }
        None => None,
    };
    if port.is_none() && peers::is_served(&config) {
        warn!("the peers port is opened at the next restart");
    }
    tree.registry
        .ask(wiring::enrol(&config)?, ENROL_LIMIT)
        .await
        .context("the registry does not answer")??;
    if let Some(certificates) = certificates {
        tree.shared.certificates.install(certificates);
    }
    if let Some((port, certificates, originals)) = port {
        if let Some(certificates) = certificates {
            port.certificates.install(certificates);
        }
        port.originals.store(Arc::new(originals));
    }
    tree.max_age.store(Arc::new(config.score.max_age));
    if let Err(error) = inform(tree, &config, rules).await {
        warn!(
            error = format!("{error:#}"),
            "a part of the daemon goes on by the old configuration"
        );
    }
    Ok(config)
}

/// Tells the actors what changed for them.
async fn inform(tree: &mut Tree, config: &Config, rules: Arc<Rules>) -> anyhow::Result<()> {
    tree.router.ask(Rule(rules), ASK_LIMIT).await.context("the router does not answer")?;
    let estimates = tree.estimator.ask(wiring::estimates(config), ASK_LIMIT);
    estimates.await.context("the estimator does not answer")?;
    let placer = &tree.shared.placer;
    placer.ask(wiring::placement(config), ASK_LIMIT).await.context("the placer does not answer")?;
    tree.config.send_replace(Arc::new(config.clone()));
    Ok(())
}
