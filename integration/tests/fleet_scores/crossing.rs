//! Who a caller is in the cluster of a peer: that cluster decides.

use anyhow::Result;
use serde_json::{Value, json};
use tenbin_integration::{Client, Response, eventually};

use super::house::{HOUSE, Objects, daemon};

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Who the caller is told to be.
fn whoami(client: &Client, prefix: &str) -> Result<Response> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    client.send_json("POST", &format!("{prefix}{REVIEW}"), &review)
}

/// Name and groups.
fn user(answer: Response) -> Result<(Value, Value)> {
    let review = answer.success()?.json()?;
    let info = &review["status"]["userInfo"];
    Ok((info["username"].clone(), info["groups"].clone()))
}

/// Lets a user read config maps in a namespace.
fn allow(objects: &Objects<'_>, test: &str, name: &str) -> Result<()> {
    let group = "rbac.authorization.k8s.io";
    let named = json!({"name": "reader"});
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]);
    let role = json!({"metadata": named, "rules": rules});
    let binding = json!({"metadata": named,
        "subjects": [{"kind": "User", "apiGroup": group, "name": name}],
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "reader"}});
    for (plural, body) in [("roles", role), ("rolebindings", binding)] {
        let path = format!("{RBAC}/namespaces/{test}/{plural}");
        objects.client()?.send_json("POST", &path, &body)?.success()?;
    }
    Ok(())
}

#[test]
fn callers_act_in_a_peers_cluster_by_its_own_rules() -> Result<()> {
    let test = "crossing";
    let here = Objects::new(&HOUSE, "tokyo", test)?;
    allow(&Objects::new(&HOUSE, "osaka", test)?, test, "alice")?;
    // Tokyo lets administrators go; osaka lists nobody.
    let osaka = daemon(&HOUSE, test, "osaka").start()?;
    let tokyo =
        daemon(&HOUSE, test, "tokyo").config("[auth]\ncross = ['system:masters']").start()?;
    here.peer("osaka", &osaka.endpoint())?;
    let alice = HOUSE.cluster("tokyo")?.user("alice", &["dev"])?;
    let alice = tokyo.client_of(Some(&alice))?;
    let told = eventually!(whoami(&alice, "/clusters/osaka").and_then(user));
    assert_eq!(told, (json!("alice"), json!(["dev", "system:authenticated"])));
    // By osaka's RBAC, though tokyo's allows nothing.
    let maps = format!("/api/v1/namespaces/{test}/configmaps");
    assert_eq!(alice.get(&format!("/clusters/osaka{maps}"))?.status, 200);
    assert_eq!(alice.get(&format!("/clusters/tokyo{maps}"))?.status, 403);
    let secrets = format!("/clusters/osaka/api/v1/namespaces/{test}/secrets");
    let refused = alice.get(&secrets)?;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains(r#"User \"alice\""#), "{}", refused.text());

    // An administrator of tokyo is somebody called admin in osaka.
    let admin = tokyo.client()?;
    let told = user(whoami(&admin, "/clusters/osaka")?)?;
    assert_eq!(told, (json!("admin"), json!(["system:authenticated"])));
    assert_eq!(admin.get(&secrets)?.status, 403);
    osaka.edit_config(|table| {
        if let Some(auth) = table.get_mut("auth").and_then(|auth| auth.as_table_mut()) {
            auth.insert("cross".to_owned(), vec!["system:masters"].into());
        }
    })?;
    osaka.reload()?;
    eventually!(admin.get(&secrets), |answer: &Response| answer.status == 200);
    Ok(())
}

#[test]
fn a_service_account_is_named_after_its_cluster_in_a_peers() -> Result<()> {
    let test = "accounts";
    let here = Objects::new(&HOUSE, "tokyo", test)?;
    let name = format!("cluster:tokyo:system:serviceaccount:{test}:default");
    allow(&Objects::new(&HOUSE, "osaka", test)?, test, &name)?;
    let osaka = daemon(&HOUSE, test, "osaka").start()?;
    let tokyo = daemon(&HOUSE, test, "tokyo").start()?;
    here.peer("osaka", &osaka.endpoint())?;
    let own = HOUSE.cluster("tokyo")?;
    own.wait_for(&format!("/api/v1/namespaces/{test}/serviceaccounts/default"))?;
    let bearer = format!("Bearer {}", own.token(test, "default")?);
    let account = tokyo.client_of(None)?.header("Authorization", &bearer);
    let told = eventually!(whoami(&account, "/clusters/osaka").and_then(user));
    assert_eq!(told, (json!(name), json!(["system:authenticated"])));
    let maps = format!("/clusters/osaka/api/v1/namespaces/{test}/configmaps");
    assert_eq!(account.get(&maps)?.status, 200);
    Ok(())
}

/// Users whom the peer tokyo may not assert in osaka.
const REFUSED: [&str; 13] = [
    "system:admin",
    "system:masters",
    "system:anonymous",
    "system:node:osaka-n0",
    "system:kube-controller-manager",
    "system:serviceaccount:kube-system:default",
    "cluster:nagoya:system:serviceaccount:a:b",
    "cluster:osaka:system:serviceaccount:a:b",
    "cluster:tokyo:system:admin",
    "cluster:tokyo:cluster:nagoya:system:serviceaccount:a:b",
    "kubeadm:cluster-admins",
    "",
    " system:admin",
];

#[test]
fn what_a_peer_may_not_assert_is_refused() -> Result<()> {
    let test = "forged";
    let there = Objects::new(&HOUSE, "osaka", test)?;
    let osaka = daemon(&HOUSE, test, "osaka").start()?;
    let pair = HOUSE.peers_ca().peer("tokyo")?;
    let peer = |headers: &[(&str, &str)]| -> Result<Client> {
        let client = osaka.peers_client(Some(&pair))?;
        Ok(headers.iter().fold(client, |client, (name, value)| client.header(name, value)))
    };
    // What it may: an ordinary user, and accounts under its own name.
    for name in ["alice", "cluster:tokyo:system:serviceaccount:a:b"] {
        let told = user(whoami(&peer(&[("Impersonate-User", name)])?, "")?)?;
        assert_eq!(told.0, name);
    }
    for name in REFUSED {
        let answer = whoami(&peer(&[("Impersonate-User", name)])?, "")?;
        assert!(
            matches!(answer.status, 400 | 403),
            "{name:?}: {} {}",
            answer.status,
            answer.text()
        );
    }
    // Groups that are privileged are dropped, and give nothing.
    let mut headers = vec![("impersonate-user", "alice")];
    let groups = ["system:masters", "system:nodes", "kubeadm:cluster-admins", "cluster:x", "dev"];
    headers.extend(groups.map(|group| ("IMPERSONATE-GROUP", group)));
    let told = user(whoami(&peer(&headers)?, "")?)?;
    assert_eq!(told.1, json!(["dev", "system:authenticated"]));
    assert_eq!(peer(&headers)?.get(&format!("/api/v1/namespaces/{test}/secrets"))?.status, 403);
    for headers in [
        &[("Impersonate-Group", "system:masters")][..],
        &[("Impersonate-User", "alice"), ("Impersonate-User", "bob")],
        &[("Impersonate-User", "alice"), ("Impersonate-Whatever", "x")],
        &[("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")],
        &[],
    ] {
        let answer = whoami(&peer(headers)?, "")?;
        assert!(matches!(answer.status, 400 | 403), "{headers:?}: {}", answer.text());
    }
    // The certificate of a user of osaka is no peer's, whatever its name.
    let user = there.cluster.user("tokyo", &["system:masters"])?;
    let client = osaka.peers_client(Some(&user))?.header("Impersonate-User", "alice");
    assert_eq!(whoami(&client, "")?.status, 401);
    Ok(())
}
