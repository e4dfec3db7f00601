//! NodeRestriction: a node writes its own Node, Lease and the status of its own pods, and nothing that would draw
//! other workloads to it.

use super::{refuse, text};
use crate::admission::{Admission, Operation};
use crate::auth::lookup::{Lookup, brief};
use crate::auth::node::PodRefs;
use keelson_api::identity::GROUP_NODES;
use keelson_api::status::Status;
use serde_json::Value;
use std::collections::BTreeSet;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// Labels below kubernetes.io and k8s.io that a node may set on itself.
const NODE_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "node.kubernetes.io/instance-type",
];

/// Namespaces of labels that are the node's own.
const NODE_LABEL_NAMESPACES: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Judges the writes of nodes; lets everybody else pass.
pub(super) fn validate(objects: &dyn Lookup, admission: &Admission<'_>) -> Result<(), Status> {
    if !admission.user.in_group(GROUP_NODES) {
        return Ok(());
    }
    let Some(node) = admission.user.node_name() else { return Ok(()) };
    let request = Request { objects, admission, node };
    if node.is_empty() {
        return request.no(&format!("could not determine node from user {:?}", admission.user.username));
    }
    match (admission.def.group, admission.def.plural, admission.subresource) {
        ("", "pods", "") => request.pod(),
        ("", "pods", "status") => request.pod_status(),
        ("", "pods", "eviction") => request.eviction(),
        ("", "pods", other) => request
            .no(&format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed")),
        ("", "nodes", _) => request.node(),
        ("", "serviceaccounts", "token") if admission.operation == Operation::Create => request.token(),
        ("coordination.k8s.io", "leases", _) => request.lease(),
        _ => Ok(()),
    }
}

struct Request<'a> {
    objects: &'a dyn Lookup,
    admission: &'a Admission<'a>,
    node: &'a str,
}

impl Request<'_> {
    fn no(&self, why: &str) -> Result<(), Status> {
        Err(refuse(self.admission, why))
    }

    fn object(&self) -> &Value {
        self.admission.object.unwrap_or(&Value::Null)
    }

    fn old(&self) -> &Value {
        self.admission.old.unwrap_or(&Value::Null)
    }

    fn unexpected(&self) -> Result<(), Status> {
        self.no(&format!("unexpected operation {:?}", operation(self.admission.operation)))
    }

    fn pod(&self) -> Result<(), Status> {
        let node = self.node;
        match self.admission.operation {
            Operation::Create => self.pod_create(),
            Operation::Delete if text(self.old(), "/spec/nodeName") == node => Ok(()),
            Operation::Delete => {
                self.no(&format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
            }
            other => self.no(&format!(
                "unexpected operation {:?}, node {node:?} can only create and delete mirror pods",
                operation(other)
            )),
        }
    }

    fn pod_create(&self) -> Result<(), Status> {
        let (node, pod) = (self.node, self.object());
        let mirror = pod.pointer("/metadata/annotations").and_then(|a| a.get(MIRROR)).is_some();
        if !mirror {
            return self.no(&format!(
                "pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods"
            ));
        }
        if text(pod, "/spec/nodeName") != node {
            return self.no(&format!("node {node:?} can only create pods with spec.nodeName set to itself"));
        }
        self.mirror_owner(pod)?;
        if !text(pod, "/spec/serviceAccountName").is_empty() {
            return self.no(&format!("node {node:?} can not create pods that reference a service account"));
        }
        self.no_references(pod)
    }

    fn mirror_owner(&self, pod: &Value) -> Result<(), Status> {
        let node = self.node;
        let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let owner = match owners.map(Vec::as_slice) {
            Some([one]) => one,
            Some([_, ..]) => {
                return self.no(&format!(
                    "node {node:?} can only create pods with a single owner reference set to itself"
                ));
            }
            _ => {
                return self.no(&format!(
                    "node {node:?} can only create pods with an owner reference set to itself"
                ));
            }
        };
        if text(owner, "/apiVersion") != "v1"
            || text(owner, "/kind") != "Node"
            || text(owner, "/name") != node
        {
            return self
                .no(&format!("node {node:?} can only create pods with an owner reference set to itself"));
        }
        if owner.get("controller") != Some(&Value::Bool(true)) {
            return self.no(&format!(
                "node {node:?} can only create pods with a controller owner reference set to itself"
            ));
        }
        if owner.get("blockOwnerDeletion") == Some(&Value::Bool(true)) {
            return self.no(&format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
        }
        let Some((_, known)) = brief(self.objects, "nodes", node) else {
            return Err(Status::not_found("", "nodes", node));
        };
        let uid = text(owner, "/uid");
        if uid != known.metadata.uid {
            return self.no(&format!("node {node} UID mismatch: expected {uid} got {}", known.metadata.uid));
        }
        Ok(())
    }

    /// A mirror pod must not lend its node access to other objects.
    fn no_references(&self, pod: &Value) -> Result<(), Status> {
        let node = self.node;
        let mut plain = pod.clone();
        if let Some(annotations) = plain.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(MIRROR);
        }
        let refs = PodRefs::parse(plain.to_string().as_bytes())
            .map_err(|error| Status::bad_request(error.to_string()))?;
        let has = |vertex| refs.refs.iter().any(|(found, _)| *found == vertex);
        if has(crate::auth::node::Vertex::Secret) {
            return self.no(&format!("node {node:?} can not create pods that reference secrets"));
        }
        if has(crate::auth::node::Vertex::ConfigMap) {
            return self.no(&format!("node {node:?} can not create pods that reference configmaps"));
        }
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        if volumes.into_iter().any(|volume| volume.get("persistentVolumeClaim").is_some_and(|v| !v.is_null()))
        {
            return self
                .no(&format!("node {node:?} can not create pods that reference persistentvolumeclaims"));
        }
        Ok(())
    }

    fn pod_status(&self) -> Result<(), Status> {
        let node = self.node;
        if self.admission.operation != Operation::Update {
            return self.unexpected();
        }
        if text(self.old(), "/spec/nodeName") != node {
            return self.no(&format!(
                "node {node:?} can only update pod status for pods with spec.nodeName set to itself"
            ));
        }
        if !modified_labels(self.old(), self.object()).is_empty() {
            return self.no(&format!("node {node:?} cannot update labels through pod status"));
        }
        Ok(())
    }

    fn eviction(&self) -> Result<(), Status> {
        if self.admission.operation != Operation::Create {
            return self.unexpected();
        }
        let name = match self.admission.name {
            "" => text(self.object(), "/metadata/name"),
            name => name,
        };
        let Some((_, pod)) = brief(self.objects, "pods", &format!("{}/{name}", self.admission.namespace))
        else {
            return Err(Status::not_found("", "pods", name));
        };
        if pod.spec.node_name != self.node {
            return self
                .no(&format!("node {} can only evict pods with spec.nodeName set to itself", self.node));
        }
        Ok(())
    }

    fn node(&self) -> Result<(), Status> {
        let node = self.node;
        let requested = match self.admission.name {
            "" => text(self.object(), "/metadata/name"),
            name => name,
        };
        if requested != node {
            return self.no(&format!("node {node:?} is not allowed to modify node {requested:?}"));
        }
        match self.admission.operation {
            Operation::Create => {
                let forbidden = forbidden_labels(&modified_labels(&Value::Null, self.object()));
                if !forbidden.is_empty() {
                    return self.no(&format!(
                        "node {node:?} is not allowed to set the following labels: {}",
                        forbidden.join(", ")
                    ));
                }
            }
            Operation::Update => return self.node_update(),
            Operation::Delete | Operation::Connect => {}
        }
        Ok(())
    }

    fn node_update(&self) -> Result<(), Status> {
        let node = self.node;
        if field(self.old(), "/spec/taints") != field(self.object(), "/spec/taints") {
            return self.no(&format!("node {node:?} is not allowed to modify taints"));
        }
        if field(self.old(), "/metadata/ownerReferences") != field(self.object(), "/metadata/ownerReferences")
        {
            return self.no(&format!("node {node:?} is not allowed to modify ownerReferences"));
        }
        let forbidden = forbidden_labels(&modified_labels(self.old(), self.object()));
        if !forbidden.is_empty() {
            return self.no(&format!("is not allowed to modify labels: {}", forbidden.join(", ")));
        }
        Ok(())
    }

    fn token(&self) -> Result<(), Status> {
        let request = self.object();
        let bound = request.pointer("/spec/boundObjectRef").unwrap_or(&Value::Null);
        let name = text(bound, "/name");
        if text(bound, "/apiVersion") != "v1" || text(bound, "/kind") != "Pod" || name.is_empty() {
            return self.no("node requested token not bound to a pod");
        }
        let uid = text(bound, "/uid");
        if uid.is_empty() {
            return self.no("node requested token with a pod binding without a uid");
        }
        let key = format!("{}/{name}", self.admission.namespace);
        let Some((_, bytes)) = self.objects.lookup("pods", &key) else {
            return Err(Status::not_found("", "pods", name));
        };
        let pod: Value = serde_json::from_slice(&bytes).map_err(Status::internal)?;
        if text(&pod, "/metadata/uid") != uid {
            return self.no(&format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been deleted and then recreated"
            ));
        }
        if text(&pod, "/spec/nodeName") != self.node {
            return self.no("node requested token bound to a pod scheduled on a different node");
        }
        self.token_audience(request, &pod)
    }

    /// A node gets tokens for the audiences that the pod's volumes ask for, and for no other (KEP-4935).
    fn token_audience(&self, request: &Value, pod: &Value) -> Result<(), Status> {
        let audiences = request.pointer("/spec/audiences").and_then(Value::as_array);
        let audience = match audiences.map(Vec::as_slice) {
            None | Some([]) => "",
            Some([one]) => one.as_str().unwrap_or_default(),
            Some(_) => return self.no("node may only request 0 or 1 audiences"),
        };
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array).into_iter().flatten();
        let mut sources = volumes
            .filter_map(|volume| volume.pointer("/projected/sources").and_then(Value::as_array))
            .flatten()
            .filter_map(|source| source.get("serviceAccountToken").filter(|token| token.is_object()));
        if sources.any(|source| text(source, "/audience") == audience) {
            return Ok(());
        }
        self.no(&format!("audience {audience:?} not found in pod spec volume"))
    }

    fn lease(&self) -> Result<(), Status> {
        if self.admission.namespace != "kube-node-lease" {
            return self.no(r#"can only access leases in the "kube-node-lease" system namespace"#);
        }
        let name = match self.admission.operation {
            Operation::Create => text(self.object(), "/metadata/name"),
            _ => self.admission.name,
        };
        if name != self.node {
            return self.no("can only access node lease with the same name as the requesting node");
        }
        Ok(())
    }
}

fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "CREATE",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Connect => "CONNECT",
    }
}

/// The field's value, with an absent one, null and an empty list being the same.
fn field<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    object
        .pointer(pointer)
        .filter(|value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()))
}

fn modified_labels<'a>(old: &'a Value, new: &'a Value) -> BTreeSet<&'a str> {
    let labels = |object: &'a Value| object.pointer("/metadata/labels").and_then(Value::as_object);
    let (old, new) = (labels(old), labels(new));
    let keys = [old, new].into_iter().flatten().flat_map(|labels| labels.keys());
    keys.filter(|key| old.and_then(|l| l.get(*key)) != new.and_then(|l| l.get(*key)))
        .map(String::as_str)
        .collect()
}

fn forbidden_labels<'a>(modified: &BTreeSet<&'a str>) -> Vec<&'a str> {
    modified.iter().copied().filter(|label| is_forbidden(label)).collect()
}

fn is_forbidden(label: &str) -> bool {
    let Some((namespace, _)) = label.split_once('/') else { return false };
    let below = |parent: &str| {
        namespace == parent || namespace.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
    };
    if below("node-restriction.kubernetes.io") {
        return true;
    }
    (below("kubernetes.io") || below("k8s.io"))
        && !NODE_LABELS.contains(&label)
        && !NODE_LABEL_NAMESPACES.into_iter().any(below)
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
