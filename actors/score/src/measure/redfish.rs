//! Which model predicts a node's power, told by its BMC or by MLMM in front of it (`wao.md` 5.5).

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use awc::http::header::ACCEPT;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tenbin_kernel::Clock;

use super::api::Basic;
use super::budget::Budget;
use super::inventory::Term;
use super::web::{Refusal, Web, shown};

/// How long an answer is remembered.
const REMEMBERED: Duration = Duration::from_mins(10);

/// What a provider tells: the type and the URL of a predictor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Provided {
    pub(super) kind: String,
    pub(super) endpoint: String,
}

/// The endpoint providers of a cluster.
pub(super) struct Redfish {
    clock: Clock,
    known: RefCell<HashMap<Term, (Provided, Duration)>>,
    /// Those that were silent the last time are asked after the others.
    suspects: RefCell<HashSet<Term>>,
}

#[derive(Deserialize)]
struct Systems {
    #[serde(rename = "Members")]
    members: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "@odata.id")]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MachineLearningModel {
    power_consumption_model: PowerConsumptionModel,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PowerConsumptionModel {
    name: String,
    url: String,
    #[serde(rename = "Type")]
    kind: String,
    version: String,
}

// === impl Redfish ===

impl Redfish {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, known: RefCell::default(), suspects: RefCell::default() }
    }

    /// Puts the providers into the order in which they should be asked.
    pub(super) fn order(&self, providers: &mut [Term]) {
        providers.sort_by_cached_key(|term| self.suspects.borrow().contains(term));
        let now = self.clock.elapsed();
        self.known.borrow_mut().retain(|_, (_, until)| *until > now);
        self.suspects.borrow_mut().retain(|term| providers.contains(term));
    }

    /// What the provider tells, now or some minutes ago; an error is a reason.
    pub(super) async fn provided(
        &self,
        web: &Web,
        provider: &Term,
        basic: Option<&Basic>,
        budget: &Budget,
    ) -> Result<Provided, String> {
        if let Some((answer, _)) = self.known.borrow().get(provider) {
            return Ok(answer.clone());
        }
        match ask(web, &provider.endpoint, basic, budget).await {
            Ok(answer) => {
                let until = self.clock.elapsed().saturating_add(REMEMBERED);
                self.known.borrow_mut().insert(provider.clone(), (answer.clone(), until));
                self.suspects.borrow_mut().remove(provider);
                Ok(answer)
            }
            Err(refusal) => {
                if let Refusal::Silent(_) = refusal {
                    self.suspects.borrow_mut().insert(provider.clone());
                }
                Err(format!("endpoint provider {} {refusal}", shown(&provider.endpoint)))
            }
        }
    }
}

async fn ask(
    web: &Web,
    endpoint: &str,
    basic: Option<&Basic>,
    budget: &Budget,
) -> Result<Provided, Refusal> {
    let systems = format!("{}/redfish/v1/Systems", endpoint.trim_end_matches('/'));
    let list: Systems = get(web, &systems, basic, budget).await?;
    let first = list.members.first().map(|link| link.id.trim_end_matches('/'));
    let system = first.and_then(|id| id.rsplit('/').next());
    let none = || Refusal::Unusable("names no system".to_owned());
    let model = format!("{systems}/{}/MachineLearningModel", system.ok_or_else(none)?);
    let model: MachineLearningModel = get(web, &model, basic, budget).await?;
    let PowerConsumptionModel { name, url, kind, version } = model.power_consumption_model;
    let url = url.trim_end_matches('/');
    Ok(Provided { kind, endpoint: format!("{url}/v2/models/{name}/versions/{version}/infer") })
}

async fn get<T: DeserializeOwned>(
    web: &Web,
    url: &str,
    basic: Option<&Basic>,
    budget: &Budget,
) -> Result<T, Refusal> {
    let mut request = web.client().get(url).insert_header((ACCEPT, "application/json"));
    if let Some(Basic { username, password }) = basic {
        request = request.basic_auth(username, password);
    }
    let body = web.fetch(request, None, budget).await?;
    serde_json::from_slice(&body)
        .map_err(|_| Refusal::Unusable("answers no model of Redfish and MLMM".to_owned()))
}
