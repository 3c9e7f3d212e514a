//! Which model predicts the power of which node, and with what credentials it is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::join_all;
use tenbin_kernel::Clock;

use super::api::{ApiServer, Basic};
use super::budget::Budget;
use super::inventory::{NodeConfig, Term};
use super::redfish::{Provided, Redfish};
use super::web::Web;

/// A model of power; nodes of one model are asked for together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Model {
    /// WAO's stand-in.
    Fake,
    /// A predictor of the V2 inference protocol.
    Inference {
        /// Where it is asked.
        url: String,
        /// The Secret with its credentials.
        secret: Option<String>,
    },
}

/// What was read of Secrets in this round, by name; an error is a reason.
pub(super) type Secrets = HashMap<String, Result<Basic, String>>;

/// Finds the models.
pub(super) struct Models {
    namespace: String,
    redfish: Redfish,
}

// === impl Models ===

impl Models {
    pub(super) fn new(namespace: String, clock: Clock) -> Self {
        Self { namespace, redfish: Redfish::new(clock) }
    }

    /// The model of each NodeConfig, in their order, and the Secrets that these models need.
    pub(super) async fn of<'a>(
        &self,
        configs: impl Iterator<Item = &'a NodeConfig> + Clone,
        api: &ApiServer,
        web: &Web,
        budget: &Budget,
    ) -> (Vec<Result<Model, String>>, Secrets) {
        let terms = configs.clone().flat_map(|config| config.power.iter().chain(&config.provider));
        let names: BTreeSet<&String> = terms.filter_map(|term| term.secret.as_ref()).collect();
        let secrets = names.into_iter().map(|name| async move {
            (name.clone(), api.basic(&self.namespace, name, budget).await)
        });
        let secrets: Secrets = join_all(secrets).await.into_iter().collect();
        let providers = configs.clone().filter_map(|config| config.provider.clone());
        let told = self.provided(providers.collect(), &secrets, web, budget).await;
        let models = configs.map(|config| model(config, &told, &secrets));
        (models.collect(), secrets)
    }

    async fn provided(
        &self,
        providers: BTreeSet<Term>,
        secrets: &Secrets,
        web: &Web,
        budget: &Budget,
    ) -> BTreeMap<Term, Result<Provided, String>> {
        let mut providers: Vec<Term> = providers.into_iter().collect();
        self.redfish.order(&mut providers);
        let asking = providers.into_iter().map(|provider| async {
            let provided =
                match (provider.kind.as_str(), credentials(provider.secret.as_deref(), secrets)) {
                    ("Fake", _) => {
                        Ok(Provided { kind: "Fake".to_owned(), endpoint: String::new() })
                    }
                    (_, Err(reason)) => Err(reason),
                    ("Redfish", Ok(basic)) => {
                        self.redfish.provided(web, &provider, basic, budget).await
                    }
                    (kind, Ok(_)) => {
                        Err(format!("endpoint provider type {kind:.40?} is not known"))
                    }
                };
            (provider, provided)
        });
        join_all(asking).await.into_iter().collect()
    }
}

fn model(
    config: &NodeConfig,
    told: &BTreeMap<Term, Result<Provided, String>>,
    secrets: &Secrets,
) -> Result<Model, String> {
    let secret = config.power.as_ref().and_then(|power| power.secret.clone());
    let (kind, endpoint) = match (&config.provider, &config.power) {
        (Some(provider), _) => {
            let unasked = || Err("endpoint provider was not asked".to_owned());
            let Provided { kind, endpoint } =
                told.get(provider).cloned().unwrap_or_else(unasked)?;
            (kind, endpoint)
        }
        (None, Some(power)) => (power.kind.clone(), power.endpoint.clone()),
        (None, None) => return Err("NodeConfig names no predictor".to_owned()),
    };
    match kind.as_str() {
        "Fake" => Ok(Model::Fake),
        "V2InferenceProtocol" => {
            credentials(secret.as_deref(), secrets)?;
            Ok(Model::Inference { url: infer_url(&endpoint), secret })
        }
        _ => Err(format!("predictor type {kind:.40?} is not known")),
    }
}

/// The credentials of a Secret's name; none where no Secret is named.
pub(super) fn credentials<'a>(
    secret: Option<&str>,
    secrets: &'a Secrets,
) -> Result<Option<&'a Basic>, String> {
    let Some(name) = secret else { return Ok(None) };
    match secrets.get(name) {
        Some(Ok(basic)) => Ok(Some(basic)),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err(format!("Secret {name} was not read")),
    }
}

/// The URL to ask: the endpoint as it is, but where it names a model only.
///
/// `KServe` routes by path, so nothing of it may be lost.
fn infer_url(endpoint: &str) -> String {
    let segments: Vec<&str> = endpoint.trim_end_matches('/').rsplit('/').take(5).collect();
    match segments.as_slice() {
        [_, "models", "v2", ..] | [_, "versions", _, "models", "v2"] => {
            format!("{}/infer", endpoint.trim_end_matches('/'))
        }
        _ => endpoint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_kept_but_for_a_missing_infer() {
        for (endpoint, url) in [
            ("http://a:1/v2/models/m/infer", "http://a:1/v2/models/m/infer"),
            (
                "http://a/v2/models/m/versions/v0.1.0/infer",
                "http://a/v2/models/m/versions/v0.1.0/infer",
            ),
            ("http://a/v2/models/m", "http://a/v2/models/m/infer"),
            ("http://a/ns/x/v2/models/m/versions/1/", "http://a/ns/x/v2/models/m/versions/1/infer"),
            ("https://a/kserve/x:predict?raw=1", "https://a/kserve/x:predict?raw=1"),
            ("http://a", "http://a"),
        ] {
            assert_eq!(infer_url(endpoint), url);
        }
    }
}
