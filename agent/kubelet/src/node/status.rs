//! The node's status: capacity, addresses, versions, conditions.

use crate::actions::Context;
use crate::images::report;
use crate::machine::{MEMORY_RESERVED_BYTES, Usage, memory_bytes};
use crate::pod::time::{Now, rfc3339};
use keelson_api::quantity::Quantity;
use keelson_proto::cri::{Image, RuntimeCondition, VersionResponse};
use serde_json::{Value, json};

/// The Kubernetes version whose behaviour this kubelet has.
const KUBELET_VERSION: &str =
    concat!(keelson_api::kubernetes_version!(), "+keelson.", env!("CARGO_PKG_VERSION"));
/// Below these shares of the root's file system the node is under disk pressure.
const DISK_FREE_PERCENT_MIN: u64 = 10;
const INODES_FREE_PERCENT_MIN: u64 = 5;
/// Above this share of all process ids the node is under PID pressure.
const PIDS_USED_PERCENT_MAX: i64 = 95;

/// What the machine and the runtime say now.
#[derive(Debug)]
pub(super) struct Observed {
    version: Option<VersionResponse>,
    /// The runtime's conditions, or why they are not known.
    runtime: Result<Vec<RuntimeCondition>, String>,
    memory_available_bytes: i64,
    disk_pressure: bool,
    pids: i64,
    /// `None` while the runtime does not tell.
    images: Option<Vec<Image>>,
}

impl Observed {
    /// Why the node cannot run pods; empty when it can.
    fn problems(&self) -> Vec<String> {
        let conditions = match &self.runtime {
            Ok(conditions) => conditions,
            Err(error) => return vec![format!("container runtime is down: {error}")],
        };
        let bad = conditions.iter().filter(|c| !c.status);
        bad.map(|c| match c.r#type.as_str() {
            "NetworkReady" => format!(
                "container runtime network not ready: NetworkReady=false reason:{} message:{}",
                c.reason, c.message
            ),
            other => format!(
                "container runtime not ready: {other}=false reason:{} message:{}",
                c.reason, c.message
            ),
        })
        .collect()
    }

    pub(super) fn ready(&self) -> bool {
        self.problems().is_empty()
    }
}

pub(super) async fn observe(context: &Context) -> Observed {
    let version = context.cri.version().await.ok();
    let runtime = context.cri.status().await.map_err(|e| e.to_string());
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Observed {
        version,
        runtime,
        memory_available_bytes: memory_bytes(&meminfo, "MemAvailable"),
        disk_pressure: disk_pressure(context),
        images: context.cri.list_images().await.ok(),
        pids: pids_in_use(),
    }
}

fn disk_pressure(context: &Context) -> bool {
    let root = &context.config.root_dir;
    let (Ok(usage), Ok(stat)) = (Usage::of(root), nix::sys::statvfs::statvfs(root)) else { return false };
    let low = |free: u64, all: u64, percent: u64| {
        all > 0 && u128::from(free) * 100 < u128::from(all) * u128::from(percent)
    };
    low(usage.available, usage.capacity, DISK_FREE_PERCENT_MIN)
        || low(stat.files_free(), stat.files(), INODES_FREE_PERCENT_MIN)
}

/// Tasks of the machine, from the last field but one of /proc/loadavg (`running/all`).
fn pids_in_use() -> i64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let field = text.split(' ').nth(3).and_then(|f| f.split('/').nth(1));
    field.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The whole status; `previous` gives the times of conditions that did not change.
pub(super) fn render(context: &Context, observed: &Observed, previous: &Value, now: Now) -> Value {
    let machine = &context.machine;
    let version = observed.version.clone().unwrap_or_default();
    let runtime = format!("{}://{}", version.runtime_name, version.runtime_version);
    let resources = |memory: i64, disk: i64| {
        json!({
            "cpu": Quantity::milli(machine.cpu_milli).to_string(),
            "memory": Quantity::bytes(memory).to_string(),
            "ephemeral-storage": Quantity::bytes(disk).to_string(),
            "pods": context.config.max_pods.to_string(),
        })
    };
    let mut addresses: Vec<Value> = Vec::new();
    if context.host_ips.len() > 1 {
        // Merged by type on the server: two of one type must replace the list.
        addresses.push(json!({"$patch": "replace"}));
    }
    addresses.extend(context.host_ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip})));
    addresses.push(json!({"type": "Hostname", "address": context.config.node_name}));
    let mut status = json!({
        "capacity": resources(machine.memory_bytes, machine.disk_bytes),
        "allocatable": resources(machine.memory_allocatable_bytes(), machine.disk_allocatable_bytes()),
        "addresses": addresses,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": context.config.listen.port()}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel_version,
            "osImage": machine.os_image,
            "containerRuntimeVersion": runtime,
            "kubeletVersion": KUBELET_VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        },
        "conditions": conditions(context, observed, previous, now),
    });
    if let Some(images) = &observed.images {
        status["images"] = report(images.clone());
    }
    status
}

fn conditions(context: &Context, observed: &Observed, previous: &Value, now: Now) -> Vec<Value> {
    let problems = observed.problems();
    let low_memory = observed.memory_available_bytes < MEMORY_RESERVED_BYTES;
    let low_pids = observed.pids * 100 > context.machine.pids_max * PIDS_USED_PERCENT_MAX;
    let ready = if problems.is_empty() {
        (true, "KubeletReady", "kubelet is posting ready status".to_owned())
    } else {
        (false, "KubeletNotReady", problems.join(", "))
    };
    let pressure = |yes: bool, bad: (&'static str, &str), good: (&'static str, &str)| {
        let (reason, message) = if yes { bad } else { good };
        (yes, reason, message.to_owned())
    };
    let memory = pressure(
        low_memory,
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    );
    let disk = pressure(
        observed.disk_pressure,
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    );
    let pids = pressure(
        low_pids,
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    );
    [("MemoryPressure", memory), ("DiskPressure", disk), ("PIDPressure", pids), ("Ready", ready)]
        .into_iter()
        .map(|(kind, (status, reason, message))| {
            let status = if status { "True" } else { "False" };
            let held = find(previous, kind).filter(|c| c.get("status").is_some_and(|s| s == status));
            let since = held
                .and_then(|c| c.get("lastTransitionTime").cloned())
                .unwrap_or_else(|| json!(rfc3339(now.wall)));
            json!({
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": rfc3339(now.wall),
                "lastTransitionTime": since,
            })
        })
        .collect()
}

pub(super) fn find<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status.get("conditions")?.as_array()?.iter().find(|c| c.get("type").is_some_and(|t| t == kind))
}

/// Whether `wanted` says anything that `held` does not, heartbeats aside.
pub(super) fn differs(held: &Value, wanted: &Value) -> bool {
    let Some(fields) = wanted.as_object() else { return false };
    fields.iter().any(|(name, value)| match name.as_str() {
        "conditions" => value.as_array().into_iter().flatten().any(|condition| {
            let kind = condition.get("type").and_then(Value::as_str).unwrap_or("");
            let before = find(held, kind);
            ["status", "reason", "message"].iter().any(|f| before.and_then(|b| b.get(f)) != condition.get(f))
        }),
        "addresses" => {
            let wanted = value.as_array().into_iter().flatten().filter(|a| a.get("$patch").is_none());
            !wanted.eq(held.get(name).and_then(Value::as_array).into_iter().flatten())
        }
        _ => held.get(name) != Some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_alone_are_no_difference() {
        let condition = |status: &str, at: &str| json!({"conditions": [{"type": "Ready", "status": status, "lastHeartbeatTime": at}, {"type": "Other"}]});
        let wanted = |status: &str| json!({"conditions": [{"type": "Ready", "status": status, "lastHeartbeatTime": "b"}]});
        assert!(!differs(&condition("True", "a"), &wanted("True")));
        assert!(differs(&condition("False", "a"), &wanted("True")));
        assert!(differs(&json!({}), &json!({"capacity": {}})));
    }

    fn observed(runtime: Result<Vec<RuntimeCondition>, String>) -> Observed {
        Observed {
            version: None,
            runtime,
            memory_available_bytes: 0,
            disk_pressure: false,
            pids: 0,
            images: None,
        }
    }

    #[test]
    fn the_runtime_decides_readiness() {
        let network =
            |status: bool| RuntimeCondition { r#type: "NetworkReady".into(), status, ..Default::default() };
        assert!(observed(Ok(vec![network(true)])).ready());
        assert!(!observed(Ok(vec![network(false)])).ready());
        assert!(!observed(Err("no".into())).ready());
    }
}
