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

    /// The class of `pod`: Guaranteed when every container's cpu and memory limits are set and equal its
    /// requests, BestEffort when none has any.
    pub fn of(pod: &Pod) -> Self {
        let mut any = false;
        let mut guaranteed = true;
        for container in pod.spec.init_containers.iter().chain(&pod.spec.containers) {
            for name in ["cpu", "memory"] {
                let limit = amount(&container.resources.limits, name).filter(|v| *v > 0);
                let request = amount(&container.resources.requests, name).filter(|v| *v > 0).or(limit);
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
    pub fn of_container(resources: &Resources) -> Self {
        let limit = cpu_milli(&resources.limits);
        let request = cpu_milli(&resources.requests).or(limit).unwrap_or(0);
        Self {
            shares: shares(request),
            quota_us: quota(limit),
            memory_bytes: memory_bytes(&resources.limits).unwrap_or(0),
        }
    }

    /// The pod's own cgroup: the sum of the app containers or the largest init container; a limit holds only
    /// when every container has one.
    pub fn of_pod(pod: &Pod) -> Self {
        let cpu_limit = pod_total(pod, |c| cpu_milli(&c.resources.limits));
        let memory = pod_total(pod, |c| memory_bytes(&c.resources.limits));
        Self {
            shares: shares(pod_cpu_request_milli(pod)),
            quota_us: quota(cpu_limit),
            memory_bytes: memory.unwrap_or(0),
        }
    }
}

/// The pod's CPU request in millicores.
pub fn pod_cpu_request_milli(pod: &Pod) -> i64 {
    let of = |c: &ContainerSpec| cpu_milli(&c.resources.requests).or(cpu_milli(&c.resources.limits));
    pod_total(pod, |c| Some(of(c).unwrap_or(0))).unwrap_or(0)
}

/// The pod's memory request in bytes.
pub fn pod_memory_request_bytes(pod: &Pod) -> i64 {
    let of = |c: &ContainerSpec| memory_bytes(&c.resources.requests).or(memory_bytes(&c.resources.limits));
    pod_total(pod, |c| Some(of(c).unwrap_or(0))).unwrap_or(0)
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

/// The OOM score adjustment of a container on a machine with `capacity_bytes` of memory.
pub fn oom_score_adj(qos: Qos, container: &ContainerSpec, capacity_bytes: i64) -> i64 {
    match qos {
        Qos::Guaranteed => -997,
        Qos::BestEffort => 1000,
        Qos::Burstable => {
            let request = memory_bytes(&container.resources.requests)
                .or(memory_bytes(&container.resources.limits))
                .unwrap_or(0);
            let adj = 1000 - 1000 * i128::from(request) / i128::from(capacity_bytes.max(1));
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

    #[test]
    fn limits_of_pods() {
        let p = pod(json!([
            {"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}}},
            {"resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "64Mi"}}}
        ]));
        let limits = Limits::of_pod(&p);
        assert_eq!(limits, Limits { shares: 768, quota_us: 150_000, memory_bytes: 128 << 20 });
        let first = Limits::of_container(&p.spec.containers[0].resources);
        assert_eq!(first, Limits { shares: 512, quota_us: 50_000, memory_bytes: 64 << 20 });
        let open = pod(json!([{"resources": {"limits": {"cpu": "1"}}}, {}]));
        assert_eq!(Limits::of_pod(&open).quota_us, 0);
    }

    #[test]
    fn oom_scores() {
        let p = pod(json!([{"resources": {"requests": {"memory": "1Gi"}}}]));
        let c = &p.spec.containers[0];
        assert_eq!(oom_score_adj(Qos::Burstable, c, 4 << 30), 750);
        assert_eq!(oom_score_adj(Qos::Burstable, c, 1 << 30), 3);
        assert_eq!(oom_score_adj(Qos::Guaranteed, c, 4 << 30), -997);
        assert_eq!(oom_score_adj(Qos::BestEffort, c, 4 << 30), 1000);
    }
}
