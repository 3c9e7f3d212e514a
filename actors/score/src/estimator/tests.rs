use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tokio::net::TcpListener;

use super::*;

mod rig;

use rig::{INTERVAL, Manner, Rig, SHAPE, name};

/// A port where nobody listens.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

#[actix::test]
async fn the_curve_of_a_measured_member_is_that_of_its_power_until_it_is_too_old() {
    let rig = Rig::new().await;
    rig.join("tokyo", Reach::Direct, NOBODY).await;
    assert_eq!(rig.estimate("tokyo", 5).await, Err(EstimateError::Unmeasured));

    let power = rig.measure("tokyo", 3);
    let curve = rig.estimate("tokyo", 5).await.unwrap();
    assert_eq!(curve.room(), 3);
    assert_eq!(curve, power.curve(SHAPE, 5));

    rig.hand.advance(INTERVAL * 3);
    assert_eq!(rig.estimate("tokyo", 5).await, Ok(curve.clone()));
    rig.hand.advance(Duration::from_secs(1));
    assert_eq!(rig.estimate("tokyo", 5).await, Err(EstimateError::Stale { age_seconds: 91 }));
    rig.estimator.ask(Configure { interval: INTERVAL * 2 }, crate::tests::PATIENCE).await.unwrap();
    assert_eq!(rig.estimate("tokyo", 5).await, Ok(curve));
}

#[actix::test]
async fn nobody_else_has_a_curve() {
    let rig = Rig::new().await;
    rig.join("osaka", Reach::Original, NOBODY).await;
    rig.join("nagoya", Reach::Peer, NOBODY).await;
    assert_eq!(rig.estimate("osaka", 5).await, Err(EstimateError::Original));
    assert_eq!(rig.estimate("kyoto", 5).await, Err(EstimateError::NoMember));
    assert_eq!(rig.estimate("nagoya", MAX_PODS + 1).await, Err(EstimateError::TooMany));
    let dead = rig.estimate("nagoya", 5).await;
    assert!(matches!(dead, Err(EstimateError::Peer(Fault::Down { .. }))), "{dead:?}");
}

#[actix::test]
async fn the_curve_of_a_peer_is_what_its_own_tenbin_works_out() {
    let [here, there] = [Rig::new().await, Rig::new().await];
    there.join("osaka", Reach::Direct, NOBODY).await;
    let port = here.serve(Manner::Estimates(there.estimator.clone(), name("osaka")));
    here.join("osaka", Reach::Peer, port).await;

    let refused = here.estimate("osaka", 5).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "its tenbin answers 500: osaka has no curve: its power is not measured"
    );
    let power = there.measure("osaka", 3);
    assert_eq!(here.estimate("osaka", 5).await, Ok(power.curve(SHAPE, 5)));
    assert_eq!(here.estimate("osaka", 2).await, Ok(power.curve(SHAPE, 2)));
    assert_eq!(there.state("asked").await, 3);
}

#[actix::test]
async fn a_peer_that_does_not_answer_as_it_should_has_no_curve() {
    let rig = Rig::new().await;
    let says = |code, body: &str| Manner::Says(code, body.to_owned());
    let large = format!("[{}]", "1,".repeat(64 * 1024));
    for (peer, manner, reason) in [
        ("a", says(200, "watts"), "its tenbin's answer cannot be read: expected value"),
        ("b", says(200, "{}"), "its tenbin's answer cannot be read: missing field"),
        ("c", says(502, "<html>"), "its tenbin answers 502: without a reason"),
        ("d", says(403, r#"{"code":403,"message":"no"}"#), "its tenbin answers 403: no"),
        ("e", says(200, &large), "e answered with more than 65536 bytes"),
        ("f", Manner::Hangs, "no curve came within 1 s"),
    ] {
        let port = rig.serve(manner);
        rig.join(peer, Reach::Peer, port).await;
        let error = rig.estimate(peer, 5).await.unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[actix::test]
async fn there_is_a_limit_to_what_is_under_way() {
    let rig = Rig::new().await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    rig.join("osaka", Reach::Peer, silent.local_addr().unwrap()).await;
    let asking = (0..MAX_IN_FLIGHT).map(|_| {
        let estimate = Estimate { cluster: name("osaka"), shape: SHAPE, pods: 5 };
        let estimator = rig.estimator.clone();
        actix::spawn(async move { estimator.ask(estimate, LIMIT * 5).await })
    });
    let asking: Vec<_> = asking.collect();
    rig.under_way(MAX_IN_FLIGHT).await;
    assert_eq!(rig.estimate("osaka", 5).await, Err(EstimateError::Busy));
    for asked in asking {
        assert!(asked.await.unwrap().unwrap().is_err());
    }
    rig.under_way(0).await;
}

#[actix::test]
async fn a_peer_s_question_is_answered_with_a_code_and_a_reason() {
    let rig = Rig::new().await;
    rig.join("tokyo", Reach::Direct, NOBODY).await;
    let ask = async |body: &str| -> (u16, Value) {
        answer(&rig.estimator, name("tokyo"), body.as_bytes()).await
    };
    let question = r#"{"cpu_milli":1000,"num_workloads":2}"#;
    let (code, body) = ask(question).await;
    assert_eq!((code, &body["code"]), (500, &"ErrEstimator".into()));
    assert_eq!(body["message"], "tokyo has no curve: its power is not measured");
    rig.measure("tokyo", 1);
    let (code, body) = ask(question).await;
    let watts = body["watt_increases"].as_array().unwrap();
    assert_eq!((code, watts.len(), &watts[1]), (200, 2, &f64::MAX.into()));
    let (code, body) = ask("{}").await;
    assert_eq!((code, &body["code"]), (400, &"ErrEstimatorInvalidRequest".into()));
}
