//! `matchLabelKeys` and `mismatchLabelKeys`: the values of the pod's own labels, written into selectors when the
//! pod is made, so that who reads the selectors need not know of them.

use crate::validation::value::{has, list, list_mut, set, texts};
use serde_json::{Map, Value, json};

/// Writes the pod's labels into the selectors of its affinities and spread constraints.
pub(super) fn resolve(pod: &mut Value) {
    let labels = pod["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let Some(spec) = pod.get_mut("spec") else { return };
    if let Some(affinity) = spec.get_mut("affinity") {
        for kind in ["podAffinity", "podAntiAffinity"] {
            let Some(terms) = affinity.get_mut(kind) else { continue };
            for term in list_mut(terms, "requiredDuringSchedulingIgnoredDuringExecution") {
                into_selector(term, &labels);
            }
            for term in list_mut(terms, "preferredDuringSchedulingIgnoredDuringExecution") {
                if let Some(term) = term.get_mut("podAffinityTerm") {
                    into_selector(term, &labels);
                }
            }
        }
    }
    for constraint in list_mut(spec, "topologySpreadConstraints") {
        into_selector(constraint, &labels);
    }
}

fn into_selector(term: &mut Value, labels: &Map<String, Value>) {
    let mut added = Vec::new();
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in texts(term, field) {
            if let Some(value) = labels.get(key) {
                added.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    if added.is_empty() || !has(term, "labelSelector") {
        return;
    }
    if let Some(selector) = term.get_mut("labelSelector") {
        let mut all = list(selector, "matchExpressions").to_vec();
        all.append(&mut added);
        set(selector, "matchExpressions", all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_get_the_pods_own_values() {
        let mut pod = json!({
            "metadata": {"labels": {"app": "a", "hash": "1"}},
            "spec": {
                "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{
                    "labelSelector": {"matchLabels": {"app": "a"}}, "matchLabelKeys": ["hash", "none"],
                    "mismatchLabelKeys": ["app"],
                }]}},
                "topologySpreadConstraints": [{"matchLabelKeys": ["hash"]},
                    {"matchLabelKeys": ["hash"], "labelSelector": {}}],
            },
        });
        resolve(&mut pod);
        let terms =
            &pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        let hash = json!({"key": "hash", "operator": "In", "values": ["1"]});
        assert_eq!(
            terms[0]["labelSelector"]["matchExpressions"],
            json!([hash, {"key": "app", "operator": "NotIn", "values": ["a"]}])
        );
        let spread = &pod["spec"]["topologySpreadConstraints"];
        assert!(spread[0].get("labelSelector").is_none());
        assert_eq!(spread[1]["labelSelector"]["matchExpressions"], json!([hash]));
    }
}
