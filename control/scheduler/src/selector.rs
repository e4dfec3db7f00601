//! Selectors of pods, prepared once per pod: which labels in which namespaces.

use keelson_client::views::{LabelSelector, PodAffinityTerm, Requirement};
use std::collections::{BTreeMap, BTreeSet};

/// Labels by namespace: what a namespace selector looks at.
pub(crate) type NamespaceLabels = BTreeMap<String, BTreeMap<String, String>>;

/// A term of pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// `None` matches no pod.
    pub(crate) selector: Option<LabelSelector>,
    pub(crate) namespaces: BTreeSet<String>,
    pub(crate) namespace_selector: Option<LabelSelector>,
    pub(crate) topology_key: String,
}

impl Term {
    /// A term of a pod with these labels in this namespace.
    pub(crate) fn new(term: &PodAffinityTerm, namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(namespace.to_owned());
        }
        let mut selector = term.label_selector.clone();
        if let Some(selector) = &mut selector {
            merge_keys(selector, &term.match_label_keys, "In", labels);
            merge_keys(selector, &term.mismatch_label_keys, "NotIn", labels);
        }
        Self {
            selector,
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
            topology_key: term.topology_key.clone(),
        }
    }

    pub(crate) fn covers_namespace(&self, namespace: &str, known: &NamespaceLabels) -> bool {
        if self.namespaces.contains(namespace) {
            return true;
        }
        let Some(selector) = &self.namespace_selector else { return false };
        // A namespace that is not known yet has no labels that we could go by.
        selector.is_empty() || known.get(namespace).is_some_and(|labels| selector.matches(labels))
    }

    pub(crate) fn matches(
        &self,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        known: &NamespaceLabels,
    ) -> bool {
        self.selector.as_ref().is_some_and(|s| s.matches(labels)) && self.covers_namespace(namespace, known)
    }
}

/// Adds the pod's own values of some labels to a selector. The API server may have done so already; once more
/// changes nothing.
pub(crate) fn merge_keys(
    selector: &mut LabelSelector,
    keys: &[String],
    operator: &str,
    labels: &BTreeMap<String, String>,
) {
    for key in keys {
        if let Some(value) = labels.get(key) {
            selector.match_expressions.push(Requirement {
                key: key.clone(),
                operator: operator.to_owned(),
                values: vec![value.clone()],
            });
        }
    }
}
