//! Each real part that power scores come from, by itself and through the API servers.

#![expect(
    clippy::indexing_slicing,
    reason = "serde_json's index of a missing key is null, which an assertion shows"
)]

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tenbin_integration::power::wao::{self, Group};
use tenbin_integration::power::{self, Sensors};
use tenbin_integration::{
    Behaviour, Client, ClusterSpec, FaultyPredictor, Fleet, FleetBuilder, Model, Usage, eventually,
};

static FLEET: LazyLock<Fleet> = LazyLock::new(|| {
    FleetBuilder::new("parts")
        .cluster(ClusterSpec::new("tokyo").nodes(3))
        .cluster(ClusterSpec::new("osaka").nodes(3).wao(Group::Waok8s))
        .power()
        .shared()
});

fn sensors(cluster: &str) -> Result<&'static Sensors> {
    Ok(FLEET.cluster(cluster)?.metrics()?.sensors())
}

/// `/apis/custom.metrics.k8s.io/<version>/nodes/<node>/<metric>`.
fn custom(cluster: &str, version: &str, node: &str, metric: &str) -> Result<Value> {
    let path = format!("/apis/custom.metrics.k8s.io/{version}/nodes/{node}/{metric}");
    FLEET.cluster(cluster)?.client()?.json(&path)
}

/// `usage` of each node as metrics-server has it, by name.
fn usage(cluster: &str) -> Result<Vec<(String, Value)>> {
    let list = FLEET.cluster(cluster)?.client()?.json("/apis/metrics.k8s.io/v1beta1/nodes")?;
    let items = list["items"].as_array().context("no items")?;
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|item| (name(item), item["usage"].clone())).collect())
}

#[test]
fn metrics_server_says_exactly_the_cpu_that_was_set() -> Result<()> {
    let kubelet = FLEET.kubelet()?;
    kubelet.set([("tokyo-n0", Usage::cores(4.0)), ("tokyo-n1", Usage::cores(0.123_456_789))])?;
    let cpu = |node: &str, cpu: &str| {
        let (node, cpu) = (node.to_owned(), json!(cpu));
        move |seen: &Vec<(String, Value)>| {
            seen.iter().any(|(name, usage)| *name == node && usage["cpu"] == cpu)
        }
    };
    let seen = eventually!(usage("tokyo"), cpu("tokyo-n0", "4"));
    assert!(cpu("tokyo-n1", "123456789n")(&seen), "{seen:?}");
    assert!(cpu("tokyo-n2", "0")(&seen), "{seen:?}");
    assert_eq!(seen[0].1["memory"], "1Gi", "{seen:?}");
    kubelet.set([("tokyo-n0", Usage::cores(31.5))])?;
    eventually!(usage("tokyo"), cpu("tokyo-n0", "31500m"));
    // A broken kubelet: the node is not in the list any more.
    kubelet.set([("tokyo-n2", Usage::cores(1.0).broken())])?;
    eventually!(usage("tokyo"), |seen: &Vec<(String, Value)>| seen.len() == 2);
    Ok(())
}

#[test]
fn a_frozen_kubelet_keeps_its_values_and_its_timestamp() -> Result<()> {
    let (kubelet, node) = (FLEET.kubelet()?, "osaka-n2");
    let client = FLEET.cluster("osaka")?.client()?;
    let path = format!("/apis/metrics.k8s.io/v1beta1/nodes/{node}");
    kubelet.set([(node, Usage::cores(2.0))])?;
    eventually!(client.json(&path), |seen: &Value| seen["usage"]["cpu"] == "2");
    kubelet.set([(node, Usage::cores(3.0).frozen())])?;
    let asked = kubelet.scrapes(node)?;
    eventually!(kubelet.scrapes(node), |scrapes: &u64| *scrapes > asked);
    let before = client.json(&path)?;
    eventually!(kubelet.scrapes(node), |scrapes: &u64| *scrapes >= asked + 2);
    let after = client.json(&path)?;
    assert_eq!((&after["timestamp"], &after["usage"]), (&before["timestamp"], &before["usage"]));
    assert_eq!(after["usage"]["cpu"], "2");
    Ok(())
}

#[test]
fn the_adapter_answers_for_one_node_and_for_all_in_both_versions() -> Result<()> {
    let sensors = sensors("osaka")?;
    sensors.set("osaka-n0", 15.5, 7.5)?;
    sensors.set("osaka-n1", 22.0, 10.25)?;
    let one = custom("osaka", "v1beta2", "osaka-n0", "inlet_temp")?;
    assert_eq!(one["items"][0]["value"], "15500m", "{one:#}");
    assert_eq!(one["items"][0]["metric"]["name"], "inlet_temp", "{one:#}");
    assert_eq!(one["items"][0]["describedObject"]["name"], "osaka-n0", "{one:#}");
    let one = custom("osaka", "v1beta1", "osaka-n1", "delta_p")?;
    assert_eq!(one["items"][0]["value"], "10250m", "{one:#}");
    assert_eq!(one["items"][0]["metricName"], "delta_p", "{one:#}");
    for version in ["v1beta1", "v1beta2"] {
        // %2A, as the asterisk stands for itself either way.
        for all in ["*", "%2A"] {
            let all = custom("osaka", version, all, "inlet_temp")?;
            assert_eq!(all["items"].as_array().map(Vec::len), Some(2), "{all:#}");
        }
    }
    let missing = FLEET.cluster("osaka")?.client()?;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/nodes/osaka-n2/inlet_temp";
    assert_eq!(missing.get(path)?.status, 404);
    Ok(())
}

#[test]
fn a_dead_sensor_is_missing_alone_or_fails_the_query_for_all() -> Result<()> {
    let sensors = sensors("tokyo")?;
    for node in ["tokyo-n0", "tokyo-n1", "tokyo-n2"] {
        sensors.set(node, 20.0, 5.0)?;
    }
    sensors.forget("tokyo-n1", "delta_p")?;
    let all = custom("tokyo", "v1beta2", "*", "delta_p")?;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2), "{all:#}");
    sensors.strict(true)?;
    assert!(custom("tokyo", "v1beta2", "*", "delta_p").is_err());
    assert!(custom("tokyo", "v1beta2", "tokyo-n0", "delta_p").is_ok());
    sensors.write("tokyo-n1", "delta_p", "5e0")?;
    let all = custom("tokyo", "v1beta2", "*", "delta_p")?;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(3), "{all:#}");
    sensors.strict(false)?;
    // The clock: each query's time, or that of the writing.
    let stamp = || -> Result<Value> {
        let seen = custom("tokyo", "v1beta2", "tokyo-n0", "delta_p")?;
        Ok(seen["items"][0]["timestamp"].clone())
    };
    let first = stamp()?;
    eventually!(stamp(), |now: &Value| *now != first);
    sensors.stop_clock(true)?;
    let written = stamp()?;
    assert!(written.as_str() <= first.as_str(), "{written} after {first}");
    sensors.stop_clock(false)
}

#[test]
fn both_predictors_say_what_the_formulas_say() -> Result<()> {
    let predictor = FLEET.power()?.predictor();
    let faulty = FaultyPredictor::start()?;
    let rows = [[0.0, 15.5, 7.5], [12.5, 20.0, 3.0], [99.0, 35.0, 0.0], [100.0, 22.0, 12.0]];
    for model in Model::all() {
        for endpoint in [predictor.endpoint(model.name()), faulty.endpoint(model.name())] {
            for rows in [&rows[..], &rows[1..2]] {
                let answer = ask(&endpoint, rows)?;
                assert_eq!(answer["outputs"][0]["shape"], json!([rows.len(), 1]), "{answer:#}");
                let watts = answer["outputs"][0]["data"].as_array().context("no data")?;
                assert_eq!(watts.len(), rows.len());
                for (watts, row) in watts.iter().zip(rows) {
                    let [cpu, inlet, pressure] = *row;
                    let wanted = model.watts(cpu, inlet, pressure);
                    let off = watts.as_f64().context("no number")? - wanted;
                    assert!(off.abs() < 1e-3, "{}: {watts}, not {wanted}", model.name());
                }
            }
        }
    }
    assert_eq!(predictor.ask("nobody", &rows)?.status, 404);
    Ok(())
}

/// A POST to an endpoint as a `NodeConfig` has it.
fn ask(endpoint: &str, rows: &[[f64; 3]]) -> Result<Value> {
    send(endpoint, rows)?.success()?.json()
}

fn send(endpoint: &str, rows: &[[f64; 3]]) -> Result<tenbin_integration::Response> {
    let rest = endpoint.strip_prefix("http://").context("not http")?;
    let (address, path) = rest.split_once('/').context("no path")?;
    let client = Client::plain(address.parse()?).patience(Duration::from_secs(5));
    client.send_json("POST", &format!("/{path}"), &power::question(rows))
}

#[test]
fn the_fake_predictor_has_the_faults_it_is_told() -> Result<()> {
    let fake = FaultyPredictor::start()?;
    let endpoint = format!("{}/serving/a/v2/models/linear/infer", fake.url());
    let rows = [[50.0, 20.0, 7.5], [0.0, 20.0, 7.5]];
    let mut seen = Vec::new();
    for behaviour in [
        Behaviour::Formula,
        Behaviour::Nested,
        Behaviour::RefuseBatches,
        Behaviour::Status(500),
        Behaviour::NotANumber,
        Behaviour::Negative,
        Behaviour::Text,
        Behaviour::TooFew,
    ] {
        fake.behave(behaviour);
        let answer = send(&endpoint, &rows)?;
        let data = answer.text().rsplit_once("\"data\":").map(|(_, data)| data.to_owned());
        seen.push((answer.status, data.unwrap_or_else(|| answer.text())));
    }
    let wanted = [
        (200, "[297.5,197.5]}]}"),
        (200, "[[297.5],[197.5]]}]}"),
        (400, "{\"error\":\"one row at a time\"}"),
        (500, "{\"error\":\"told to fail\"}"),
        (200, "[NaN,NaN]}]}"),
        (200, "[-100.0,-100.0]}]}"),
        (200, "about 100 watts"),
        (200, "[197.5]}]}"),
    ];
    assert_eq!(seen, wanted.map(|(status, data)| (status, data.to_owned())));
    fake.behave(Behaviour::Huge);
    assert!(send(&endpoint, &rows)?.body.len() > 10_000_000);
    assert_eq!((fake.requests(), fake.rows()), (9, 18));
    assert_eq!(fake.take_asked()[0].path, "/serving/a/v2/models/linear/infer");
    fake.behave(Behaviour::Hang);
    std::thread::scope(|scope| {
        let hanging = scope.spawn(|| send(&endpoint, &rows));
        eventually!(fake.requests() == 10);
        fake.behave(Behaviour::Formula);
        assert!(hanging.join().expect("a thread").is_err());
    });
    drop(fake);
    eventually!(send(&endpoint, &rows).is_err());
    Ok(())
}

#[test]
fn the_bmc_wants_its_password_and_names_a_model_that_can_be_asked() -> Result<()> {
    let (bmc, predictor) = (FLEET.power()?.redfish(), FLEET.power()?.predictor());
    let systems = "/redfish/v1/Systems";
    assert_eq!(bmc.stranger().get(systems)?.status, 401);
    let systems = bmc.client().json(systems)?;
    let system = systems["Members"][0]["@odata.id"].as_str().context("no system")?;
    let path = format!("{system}/MachineLearningModel");
    assert_eq!(bmc.stranger().get(&path)?.status, 401);
    bmc.set_model(&predictor.url(), "spec-hp-ml110-g5")?;
    let answer = bmc.client().json(&path)?;
    let model = &answer["PowerConsumptionModel"];
    assert_eq!(model["Type"], "V2InferenceProtocol", "{answer:#}");
    let text = |key: &str| model[key].as_str().unwrap_or_default();
    let (url, name, version) = (text("Url"), text("Name"), text("Version"));
    let endpoint = format!("{url}/v2/models/{name}/versions/{version}/infer");
    assert_eq!(endpoint, predictor.endpoint("spec-hp-ml110-g5"));
    assert_eq!(ask(&endpoint, &[[50.0, 0.0, 0.0]])?["outputs"][0]["data"], json!([116.0]));
    Ok(())
}

#[test]
fn node_configs_live_in_the_group_that_the_cluster_has() -> Result<()> {
    let endpoint = FLEET.power()?.predictor().endpoint("linear");
    for (name, group, other) in
        [("tokyo", Group::Bitmedia, Group::Waok8s), ("osaka", Group::Waok8s, Group::Bitmedia)]
    {
        let cluster = FLEET.cluster(name)?;
        assert_eq!(cluster.wao(), group);
        wao::secret(cluster, "bmc", power::USER, power::PASSWORD)?;
        let node = format!("{name}-n0");
        let predictor = wao::power_consumption(&wao::with_secret(wao::v2(&endpoint), "bmc"));
        wao::node_config(cluster, group, &node, &wao::spec(&node, &predictor))?;
        let plural = format!("nodeconfigs.{}", group.name());
        let kubectl = cluster.kubectl()?.namespace(wao::NAMESPACE);
        let seen = kubectl.ok(["get", &plural, &node, "-o", "jsonpath={.spec.predictor}"])?;
        assert_eq!(serde_json::from_str::<Value>(&seen)?, predictor);
        // The schema refuses a term without an endpoint.
        let broken = wao::spec(&node, &json!({"powerConsumption": {"type": "Fake"}}));
        assert!(wao::node_config(cluster, group, "broken", &broken).is_err());
        let path = format!("/apis/{}/nodeconfigs", other.api_version());
        assert_eq!(cluster.client()?.get(&path)?.status, 404);
        wao::change(cluster, group, &node, &wao::spec(&node, &json!({})))?;
        wao::delete(cluster, group, &node)?;
    }
    Ok(())
}
