//! The members' places in merged versions, kept in own's API: a daemon that has lost its ledger, as a
//! Pod does that moves, goes on with them, and clients go on with the versions that they have.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tenbin_kernel::{AskError, Clock, Slot};
use tenbin_model::ids::ClusterName;
use tenbin_model::resource_version::VersionSpace;
use tokio::sync::watch;
use tracing::warn;

use crate::member::Fleet;
use crate::registry::{EnrolError, Registry, Settle};

/// The ConfigMap that has them.
const NAME: &str = "tenbin-versions";
/// Its keys: the epoch, and one member on each line.
const EPOCH: &str = "epoch";
const MEMBERS: &str = "members";
/// How long one look may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The time to the next look when one failed.
const RETRY: Duration = Duration::from_secs(30);

/// Why the places are not kept there now.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum SlotsError {
    #[error("own's API server: {0}")]
    Own(#[from] kube::Error),
    #[error("own's API server does not answer in time")]
    Late,
    #[error("the registry does not answer: {0}")]
    Ask(#[from] AskError),
    #[error("the fleet cannot be published: {0}")]
    Publish(#[from] EnrolError),
}

/// Keeps the places of the published fleet in `namespace` of own, as long as the fleet is published.
pub async fn keep(
    mut fleet: watch::Receiver<Arc<Fleet>>,
    namespace: String,
    registry: Slot<Registry>,
    clock: Clock,
) {
    let mut failing = false;
    loop {
        fleet.mark_unchanged();
        match agree(&fleet, &namespace, &registry).await {
            Ok(()) => {
                failing = false;
                if fleet.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if !failing {
                    warn!(%error, "places in versions are kept in the ledger alone");
                }
                failing = true;
                clock.sleep(RETRY).await;
            }
        }
    }
}

/// Lets the published fleet learn from what is kept, and the other way round.
async fn agree(
    fleet: &watch::Receiver<Arc<Fleet>>,
    namespace: &str,
    registry: &Slot<Registry>,
) -> Result<(), SlotsError> {
    let Some(api) = of_own(fleet, namespace)? else { return Ok(()) };
    let kept = recall(&api, registry, LIMIT).await?;
    let space = Arc::clone(&fleet.borrow().space);
    if kept.as_ref().and_then(read).as_ref() == Some(&*space) {
        return Ok(());
    }
    let writing = tokio::time::timeout(LIMIT, write(&api, kept, &space));
    Ok(writing.await.map_err(|_| SlotsError::Late)??)
}

/// Lets the published fleet go on with the places that are kept in `namespace` of own.
///
/// # Errors
/// When own does not answer within `limit`, or refuses.
pub async fn remember(
    fleet: &watch::Receiver<Arc<Fleet>>,
    namespace: &str,
    registry: &Slot<Registry>,
    limit: Duration,
) -> Result<(), SlotsError> {
    if let Some(api) = of_own(fleet, namespace)? {
        recall(&api, registry, limit).await?;
    }
    Ok(())
}

fn of_own(
    fleet: &watch::Receiver<Arc<Fleet>>,
    namespace: &str,
) -> Result<Option<Api<ConfigMap>>, kube::Error> {
    let config = fleet.borrow().own().map(|own| own.access.config.clone());
    let client = config.map(Client::try_from).transpose()?;
    Ok(client.map(|client| Api::namespaced(client, namespace)))
}

/// Reads what is kept, and tells the registry of it.
async fn recall(
    api: &Api<ConfigMap>,
    registry: &Slot<Registry>,
    limit: Duration,
) -> Result<Option<ConfigMap>, SlotsError> {
    let asked = tokio::time::timeout(limit, api.get_opt(NAME));
    let kept = asked.await.map_err(|_| SlotsError::Late)??;
    if let Some(space) = kept.as_ref().and_then(read) {
        registry.ask(Settle(space), LIMIT).await??;
    }
    Ok(kept)
}

/// The places that an object has; `None` where a person has made something else of it.
fn read(object: &ConfigMap) -> Option<VersionSpace> {
    let data = object.data.as_ref()?;
    let epoch: NonZeroU64 = data.get(EPOCH)?.parse().ok()?;
    let members = data.get(MEMBERS)?.lines().map(ClusterName::new);
    VersionSpace::new(epoch, members.collect::<Result<_, _>>().ok()?).ok()
}

fn data(space: &VersionSpace) -> BTreeMap<String, String> {
    let members: Vec<&str> = space.slots().iter().map(ClusterName::as_str).collect();
    BTreeMap::from([
        (EPOCH.into(), space.epoch().to_string()),
        (MEMBERS.into(), members.join("\n")),
    ])
}

/// Writes the object, unless it was written since it was read.
async fn write(
    api: &Api<ConfigMap>,
    kept: Option<ConfigMap>,
    space: &VersionSpace,
) -> Result<(), kube::Error> {
    let (params, data) = (PostParams::default(), Some(data(space)));
    if let Some(kept) = kept {
        api.replace(NAME, &params, &ConfigMap { data, ..kept }).await?;
    } else {
        let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
        api.create(&params, &ConfigMap { metadata, data, ..ConfigMap::default() }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(epoch: &str, members: &str) -> ConfigMap {
        let data = [(EPOCH, epoch), (MEMBERS, members)];
        let data = data.map(|(key, value)| (key.to_owned(), value.to_owned()));
        ConfigMap { data: Some(data.into()), ..ConfigMap::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let names = ["tokyo", "osaka"].map(|name| ClusterName::new(name).unwrap());
        let space = VersionSpace::new(NonZeroU64::MIN, names.to_vec()).unwrap();
        let object = ConfigMap { data: Some(data(&space)), ..ConfigMap::default() };
        assert_eq!(object, self::object("1", "tokyo\nosaka"));
        assert_eq!(read(&object), Some(space));
    }

    #[test]
    fn what_a_person_made_of_it_is_nothing() {
        for (epoch, members) in [("0", ""), ("", ""), ("1", "tokyo\ntokyo"), ("1", "Not A Name")] {
            assert_eq!(read(&object(epoch, members)), None, "{epoch} {members}");
        }
        assert_eq!(read(&ConfigMap::default()), None);
    }
}
