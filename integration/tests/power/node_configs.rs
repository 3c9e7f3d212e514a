//! NodeConfigs and Secrets that come, go and cannot be read.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::power::wao::{self, Group};
use tenbin_integration::{FaultyPredictor, Model, eventually};

use super::rig::{Rig, is_close, is_whole, linear, node_config, path, sum};
use super::{FLEET, NODES};

#[test]
fn a_node_without_its_node_config_is_counted_as_before() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let rig = Rig::start("quiet", "no-node-config", &linear(&fake))?;
    let delete = || {
        let path = format!("{}/{}", path(rig.cluster.wao(), &rig.namespace), rig.node(1));
        rig.cluster.client()?.send("DELETE", &path, None)?.success()?;
        Ok(())
    };
    let make = || node_config(rig.cluster, &rig.namespace, 1, &linear(&fake));
    rig.survives(sum(&Model::Linear), &[1], "no NodeConfig", delete, make)
}

#[test]
fn a_secret_that_is_gone_is_told_and_not_done_without() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let (name, term) = ("no-secret", wao::v2(&fake.endpoint("linear")));
    let predictor = wao::power_consumption(&wao::with_secret(term, "of-the-predictor"));
    let cluster = FLEET.cluster("quiet")?;
    cluster.ensure_namespace(name)?;
    secret(name, "username", "password")?;
    let rig = Rig::start("quiet", name, &predictor)?;
    let watts = sum(&Model::Linear);
    rig.reaches(watts);
    let asked = fake.take_asked();
    // `wao:mao`
    let basic = "authorization: basic d2fvom1hbw==";
    assert!(asked.iter().all(|it| it.head.to_ascii_lowercase().contains(basic)), "{asked:?}");

    let all = [0, 1, 2];
    let delete = || delete_secret(name);
    let make = || secret(name, "username", "password");
    rig.survives(watts, &all, "Secret of-the-predictor", delete, make)?;
    let delete = || {
        delete_secret(name)?;
        secret(name, "username", "passphrase")
    };
    let make = || {
        delete_secret(name)?;
        secret(name, "username", "password")
    };
    rig.survives(watts, &all, "Secret of-the-predictor has no password", delete, make)?;
    let asked = fake.take_asked();
    assert!(asked.iter().all(|it| it.head.to_ascii_lowercase().contains(basic)), "{asked:?}");
    Ok(())
}

fn secret(namespace: &str, user: &str, password: &str) -> Result<()> {
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "of-the-predictor"}, "stringData": {user: "wao", password: "mao"}});
    let client = FLEET.cluster("quiet")?.client()?;
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    client.send_json("POST", &path, &secret)?.success().context("making a Secret")?;
    Ok(())
}

fn delete_secret(namespace: &str) -> Result<()> {
    let path = format!("/api/v1/namespaces/{namespace}/secrets/of-the-predictor");
    FLEET.cluster("quiet")?.client()?.send("DELETE", &path, None)?.success()?;
    Ok(())
}

#[test]
fn a_secret_that_may_not_be_read_is_told() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let name = "forbidden-secret";
    let cluster = FLEET.cluster("quiet")?;
    let client = cluster.client()?;
    let may_read = |group: &str, kinds: &[&str]| {
        let verbs = ["get", "list", "watch"];
        json!({"apiGroups": [group], "resources": kinds, "verbs": verbs})
    };
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name}, "rules": [
            may_read("", &["nodes", "pods"]), may_read("metrics.k8s.io", &["nodes"]),
            may_read("custom.metrics.k8s.io", &["*"]), may_read(cluster.wao().name(), &["nodeconfigs"])]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": name}, "subjects": [{"kind": "User", "name": name,
        "apiGroup": "rbac.authorization.k8s.io"}], "roleRef": {"kind": "ClusterRole", "name": name,
        "apiGroup": "rbac.authorization.k8s.io"}});
    for (kind, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/{kind}");
        client.send_json("POST", &path, &object)?.success()?;
    }
    cluster.ensure_namespace(name)?;
    secret(name, "username", "password")?;
    let term = wao::v2(&fake.endpoint("linear"));
    let predictor = wao::power_consumption(&wao::with_secret(term, "of-the-predictor"));
    let kubeconfig = cluster.kubeconfig_for(name, &[])?;
    let own = format!("[own]\nkubeconfig = '{}'", kubeconfig.display());
    let daemon = super::rig::daemon("quiet", name).config(&own);
    let rig = Rig::with(daemon, "quiet", name, &predictor)?;
    let row = eventually!(rig.row(), |row: &Value| {
        row["failure"]
            .as_str()
            .is_some_and(|it| it.contains("Secret of-the-predictor") && it.contains("403"))
    });
    assert!(row["watts"].is_null(), "{row:#}");
    assert_eq!(fake.requests(), 0);
    Ok(())
}

#[test]
fn the_newer_group_is_read_as_the_older_one_and_wins_where_both_are() -> Result<()> {
    let (old, new) = (FaultyPredictor::start()?, FaultyPredictor::start()?);
    let name = "both-groups";
    // `windy` has the older group; now it gets the newer one as well.
    let cluster = FLEET.cluster("windy")?;
    let rig = Rig::start("windy", name, &linear(&old))?;
    eventually!(rig.row(), |row: &Value| row["watts"].is_number());
    assert_eq!(cluster.wao(), Group::Bitmedia);
    wao::install(cluster, Group::Waok8s)?;
    for n in 0..NODES {
        let node = rig.node(n);
        let spec = wao::spec(&node, &linear(&new));
        let mut object = wao::object(Group::Waok8s, "NodeConfig", &node, &spec);
        object["metadata"]["namespace"] = json!(name);
        let path = path(Group::Waok8s, name);
        cluster.client()?.send_json("POST", &path, &object)?.success()?;
    }
    eventually!(new.requests() > 0);
    let requests = old.requests();
    let polls = rig.polls()?;
    eventually!(rig.polls(), |now: &u64| *now >= polls + 3);
    assert!(old.requests() <= requests + 1, "the older group is still read");
    Ok(())
}

#[test]
fn the_stand_ins_of_wao_are_counted_as_wao_counts_them() -> Result<()> {
    let fake = wao::power_consumption(&wao::term("Fake", "http://fake"));
    let rig = Rig::start("quiet", "fake", &fake)?;
    let row = eventually!(rig.row(), |row: &Value| is_whole(row));
    // 3.14 W each.
    assert!(is_close(&row, 9.42), "{row:#}");
    Ok(())
}
