//! DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached.

use serde_json::{Value, json};

const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

pub fn admit(pod: &mut Value) {
    let spec = &mut pod["spec"];
    let missing: Vec<Value> = TAINTS
        .iter()
        .filter(|taint| !tolerates(spec, taint))
        .map(|taint| {
            json!({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS})
        })
        .collect();
    if missing.is_empty() {
        return;
    }
    match spec["tolerations"].as_array_mut() {
        Some(tolerations) => tolerations.extend(missing),
        None => spec["tolerations"] = missing.into(),
    }
}

fn tolerates(spec: &Value, taint: &str) -> bool {
    spec["tolerations"].as_array().into_iter().flatten().any(|toleration| {
        let key = toleration["key"].as_str().unwrap_or_default();
        let effect = toleration["effect"].as_str().unwrap_or_default();
        (key == taint || key.is_empty()) && matches!(effect, "" | "NoExecute")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_what_is_missing() {
        let check = |had: Value, want: usize| {
            let mut pod = json!({"spec": {"tolerations": had}});
            admit(&mut pod);
            let tolerations = pod["spec"]["tolerations"].as_array().map_or(0, Vec::len);
            assert_eq!(tolerations, want, "{had}");
        };
        check(json!(null), 2);
        check(json!([{"key": "n", "operator": "Exists"}]), 3);
        check(json!([{"key": TAINTS[0], "operator": "Exists", "effect": "NoExecute"}]), 2);
        check(json!([{"operator": "Exists"}]), 1);
        check(json!([{"key": TAINTS[0], "operator": "Exists", "effect": "NoSchedule"}]), 3);
    }
}
