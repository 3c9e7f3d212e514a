//! Values that each API server chooses for itself, in bodies that a user sends back.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::BodyKind;

/// Two live copies and the body between them.
struct Copies<'a> {
    home: &'a Map<String, Value>,
    member: Option<&'a Map<String, Value>>,
}

/// Replaces home's allocated values in `tree` by the member's own (see `Body::with_allocated`).
pub(super) fn settle(
    tree: &mut Map<String, Value>,
    kind: BodyKind,
    home: &Value,
    member: Option<&Value>,
) {
    let (Some(spec), Some(home_spec)) = (
        tree.get_mut("spec").and_then(Value::as_object_mut),
        home.get("spec").and_then(Value::as_object),
    ) else {
        return;
    };
    let empty = Map::new();
    let member = member.map(|live| live.get("spec").and_then(Value::as_object).unwrap_or(&empty));
    let copies = Copies { home: home_spec, member };
    let settle = |spec: &mut Map<String, Value>, key: &str| {
        copies.settle(spec, key, || is_owned(home, &[&format!("f:{key}")]));
    };
    match kind {
        BodyKind::Service => {
            // A headless Service was made so by its user.
            if spec.get("clusterIP").and_then(Value::as_str) != Some("None") {
                settle(spec, "clusterIP");
                settle(spec, "clusterIPs");
            }
            settle(spec, "healthCheckNodePort");
            settle_ports(spec, &copies, home);
        }
        BodyKind::PersistentVolume => settle(spec, "claimRef"),
        BodyKind::PersistentVolumeClaim => settle(spec, "volumeName"),
        BodyKind::Deployment | BodyKind::StatefulSet | BodyKind::Other => {}
    }
}

// === impl Copies ===

impl Copies<'_> {
    fn settle(&self, body: &mut Map<String, Value>, key: &str, chosen: impl Fn() -> bool) {
        if body.get(key).is_none_or(|value| self.home.get(key) != Some(value)) {
            return;
        }
        match self.member.map(|member| member.get(key)) {
            Some(Some(own)) => {
                body.insert(key.to_owned(), own.clone());
            }
            None if chosen() => {}
            Some(None) | None => {
                body.shift_remove(key);
            }
        }
    }
}

fn settle_ports(spec: &mut Map<String, Value>, copies: &Copies<'_>, home: &Value) {
    let home_ports = ports(copies.home);
    let member_ports = copies.member.map(ports);
    let empty = Map::new();
    let body_ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in body_ports.filter_map(Value::as_object_mut) {
        let (number, protocol) = port_key(port);
        let protocol = &*protocol.to_owned();
        let Some(home_port) = home_ports.get(&(number, protocol)).copied() else {
            continue;
        };
        let member = member_ports
            .as_ref()
            .map(|ports| ports.get(&(number, protocol)).copied().unwrap_or(&empty));
        let copies = Copies { home: home_port, member };
        let key = format!("k:{{\"port\":{number},\"protocol\":\"{protocol}\"}}");
        copies.settle(port, "nodePort", || is_owned(home, &["f:ports", &key, "f:nodePort"]));
    }
}

/// Ports by what makes them the same: number and protocol, as in the API's own list map.
fn ports(spec: &Map<String, Value>) -> BTreeMap<(i64, &str), &Map<String, Value>> {
    let ports = spec.get("ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(Value::as_object).map(|port| (port_key(port), port)).collect()
}

fn port_key(port: &Map<String, Value>) -> (i64, &str) {
    let number = port.get("port").and_then(Value::as_i64).unwrap_or_default();
    (number, port.get("protocol").and_then(Value::as_str).unwrap_or("TCP"))
}

/// Whether a field manager of a live object owns a field of its spec.
fn is_owned(live: &Value, path: &[&str]) -> bool {
    let entries = live.get("metadata").and_then(|metadata| metadata.get("managedFields"));
    entries.and_then(Value::as_array).is_some_and(|entries| {
        entries.iter().any(|entry| {
            let spec = entry.get("fieldsV1").and_then(|fields| fields.get("f:spec"));
            path.iter().try_fold(spec, |at, key| at.map(|at| at.get(*key))).flatten().is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body::tests::{parse, stamp, written};

    #[test]
    fn what_home_allocated_becomes_what_the_member_allocated() {
        let service = |ip: &str, port: u32| {
            json!({
                "metadata": {"name": "s", "managedFields": [{"fieldsV1": {"f:spec": {"f:type": {}}}}]},
                "spec": {
                    "clusterIP": ip,
                    "clusterIPs": [ip],
                    "ports": [
                        {"port": 80, "nodePort": port},
                        {"port": 80, "protocol": "UDP", "nodePort": 30_999},
                    ],
                },
            })
        };
        let (home, osaka) = (service("10.0.0.1", 30_001), service("10.1.0.1", 30_555));
        let body = parse(BodyKind::Service, &home).with_allocated(&home, Some(&osaka)).unwrap();
        assert_eq!(written(&body, &stamp("osaka"))["spec"], osaka["spec"]);

        let created = parse(BodyKind::Service, &home).with_allocated(&home, None).unwrap();
        assert_eq!(
            written(&created, &stamp("osaka"))["spec"],
            json!({"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}]})
        );

        let chosen = service("10.0.0.9", 30_777);
        let body = parse(BodyKind::Service, &chosen).with_allocated(&home, Some(&osaka)).unwrap();
        assert_eq!(written(&body, &stamp("osaka"))["spec"]["clusterIP"], "10.0.0.9");
    }

    #[test]
    fn what_a_user_chose_is_created_everywhere() {
        let owned = json!({"f:clusterIP": {}, "f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:nodePort": {}}}});
        let home = json!({
            "metadata": {"managedFields": [{"fieldsV1": {"f:spec": owned}}]},
            "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 30_001}]},
        });
        let body = parse(BodyKind::Service, &home).with_allocated(&home, None).unwrap();
        assert_eq!(written(&body, &stamp("osaka"))["spec"], home["spec"]);

        let headless =
            json!({"metadata": {}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
        let body = parse(BodyKind::Service, &headless).with_allocated(&headless, None).unwrap();
        assert_eq!(written(&body, &stamp("osaka"))["spec"], headless["spec"]);
    }
}
