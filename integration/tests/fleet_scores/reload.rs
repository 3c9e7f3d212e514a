//! SIGHUP: peers, certificates, the namespace, the strategy and the original's group change while
//! the daemon runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tenbin_integration::eventually::until;
use tenbin_integration::pki::Ca;
use tenbin_integration::scores::{self, ORIGINAL_GROUP};
use tenbin_integration::{Daemon, Response, config_map, deployment, eventually};
use toml::Table;

use super::CROSS;
use super::house::{HOUSE, Objects, daemon, names, person};
use super::measured::row;

/// A kind that is not there is looked for every half minute at the latest.
const BACKOFF: Duration = Duration::from_mins(1);

/// Changes keys of a section and reloads.
fn change(daemon: &Daemon, section: &str, changes: &[(&str, toml::Value)]) -> Result<()> {
    daemon.edit_config(|table| {
        let entry = table.entry(section.to_owned());
        if let Some(section) = entry.or_insert_with(|| Table::new().into()).as_table_mut() {
            section.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        }
    })?;
    daemon.reload()
}

/// Two daemons in a test's namespace, of which osaka has one config map.
fn two(test: &str) -> Result<(Daemon, Daemon)> {
    Objects::new(&HOUSE, "tokyo", test)?;
    let there = Objects::new(&HOUSE, "osaka", test)?.client()?;
    let maps = format!("/api/v1/namespaces/{test}/configmaps");
    there.send_json("POST", &maps, &config_map("there", "1"))?.success()?;
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    Ok((daemon(&HOUSE, test, "tokyo").config(CROSS).start()?, osaka))
}

/// Whether a person sees osaka's config map, and no warning.
fn sees(daemon: &Daemon, test: &str, there: bool) -> Result<()> {
    let maps = format!("/api/v1/namespaces/{test}/configmaps");
    let (names, warnings) = names(&person(daemon)?.get(&maps)?)?;
    ensure!(warnings.is_empty(), "{warnings}");
    ensure!(names.iter().any(|name| name == "there") == there, "{names:?}");
    Ok(())
}

#[test]
fn a_peer_of_the_configuration_comes_and_goes() -> Result<()> {
    let test = "reload-peer";
    let (tokyo, osaka) = two(test)?;
    sees(&tokyo, test, false)?;
    let mut peer = Table::new();
    peer.insert("name".to_owned(), "osaka".into());
    peer.insert("endpoint".to_owned(), osaka.endpoint().into());
    tokyo.edit_config(|table| drop(table.insert("peer".to_owned(), vec![peer].into())))?;
    tokyo.reload()?;
    eventually!(sees(&tokyo, test, true));
    eventually!(row(&tokyo, "osaka"), |row| row["watts"] == 200.0);
    tokyo.edit_config(|table| drop(table.remove("peer")))?;
    tokyo.reload()?;
    eventually!(sees(&tokyo, test, false));
    assert!(row(&tokyo, "osaka").is_err());
    Ok(())
}

/// What a daemon shows and whom it believes, from now on.
fn certify(daemon: &Daemon, name: &str, shows: Option<&Ca>, believes: &[&Ca]) -> Result<()> {
    if let Some(ca) = shows {
        let (serving, peer) = (ca.server("tenbin", &["tenbin"])?, ca.peer(name)?);
        for (file, text) in [
            ("tls.key", serving.key),
            ("tls.crt", serving.cert),
            ("peer.key", peer.key),
            ("peer.crt", peer.cert),
        ] {
            std::fs::write(daemon.folder().join(file), text)?;
        }
    }
    let bundle: String = believes.iter().map(|ca| ca.cert()).collect();
    std::fs::write(daemon.folder().join("fleet-ca.crt"), bundle)?;
    daemon.reload()
}

#[test]
fn certificates_of_peers_are_rotated_without_a_warning() -> Result<()> {
    let test = "reload-certificates";
    let (tokyo, osaka) = two(test)?;
    Objects::new(&HOUSE, "tokyo", test)?.peer("osaka", &osaka.endpoint())?;
    eventually!(sees(&tokyo, test, true));
    let (old, new) = (HOUSE.peers_ca(), Ca::new("next-fleet-ca")?);
    let both = [(&tokyo, "tokyo"), (&osaka, "osaka")];
    for (daemon, name) in both {
        certify(daemon, name, None, &[old, &new])?;
    }
    // The new authority is believed once its certificates are let in.
    let by_new = osaka.peers_client(Some(&new.peer("nagoya")?))?;
    eventually!(by_new.get("/livez"), |answer: &Response| answer.status == 200);
    let by_old = osaka.peers_client(Some(&old.peer("nagoya")?))?;
    assert_eq!(by_old.get("/livez")?.status, 200);
    for (daemon, name) in both {
        certify(daemon, name, Some(&new), &[old, &new])?;
    }
    for (daemon, name) in both {
        certify(daemon, name, None, &[&new])?;
    }
    // Who knows the new authority alone reaches osaka now, and the old certificates are nobody's.
    let fresh = |ca: &Ca| -> Result<u16> {
        let pair = ca.peer("nagoya")?;
        let client = tenbin_integration::Client::tls(osaka.peers(), new.cert(), Some(&pair))?;
        Ok(client.get("/livez")?.status)
    };
    eventually!(fresh(&new), |status| *status == 200);
    eventually!(fresh(old), |status| *status == 401);
    let client = tenbin_integration::Client::tls(
        tokyo.users(),
        new.cert(),
        Some(&HOUSE.cluster("tokyo")?.user("admin", &["system:masters"])?),
    )?;
    let maps = format!("/api/v1/namespaces/{test}/configmaps");
    eventually!(names(&client.get(&maps)?), |(names, warnings)| names == &["there"]
        && warnings.is_empty());
    eventually!(row(&tokyo, "osaka"), |row| row["reachable"] == true
        && row["age_seconds"].as_f64().is_some_and(|age| age < 5.0));
    Ok(())
}

#[test]
fn cluster_scores_count_where_the_namespace_is_now() -> Result<()> {
    let (test, next) = ("reload-namespace", "reload-namespace-next");
    let (tokyo, osaka) = two(test)?;
    let (first, second) =
        (Objects::new(&HOUSE, "tokyo", test)?, Objects::new(&HOUSE, "tokyo", next)?);
    first.peer("osaka", &osaka.endpoint())?;
    eventually!(sees(&tokyo, test, true));
    change(&tokyo, "score", &[("namespace", next.into())])?;
    eventually!(second.get("tokyo"), |own| own["status"]["score"] == 100);
    eventually!(sees(&tokyo, test, false));
    second.peer("osaka", &osaka.endpoint())?;
    eventually!(sees(&tokyo, test, true));
    eventually!(second.condition("osaka", "Ready"), |it: &String| it.starts_with("True Ready"));
    Ok(())
}

#[test]
fn the_strategy_changes_and_says_what_it_cannot() -> Result<()> {
    let test = "reload-strategy";
    let (tokyo, osaka) = two(test)?;
    Objects::new(&HOUSE, "tokyo", test)?.peer("osaka", &osaka.endpoint())?;
    eventually!(row(&tokyo, "osaka"), |row| row["watts"] == 200.0 && row["reachable"] == true);
    let path = format!("/apis/apps/v1/namespaces/{test}/deployments");
    let create = |n: u32, annotations: Value| -> Result<(Response, Vec<Option<u64>>)> {
        let mut body = deployment(&format!("web-{n}"), 6);
        body["metadata"]["annotations"] = annotations;
        let made = tokyo.client()?.send_json("POST", &path, &body)?.success()?;
        let copies = tenbin_integration::copies(&HOUSE, &format!("{path}/web-{n}"))?;
        let share = |copy: Option<Value>| copy?.pointer("/spec/replicas")?.as_u64();
        Ok((made, copies.into_iter().map(share).collect()))
    };
    // 100 W and 200 W that are stated, so that there are no curves: by scores in any case.
    let shares = [Some(4), Some(2), None];
    let (made, seen) = create(0, json!({}))?;
    assert_eq!((made.header("warning"), seen.as_slice()), (None, shares.as_slice()));
    let (made, seen) = create(1, json!({"tenbin/strategy": "marginal"}))?;
    let said = made.header("warning").unwrap_or_default();
    assert!(said.contains("not by least added watts") && said.contains("not measured"), "{said:?}");
    assert_eq!(seen, shares);
    change(&tokyo, "placement", &[("strategy", "marginal".into())])?;
    let actors = || -> Result<String> { Ok(tokyo.admin().get("/actors")?.text()) };
    eventually!(actors(), |text: &String| text.contains(r#""strategy":"marginal""#));
    let (made, seen) = create(2, json!({}))?;
    assert!(made.header("warning").is_some_and(|said| said.contains("not measured")), "{made:?}");
    assert_eq!(seen, shares);
    change(&tokyo, "placement", &[("strategy", "inverse".into())])?;
    eventually!(actors(), |text: &String| text.contains(r#""strategy":"inverse""#));
    let (made, seen) = create(3, json!({}))?;
    assert_eq!((made.header("warning"), seen.as_slice()), (None, shares.as_slice()));
    Ok(())
}

#[test]
fn the_originals_group_is_switched_on_before_and_after_its_kind_is_there() -> Result<()> {
    let test = "reload-group";
    let nagoya = Objects::new(&HOUSE, "nagoya", test)?;
    let osaka = daemon(&HOUSE, test, "osaka").config(CROSS).start()?;
    let daemon = daemon(&HOUSE, test, "nagoya").config(CROSS).start()?;
    eventually!(nagoya.get("nagoya"), |own| own["status"]["score"] == 300);
    change(&daemon, "score", &[("original_group", true.into())])?;
    eventually!(daemon.log().contains("cluster scores is not installed"));
    // The group that is there goes on by itself.
    nagoya.peer("osaka", &osaka.endpoint())?;
    eventually!(row(&daemon, "osaka"), |row| row["watts"] == 200.0);
    nagoya.delete("osaka")?;
    eventually!(row(&daemon, "osaka").is_err());

    scores::install(nagoya.cluster, ORIGINAL_GROUP)?;
    let path = format!("/apis/{ORIGINAL_GROUP}/v1beta1/namespaces/{test}/clusterscores");
    let own = until(BACKOFF, || nagoya.client()?.json(&format!("{path}/nagoya")))?;
    assert_eq!(own["spec"]["owncluster"], true, "{own:#}");
    let body = json!({"apiVersion": format!("{ORIGINAL_GROUP}/v1beta1"), "kind": "ClusterScore",
                      "metadata": {"name": "osaka"}, "spec": {"endpoint": osaka.endpoint()}});
    nagoya.client()?.send_json("POST", &path, &body)?.success()?;
    eventually!(row(&daemon, "osaka"), |row| row["watts"] == 200.0);
    let client = nagoya.client()?;
    eventually!(client.json(&format!("{path}/osaka")), |seen| seen["status"]["score"] == 200
        && seen["spec"]["region"] == "osaka");
    change(&daemon, "score", &[("original_group", false.into())])?;
    eventually!(row(&daemon, "osaka").is_err());
    Ok(())
}
