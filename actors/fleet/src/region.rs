//! The region of a member, as its nodes are labelled.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;

/// The label of nodes that names their region.
pub const LABEL: &str = "topology.kubernetes.io/region";

/// Nodes that are looked at; a cluster whose first nodes disagree is a mistake to report anyway.
const NODES: u32 = 500;

/// The regions that the nodes of a cluster are labelled with, in alphabetical order.
///
/// # Errors
/// Any failure of the list.
pub async fn of_nodes(config: &kube::Config) -> Result<BTreeSet<String>, kube::Error> {
    let client = kube::Client::try_from(config.clone())?;
    let nodes: kube::Api<Node> = kube::Api::all(client);
    let list = nodes.list_metadata(&ListParams::default().labels(LABEL).limit(NODES)).await?;
    Ok(list
        .items
        .into_iter()
        .filter_map(|node| node.metadata.labels.and_then(|mut labels| labels.remove(LABEL)))
        .collect())
}
