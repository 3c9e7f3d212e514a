//! Whole rounds of a source.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tenbin_kernel::Clock;
use tenbin_model::score::Provenance;

use super::world::{MAX_AGE, STUCK_AFTER, World, config, facts, node, path, reasons, watts_of};
use super::{Reply, output, predicted, watts};
use crate::measure::inventory::Term;
use crate::measure::predictor::FAKE_WATTS;
use crate::measure::{Inventory, Stock};
use crate::poller::{PollError, Source as _};
use crate::tests::until;

#[actix::test]
async fn the_watts_of_all_nodes_are_had_in_a_few_requests_and_their_sum_is_the_score() {
    let world = World::new(4, |_| None).await;
    world.publish_plain(4);
    let measured = world.sample().await.unwrap();
    let sum: f64 = (0..4).map(watts_of).sum();
    assert!((measured.sample.watts - sum).abs() < 1e-6, "{measured:?}");
    assert_eq!(measured.sample.provenance, Provenance::Measured);
    assert_eq!(reasons(&measured), []);
    let n3 = &measured.sample.nodes[3];
    assert_eq!(n3.name, "n3");
    let read = [n3.cpu_percent, n3.inlet_celsius, n3.delta_p_pascal];
    assert_eq!(read, [Some(7.5), Some(23.0), Some(5.0)]);
    // The group, CPU, and two metrics; one batch of nodes, and one of tables.
    assert_eq!((world.count("api_requests"), world.count("predictor_requests")), (4, 2));

    let power = measured.power.unwrap();
    assert_eq!(power.nodes.len(), 4);
    let n2 = &power.nodes[2];
    assert_eq!((n2.name.as_str(), n2.cpu_percent, n2.requested.cpu_milli), ("n2", 5.0, 1000));
    assert!((n2.table.at(50.0) - (100.0 + 50.0 + 22.0 + 5.0)).abs() < 1e-6);

    world.sample().await.unwrap();
    assert_eq!((world.count("api_requests"), world.count("predictor_requests")), (7, 3));
}

#[actix::test]
async fn five_hundred_nodes_are_measured_far_within_two_seconds() {
    let slow = |served: &super::Served| {
        let data = served.rows().iter().map(watts).collect();
        Reply::After(Duration::from_millis(20), output(&data))
    };
    let world = World::with(500, |_| None, slow, Some(Clock::system())).await;
    world.publish_plain(500);
    let measured = world.sample().await.unwrap();
    assert_eq!((measured.sample.nodes.len(), measured.power.unwrap().nodes.len()), (500, 500));
    assert!(world.count("last_round_ms") < 2000, "{}", world.source.observe());
    // 500 rows, and 500 conditions of the air at 23 loads, a thousand rows a request.
    assert_eq!(world.count("predictor_requests"), 1 + 12);
    world.sample().await.unwrap();
    assert_eq!(world.count("predictor_requests"), 1 + 12 + 1);
}

#[actix::test]
async fn an_adapter_without_selectors_is_asked_node_by_node_in_the_version_that_it_serves() {
    let world = World::new(3, |served| match path(served).as_slice() {
        ["apis", "custom.metrics.k8s.io"] => {
            Some(Reply::Json(json!({"versions": [{"version": "v1beta1"}]})))
        }
        [_, "custom.metrics.k8s.io", version, _, node, metric] => {
            assert_eq!(*version, "v1beta1");
            let lacks = *node == "*" || (*node == "n1" && *metric == "delta_p");
            lacks.then_some(Reply::Status(404))
        }
        _ => None,
    })
    .await;
    world.publish_plain(3);
    let measured = world.sample().await.unwrap();
    let reason = "no delta_p: custom.metrics.k8s.io answers 404 Not Found";
    assert_eq!(reasons(&measured), [("n1", reason)]);
    // CPU, the group, two refused selectors, and three nodes twice.
    assert_eq!(world.count("api_requests"), 1 + 1 + 2 + 6);
}

#[actix::test]
async fn each_node_that_fails_has_its_own_reason_and_costs_no_other() {
    let world = World::new(9, |served| {
        let lacking = served.path.ends_with("/nodes/*/inlet_temp");
        lacking.then(|| {
            // n5 is not among them, and n6 has no number.
            let items = [0, 1, 2, 3, 4, 6, 7, 8].map(|it| {
                let value = if it == 6 { "warm" } else { "20" };
                json!({"describedObject": {"name": format!("n{it}")}, "value": value})
            });
            Reply::Json(json!({"items": items}))
        })
    })
    .await;
    let at = |name: &str| node(name, &world.predictor);
    let mut unconfigured = at("n3");
    unconfigured.config = None;
    world.publish(vec![
        at("n0"),
        facts(at("n1"), |facts| facts.ready = false),
        facts(at("n2"), |facts| facts.withdrawn = true),
        unconfigured,
        facts(at("n4"), |facts| facts.capacity_milli = 0),
        at("n5"),
        at("n6"),
        config(at("n7"), |config| config.power = None),
        config(at("n8"), |config| config.power.as_mut().unwrap().kind = "Oracle".into()),
        at("n9"),
    ]);
    let measured = world.sample().await.unwrap();
    assert_eq!(
        reasons(&measured),
        [
            ("n1", "NotReady"),
            ("n3", "no NodeConfig"),
            ("n4", "no CPU capacity"),
            ("n6", "no inlet_temp: \"warm\" does not begin with a decimal number"),
            ("n7", "NodeConfig names no predictor"),
            ("n8", "predictor type \"Oracle\" is not known"),
            ("n9", "no cpu: metrics.k8s.io does not name the node"),
        ]
    );
    // n5 was asked for alone; the cordoned n2 is nobody's.
    let names: Vec<&str> = measured.sample.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["n0", "n5"]);
    // Those that failed are counted like the others.
    let mean = measured.sample.watts / 9.0;
    assert!(mean > 120.0 && mean < 140.0, "{mean}");
}

#[actix::test]
async fn a_metrics_server_that_is_gone_leaves_the_last_known_watts_and_says_why() {
    let world = World::new(2, |_| None).await;
    world.publish_plain(2);
    let before = world.sample().await.unwrap().sample;
    world.weather.gone.store(true, Ordering::SeqCst);
    world.hand.advance(MAX_AGE / 2);
    let after = world.sample().await.unwrap();
    let reason = "no cpu: metrics.k8s.io answers 503 Service Unavailable";
    assert_eq!(reasons(&after), [("n0", reason), ("n1", reason)]);
    assert_eq!((after.sample.watts, after.sample.sampled_at), (before.watts, before.sampled_at));
    // Nor is the curve newer than the watts.
    assert_eq!(after.power.unwrap().measured_at, before.sampled_at);
}

#[actix::test]
async fn a_cluster_of_which_nothing_was_ever_known_has_no_score() {
    let world = World::new(2, |_| None).await;
    world.weather.gone.store(true, Ordering::SeqCst);
    world.publish_plain(2);
    let error = world.sample().await.unwrap_err().to_string();
    assert!(error.contains("answers 503 Service Unavailable"), "{error}");
}

#[actix::test]
async fn a_stock_that_is_not_known_is_waited_for_and_then_told_as_the_reason() {
    let world = World::new(2, |_| None).await;
    let waiting = world.sample();
    let pass = async {
        until(|| world.hand.sleepers() > 0).await;
        world.hand.advance(Duration::from_secs(3));
    };
    let (result, ()) = tokio::join!(waiting, pass);
    assert_eq!(result, Err(PollError::NoAnswer("nothing is listed yet".to_owned())));

    let waiting = world.sample();
    let publish = async {
        until(|| world.hand.sleepers() > 0).await;
        world.publish_plain(2);
    };
    let (result, ()) = tokio::join!(waiting, publish);
    assert_eq!(result.unwrap().sample.nodes.len(), 2);
}

#[actix::test]
async fn a_timestamp_that_stands_still_is_not_believed_until_it_moves() {
    let world = World::new(2, |_| None).await;
    world.publish_plain(2);
    world.weather.still.store(true, Ordering::SeqCst);
    assert_eq!(reasons(&world.sample().await.unwrap()), []);
    world.hand.advance(STUCK_AFTER + Duration::from_secs(1));
    let measured = world.sample().await.unwrap();
    assert_eq!(reasons(&measured)[0].1, "the timestamp of cpu has stood still for 121 s");
    world.weather.still.store(false, Ordering::SeqCst);
    assert_eq!(reasons(&world.sample().await.unwrap()), []);
}

#[actix::test]
async fn what_is_fake_is_made_up_only_where_the_adapter_has_nothing() {
    let world = World::new(3, |served| {
        let gone = served.path.ends_with("/custom.metrics.k8s.io");
        gone.then_some(Reply::Status(404))
    })
    .await;
    let fake = |name: &str, endpoint: &str| {
        config(node(name, endpoint), |config| {
            (config.fake_inlet, config.fake_delta_p) = (true, true);
        })
    };
    world.publish(vec![fake("n0", ""), fake("n1", &world.predictor), node("n2", "")]);
    let measured = world.sample().await.unwrap();
    let watts: Vec<f64> = measured.sample.nodes.iter().map(|node| node.watts).collect();
    assert_eq!(watts, [FAKE_WATTS, 100.0 + 2.5 + 15.5 + 7.5]);
    let reason = "no inlet_temp: custom.metrics.k8s.io answers 404 Not Found";
    assert_eq!(reasons(&measured), [("n2", reason)]);

    let world = World::new(1, |_| None).await;
    world.publish(vec![fake("n0", "")]);
    let measured = world.sample().await.unwrap();
    assert_eq!(measured.sample.nodes[0].inlet_celsius, Some(20.0));
    let table = measured.power.unwrap().nodes[0].table.at(70.0);
    assert!((table - FAKE_WATTS).abs() < 1e-9);
}

#[actix::test]
async fn an_adapter_that_hangs_costs_its_own_nodes_only() {
    let world = World::new(2, |_| None).await;
    world.weather.silent.store(true, Ordering::SeqCst);
    let fake = config(node("n0", &world.predictor), |config| {
        (config.fake_inlet, config.fake_delta_p) = (true, true);
    });
    world.publish(vec![fake, node("n1", &world.predictor)]);
    let pass = async {
        // CPU is read; the adapter is being waited for.
        until(|| world.count("api_requests") == 2 && world.hand.sleepers() == 1).await;
        world.hand.advance(Duration::from_secs(3));
    };
    let (measured, ()) = tokio::join!(world.sample(), pass);
    let measured = measured.unwrap();
    let reason = "no inlet_temp: custom.metrics.k8s.io does not answer: silent for 3.0 s";
    assert_eq!(reasons(&measured), [("n1", reason)]);
    assert!((measured.sample.nodes[0].watts - 123.0).abs() < 1e-9);
}

#[actix::test]
async fn a_predictor_is_found_by_redfish_and_asked_with_the_secret_of_the_node_config() {
    let world = World::with(
        2,
        |served| match path(served).as_slice() {
            ["api", "v1", "namespaces", "wao-system", "secrets", "good"] => {
                let data = json!({"username": "dXNlcg==", "password": "cGFzcw=="});
                Some(Reply::Json(json!({"metadata": {"name": "good"}, "data": data})))
            }
            [.., "secrets", _] => Some(Reply::Status(403)),
            _ => None,
        },
        |served| {
            if served.authorization != "Basic dXNlcjpwYXNz" {
                return Reply::Status(401);
            }
            match path(served).as_slice() {
                ["redfish", "v1", "Systems"] => {
                    Reply::Json(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}))
                }
                ["redfish", "v1", "Systems", "1", "MachineLearningModel"] => {
                    let model = json!({"Name": "m", "Type": "V2InferenceProtocol", "Version": "v1",
                        "Url": format!("http://{}", served.host)});
                    Reply::Json(json!({"PowerConsumptionModel": model}))
                }
                ["v2", "models", "m", "versions", "v1", "infer"] => predicted(served),
                _ => Reply::Status(404),
            }
        },
        None,
    )
    .await;
    let bmc = world.predictor.split("/v2").next().unwrap();
    let provided = |name: &str, secret: &str| {
        config(node(name, ""), |config| {
            let term = |kind: &str, endpoint: &str| Term {
                kind: kind.to_owned(),
                endpoint: endpoint.to_owned(),
                secret: Some(secret.to_owned()),
            };
            config.power = Some(term("V2InferenceProtocol", "http://unused"));
            config.provider = Some(term("Redfish", bmc));
        })
    };
    world.publish(vec![provided("n0", "good"), provided("n1", "bad")]);
    let measured = world.sample().await.unwrap();
    assert!((measured.sample.nodes[0].watts - watts_of(0)).abs() < 1e-9);
    let reason = "Secret bad: the API server answers 403 Forbidden";
    assert_eq!(reasons(&measured), [("n1", reason)]);
    let asked = world.count("predictor_requests");
    world.sample().await.unwrap();
    // The BMC's answer is remembered.
    assert_eq!(world.count("predictor_requests"), asked + 1);
}

#[actix::test]
async fn a_curve_has_the_nodes_that_take_pods_and_none_where_one_of_them_has_no_table() {
    let world = World::new(3, |_| None).await;
    let at = |name: &str| node(name, &world.predictor);
    let tainted = facts(at("n1"), |facts| facts.tainted = true);
    let unwell = facts(at("n2"), |facts| facts.ready = false);
    world.publish(vec![at("n0"), tainted, unwell]);
    let measured = world.sample().await.unwrap();
    assert_eq!((measured.sample.nodes.len(), measured.sample.missing.len()), (2, 1));
    let power = measured.power.unwrap();
    assert_eq!(power.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["n0"]);

    // A node that cannot be measured has the table of its like, and the load that its pods ask for.
    let mut new = at("n9");
    new.config = None;
    world.publish(vec![at("n0"), new]);
    let power = world.sample().await.unwrap().power.unwrap();
    assert_eq!((power.nodes[1].name.as_str(), power.nodes[1].cpu_percent), ("n9", 25.0));
    assert_eq!(power.nodes[0].table, power.nodes[1].table);

    let mut stranger = facts(at("n9"), |facts| facts.like.clear());
    stranger.config = None;
    world.publish(vec![at("n0"), stranger]);
    assert_eq!(world.sample().await.unwrap().power, None);
}

#[actix::test]
async fn a_cluster_without_nodes_has_no_score() {
    let world = World::new(0, |_| None).await;
    world.stock.send_replace(Stock::Known(Inventory::default()).into());
    let error = world.sample().await.unwrap_err();
    assert_eq!(error, PollError::NoAnswer("the cluster has no nodes".to_owned()));
}
