//! The roles and bindings that every cluster has, from their compact form.
//!
//! Kubernetes' own are facts (`defaults.txt`); what Keelson adds stands in `own.txt`.

use super::rule::Rule;
use keelson_api::resource::Resource;
use serde_json::{Map, Value, json};

const KUBERNETES: &str = include_str!("defaults.txt");
const OWN: &str = include_str!("own.txt");

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
/// Set to `false` on a default object, it keeps the server from repairing the object at start.
pub const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// The prefix of the labels by which aggregated roles select others.
const AGGREGATION_LABEL: &str = "rbac.authorization.k8s.io/";

/// Those of Kubernetes' controllers that Keelson runs: accounts of `kube-system` that the default roles let act. The
/// tests hold each of them against what it may and may not do; the tests of the controllers, themselves against these.
pub const CONTROLLERS: [&str; 13] = [
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "generic-garbage-collector",
    "namespace-controller",
    "node-controller",
    "pod-garbage-collector",
    "replicaset-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
];

/// An object that every cluster has, as it is created.
#[derive(Clone, Debug, PartialEq)]
pub struct Default {
    pub resource: Resource,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
    pub object: Value,
}

/// All default roles and bindings: Kubernetes' first, then Keelson's.
pub fn defaults() -> Vec<Default> {
    [KUBERNETES, OWN].into_iter().flat_map(parse).collect()
}

/// The rules of the ClusterRole `system:node`, by which the Node authorizer judges what is not divided by node.
pub fn node_rules() -> Vec<Rule> {
    parse(KUBERNETES)
        .into_iter()
        .find(|default| default.resource == Resource::CLUSTER_ROLES && default.name == "system:node")
        .and_then(|default| serde_json::from_value(default.object["rules"].clone()).ok())
        .unwrap_or_default()
}

/// Reads the compact form; both texts are constants of this program, and a test reads them.
fn parse(text: &str) -> Vec<Default> {
    let mut defaults: Vec<Default> = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        if line.starts_with(' ') {
            if let Some(last) = defaults.last_mut() {
                add(last, line.trim());
            }
        } else {
            defaults.extend(header(line));
        }
    }
    defaults
}

fn header(line: &str) -> Option<Default> {
    let mut words = line.split(' ');
    let (kind, path) = (words.next()?, words.next()?);
    let resource = match kind {
        "ClusterRole" => Resource::CLUSTER_ROLES,
        "Role" => Resource::ROLES,
        "ClusterRoleBinding" => Resource::CLUSTER_ROLE_BINDINGS,
        "RoleBinding" => Resource::ROLE_BINDINGS,
        _ => return None,
    };
    let (namespace, name) = if resource.namespaced { path.split_once('/')? } else { ("", path) };
    let mut labels = Map::from_iter([("kubernetes.io/bootstrapping".to_owned(), json!("rbac-defaults"))]);
    let mut object = json!({"metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}}});
    if resource.namespaced {
        object["metadata"]["namespace"] = json!(namespace);
    }
    match kind {
        "ClusterRole" | "Role" => object["rules"] = Value::Null,
        _ => {}
    }
    while let (Some(word), Some(value)) = (words.next(), words.next()) {
        match word {
            "label" => {
                labels.insert(format!("{AGGREGATION_LABEL}{value}"), json!("true"));
            }
            "of" => {
                let label = format!("{AGGREGATION_LABEL}{value}");
                object["aggregationRule"] =
                    json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
            }
            "to" => {
                object["roleRef"] = json!({"apiGroup": RBAC_GROUP, "kind": value, "name": words.next()?});
            }
            _ => return None,
        }
    }
    object["metadata"]["labels"] = Value::Object(labels);
    Some(Default { resource, namespace: namespace.to_owned(), name: name.to_owned(), object })
}

/// Adds a rule or a subject.
fn add(to: &mut Default, line: &str) {
    let (field, item) = if line.contains('|') {
        ("rules", rule(line))
    } else {
        let (kind, name) = line.split_once(' ').unwrap_or((line, ""));
        ("subjects", subject(kind, name))
    };
    match &mut to.object[field] {
        Value::Array(list) => list.push(item),
        empty => *empty = json!([item]),
    }
}

fn rule(line: &str) -> Value {
    let list = |part: &str| -> Value {
        part.split(' ')
            .filter(|word| !word.is_empty())
            .map(|word| if word == "core" { "" } else { word })
            .collect()
    };
    let mut parts = line.split('|').map(str::trim);
    let mut rule = json!({"verbs": list(parts.next().unwrap_or_default())});
    match parts.next() {
        Some("path") => rule["nonResourceURLs"] = list(parts.next().unwrap_or_default()),
        groups => {
            rule["apiGroups"] = list(groups.unwrap_or_default());
            rule["resources"] = list(parts.next().unwrap_or_default());
        }
    }
    if let Some(names) = parts.next() {
        rule["resourceNames"] = list(names);
    }
    rule
}

fn subject(kind: &str, name: &str) -> Value {
    match name.split_once('/') {
        Some((namespace, name)) if kind == "ServiceAccount" => {
            json!({"kind": kind, "name": name, "namespace": namespace})
        }
        _ => json!({"kind": kind, "apiGroup": RBAC_GROUP, "name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::x509::sha256_hex;

    /// SHA-256 over the recorded objects of Kubernetes v1.36.2: per object a line `<plural> <compact JSON with sorted
    /// keys>`, the lines sorted.
    const RECORDED: &str = "d71b879e8790d73f9f97d95dd25928660f130c33b517043de3ac1b6577da6d60";

    #[test]
    fn equal_to_the_recorded_roles() {
        let mut lines = parse(KUBERNETES)
            .iter()
            .map(|default| format!("{} {}\n", default.resource.plural, default.object))
            .collect::<Vec<_>>();
        lines.sort();
        assert_eq!(lines.len(), 70 + 51 + 7 + 7);
        assert_eq!(sha256_hex(lines.concat().as_bytes()), RECORDED);
    }

    #[test]
    fn every_line_is_understood() {
        for text in [KUBERNETES, OWN] {
            let items = text.lines().filter(|line| line.starts_with("  ")).count();
            let headers =
                text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase())).count();
            let parsed = parse(text);
            assert_eq!(parsed.len(), headers);
            let count = |field: &str| -> usize {
                parsed.iter().filter_map(|d| d.object[field].as_array()).map(Vec::len).sum()
            };
            assert_eq!(count("rules") + count("subjects"), items);
        }
        let bindings =
            defaults().into_iter().filter(|d| d.resource.plural.ends_with("bindings")).collect::<Vec<_>>();
        assert!(bindings.iter().all(|binding| binding.object["roleRef"]["name"].is_string()));
    }

    #[test]
    fn controllers_are_bound() {
        let all = defaults();
        let accounts: Vec<_> = all
            .iter()
            .filter(|default| default.resource == Resource::CLUSTER_ROLE_BINDINGS)
            .flat_map(|binding| binding.object["subjects"].as_array().into_iter().flatten())
            .filter(|subject| subject["namespace"] == "kube-system")
            .filter_map(|subject| subject["name"].as_str())
            .collect();
        for name in CONTROLLERS {
            assert!(accounts.contains(&name), "no default role is bound to {name}");
        }
    }

    #[test]
    fn nodes_have_rules() {
        assert_eq!(node_rules().len(), 25);
    }
}
