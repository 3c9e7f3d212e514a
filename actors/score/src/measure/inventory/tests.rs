use k8s_openapi::api::core::v1::Node;
use kube::core::{DynamicObject, Status};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};

use super::node_config::NodeConfig;
use super::pod::LeanPod;
use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(spec: &Value, phase: &str) -> (String, Option<Share>) {
    let metadata = json!({"name": "p", "namespace": "ns", "uid": "u-1", "resourceVersion": "7",
        "managedFields": [{"manager": "kubelet"}], "annotations": {"a": "b"}});
    let pod =
        json!({"metadata": metadata, "spec": spec, "status": {"phase": phase, "podIP": "1.2.3.4"}});
    serde_json::from_value::<LeanPod>(pod).unwrap().share()
}

fn requests(cpu: &str, memory: &str) -> Value {
    json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
}

fn amounts(spec: &Value) -> (u64, u64) {
    let share = pod(spec, "Running").1.unwrap();
    (share.cpu_milli, share.memory_bytes)
}

const MIB: u64 = 1 << 20;

#[test]
fn a_pod_asks_for_the_sum_of_its_containers_in_any_unit() {
    let containers = [requests("1", "1Gi"), requests("250m", "1e6"), json!({"name": "none"})];
    let spec = json!({"nodeName": "n0", "containers": containers});
    assert_eq!(amounts(&spec), (1250, 1024 * MIB + 1_000_000));
}

#[test]
fn a_start_that_takes_more_than_the_running_counts_and_sidecars_always_do() {
    let mut sidecar = requests("100m", "10Mi");
    sidecar["restartPolicy"] = json!("Always");
    let spec = json!({"nodeName": "n0", "containers": [requests("200m", "200Mi")],
        "initContainers": [requests("150m", "50Mi"), sidecar, requests("900m", "20Mi")]});
    assert_eq!(amounts(&spec), (1000, 210 * MIB));
}

#[test]
fn overhead_is_added_and_what_the_pod_itself_states_goes_before_its_containers() {
    let spec = json!({"nodeName": "n0", "containers": [requests("200m", "200Mi")],
        "overhead": {"cpu": "10m"}, "resources": {"requests": {"cpu": "2"}}});
    assert_eq!(amounts(&spec), (2010, 200 * MIB));
}

#[test]
fn pods_without_a_node_and_finished_ones_ask_for_nothing() {
    let bound = json!({"nodeName": "n0", "containers": []});
    assert!(pod(&bound, "Running").1.is_some());
    assert_eq!(pod(&bound, "Failed"), ("u-1".to_owned(), None));
    assert_eq!(pod(&bound, "Succeeded").1, None);
    assert_eq!(pod(&json!({"containers": []}), "Pending").1, None);
}

fn node(name: &str, changes: &Value) -> Node {
    let mut node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kind": "big",
            "node.kubernetes.io/instance-type": "r750", "topology.kubernetes.io/zone": "a",
            "beta.kubernetes.io/hostname-too": name}},
        "status": {"capacity": {"cpu": "4"}, "allocatable": {"cpu": "3900m", "memory": "8Gi", "pods": "110"},
            "conditions": [{"type": "DiskPressure", "status": "False"}, {"type": "Ready", "status": "True"}]},
    });
    json_patch::merge(&mut node, changes);
    serde_json::from_value(node).unwrap()
}

#[test]
fn a_node_is_read_with_its_room_and_its_like() {
    let facts = NodeFacts::of(node("n0", &json!({})));
    let room = Resources { cpu_milli: 3900, memory_bytes: 8192 * MIB, pods: 110 };
    assert_eq!((facts.capacity_milli, facts.allocatable), (4000, room));
    assert!(facts.ready && !facts.withdrawn && !facts.tainted);
    let labels = "labels kind=big,node.kubernetes.io/instance-type=r750";
    assert_eq!(facts.like, ["instance type r750", labels]);
    assert_eq!(facts.like, NodeFacts::of(node("n1", &json!({}))).like);
}

#[test]
fn nodes_that_are_not_well_or_left_alone_are_known_as_such() {
    let facts = |changes: Value| NodeFacts::of(node("n0", &changes));
    assert!(facts(json!({"spec": {"unschedulable": true}})).withdrawn);
    assert!(facts(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})).withdrawn);
    for status in ["False", "Unknown"] {
        let conditions = json!([{"type": "Ready", "status": status}]);
        assert!(!facts(json!({"status": {"conditions": conditions}})).ready);
    }
    let tainted =
        |effect| facts(json!({"spec": {"taints": [{"key": "k", "effect": effect}]}})).tainted;
    assert_eq!(["NoSchedule", "NoExecute", "PreferNoSchedule"].map(tainted), [true, true, false]);
    assert_eq!(facts(json!({"status": {"capacity": {"cpu": "many"}}})).capacity_milli, 0);
}

fn config(name: &str, spec: &Value) -> DynamicObject {
    let owners =
        json!([{"apiVersion": "v1", "kind": "NodeConfigTemplate", "name": "racks", "uid": "u"}]);
    serde_json::from_value(json!({
        "apiVersion": "wao.bitmedia.co.jp/v1beta1", "kind": "NodeConfig",
        "metadata": {"name": name, "ownerReferences": owners}, "spec": spec,
    }))
    .unwrap()
}

fn power(node: &str, endpoint: &str) -> Value {
    json!({"nodeName": node, "predictor": {"powerConsumption":
        {"type": "V2InferenceProtocol", "endpoint": endpoint}}})
}

#[test]
fn a_node_config_is_read_with_its_predictor_its_secret_and_its_template() {
    let spec = json!({
        "nodeName": "n0",
        "metricsCollector": {
            "inletTemp": {"type": "Redfish", "endpoint": "https://bmc", "fetchInterval": "10s"},
            "deltaP": {"type": "Fake", "endpoint": ""}},
        "predictor": {
            "powerConsumption": {"type": "V2InferenceProtocol", "endpoint": "http://p",
                "basicAuthSecret": {"name": "s"}},
            "powerConsumptionEndpointProvider": {"type": "Redfish", "endpoint": "https://bmc",
                "basicAuthSecret": {"name": ""}}}});
    let config = NodeConfig::of(&config("c", &spec)).unwrap();
    assert_eq!((config.node.as_str(), config.template.as_deref()), ("n0", Some("template racks")));
    assert_eq!((config.fake_inlet, config.fake_delta_p), (false, true));
    assert_eq!(config.power.unwrap().secret.as_deref(), Some("s"));
    let provider = config.provider.unwrap();
    assert_eq!((provider.kind.as_str(), provider.secret), ("Redfish", None));
}

#[test]
fn an_object_that_names_no_node_is_no_node_config() {
    assert_eq!(NodeConfig::of(&config("c", &json!({"predictor": {}}))), None);
    assert_eq!(NodeConfig::of(&config("c", &json!("text"))), None);
    let bare = NodeConfig::of(&config("c", &json!({"nodeName": "n0"}))).unwrap();
    assert_eq!((bare.power, bare.provider), (None, None));
}

fn refused(code: u16) -> watcher::Error {
    let status = Status { code, reason: "Some".into(), ..Status::default() };
    watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
}

fn list<K, V>(
    listing: &mut Listing<V>,
    objects: Vec<K>,
    lean: impl Fn(K) -> (String, Option<V>) + Copy,
) {
    let events = objects.into_iter().map(Event::InitApply).chain([Event::InitDone]);
    for event in events {
        listing.take(Ok(event), at(0), lean);
    }
}

fn lean_node(node: Node) -> (String, Option<Arc<NodeFacts>>) {
    let facts = NodeFacts::of(node);
    (facts.name.clone(), Some(Arc::new(facts)))
}

fn lean_config(object: DynamicObject) -> (String, Option<Arc<NodeConfig>>) {
    let config = NodeConfig::of(&object).map(Arc::new);
    (object.metadata.name.unwrap(), config)
}

/// Nodes n0 and n1 and no pods are listed; of NodeConfigs nothing is known yet.
fn watched() -> Watched {
    let mut watched = Watched::default();
    list(&mut watched.nodes, vec![node("n1", &json!({})), node("n0", &json!({}))], lean_node);
    list(&mut watched.pods, vec![], LeanPod::share);
    watched
}

fn known(watched: &Watched) -> Inventory {
    match watched.stock() {
        Stock::Known(inventory) => inventory,
        Stock::Unknown { reason } => panic!("{reason}"),
    }
}

fn endpoints(watched: &Watched) -> Vec<Option<String>> {
    let endpoint = |node: &Stocked| Some(node.config.as_ref()?.power.clone()?.endpoint);
    known(watched).nodes.iter().map(endpoint).collect()
}

#[test]
fn a_stock_is_known_when_all_of_it_has_been_listed() {
    let reason = |watched: &Watched| match watched.stock() {
        Stock::Known(_) => String::new(),
        Stock::Unknown { reason } => reason,
    };
    let mut watched = Watched::default();
    watched.nodes.take::<Node>(Err(refused(403)), at(0), lean_node);
    assert_eq!(reason(&watched), "nodes are not listed yet: the API server answers 403 Some");
    let mut watched = self::watched();
    assert_eq!(reason(&watched), "NodeConfigs are not listed yet");
    watched.configs[0].take(Err(refused(404)), at(0), lean_config);
    assert_eq!(reason(&watched), "NodeConfigs are not listed yet");
    watched.configs[1].take(Err(refused(404)), at(0), lean_config);
    let inventory = known(&watched);
    let names: Vec<&str> = inventory.nodes.iter().map(|it| it.facts.name.as_str()).collect();
    assert_eq!(names, ["n0", "n1"]);
    assert_eq!(
        inventory.unconfigured,
        "NodeConfigs cannot be listed: the API server answers 404 Some"
    );
    // A group that is not served is not broken.
    assert_eq!(inventory.broken, None);
}

#[test]
fn the_first_node_config_of_the_newer_group_counts_for_each_node() {
    let mut watched = watched();
    let old = [("a", "n0", "old-a"), ("b", "n1", "old-b")];
    let new = [("z", "n0", "new-z"), ("y", "n0", "new-y")];
    for (group, configs) in [(1, old), (0, new)] {
        let configs = configs.map(|(name, node, endpoint)| config(name, &power(node, endpoint)));
        list(&mut watched.configs[group], configs.into(), lean_config);
    }
    assert_eq!(endpoints(&watched), [Some("new-y".into()), Some("old-b".into())]);
    assert_eq!(known(&watched).unconfigured, "no NodeConfig");

    let gone = config("y", &power("n0", "new-y"));
    watched.configs[0].take(Ok(Event::Delete(gone)), at(1), lean_config);
    assert_eq!(endpoints(&watched)[0], Some("new-z".into()));
    // The kind itself is deleted.
    watched.configs[0].take(Err(refused(404)), at(2), lean_config);
    assert_eq!(endpoints(&watched)[0], Some("old-a".into()));
    // It is served again, and changed in place to name another node.
    list(&mut watched.configs[0], vec![config("y", &power("n0", "new-y"))], lean_config);
    let moved = config("y", &power("n1", "moved"));
    watched.configs[0].take(Ok(Event::Apply(moved)), at(3), lean_config);
    assert_eq!(endpoints(&watched), [Some("old-a".into()), Some("moved".into())]);
}

#[test]
fn the_requests_of_pods_are_summed_by_node_until_they_finish() {
    let mut watched = watched();
    for group in 0..2 {
        list(&mut watched.configs[group], vec![], lean_config);
    }
    let lean = |uid: &str, node: &str, phase: &str| -> LeanPod {
        serde_json::from_value(json!({"metadata": {"uid": uid}, "status": {"phase": phase},
            "spec": {"nodeName": node, "containers": [requests("100m", "1Mi")]}}))
        .unwrap()
    };
    let pods =
        vec![lean("a", "n0", "Running"), lean("b", "n0", "Running"), lean("c", "n1", "Running")];
    list(&mut watched.pods, pods, LeanPod::share);
    let of_n0 = |watched: &Watched| known(watched).nodes[0].requested;
    let two = Resources { cpu_milli: 200, memory_bytes: 2 * MIB, pods: 2 };
    let one = Resources { cpu_milli: 100, memory_bytes: MIB, pods: 1 };
    assert_eq!(of_n0(&watched), two);

    watched.pods.take(Ok(Event::Apply(lean("a", "n0", "Succeeded"))), at(1), LeanPod::share);
    assert_eq!(of_n0(&watched), one);
    watched.pods.take(Ok(Event::Apply(lean("d", "n0", "Pending"))), at(1), LeanPod::share);
    assert_eq!(of_n0(&watched), two);
    watched.pods.take(Ok(Event::Delete(lean("b", "n0", "Running"))), at(1), LeanPod::share);
    assert_eq!(of_n0(&watched), one);
}

#[test]
fn a_list_that_breaks_off_leaves_nothing_and_what_was_known_stays() {
    let mut nodes = Listing::default();
    list(&mut nodes, vec![node("n0", &json!({})), node("n1", &json!({}))], lean_node);
    nodes.take(Ok(Event::InitApply(node("n9", &json!({})))), at(5), lean_node);
    nodes.take(Err(refused(500)), at(6), lean_node);
    nodes.take(Err(refused(500)), at(7), lean_node);
    assert_eq!(nodes.listed().unwrap().len(), 2);
    let broken = nodes.broken().unwrap();
    assert_eq!((broken.since, broken.last), (at(6), at(7)));

    list(&mut nodes, vec![node("n1", &json!({}))], lean_node);
    let keys: Vec<&str> = nodes.listed().unwrap().keys().map(AsRef::as_ref).collect();
    assert_eq!(keys, ["n1"]);
    assert_eq!(nodes.broken(), None);
}

#[test]
fn a_stock_is_outdated_while_a_watch_keeps_failing_for_too_long() {
    let broken = Broken { since: at(100), last: at(210), reason: "gone".to_owned() };
    let inventory = Inventory { broken: Some(broken), ..Inventory::default() };
    let outdated = |now| inventory.outdated(at(now), Duration::from_mins(2));
    assert_eq!(outdated(220), None);
    assert_eq!(outdated(221), Some("gone"));
    // Nothing has failed since: the watch lives, and nothing happens in it.
    assert_eq!(outdated(231), None);
    assert_eq!(Inventory::default().outdated(at(1000), Duration::ZERO), None);
}
