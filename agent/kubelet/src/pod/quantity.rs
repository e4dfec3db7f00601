//! Resource amounts of a pod: reading quantities, QoS class, and what the kernel is told.

use super::spec::{ContainerSpec, Pod, Resources};
use keelson_api::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// The QoS class of a pod (`status.qosClass`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    pub fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }

    /// The class of `pod`: the API's word, which is never taken back, and only without it our own.
    pub fn of(pod: &Pod) -> Self {
        let said = pod.status.get("qosClass").and_then(Value::as_str);
        let known = [Self::Guaranteed, Self::Burstable, Self::BestEffort];
        known.into_iter().find(|class| said == Some(class.name())).unwrap_or_else(|| Self::asked(pod))
    }

    /// By what the pod asks for as a whole, else by its containers: Guaranteed when all limits of cpu and memory
    /// are set and equal the requests, BestEffort when nothing is set (KEP-2837).
    fn asked(pod: &Pod) -> Self {
        let whole = &pod.spec.resources;
        let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
        let lists: Vec<&Resources> =
            if whole.is_set() { vec![whole] } else { containers.map(|c| &c.resources).collect() };
        let mut any = false;
        let mut guaranteed = true;
        for resources in lists {
            for name in ["cpu", "memory"] {
                let limit = amount(&resources.limits, name).filter(|v| *v > 0);
                let request = amount(&resources.requests, name).filter(|v| *v > 0).or(limit);
                any |= limit.is_some() || request.is_some();
                guaranteed &= limit.is_some() && limit == request;
            }
        }
        match (any, guaranteed) {
            (false, _) => Self::BestEffort,
            (true, true) => Self::Guaranteed,
            (true, false) => Self::Burstable,
        }
    }
}

impl Resources {
    /// Whether anything is asked for that can be asked for a pod as a whole.
    fn is_set(&self) -> bool {
        let counts =
            |name: &String| matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-");
        self.requests.keys().chain(self.limits.keys()).any(counts)
    }
}

/// The text of a quantity that JSON may also hold as a number.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An amount in thousandths; `None` when absent or malformed.
fn amount(list: &BTreeMap<String, Value>, name: &str) -> Option<i128> {
    Quantity::from_value(list.get(name)?).map(|q| i128::from(q.milli_value()))
}

/// CPU in millicores.
pub fn cpu_milli(list: &BTreeMap<String, Value>) -> Option<i64> {
    amount(list, "cpu").and_then(|v| i64::try_from(v).ok())
}

/// Memory in bytes.
pub fn memory_bytes(list: &BTreeMap<String, Value>) -> Option<i64> {
    Quantity::from_value(list.get("memory")?).map(|q| q.value())
}

/// The CPU period that quotas are relative to, in microseconds.
pub const CPU_PERIOD_US: i64 = 100_000;
const CPU_QUOTA_US_MIN: i64 = 1_000;
const CPU_SHARES_MIN: i64 = 2;
const CPU_SHARES_MAX: i64 = 262_144;

/// CPU shares (cgroup v1 terms) of a request in millicores.
pub fn shares(milli: i64) -> i64 {
    (milli * 1024 / 1000).clamp(CPU_SHARES_MIN, CPU_SHARES_MAX)
}

/// The quota in microseconds per [`CPU_PERIOD_US`]; 0 for none.
pub fn quota(milli: Option<i64>) -> i64 {
    match milli {
        Some(milli) if milli > 0 => (milli * CPU_PERIOD_US / 1000).max(CPU_QUOTA_US_MIN),
        _ => 0,
    }
}

/// What cgroups are told of one container or of a whole pod; 0 means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub shares: i64,
    pub quota_us: i64,
    pub memory_bytes: i64,
}

impl Limits {
    /// One container's own limits; where it has none, those of its pod as a whole.
    pub fn of_container(pod: &Pod, container: &ContainerSpec) -> Self {
        let (own, whole) = (&container.resources, &pod.spec.resources);
        let limit = cpu_milli(&own.limits).or(cpu_milli(&whole.limits));
        let request = cpu_milli(&own.requests).or(limit).unwrap_or(0);
        let memory = memory_bytes(&own.limits).or(memory_bytes(&whole.limits));
        Self { shares: shares(request), quota_us: quota(limit), memory_bytes: memory.unwrap_or(0) }
    }

    /// The pod's own cgroup: what is asked for the pod as a whole. Else the sum of the app containers or the
    /// largest init container; a limit then holds only when every container has one.
    pub fn of_pod(pod: &Pod) -> Self {
        let whole = &pod.spec.resources.limits;
        let cpu_limit = cpu_milli(whole).or_else(|| pod_total(pod, |c| cpu_milli(&c.resources.limits)));
        let memory = memory_bytes(whole).or_else(|| pod_total(pod, |c| memory_bytes(&c.resources.limits)));
        Self {
            shares: shares(pod_cpu_request_milli(pod)),
            quota_us: quota(cpu_limit),
            memory_bytes: memory.unwrap_or(0),
        }
    }
}

/// The pod's CPU request in millicores.
pub fn pod_cpu_request_milli(pod: &Pod) -> i64 {
    request(pod, cpu_milli)
}

/// The pod's memory request in bytes.
pub fn pod_memory_request_bytes(pod: &Pod) -> i64 {
    request(pod, memory_bytes)
}

type Amount = fn(&BTreeMap<String, Value>) -> Option<i64>;

/// What is asked for the pod as a whole, else for its containers; limits count where nothing is requested.
fn request(pod: &Pod, amount: Amount) -> i64 {
    let asked = |resources: &Resources| amount(&resources.requests).or(amount(&resources.limits));
    let whole = &pod.spec.resources;
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    let silent = containers.clone().all(|c| asked(&c.resources).is_none());
    let limit = if silent { amount(&whole.limits) } else { None };
    let sum = || pod_total(pod, |c| Some(asked(&c.resources).unwrap_or(0))).unwrap_or(0);
    amount(&whole.requests).or(limit).unwrap_or_else(sum)
}

/// Sum over what runs together, or the largest moment of initialisation; `None` when one container has none.
fn pod_total(pod: &Pod, of: impl Fn(&ContainerSpec) -> Option<i64>) -> Option<i64> {
    let mut sidecars = 0;
    let mut peak = 0;
    for init in &pod.spec.init_containers {
        let value = of(init).filter(|v| *v >= 0)?;
        if init.is_sidecar() {
            sidecars += value;
            peak = peak.max(sidecars);
        } else {
            peak = peak.max(sidecars + value);
        }
    }
    let mut sum = sidecars;
    for container in &pod.spec.containers {
        sum += of(container)?;
    }
    Some(sum.max(peak))
}

/// The OOM score adjustment of a container of `pod` on a machine with `capacity_bytes` of memory. What the pod as
/// a whole asks for beyond its containers counts for them in equal parts.
pub fn oom_score_adj(pod: &Pod, container: &ContainerSpec, capacity_bytes: i64) -> i64 {
    let asked = |c: &ContainerSpec| {
        memory_bytes(&c.resources.requests).or(memory_bytes(&c.resources.limits)).unwrap_or(0)
    };
    match Qos::of(pod) {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let lasting =
                || pod.spec.init_containers.iter().filter(|c| c.is_sidecar()).chain(&pod.spec.containers);
            let spare = pod_memory_request_bytes(pod).saturating_sub(lasting().map(asked).sum()).max(0);
            let shared = if pod.spec.resources.is_set() { spare } else { 0 };
            let count = i64::try_from(lasting().count()).unwrap_or(i64::MAX).max(1);
            let request = i128::from(asked(container)) + i128::from(shared / count);
            let adj = 1000 - 1000 * request / i128::from(capacity_bytes.max(1));
            // 3 keeps it above what Guaranteed pods can get, 999 below BestEffort.
            i64::try_from(adj).unwrap_or(999).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(containers: Value) -> Pod {
        serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap()
    }

    #[test]
    fn classes() {
        let check = |containers: Value, expect: Qos| assert_eq!(Qos::of(&pod(containers)), expect);
        check(json!([{"name": "a"}]), Qos::BestEffort);
        check(json!([{"resources": {"requests": {"cpu": "1"}}}]), Qos::Burstable);
        check(json!([{"resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]), Qos::Guaranteed);
        check(
            json!([{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}}]),
            Qos::Guaranteed,
        );
        check(json!([{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}, {}]), Qos::Burstable);
    }

    fn whole(resources: Value, containers: Value) -> Pod {
        serde_json::from_value(json!({"spec": {"resources": resources, "containers": containers}})).unwrap()
    }

    #[test]
    fn classes_of_pods_as_a_whole() {
        let both = json!({"cpu": "1", "memory": "1Gi"});
        let check = |resources: Value, containers: Value, expect: Qos| {
            assert_eq!(Qos::of(&whole(resources.clone(), containers)), expect, "{resources}");
        };
        check(json!({"limits": {"memory": "64Mi"}}), json!([{}]), Qos::Burstable);
        check(json!({"limits": both, "requests": both}), json!([{}, {}]), Qos::Guaranteed);
        check(json!({"limits": both, "requests": {"cpu": "500m"}}), json!([{}]), Qos::Burstable);
        check(json!({}), json!([{"resources": {"limits": both}}]), Qos::Guaranteed);
        check(json!({"limits": {}}), json!([{"resources": {"limits": both}}]), Qos::Guaranteed);
        let mut said = whole(json!({"limits": both}), json!([{}]));
        said.status = json!({"qosClass": "BestEffort"});
        assert_eq!(Qos::of(&said), Qos::BestEffort, "the API has said it");
        said.status = json!({"qosClass": "other"});
        assert_eq!(Qos::of(&said), Qos::Guaranteed);
    }

    #[test]
    fn limits_of_pods_as_a_whole() {
        let check = |resources: Value, containers: Value, expect: Limits, request: (i64, i64)| {
            let pod = whole(resources.clone(), containers);
            assert_eq!(Limits::of_pod(&pod), expect, "{resources}");
            assert_eq!((pod_cpu_request_milli(&pod), pod_memory_request_bytes(&pod)), request, "{resources}");
        };
        let limits = |shares, quota_us, memory_bytes| Limits { shares, quota_us, memory_bytes };
        let own = || json!([{"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "250m"}}}, {}]);
        check(json!({"limits": {"memory": "64Mi"}}), json!([{}]), limits(2, 0, 64 << 20), (0, 64 << 20));
        check(json!({"limits": {"memory": "64Mi"}}), own(), limits(256, 0, 64 << 20), (250, 64 << 20));
        check(json!({"limits": {"cpu": "2"}}), own(), limits(256, 200_000, 0), (250, 0));
        check(
            json!({"limits": {"cpu": "2"}, "requests": {"cpu": "1"}}),
            own(),
            limits(1024, 200_000, 0),
            (1000, 0),
        );
        let pod = whole(json!({"limits": {"cpu": "2", "memory": "1Gi"}}), own());
        let of = |index: usize| Limits::of_container(&pod, &pod.spec.containers[index]);
        assert_eq!(of(0), limits(256, 100_000, 1 << 30));
        assert_eq!(of(1), limits(2048, 200_000, 1 << 30));
    }

    #[test]
    fn limits_of_pods() {
        let p = pod(json!([
            {"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}},
            {"resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "64Mi"}}}
        ]));
        let limits = Limits::of_pod(&p);
        assert_eq!(limits, Limits { shares: 768, quota_us: 150_000, memory_bytes: 128 << 20 });
        let first = Limits::of_container(&p, &p.spec.containers[0]);
        assert_eq!(first, Limits { shares: 512, quota_us: 50_000, memory_bytes: 64 << 20 });
        let open = pod(json!([{"resources": {"limits": {"cpu": "1"}}}, {}]));
        assert_eq!(Limits::of_pod(&open).quota_us, 0);
    }

    #[test]
    fn oom_scores() {
        let check = |pod: &Pod, capacity: i64, expect: i64| {
            assert_eq!(oom_score_adj(pod, &pod.spec.containers[0], capacity), expect);
        };
        let burstable = pod(json!([{"resources": {"requests": {"memory": "1Gi"}}}]));
        check(&burstable, 4 << 30, 750);
        check(&burstable, 1 << 30, 3);
        check(&pod(json!([{"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}])), 4 << 30, -997);
        check(&pod(json!([{}])), 4 << 30, 1000);
        check(&pod(json!([{"resources": {"requests": {"cpu": "1"}}}])), 4 << 30, 999);
        let shared = whole(
            json!({"requests": {"memory": "2Gi"}}),
            json!([{"resources": {"requests": {"memory": "1Gi"}}}, {}]),
        );
        check(&shared, 4 << 30, 625);
    }
}
