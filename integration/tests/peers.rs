//! Two daemons that are peers of each other: one user, two clusters, whoever is asked.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

use anyhow::{Context, Result};
use serde_json::Value;
use tenbin_integration::pki::{Ca, Pair};
use tenbin_integration::{Client, Daemon, Fleet, FleetBuilder, config_map, deployment, eventually};
use toml::Table;

const CROSS: &str = "[auth]\ncross = ['system:masters']";

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A daemon of `own` alone, which has a certificate of the fleet.
fn prepare(fleet: &Fleet, ca: &Ca, own: &str, name: &str) -> Result<Daemon> {
    let daemon = fleet.daemon().own(own).members(&[]).name(name).config(CROSS).prepare()?;
    let Pair { cert, key } = ca.peer(own)?;
    std::fs::write(daemon.folder().join("peer.crt"), cert)?;
    std::fs::write(daemon.folder().join("peer.key"), key)?;
    Ok(daemon)
}

/// Lets `daemon` trust the fleet's authority and know `others` by name.
fn befriend(daemon: &Daemon, ca: &Ca, others: &[(&str, &Daemon)]) -> Result<()> {
    let servers = others.iter().map(|(_, other)| other.serving_ca());
    let bundle: String = std::iter::once(ca.cert()).chain(servers).collect();
    std::fs::write(daemon.folder().join("fleet-ca.crt"), bundle)?;
    let peers = toml::toml! {
        ca = "fleet-ca.crt"
        cert = "peer.crt"
        key = "peer.key"
    };
    let peer = others.iter().map(|(name, other)| {
        let endpoint = format!("https://{}", other.peers());
        let mut peer = Table::new();
        peer.insert("name".to_owned(), (*name).into());
        peer.insert("endpoint".to_owned(), endpoint.into());
        toml::Value::Table(peer)
    });
    daemon.edit_config(|table| {
        table.insert("peers".to_owned(), toml::Value::Table(peers));
        table.insert("peer".to_owned(), toml::Value::Array(peer.collect()));
    })
}

/// A kind without a schema.
fn definition() -> Value {
    let schema = serde_json::json!({"type": "object"});
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "scales.peers.test"},
        "spec": {"group": "peers.test", "scope": "Cluster",
            "names": {"plural": "scales", "kind": "Scale"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]},
    })
}

/// A kind that osaka alone serves is found and used by way of its tenbin.
fn serves_elsewhere(fleet: &Fleet, tokyo: &Daemon) -> Result<()> {
    fleet.cluster("osaka")?.client()?.send_json("POST", CRDS, &definition())?.success()?;
    let serves = eventually!(fleet.cluster("osaka")?.client()?.json("/apis/peers.test/v1"));
    eventually!(tokyo.client()?.json("/apis/peers.test/v1"), |told: &Value| {
        told["resources"][0]["kind"] == serves["resources"][0]["kind"]
    });
    let body = serde_json::json!({"apiVersion": "peers.test/v1", "kind": "Scale",
        "metadata": {"name": "one"}});
    let path = "/apis/peers.test/v1/scales";
    tokyo.client()?.send_json("POST", path, &body)?.success()?;
    fleet.cluster("osaka")?.client()?.json(&format!("{path}/one"))?;
    Ok(())
}

/// Whom of its members the daemon reaches; a read makes it look.
fn reachable(daemon: &Daemon) -> Result<Vec<(String, bool)>> {
    daemon.client()?.get("/api/v1/namespaces/default/configmaps")?;
    let scores = daemon.scores()?;
    let clusters = scores["clusters"].as_array().context("no clusters")?;
    let member = |it: &Value| {
        let name = it["name"].as_str().unwrap_or_default().to_owned();
        (name, it["reachable"] == true)
    };
    Ok(clusters.iter().map(member).collect())
}

fn all(members: &[(&str, bool)]) -> Vec<(String, bool)> {
    members.iter().map(|(name, up)| ((*name).to_owned(), *up)).collect()
}

fn config_maps(client: &Client) -> Result<Vec<String>> {
    let list = client.json("/api/v1/namespaces/default/configmaps")?;
    let items = list["items"].as_array().context("no items")?;
    let names = items.iter().filter_map(|item| item["metadata"]["name"].as_str());
    Ok(names.filter(|name| *name != "kube-root-ca.crt").map(str::to_owned).collect())
}

#[test]
fn two_daemons_are_one_endpoint_each() -> Result<()> {
    let fleet = FleetBuilder::new("peers").clusters(["tokyo", "osaka"]).start()?;
    let ca = Ca::new("fleet")?;
    let mut tokyo = prepare(&fleet, &ca, "tokyo", "peers-tokyo")?;
    let mut osaka = prepare(&fleet, &ca, "osaka", "peers-osaka")?;
    befriend(&tokyo, &ca, &[("osaka", &osaka)])?;
    befriend(&osaka, &ca, &[("tokyo", &tokyo)])?;
    osaka.start()?;
    tokyo.start()?;
    eventually!(reachable(&tokyo), |up| *up == all(&[("tokyo", true), ("osaka", true)]));
    eventually!(reachable(&osaka), |up| *up == all(&[("osaka", true), ("tokyo", true)]));

    // Reads show both clusters, through either.
    for cluster in ["tokyo", "osaka"] {
        let path = "/api/v1/namespaces/default/configmaps";
        let map = config_map(&format!("of-{cluster}"), "1");
        fleet.cluster(cluster)?.client()?.send_json("POST", path, &map)?.success()?;
    }
    assert_eq!(config_maps(&tokyo.client()?)?, ["of-tokyo", "of-osaka"]);
    assert_eq!(config_maps(&osaka.client()?)?, ["of-osaka", "of-tokyo"]);

    // The caller acts in the other cluster as itself.
    let review = serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview",
    });
    let path = "/clusters/osaka/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let user = fleet.cluster("tokyo")?.user("alice", &["dev", "system:masters"])?;
    let told = tokyo.client_of(Some(&user))?.send_json("POST", path, &review)?.success()?.json()?;
    assert_eq!(told["status"]["userInfo"]["username"], "alice");
    let groups = serde_json::json!(["dev", "system:masters", "system:authenticated"]);
    assert_eq!(told["status"]["userInfo"]["groups"], groups);

    // A workload is divided, and its copy there tells its home.
    let path = "/apis/apps/v1/namespaces/default/deployments";
    tokyo.client()?.send_json("POST", path, &deployment("web", 6))?.success()?;
    let copy = fleet.cluster("osaka")?.client()?.json(&format!("{path}/web"))?;
    assert_eq!(copy["metadata"]["annotations"]["tenbin/home"], "tokyo");
    assert_eq!(copy["metadata"]["labels"]["tenbin"], "osaka");

    serves_elsewhere(&fleet, &tokyo)?;

    // Osaka decides whom it believes.
    osaka.edit_config(|table| {
        table.insert(
            "auth".to_owned(),
            toml::Value::Table(toml::toml! { client_ca = "client-ca.crt" }),
        );
    })?;
    osaka.reload()?;
    let list = "/clusters/osaka/api/v1/namespaces/default/configmaps";
    let code = || -> Result<u16> { Ok(tokyo.client()?.get(list)?.status) };
    eventually!(code(), |code| *code == 403);

    // A daemon that is gone is a dead member, at once; one that does not know us is untrusted.
    osaka.stop()?;
    eventually!(reachable(&tokyo), |up| *up == all(&[("tokyo", true), ("osaka", false)]));
    tokyo.restart()?;
    assert_eq!(reachable(&tokyo)?, all(&[("tokyo", true), ("osaka", false)]));
    std::fs::write(osaka.folder().join("fleet-ca.crt"), Ca::new("fleet")?.cert())?;
    osaka.start()?;
    let actors = || -> Result<String> { Ok(tokyo.admin().get("/actors")?.text()) };
    eventually!(actors(), |text: &String| text.contains(r#""untrusted":true"#));
    // The files are read again when they change.
    befriend(&osaka, &ca, &[("tokyo", &tokyo)])?;
    eventually!(reachable(&tokyo), |up| *up == all(&[("tokyo", true), ("osaka", true)]));
    Ok(())
}
