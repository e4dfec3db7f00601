//! TaintNodesByCondition: a new node takes no pods until it has been seen ready.

use serde_json::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub fn admit(node: &mut Value) {
    let taint = json!({"key": NOT_READY, "effect": "NoSchedule"});
    let spec = &mut node["spec"];
    match spec["taints"].as_array_mut() {
        Some(taints) => {
            if !taints.iter().any(|t| t["key"] == taint["key"] && t["effect"] == taint["effect"]) {
                taints.push(taint);
            }
        }
        None => spec["taints"] = json!([taint]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_once() {
        let mut node = json!({"metadata": {"name": "n"}});
        admit(&mut node);
        admit(&mut node);
        assert_eq!(node["spec"]["taints"], json!([{"key": NOT_READY, "effect": "NoSchedule"}]));
    }
}
