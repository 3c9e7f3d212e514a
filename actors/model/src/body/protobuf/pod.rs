//! What a pod asks for, of its protobuf form.

use std::collections::BTreeMap;

use prost::Message;

use crate::body::pod::{Amounts, Container, Pod};

#[derive(Clone, PartialEq, Message)]
struct PodSpec {
    #[prost(message, repeated, tag = "2")]
    containers: Vec<ContainerSpec>,
    #[prost(message, repeated, tag = "20")]
    init_containers: Vec<ContainerSpec>,
    #[prost(btree_map = "string, message", tag = "32")]
    overhead: BTreeMap<String, Quantity>,
    #[prost(message, optional, tag = "40")]
    resources: Option<Resources>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerSpec {
    #[prost(message, optional, tag = "8")]
    resources: Option<Resources>,
    #[prost(string, tag = "24")]
    restart_policy: String,
}

#[derive(Clone, PartialEq, Message)]
struct Resources {
    #[prost(btree_map = "string, message", tag = "1")]
    limits: BTreeMap<String, Quantity>,
    #[prost(btree_map = "string, message", tag = "2")]
    requests: BTreeMap<String, Quantity>,
}

#[derive(Clone, PartialEq, Message)]
struct Quantity {
    #[prost(string, tag = "1")]
    text: String,
}

/// Reads a `PodSpec`; `None` where it is none, which is the API server's to say.
pub(super) fn read(spec: &[u8]) -> Option<Pod> {
    let spec = PodSpec::decode(spec).ok()?;
    let resources = spec.resources.unwrap_or_default();
    Some(Pod {
        containers: spec.containers.into_iter().map(container).collect(),
        init_containers: spec.init_containers.into_iter().map(container).collect(),
        requests: amounts(&resources.requests),
        limits: amounts(&resources.limits),
        overhead: amounts(&spec.overhead),
    })
}

fn container(spec: ContainerSpec) -> Container {
    let resources = spec.resources.unwrap_or_default();
    Container {
        requests: amounts(&resources.requests),
        limits: amounts(&resources.limits),
        stays: spec.restart_policy == "Always",
    }
}

fn amounts(quantities: &BTreeMap<String, Quantity>) -> Amounts {
    Amounts::read(|name| Some(quantities.get(name)?.text.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `PodSpec.Marshal` of `k8s.io/api` v0.36.3, of containers that ask for 250m and 64Mi, and for
    /// 100m with limits of 500m and 1Gi, a sidecar of 50m and 1Mi, an overhead of 7m and 1Mi, and 3Gi
    /// for the pod as a whole.
    const GO: &str = "\
        123a0a016112002a004221120d0a0363707512060a043235306d12100a066d656d6f727912060a0436344d69\
        6a007200800100880100900100a2010012480a016212002a00422f0a0d0a0363707512060a043530306d0a0f\
        0a066d656d6f727912050a03314769120d0a0363707512060a043130306d6a007200800100880100900100a2\
        01001a00320042004a0052005800600068008201008a01009a0100a201410a017312002a00421f120c0a0363\
        707512050a0335306d120f0a066d656d6f727912050a03314d696a007200800100880100900100a20100c201\
        06416c77617973c2010082020b0a0363707512040a02376d82020f0a066d656d6f727912050a03314d69c202\
        11120f0a066d656d6f727912050a03334769";

    #[test]
    fn a_pod_is_read_as_the_api_writes_it() {
        let digits: Vec<char> = GO.chars().collect();
        let byte =
            |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let shape = read(&bytes).unwrap().shape();
        assert_eq!((shape.cpu_milli, shape.memory_bytes), (407, (3 << 30) + (1 << 20)));
    }
}
