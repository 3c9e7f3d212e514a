//! Peers of the original program, both ways: see [`super::mep`].

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::pki::Ca;
use tenbin_integration::scores::{GROUP, ORIGINAL_GROUP};
use tenbin_integration::{Client, Daemon, config_map, deployment, eventually};

use super::CROSS;
use super::house::{HOUSE, Objects, daemon, names, person};
use super::measured::row;
use super::mep::{Mep, PASSWORD, REGION, USERNAME, basic};

const REVIEW: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";

/// A daemon of tokyo that knows an original program as kobe.
fn tokyo(test: &str, mep: &Mep, ca: &Ca, password: &str, act_as: &str) -> Result<Daemon> {
    let peer = format!(
        "[[peer]]\nname = 'kobe'\nendpoint = '{}'\nusername = '{USERNAME}'\n\
         password_file = 'kobe-password'\nca = 'kobe-ca.crt'\n{act_as}",
        mep.endpoint(),
    );
    let mut daemon = daemon(&HOUSE, test, "tokyo").config(CROSS).config(&peer).prepare()?;
    std::fs::write(daemon.folder().join("kobe-password"), format!("{password}\n"))?;
    std::fs::write(daemon.folder().join("kobe-ca.crt"), ca.cert())?;
    daemon.start()?;
    Ok(daemon)
}

fn mep(ca: &Ca, group: &'static str) -> Result<Mep> {
    Mep::start(&ca.server("kobe", &[])?, HOUSE.cluster("osaka")?.client()?, group)
}

fn works(test: &str, group: &'static str, nodes: usize) -> Result<()> {
    let ca = Ca::new("kobe-ca")?;
    let mep = mep(&ca, group)?;
    Objects::new(&HOUSE, "tokyo", test)?;
    let there = Objects::new(&HOUSE, "osaka", test)?.client()?;
    let maps = format!("/api/v1/namespaces/{test}/configmaps");
    there.send_json("POST", &maps, &config_map("there", "1"))?.success()?;
    let daemon = tokyo(test, &mep, &ca, PASSWORD, "")?;
    let known =
        eventually!(row(&daemon, "kobe"), |row| row["watts"] == 310.0 && row["region"] == REGION);
    assert_eq!(
        (&known["provenance"], &known["reachable"]),
        (&json!("peer"), &json!(true)),
        "{known:#}"
    );
    assert_eq!(known["nodes"].as_array().map(Vec::len), Some(nodes), "{known:#}");
    // Reads.
    let (seen, warnings) = names(&person(&daemon)?.get(&maps)?)?;
    assert_eq!((seen, warnings), (vec!["there".to_owned()], String::new()));
    let one = daemon.client()?.json(&format!("{maps}/there"))?;
    assert_eq!(one["metadata"]["annotations"]["tenbin/cluster"], "kobe", "{one:#}");
    // The caller acts there as itself.
    let alice = HOUSE.cluster("tokyo")?.user("alice", &["dev"])?;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let told = daemon.client_of(Some(&alice))?;
    let told =
        told.send_json("POST", &format!("/clusters/kobe{REVIEW}"), &review)?.success()?.json()?;
    assert_eq!(told["status"]["userInfo"]["username"], "alice");
    // Divided: 100 W and 310 W, since it tells no curve.
    let path = format!("/apis/apps/v1/namespaces/{test}/deployments");
    let made = daemon.client()?.send_json("POST", &path, &deployment("web", 6))?.success()?;
    assert_eq!(made.json()?["spec"]["replicas"], 6);
    let copy = there.json(&format!("{path}/web"))?;
    assert_eq!(copy["spec"]["replicas"], 1, "{copy:#}");
    assert_eq!(copy["metadata"]["labels"]["tenbin"], REGION);
    daemon.client()?.send("DELETE", &format!("{path}/web"), None)?.success()?;
    eventually!(there.get(&format!("{path}/web")), |answer: &tenbin_integration::Response| answer
        .status
        == 404);
    Ok(())
}

#[test]
fn an_original_of_v1_29_is_a_member() -> Result<()> {
    works("original-29", GROUP, 0)
}

#[test]
fn an_original_of_v1_30_is_a_member() -> Result<()> {
    works("original-30", ORIGINAL_GROUP, 1)
}

#[test]
fn an_original_that_refuses_us_or_that_we_do_not_trust_is_untrusted() -> Result<()> {
    let (ca, other) = (Ca::new("kobe-ca")?, Ca::new("other-ca")?);
    let mep = mep(&ca, ORIGINAL_GROUP)?;
    for (test, trusted, password, word) in [
        ("original-password", &ca, "wrong", "password"),
        ("original-ca", &other, PASSWORD, "ertificate"),
    ] {
        let objects = Objects::new(&HOUSE, "tokyo", test)?;
        let daemon = tokyo(test, &mep, trusted, password, "")?;
        objects.peer("kobe", &mep.endpoint())?;
        let ready = || objects.condition("kobe", "Ready");
        let ready = eventually!(ready(), |it: &String| it.starts_with("False Untrusted"));
        assert!(ready.contains(word), "{test}: {ready}");
        let row = row(&daemon, "kobe")?;
        assert_eq!((&row["watts"], &row["reachable"]), (&Value::Null, &json!(false)), "{row:#}");
        // Nobody else is harmed.
        let maps = format!("/api/v1/namespaces/{test}/configmaps");
        let (_, warnings) = names(&person(&daemon)?.get(&maps)?)?;
        assert!(warnings.contains("kobe"), "{test}: {warnings}");
    }
    Ok(())
}

/// The peers port as the original comes to it: without a certificate.
fn original(daemon: &Daemon, password: &str) -> Result<Client> {
    Ok(daemon.peers_client(None)?.header("Authorization", &basic(password)))
}

#[test]
fn an_original_finds_our_score_and_acts_as_whom_it_may() -> Result<()> {
    let ca = Ca::new("kobe-ca")?;
    let mep = mep(&ca, ORIGINAL_GROUP)?;
    for (test, act_as) in [("inbound", ""), ("inbound-as", "act_as = 'wao-peer'")] {
        Objects::new(&HOUSE, "tokyo", test)?;
        let daemon = tokyo(test, &mep, &ca, PASSWORD, act_as)?;
        let client = original(&daemon, PASSWORD)?;
        for group in [GROUP, ORIGINAL_GROUP] {
            let path = format!("/apis/{group}/v1beta1/namespaces/any/clusterscores");
            let list =
                eventually!(client.json(&path), |list| list["items"][0]["status"]["score"] == 100);
            let item = &list["items"][0];
            assert_eq!(item["spec"]["owncluster"], true, "{list:#}");
            assert_eq!(item["spec"]["region"], "tokyo", "{list:#}");
            assert!(item["status"]["nodes"].is_array(), "{list:#}");
        }
        let maps = format!("/api/v1/namespaces/{test}/configmaps");
        let refused = client.get(&maps)?;
        assert_eq!(refused.status, 403, "{}", refused.text());
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let told = client.send_json("POST", REVIEW, &review)?;
        if act_as.is_empty() {
            assert_eq!(told.status, 403, "{}", told.text());
            assert!(told.text().contains("act_as"), "{}", told.text());
        } else {
            let told = told.success()?.json()?;
            assert_eq!(told["status"]["userInfo"]["username"], "wao-peer");
            assert_eq!(told["status"]["userInfo"]["groups"], json!(["system:authenticated"]));
        }
        for (name, value) in [
            ("Impersonate-User", "alice"),
            ("impersonate-group", "system:masters"),
            ("Impersonate-Extra-a", "b"),
        ] {
            let answer = client.clone().header(name, value).send_json("POST", REVIEW, &review)?;
            assert_eq!(answer.status, 403, "{name}: {}", answer.text());
        }
        let scores = format!("/apis/{GROUP}/v1beta1/namespaces/any/clusterscores");
        for password in ["wrong", "", " "] {
            let answer = original(&daemon, password)?.get(&scores)?;
            assert_eq!(answer.status, 401, "{password:?}: {}", answer.text());
        }
        let bare = daemon.peers_client(None)?.get(&scores)?;
        assert_eq!(bare.status, 401, "{}", bare.text());
        let log = daemon.log();
        let secret = basic(PASSWORD);
        let encoded = secret.strip_prefix("Basic ").context("no scheme")?;
        assert!(!log.contains(PASSWORD) && !log.contains(encoded), "the log has the password");
    }
    Ok(())
}
