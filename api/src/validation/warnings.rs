//! What a pod or a template is warned of: valid, but hardly meant so.

use super::value::{at, entries, has, int, list, text};
use crate::field::Path;
use crate::quantity::Quantity;
use serde_json::Value;

/// Labels of nodes that have other names by now.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
];

/// The warnings of a spec that stands at `path`.
pub fn pod_spec(spec: &Value, path: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    for (label, _) in entries(spec, "nodeSelector") {
        old_label(label, &path.child("nodeSelector").key(label), &mut warnings);
    }
    for (index, constraint) in list(spec, "topologySpreadConstraints").iter().enumerate() {
        let path = path.child("topologySpreadConstraints").index(index);
        old_label(text(constraint, "topologyKey"), &path.child("topologyKey"), &mut warnings);
        if !has(constraint, "labelSelector") {
            warnings.push(format!("{path}: a null labelSelector results in matching no pod"));
        }
    }
    for (index, secret) in list(spec, "imagePullSecrets").iter().enumerate() {
        if text(secret, "name").is_empty() {
            let path = path.child("imagePullSecrets").index(index).child("name");
            warnings.push(format!("{path}: invalid empty name \"\""));
        }
    }
    for field in ["initContainers", "containers"] {
        for (index, one) in list(spec, field).iter().enumerate() {
            container(one, &path.child(field).index(index), &mut warnings);
        }
    }
    if int(spec, "terminationGracePeriodSeconds").is_some_and(|seconds| seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        warnings.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    warnings
}

fn old_label(label: &str, path: &Path, warnings: &mut Vec<String>) {
    if let Some((_, since, new)) = OLD_LABELS.iter().find(|(old, ..)| *old == label) {
        warnings.push(format!("{path}: deprecated since {since}; use \"{new}\" instead"));
    }
}

fn container(container: &Value, path: &Path, warnings: &mut Vec<String>) {
    for field in ["limits", "requests"] {
        for (name, value) in entries(at(container, "resources"), field) {
            let quantity =
                Quantity::from_value(value).filter(|_| matches!(name, "memory" | "ephemeral-storage"));
            if let Some(quantity) = quantity.filter(|quantity| quantity.milli_value() % 1000 != 0) {
                let path = path.child("resources").child(field).key(name);
                warnings.push(format!(
                    "{path}: fractional byte value \"{quantity}\" is invalid, must be an integer"
                ));
            }
        }
    }
    let variables = list(container, "env");
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "name");
        if variables[..index].iter().any(|before| text(before, "name") == name) {
            let path = path.child("env").index(index);
            let why = "which may be dropped when using apply";
            warnings.push(format!("{path}: hides previous definition of \"{name}\", {why}"));
        }
    }
    let ports = list(container, "ports");
    let claim = |port: &Value| {
        let number = |field: &str| int(port, field).unwrap_or_default();
        let texts = (text(port, "protocol").to_owned(), text(port, "hostIP").to_owned());
        (number("containerPort"), number("hostPort"), texts)
    };
    for (index, port) in ports.iter().enumerate() {
        if let Some(first) = ports[..index].iter().position(|before| claim(before) == claim(port)) {
            let (path, first) = (path.child("ports").index(index), path.child("ports").index(first));
            warnings.push(format!("{path}: duplicate port definition with {first}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn warns_of_what_is_hardly_meant() {
        let spec = json!({
            "nodeSelector": {"beta.kubernetes.io/os": "linux", "kubernetes.io/os": "linux"},
            "terminationGracePeriodSeconds": -1,
            "topologySpreadConstraints": [{"topologyKey": "a"}],
            "containers": [{
                "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}],
                "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"},
                    {"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"memory": "100m", "cpu": "100m"}},
            }],
        });
        assert_eq!(
            pod_spec(&spec, &Path::new("spec")),
            [
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.topologySpreadConstraints[0]: a null labelSelector results in matching no pod",
                "spec.containers[0].resources.limits[memory]: fractional byte value \"100m\" is invalid, must be \
                 an integer",
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[2]: duplicate port definition with spec.containers[0].ports[0]",
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated \
                 as 1",
            ]
        );
        assert!(pod_spec(&json!({"containers": [{"env": [{"name": "A"}]}]}), &Path::new("spec")).is_empty());
    }
}
