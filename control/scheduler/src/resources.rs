//! Amounts of resources: what a pod asks for and what a node has.

use keelson_api::quantity::Quantity;
use keelson_client::views::{Container, PodSpec, ResourceList};
use std::collections::BTreeMap;

pub(crate) const CPU: &str = "cpu";
pub(crate) const MEMORY: &str = "memory";
pub(crate) const STORAGE: &str = "ephemeral-storage";
const PODS: &str = "pods";

/// What a container without requests counts as when nodes are compared: 100m and 200 MiB.
const DEFAULT_CPU_MILLI: i64 = 100;
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;

/// An amount of every resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// Thousandths of a core.
    pub(crate) cpu: i64,
    /// Bytes.
    pub(crate) memory: i64,
    /// Bytes.
    pub(crate) storage: i64,
    pub(crate) pods: i64,
    /// Extended resources and huge pages, by name.
    pub(crate) extended: BTreeMap<String, i64>,
}

impl Amounts {
    pub(crate) fn of(list: &ResourceList) -> Self {
        let mut amounts = Self::default();
        for (name, amount) in list {
            // The API refuses what is no quantity; anything else counts as nothing.
            let Ok(quantity) = Quantity::parse(&amount.0) else { continue };
            match name.as_str() {
                CPU => amounts.cpu = quantity.milli_value(),
                MEMORY => amounts.memory = quantity.value(),
                STORAGE => amounts.storage = quantity.value(),
                PODS => amounts.pods = quantity.value(),
                _ => {
                    amounts.extended.insert(name.clone(), quantity.value());
                }
            }
        }
        amounts
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.cpu += other.cpu;
        self.memory += other.memory;
        self.storage += other.storage;
        self.pods += other.pods;
        for (name, amount) in &other.extended {
            *self.extended.entry(name.clone()).or_default() += amount;
        }
    }

    fn max(&mut self, other: &Self) {
        self.cpu = self.cpu.max(other.cpu);
        self.memory = self.memory.max(other.memory);
        self.storage = self.storage.max(other.storage);
        for (name, amount) in &other.extended {
            let have = self.extended.entry(name.clone()).or_default();
            *have = (*have).max(*amount);
        }
    }
}

/// A pod's requests: the larger of what its containers need together and what any moment of its start needs,
/// plus its overhead (KEP-753 for sidecars, KEP-2837 for requests of the pod as a whole).
pub(crate) fn requests(spec: &PodSpec) -> Amounts {
    let mut total = together(spec, |c| Amounts::of(&c.resources.requests));
    let whole = Amounts::of(&spec.resources.requests);
    for name in spec.resources.requests.keys() {
        match name.as_str() {
            CPU => total.cpu = whole.cpu,
            MEMORY => total.memory = whole.memory,
            name if name.starts_with("hugepages-") => {
                total.extended.insert(name.to_owned(), whole.extended.get(name).copied().unwrap_or_default());
            }
            _ => {}
        }
    }
    total.add(&Amounts::of(&spec.overhead));
    total.pods = 1;
    total
}

/// Requests for comparing nodes: a container that asks for nothing still takes something.
pub(crate) fn assumed_requests(spec: &PodSpec) -> (i64, i64) {
    let assume = |container: &Container| {
        let requests = &container.resources.requests;
        let mut amounts = Amounts::of(requests);
        if !requests.contains_key(CPU) {
            amounts.cpu = DEFAULT_CPU_MILLI;
        }
        if !requests.contains_key(MEMORY) {
            amounts.memory = DEFAULT_MEMORY_BYTES;
        }
        amounts
    };
    let mut total = together(spec, assume);
    let whole = Amounts::of(&spec.resources.requests);
    if spec.resources.requests.contains_key(CPU) {
        total.cpu = whole.cpu;
    }
    if spec.resources.requests.contains_key(MEMORY) {
        total.memory = whole.memory;
    }
    total.add(&Amounts::of(&spec.overhead));
    (total.cpu, total.memory)
}

fn together(spec: &PodSpec, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut total = Amounts::default();
    spec.containers.iter().for_each(|c| total.add(&of(c)));
    let (mut sidecars, mut start) = (Amounts::default(), Amounts::default());
    for container in &spec.init_containers {
        let own = of(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&own);
            sidecars.add(&own);
            start.max(&sidecars);
        } else {
            let mut moment = own;
            moment.add(&sidecars);
            start.max(&moment);
        }
    }
    total.max(&start);
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(spec: Value, cpu: i64, memory: i64) {
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let found = requests(&spec);
        assert_eq!((found.cpu, found.memory, found.pods), (cpu, memory, 1));
    }

    fn container(cpu: &str, memory: &str) -> Value {
        json!({"resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    fn sidecar(cpu: &str, memory: &str) -> Value {
        let mut sidecar = container(cpu, memory);
        sidecar["restartPolicy"] = json!("Always");
        sidecar
    }

    #[test]
    fn what_pods_ask_for() {
        check(json!({}), 0, 0);
        check(json!({"containers": [container("100m", "1Ki"), container("1", "1k")]}), 1100, 2024);
        let init = json!({"containers": [container("1", "1")], "initContainers": [container("2", "0")]});
        check(init, 2000, 1);
        let with_sidecar = json!({
            "containers": [container("1", "10")],
            "initContainers": [sidecar("500m", "5"), container("2", "1"), sidecar("100m", "1")]
        });
        check(with_sidecar, 2500, 16);
        check(
            json!({"containers": [container("1", "1")], "overhead": {"cpu": "250m", "memory": "7"}}),
            1250,
            8,
        );
        let whole = json!({"containers": [container("1", "1")], "resources": {"requests": {"cpu": "3"}}});
        check(whole, 3000, 1);
    }

    #[test]
    fn silent_containers_take_something_in_comparisons() {
        let spec: PodSpec = serde_json::from_value(json!({"containers": [{}, container("1", "1")]})).unwrap();
        assert_eq!(assumed_requests(&spec), (1100, (200 << 20) + 1));
    }
}
