//! What one pod of a workload asks for, as kube-scheduler counts it.

use serde_json::{Map, Value};

use crate::power::PodShape;
use crate::quantity::Quantity;

/// What a pod's specification says of CPU and memory. What cannot be read counts as absent: the
/// API server refuses the body for it.
#[derive(Debug, Default)]
pub(super) struct Pod {
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
    /// Of the pod as a whole.
    pub(super) requests: Amounts,
    pub(super) limits: Amounts,
    pub(super) overhead: Amounts,
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) requests: Amounts,
    pub(super) limits: Amounts,
    /// Whether it is a sidecar, where it is an init container.
    pub(super) stays: bool,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Amounts {
    cpu_milli: Option<u64>,
    memory_bytes: Option<u64>,
}

/// Chooses CPU or memory.
type Kind = fn(&Amounts) -> Option<u64>;

/// What one pod of a workload asks for.
pub fn pod_shape(workload: &Value) -> PodShape {
    let spec = workload.get("spec").and_then(Value::as_object);
    spec.map(shape_of).unwrap_or_default()
}

/// The same, of the workload's `spec`.
pub(super) fn shape_of(workload: &Map<String, Value>) -> PodShape {
    let pod = workload.get("template").and_then(|template| template.get("spec")?.as_object());
    pod.map(|pod| Pod::of_tree(pod).shape()).unwrap_or_default()
}

// === impl Pod ===

impl Pod {
    fn of_tree(spec: &Map<String, Value>) -> Self {
        let containers = |key| {
            let items = spec.get(key).and_then(Value::as_array).into_iter().flatten();
            items.map(Container::of_tree).collect()
        };
        let [requests, limits] = resources(spec.get("resources"));
        Self {
            containers: containers("containers"),
            init_containers: containers("initContainers"),
            requests,
            limits,
            overhead: Amounts::of_tree(spec.get("overhead")),
        }
    }

    pub(super) fn shape(&self) -> PodShape {
        let nothing = PodShape::default();
        PodShape {
            cpu_milli: self.asks(|it| it.cpu_milli, nothing.cpu_milli),
            memory_bytes: self.asks(|it| it.memory_bytes, nothing.memory_bytes),
        }
    }

    /// The sum of the containers, or of the init containers that run together where that is more,
    /// unless the pod as a whole says otherwise; and the overhead
    /// (`component-helpers/resource/helpers.go`, `PodRequests`).
    fn asks(&self, kind: Kind, default: u64) -> u64 {
        let each = |container: &Container| container.asks(kind).unwrap_or(default);
        let mut together = self.containers.iter().map(each).fold(0, u64::saturating_add);
        let (mut sidecars, mut starting) = (0_u64, 0);
        for container in &self.init_containers {
            let with = sidecars.saturating_add(each(container));
            starting = starting.max(with);
            if container.stays {
                sidecars = with;
                together = together.saturating_add(each(container));
            }
        }
        let mut all = self.containers.iter().chain(&self.init_containers);
        // An API server takes limits for requests where nobody asks (`v1/defaults.go`).
        let limit =
            || if all.any(|it| it.asks(kind).is_some()) { None } else { kind(&self.limits) };
        let whole = kind(&self.requests).or_else(limit);
        let overhead = kind(&self.overhead).unwrap_or(0);
        whole.unwrap_or(together.max(starting)).saturating_add(overhead)
    }
}

// === impl Container ===

impl Container {
    fn of_tree(container: &Value) -> Self {
        let [requests, limits] = resources(container.get("resources"));
        let policy = container.get("restartPolicy").and_then(Value::as_str);
        Self { requests, limits, stays: policy == Some("Always") }
    }

    fn asks(&self, kind: Kind) -> Option<u64> {
        kind(&self.requests).or_else(|| kind(&self.limits))
    }
}

// === impl Amounts ===

impl Amounts {
    /// Reads the quantities that `text` looks up.
    pub(super) fn read(text: impl Fn(&str) -> Option<String>) -> Self {
        let quantity = |name| Quantity::parse(&text(name)?).ok();
        Self {
            cpu_milli: quantity("cpu").and_then(Quantity::milli),
            memory_bytes: quantity("memory").and_then(Quantity::units),
        }
    }

    fn of_tree(amounts: Option<&Value>) -> Self {
        Self::read(|name| match amounts?.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    }
}

fn resources(resources: Option<&Value>) -> [Amounts; 2] {
    let of = |key| Amounts::of_tree(resources.and_then(|resources| resources.get(key)));
    [of("requests"), of("limits")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn shape(spec: &Value) -> (u64, u64) {
        let shape = pod_shape(&json!({"spec": {"template": {"spec": spec}}}));
        (shape.cpu_milli, shape.memory_bytes / MIB)
    }

    fn asking(cpu: &str, memory: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn containers_are_summed_and_those_that_ask_for_nothing_count_as_the_scheduler_counts_them() {
        let pod = json!({"containers": [asking("250m", "64Mi"), asking("0.5", "64Mi")]});
        assert_eq!(shape(&pod), (750, 128));
        assert_eq!(shape(&json!({"containers": [asking("1", "1Gi"), {}]})), (1100, 1224));
        assert_eq!(shape(&json!({"containers": [{}]})), (100, 200));
        assert_eq!(shape(&json!({"containers": [asking("0", "0")]})), (0, 0));
        let number = json!({"resources": {"requests": {"cpu": 2, "memory": 1_048_576}}});
        assert_eq!(shape(&json!({"containers": [number]})), (2000, 1));
    }

    #[test]
    fn limits_stand_for_requests_that_are_absent() {
        let limits = json!({"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}});
        assert_eq!(shape(&json!({"containers": [{"resources": limits}]})), (1000, 1024));
    }

    #[test]
    fn init_containers_count_where_they_need_more_and_sidecars_stay() {
        let sidecar = json!({
            "restartPolicy": "Always",
            "resources": {"requests": {"cpu": "100m", "memory": "10Mi"}},
        });
        let containers = json!([asking("300m", "30Mi")]);
        let init = json!([asking("350m", "5Mi"), sidecar, asking("350m", "5Mi")]);
        let pod = json!({"containers": containers, "initContainers": init});
        assert_eq!(shape(&pod), (450, 40));
    }

    #[test]
    fn the_pod_s_own_word_counts_before_its_containers_and_overhead_is_added() {
        let pod = |resources| {
            json!({
                "containers": [asking("300m", "30Mi")],
                "resources": resources,
                "overhead": {"cpu": "50m", "memory": "1Mi"},
            })
        };
        assert_eq!(shape(&pod(json!({"requests": {"cpu": "1"}}))), (1050, 31));
        assert_eq!(shape(&pod(json!({"limits": {"cpu": "1"}}))), (350, 31));
        let silent = json!({"containers": [{}], "resources": {"limits": {"cpu": "1"}}});
        assert_eq!(shape(&silent), (1000, 200));
    }

    #[test]
    fn what_cannot_be_read_counts_as_absent() {
        for spec in [json!(null), json!([]), json!("x")] {
            assert_eq!(shape(&spec), (100, 200));
        }
        for cpu in [json!("much"), json!(-1), json!("-1"), json!(true), json!({}), json!("9e99")] {
            let container = json!({"resources": {"requests": {"cpu": cpu}}});
            assert_eq!(shape(&json!({"containers": [container]})), (100, 200));
        }
        let huge = asking("18446744073709551", "16E");
        let pod = json!({"containers": [huge, huge], "initContainers": [huge]});
        assert_eq!(shape(&pod), (u64::MAX, u64::MAX / MIB));
    }
}
