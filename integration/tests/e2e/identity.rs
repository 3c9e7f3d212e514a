//! Who may do what: every cluster decides by its own rules about the real user.

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::pki::{Ca, Pair};
use tenbin_integration::{
    Client, Daemon, Kubectl, Space, Table, config_map, copies, deployment, eventually,
};

use super::{DAEMON, FLEET, NAMES, placed, space};

/// A daemon as it comes: nothing privileged crosses.
static STRICT: LazyLock<Daemon> = LazyLock::new(|| FLEET.daemon().name("strict").shared());

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// Gives a user the right to edit in the namespace of a test, in some clusters.
fn may_edit(space: &Space, user: &str, clusters: &[&str]) -> Result<Pair> {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    let path =
        format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings", space.name());
    for cluster in clusters {
        let cluster = FLEET.cluster(cluster)?;
        cluster.client()?.send_json("POST", &path, &binding)?.success()?;
        let may = Kubectl::new(cluster.kubeconfig_for(user, &[])?)?.namespace(space.name());
        eventually!(may.ok(["auth", "can-i", "create", "deployments.apps"]));
    }
    FLEET.cluster("tokyo")?.user(user, &[])
}

fn username(client: &Client) -> Result<(u16, Value)> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = client.send_json("POST", REVIEWS, &review)?;
    Ok((answer.status, answer.json()?["status"]["userInfo"].clone()))
}

#[test]
fn without_a_certificate_of_the_authority_nobody_is_let_in() -> Result<()> {
    let stranger = Ca::new("tokyo-ca")?.client("admin", &["system:masters"])?;
    let of_osaka = FLEET.cluster("osaka")?.user("admin", &["system:masters"])?;
    for (who, pair) in
        [("nobody", None), ("a stranger", Some(&stranger)), ("osaka's", Some(&of_osaka))]
    {
        let client = DAEMON.client_of(pair)?;
        for (method, path) in [
            ("GET", "/api/v1/nodes"),
            ("GET", "/version"),
            ("DELETE", "/api/v1/namespaces/default"),
            ("GET", "/clusters/osaka/api/v1/nodes"),
        ] {
            let answer = client.send(method, path, None)?;
            assert_eq!(answer.status, 401, "{who} {method} {path}: {}", answer.text());
            let status = answer.json()?;
            assert_eq!(
                (&status["kind"], &status["reason"]),
                (&json!("Status"), &json!("Unauthorized"))
            );
        }
    }
    let token = DAEMON.client_of(None)?.header("Authorization", "Bearer nonsense");
    assert_eq!(token.get("/api/v1/nodes")?.status, 401);
    Ok(())
}

#[test]
fn a_list_leaves_out_the_cluster_that_refuses_and_says_so() -> Result<()> {
    let space = space("identity-list")?;
    let alice = may_edit(&space, "alice-list", &["tokyo", "osaka"])?;
    for name in NAMES {
        space.create_in(name, "configmaps", &config_map(name, "1"))?;
    }
    let answer = DAEMON.client_of(Some(&alice))?.get(&space.path("configmaps"))?.success()?;
    let seen = placed(&answer.json()?)?.join(" ");
    assert!(seen.contains("tokyo@tokyo") && seen.contains("osaka@osaka"), "{seen}");
    assert!(!seen.contains("nagoya"), "{seen}");
    let warnings = answer.header_all("warning").join("\n");
    assert!(warnings.contains("nagoya") && !warnings.contains("osaka"), "{warnings}");
    let kubeconfig = DAEMON.kubeconfig_for(FLEET.cluster("tokyo")?, "alice-list", &[])?;
    let kubectl = Kubectl::new(kubeconfig)?.namespace(space.name());
    let output = kubectl.run(["get", "configmaps"])?;
    assert!(output.code == 0 && output.stderr.contains("nagoya"), "{output:?}");
    assert!(!Table::read(&output.stdout)?.column("CLUSTER")?.contains(&"nagoya"));
    let everywhere = DAEMON.client_of(Some(&alice))?.get("/api/v1/configmaps")?;
    assert_eq!((everywhere.status, &everywhere.json()?["reason"]), (403, &json!("Forbidden")));
    Ok(())
}

#[test]
fn an_object_of_a_cluster_that_refuses_stays_hidden() -> Result<()> {
    let space = space("identity-get")?;
    let alice = may_edit(&space, "alice-get", &["tokyo", "osaka"])?;
    space.create_in("nagoya", "configmaps", &config_map("secret", "1"))?;
    let client = DAEMON.client_of(Some(&alice))?;
    let path = space.path("configmaps/secret");
    for (method, body) in [
        ("GET", None),
        ("DELETE", None),
        ("PATCH", Some(("application/merge-patch+json", &b"{}"[..]))),
    ] {
        let answer = client.send(method, &path, body)?;
        assert!(
            matches!(answer.status, 403 | 404),
            "{method}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let alone = client.get(&format!("/clusters/nagoya{path}"))?;
    assert_eq!(alone.status, 403, "{}", alone.text());
    Ok(())
}

#[test]
fn a_write_that_one_cluster_refuses_is_refused_and_nothing_is_half_done() -> Result<()> {
    let space = space("identity-write")?;
    let alice = may_edit(&space, "alice-write", &["tokyo", "osaka"])?;
    let client = DAEMON.client_of(Some(&alice))?;
    let answer = client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let status = answer.json()?;
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("Forbidden")));
    assert!(answer.text().contains("nagoya"), "{}", answer.text());
    assert_eq!(space.copies("deployments/web")?, [None, None, None]);
    let admin = DAEMON.client()?;
    admin.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    let path = space.path("deployments/web");
    let scale = br#"{"spec":{"replicas":20}}"#;
    let patch = client.send("PATCH", &path, Some(("application/merge-patch+json", scale)))?;
    assert_eq!(patch.status, 403, "{}", patch.text());
    assert_eq!(space.shares("deployments/web")?, [Some(5), Some(3), Some(2)]);
    let delete = client.send("DELETE", &path, None)?;
    assert_eq!(delete.status, 403, "{}", delete.text());
    assert_eq!(space.shares("deployments/web")?, [Some(5), Some(3), Some(2)]);
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}});
    service["spec"] = json!({"ports": [{"port": 80}]});
    let answer = client.send_json("POST", &space.path("services"), &service)?;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(space.copies("services/web")?, [None, None, None]);
    Ok(())
}

#[test]
fn masters_of_tokyo_are_nobody_special_in_osaka() -> Result<()> {
    let space = space("identity-masters")?;
    let kubectl = STRICT.kubectl()?.namespace(space.name());
    let nodes = kubectl.run(["get", "nodes"])?;
    assert_eq!(nodes.code, 0, "{nodes:?}");
    assert_eq!(Table::read(&nodes.stdout)?.column("CLUSTER")?, ["tokyo", "tokyo"]);
    assert!(nodes.stderr.contains("osaka") && nodes.stderr.contains("nagoya"), "{}", nodes.stderr);
    let client = STRICT.client()?;
    let answer = client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(space.copies("deployments/web")?, [None, None, None]);
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "identity-masters-2"}});
    assert_eq!(client.send_json("POST", "/api/v1/namespaces", &body)?.status, 403);
    assert_eq!(copies(&FLEET, "/api/v1/namespaces/identity-masters-2")?, [None, None, None]);
    assert_eq!(client.get("/clusters/osaka/api/v1/nodes")?.status, 403);
    let own = client.send_json("POST", &space.path("configmaps"), &config_map("mine", "1"))?;
    assert_eq!(own.status, 201, "own is own's: {}", own.text());
    Ok(())
}

/// An ordinary user crosses without any configuration.
#[test]
fn ordinary_users_cross_unchanged() -> Result<()> {
    let space = space("identity-ordinary")?;
    let bob = may_edit(&space, "bob", &NAMES)?;
    let client = STRICT.client_of(Some(&bob))?;
    client.send_json("POST", &space.path("deployments"), &deployment("web", 10))?.success()?;
    assert_eq!(space.shares("deployments/web")?, [Some(5), Some(3), Some(2)]);
    let path = format!("/clusters/osaka{REVIEWS}");
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let in_osaka = client.send_json("POST", &path, &review)?.success()?.json()?;
    assert_eq!(in_osaka["status"]["userInfo"]["username"], "bob");
    assert_eq!(in_osaka["status"]["userInfo"]["groups"], json!(["system:authenticated"]));
    Ok(())
}

/// Each would make its sender an administrator of every cluster if it passed.
#[test]
fn nobody_becomes_another_by_headers() -> Result<()> {
    let carol = FLEET.cluster("tokyo")?.user("carol", &[])?;
    let groups = json!(["system:authenticated"]);
    for forged in [
        &[("Impersonate-User", "admin"), ("Impersonate-Group", "system:masters")][..],
        &[("impersonate-user", "admin"), ("IMPERSONATE-GROUP", "system:masters")],
        &[("iMpErSoNaTe-GrOuP", "system:masters")],
        &[("Impersonate-Extra-scopes", "everything"), ("Impersonate-Uid", "0")],
        &[("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")],
        &[("x-remote-user", "admin"), ("X-REMOTE-EXTRA-scopes", "everything")],
        // Hop headers must not make tenbin drop what it adds itself.
        &[("Connection", "Impersonate-User, Impersonate-Group")],
        &[("Connection", "close, impersonate-user"), ("TE", "trailers")],
        &[("X-Forwarded-For", "127.0.0.1"), ("Forwarded", "for=127.0.0.1")],
    ] {
        let mut client = DAEMON.client_of(Some(&carol))?;
        for (name, value) in forged {
            client = client.header(name, value);
        }
        let (status, user) = username(&client)?;
        let refused = matches!(status, 400 | 403);
        let same = user["username"] == "carol" && user["groups"] == groups;
        assert!(refused || same, "{forged:?}: {status} {user}");
        for path in ["/api/v1/nodes", "/clusters/osaka/api/v1/secrets"] {
            let answer = client.get(path)?;
            assert!(matches!(answer.status, 400 | 403), "{forged:?} {path}: {}", answer.status);
        }
    }
    let kubeconfig = DAEMON.kubeconfig_for(FLEET.cluster("tokyo")?, "carol", &[])?;
    let sudo = Kubectl::new(kubeconfig)?.flag("--as=admin").flag("--as-group=system:masters");
    assert_ne!(sudo.run(["get", "nodes"])?.code, 0);
    Ok(())
}

#[test]
fn a_service_account_is_believed_in_own_and_stays_there() -> Result<()> {
    let space = space("identity-account")?;
    let tokyo = FLEET.cluster("tokyo")?;
    tokyo.wait_for(&space.path("serviceaccounts/default"))?;
    let token = tokyo.token(space.name(), "default")?;
    let client = STRICT.client_of(None)?.header("Authorization", &format!("Bearer {token}"));
    let (status, user) = username(&client)?;
    let name = format!("system:serviceaccount:{}:default", space.name());
    assert_eq!((status, &user["username"]), (201, &json!(name)));
    for name in ["tokyo", "osaka"] {
        let kubectl = FLEET.cluster(name)?.kubectl()?.namespace(space.name());
        let account = format!("--serviceaccount={}:default", space.name());
        kubectl.ok(["create", "rolebinding", "view", "--clusterrole=view", &account])?;
        space.create_in(name, "configmaps", &config_map(name, "1"))?;
    }
    let seen = eventually!(client.json(&space.path("configmaps")));
    let seen = placed(&seen).context("a list")?.join(" ");
    assert!(seen.contains("tokyo@tokyo") && !seen.contains("osaka@osaka"), "{seen}");
    Ok(())
}
