//! The downward API: a pod's own fields and resources as text.

use crate::pod::quantity::text;
use crate::pod::spec::{ContainerSpec, Labels, Pod, ResourceFieldRef};
use keelson_api::quantity::Quantity;

/// What of the node a pod may see.
pub struct NodeFacts<'a> {
    pub host_ips: &'a [String],
    pub pod_ips: &'a [String],
    /// Allocatable: what a limit that is not set stands for.
    pub cpu_milli: i64,
    pub memory_bytes: i64,
    pub disk_bytes: i64,
}

/// The value of a field path.
pub fn field(pod: &Pod, path: &str, facts: &NodeFacts<'_>) -> Result<String, String> {
    let ips = if pod.spec.host_network { facts.host_ips } else { facts.pod_ips };
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.labels" => &pod.meta.labels,
            "metadata.annotations" => &pod.meta.annotations,
            _ => return Err(format!("fieldPath \"{path}\" does not support subscript")),
        };
        return Ok(map.get(key).cloned().unwrap_or_default());
    }
    Ok(match path {
        "metadata.name" => pod.meta.name.clone(),
        "metadata.namespace" => pod.meta.namespace.clone(),
        "metadata.uid" => pod.meta.uid.clone(),
        "metadata.labels" => lines(&pod.meta.labels),
        "metadata.annotations" => lines(&pod.meta.annotations),
        "spec.nodeName" => pod.spec.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account_name.clone(),
        "status.hostIP" => first(facts.host_ips),
        "status.hostIPs" => facts.host_ips.join(","),
        "status.podIP" => first(ips),
        "status.podIPs" => ips.join(","),
        _ => return Err(format!("unsupported fieldPath: {path}")),
    })
}

fn subscript(path: &str) -> Option<(&str, &str)> {
    let (map, rest) = path.split_once("['")?;
    Some((map, rest.strip_suffix("']")?))
}

/// `key="value"` per line, the value quoted as Go quotes.
fn lines(map: &Labels) -> String {
    map.iter().map(|(key, value)| format!("{key}={}", quote(value))).collect::<Vec<_>>().join("\n")
}

fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A container's request or limit, in units of the divisor, rounded up.
pub fn resource(
    pod: &Pod,
    own: Option<&ContainerSpec>,
    reference: &ResourceFieldRef,
    facts: &NodeFacts<'_>,
) -> Result<String, String> {
    let container =
        if reference.container_name.is_empty() { own } else { pod.container(&reference.container_name) };
    let container = container.ok_or_else(|| format!("container {} not found", reference.container_name))?;
    let (side, name) = reference.resource.split_once('.').unwrap_or(("", ""));
    let list = match side {
        "limits" => &container.resources.limits,
        "requests" => &container.resources.requests,
        _ => return Err(format!("Unsupported container resource : {}", reference.resource)),
    };
    let parse = |value: &str| Quantity::parse(value).map_err(|e| e.to_string());
    let whole = pod.spec.resources.limits.get(name).filter(|_| side == "limits");
    let amount = match list.get(name).or(whole) {
        Some(value) => parse(&text(value))?,
        None if side == "limits" && name == "cpu" => Quantity::milli(facts.cpu_milli),
        None if side == "limits" && name == "memory" => Quantity::bytes(facts.memory_bytes),
        None if side == "limits" && name == "ephemeral-storage" => Quantity::bytes(facts.disk_bytes),
        None => Quantity::units(0),
    };
    let divisor = match reference.divisor.as_ref().map(text) {
        Some(value) if value != "0" && !value.is_empty() => parse(&value)?,
        _ => Quantity::units(1),
    };
    let (amount, divisor) = if name == "cpu" {
        (amount.milli_value(), divisor.milli_value())
    } else {
        (amount.value(), divisor.value())
    };
    let divisor = divisor.max(1);
    Ok(amount.div_euclid(divisor).saturating_add(i64::from(amount.rem_euclid(divisor) > 0)).to_string())
}
