//! The peers port as wao-estimator.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::pki::Ca;
use tenbin_integration::{Client, Daemon};

use super::NAMES;
use super::measured::POWER;
use super::optimum::curve;

const PATH: &str = "/namespaces/any/estimators/any/values/powerconsumption";

fn peer(daemon: &Daemon, name: &str) -> Result<Client> {
    daemon.peers_client(Some(&POWER.fleet().peers_ca().peer(name)?))
}

#[test]
fn estimates_are_the_curves_of_the_formulas() -> Result<()> {
    for (place, name) in NAMES.into_iter().enumerate() {
        let asker = NAMES[(place + 1) % 3];
        let client = peer(POWER.daemon(name)?, asker)?;
        for cpu_milli in [500, 1600, 8000] {
            let question = json!({"cpu_milli": cpu_milli, "num_workloads": 5});
            let answer = client.send_json("POST", PATH, &question)?.success()?.json()?;
            assert_eq!(answer["cpu_milli"], cpu_milli);
            let seen: Vec<_> = answer["watt_increases"].as_array().context("none")?.clone();
            let wanted = curve(place, cpu_milli)?;
            assert_eq!(seen.len(), 5, "{answer:#}");
            for (seen, wanted) in seen.iter().zip(&wanted[1..]) {
                let off = seen.as_f64().context("no number")? - wanted;
                assert!(off.abs() < 0.2, "{name} {cpu_milli}: {answer:#}, not {wanted:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn an_estimate_says_where_room_ends_as_the_original_does() -> Result<()> {
    let client = peer(POWER.daemon("tokyo")?, "osaka")?;
    let question = json!({"cpu_milli": 20_000, "num_workloads": 6});
    let answer = client.send_json("POST", PATH, &question)?.success()?.json()?;
    let seen = answer["watt_increases"].as_array().context("none")?;
    let full: Vec<_> = seen.iter().map(|it| it.as_f64().is_some_and(|it| it > 1e300)).collect();
    assert_eq!(full, [false, false, false, false, true, true], "{answer:#}");
    Ok(())
}

#[test]
fn nonsense_is_answered_with_400_in_the_words_of_the_estimator() -> Result<()> {
    let client = peer(POWER.daemon("tokyo")?, "osaka")?;
    let deep = "[".repeat(10_000);
    for body in [
        "",
        "null",
        "[]",
        "5",
        "{}",
        r#"{"cpu_milli":500}"#,
        r#"{"cpu_milli":-1,"num_workloads":5}"#,
        r#"{"cpu_milli":1.5,"num_workloads":5}"#,
        r#"{"cpu_milli":"500","num_workloads":5}"#,
        r#"{"cpu_milli":500,"num_workloads":1001}"#,
        r#"{"cpu_milli":500,"num_workloads":99999999999}"#,
        "\u{feff}{}",
        &deep,
    ] {
        let answer = client.send("POST", PATH, Some(("application/json", body.as_bytes())))?;
        assert_eq!(answer.status, 400, "{body:.40}: {}", answer.text());
        let said = answer.json()?;
        assert!(said["code"].is_string() && said["message"].is_string(), "{said:#}");
    }
    // None are none, and the largest numbers break nothing.
    for (cpu_milli, pods) in [(500, 0), (0, 3), (u64::MAX, 3), (1, 1000)] {
        let question = json!({"cpu_milli": cpu_milli, "num_workloads": pods});
        let answer = client.send_json("POST", PATH, &question)?.success()?.json()?;
        assert_eq!(answer["watt_increases"].as_array().map(Vec::len), Some(pods), "{question}");
    }
    let large = vec![b' '; 200_000];
    let answer = client.send("POST", PATH, Some(("application/json", &large)))?;
    assert!(matches!(answer.status, 400 | 413), "{}", answer.text());
    Ok(())
}

#[test]
fn whoever_has_no_certificate_of_a_peer_gets_401_for_everything() -> Result<()> {
    let (daemon, tokyo) = (POWER.daemon("tokyo")?, POWER.fleet().cluster("tokyo")?);
    let stranger = Ca::new("stranger")?.peer("osaka")?;
    let user = tokyo.user("admin", &["system:masters"])?;
    let itself = POWER.fleet().peers_ca().peer("tokyo")?;
    let question = json!({"cpu_milli": 500, "num_workloads": 5});
    let scores = "/apis/waoendpointproxy.bitmedia.co.jp/v1beta1/namespaces/x/clusterscores";
    for (who, pair) in [
        ("no certificate", None),
        ("a stranger's", Some(&stranger)),
        ("a user's", Some(&user)),
        ("own's", Some(&itself)),
    ] {
        let client = daemon.peers_client(pair)?;
        let asked = client.send_json("POST", PATH, &question);
        let status = asked.with_context(|| who.to_owned())?;
        assert_eq!(status.status, 401, "{who}: {}", status.text());
        for path in [scores, "/livez", "/api/v1/namespaces", "/scores"] {
            let answer = client.get(path)?;
            assert_eq!(answer.status, 401, "{who} {path}: {}", answer.text());
            assert_eq!(answer.json()?["kind"], Value::from("Status"));
        }
    }
    // Nor does the users port believe a peer.
    let peer = POWER.fleet().peers_ca().peer("osaka")?;
    assert_eq!(daemon.client_of(Some(&peer))?.get("/livez")?.status, 401);
    Ok(())
}
