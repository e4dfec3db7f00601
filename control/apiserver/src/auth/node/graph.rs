//! Which objects the pods of each node refer to.
//!
//! Pure: fed with pods, asked with names. Counts references, as several pods of a node may share an object.

use rapidhash::RapidHashMap;
use serde::Deserialize;
use std::sync::Arc;

/// A kind of object that a pod can refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vertex {
    Pod,
    Secret,
    ConfigMap,
    ServiceAccount,
}

/// What a pod refers to, and from which node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodRefs {
    /// Empty while the pod is not bound.
    pub node: String,
    pub namespace: String,
    /// Sorted, without duplicates.
    pub refs: Vec<(Vertex, String)>,
}

type Key = (Vertex, String, String);

/// The references of all bound pods.
#[derive(Debug, Default)]
pub struct Graph {
    pods: RapidHashMap<Arc<str>, PodRefs>,
    nodes: RapidHashMap<String, RapidHashMap<Key, u32>>,
}

impl Graph {
    /// Takes in the pod with the key `namespace/name`; `None` when it is gone.
    pub fn set(&mut self, key: &Arc<str>, refs: Option<PodRefs>) {
        let refs = refs.filter(|refs| !refs.node.is_empty());
        if self.pods.get(key) == refs.as_ref() {
            return;
        }
        if let Some(old) = self.pods.remove(key) {
            self.forget(&old);
        }
        let Some(refs) = refs else { return };
        let counts = self.nodes.entry(refs.node.clone()).or_default();
        for (vertex, name) in &refs.refs {
            *counts.entry((*vertex, refs.namespace.clone(), name.clone())).or_default() += 1;
        }
        self.pods.insert(key.clone(), refs);
    }

    fn forget(&mut self, old: &PodRefs) {
        let Some(counts) = self.nodes.get_mut(&old.node) else { return };
        for (vertex, name) in &old.refs {
            let key = (*vertex, old.namespace.clone(), name.clone());
            if let Some(count) = counts.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&key);
                }
            }
        }
        if counts.is_empty() {
            self.nodes.remove(&old.node);
        }
    }

    /// Whether a pod bound to `node` refers to the object.
    pub fn related(&self, node: &str, vertex: Vertex, namespace: &str, name: &str) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|counts| counts.contains_key(&(vertex, namespace.to_owned(), name.to_owned())))
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Pod {
    metadata: Meta,
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    name: String,
    namespace: String,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: String,
    service_account_name: String,
    image_pull_secrets: Option<Vec<Named>>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
    ephemeral_containers: Option<Vec<Container>>,
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Container {
    env: Option<Vec<Env>>,
    env_from: Option<Vec<Source>>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Env {
    value_from: Option<Source>,
}

/// Every way in which `env`, `envFrom` and projections name a Secret or a ConfigMap.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    secret_key_ref: Option<Named>,
    config_map_key_ref: Option<Named>,
    secret_ref: Option<Named>,
    config_map_ref: Option<Named>,
    secret: Option<Named>,
    config_map: Option<Named>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Volume {
    secret: Option<SecretVolume>,
    config_map: Option<Named>,
    projected: Option<Projected>,
    #[serde(flatten)]
    other: OtherVolume,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct SecretVolume {
    secret_name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Projected {
    sources: Option<Vec<Source>>,
}

/// The volume kinds whose driver gets a Secret by reference.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct OtherVolume {
    cephfs: Option<WithSecret>,
    rbd: Option<WithSecret>,
    iscsi: Option<WithSecret>,
    #[serde(rename = "flexVolume")]
    flex_volume: Option<WithSecret>,
    #[serde(rename = "scaleIO")]
    scale_io: Option<WithSecret>,
    storageos: Option<WithSecret>,
    azure_file: Option<SecretVolume>,
    csi: Option<Csi>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct WithSecret {
    secret_ref: Option<Named>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Csi {
    node_publish_secret_ref: Option<Named>,
}

impl PodRefs {
    /// Reads a stored pod. A static pod's mirror refers to nothing: its node made it.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let pod: Pod = serde_json::from_slice(bytes)?;
        let mut refs = vec![(Vertex::Pod, pod.metadata.name.clone())];
        let mirror = pod
            .metadata
            .annotations
            .is_some_and(|annotations| annotations.contains_key("kubernetes.io/config.mirror"));
        if !mirror {
            pod.spec.collect(&mut refs);
        }
        refs.retain(|(_, name)| !name.is_empty());
        refs.sort();
        refs.dedup();
        Ok(Self { node: pod.spec.node_name, namespace: pod.metadata.namespace, refs })
    }
}

impl Spec {
    fn collect(&self, refs: &mut Vec<(Vertex, String)>) {
        refs.push((Vertex::ServiceAccount, self.service_account_name.clone()));
        for secret in self.image_pull_secrets.iter().flatten() {
            refs.push((Vertex::Secret, secret.name.clone()));
        }
        let containers = [&self.containers, &self.init_containers, &self.ephemeral_containers];
        for container in containers.into_iter().flatten().flatten() {
            container
                .env
                .iter()
                .flatten()
                .filter_map(|env| env.value_from.as_ref())
                .for_each(|s| s.collect(refs));
            container.env_from.iter().flatten().for_each(|source| source.collect(refs));
        }
        self.volumes.iter().flatten().for_each(|volume| volume.collect(refs));
    }
}

impl Source {
    fn collect(&self, refs: &mut Vec<(Vertex, String)>) {
        for named in [&self.secret_key_ref, &self.secret_ref, &self.secret].into_iter().flatten() {
            refs.push((Vertex::Secret, named.name.clone()));
        }
        for named in [&self.config_map_key_ref, &self.config_map_ref, &self.config_map].into_iter().flatten()
        {
            refs.push((Vertex::ConfigMap, named.name.clone()));
        }
    }
}

impl Volume {
    fn collect(&self, refs: &mut Vec<(Vertex, String)>) {
        let other = &self.other;
        let with_ref =
            [&other.cephfs, &other.rbd, &other.iscsi, &other.flex_volume, &other.scale_io, &other.storageos];
        let secrets = [&self.secret, &other.azure_file].into_iter().flatten().map(|v| &v.secret_name);
        let secrets = secrets
            .chain(with_ref.into_iter().flatten().filter_map(|v| v.secret_ref.as_ref()).map(|n| &n.name))
            .chain(other.csi.iter().filter_map(|v| v.node_publish_secret_ref.as_ref()).map(|n| &n.name));
        refs.extend(secrets.map(|name| (Vertex::Secret, name.clone())));
        refs.extend(self.config_map.iter().map(|v| (Vertex::ConfigMap, v.name.clone())));
        for source in self.projected.iter().flat_map(|p| p.sources.iter().flatten()) {
            source.collect(refs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, node: &str) -> PodRefs {
        let pod = json!({
            "metadata": {"name": name, "namespace": "t"},
            "spec": {
                "nodeName": node, "serviceAccountName": "sa",
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [{"name": "c", "env": [
                    {"name": "A", "value": "x"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s-env", "key": "k"}}},
                    {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}],
                "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "c-from"}}, {"secretRef": {"name": "s-from"}}]}],
                "volumes": [
                    {"name": "a", "secret": {"secretName": "s-vol"}},
                    {"name": "b", "configMap": {"name": "c-vol"}},
                    {"name": "c", "emptyDir": {}},
                    {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "s-csi"}}},
                    {"name": "e", "projected": {"sources": [
                        {"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "c-proj"}}, {"secret": {"name": "s-proj"}}]}}]
            }
        });
        PodRefs::parse(&serde_json::to_vec(&pod).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(graph: &Graph, node: &str, vertex: Vertex, name: &str, wanted: bool) {
        assert_eq!(graph.related(node, vertex, "t", name), wanted, "{node} {vertex:?} {name}");
        assert!(!graph.related(node, vertex, "other", name));
    }

    #[test]
    fn references_come_and_go() {
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("t/a"), Arc::from("t/b"));
        let mut graph = Graph::default();
        graph.set(&a, Some(pod("a", "n1")));
        graph.set(&b, Some(pod("b", "")));
        for name in ["pull", "s-env", "s-from", "s-vol", "s-proj", "s-csi"] {
            check(&graph, "n1", Vertex::Secret, name, true);
            check(&graph, "n2", Vertex::Secret, name, false);
        }
        for name in ["c-from", "c-vol", "c-proj"] {
            check(&graph, "n1", Vertex::ConfigMap, name, true);
        }
        check(&graph, "n1", Vertex::ServiceAccount, "sa", true);
        check(&graph, "n1", Vertex::Pod, "a", true);
        check(&graph, "n1", Vertex::Pod, "b", false);
        check(&graph, "n1", Vertex::Secret, "c-vol", false);
        graph.set(&b, Some(pod("b", "n1")));
        graph.set(&a, None);
        check(&graph, "n1", Vertex::Secret, "s-vol", true);
        check(&graph, "n1", Vertex::Pod, "a", false);
        graph.set(&b, None);
        check(&graph, "n1", Vertex::Secret, "s-vol", false);
        assert!(graph.nodes.is_empty() && graph.pods.is_empty());
    }

    #[test]
    fn a_mirror_pod_refers_to_nothing() {
        let pod = json!({"metadata": {"name": "m", "namespace": "t", "annotations": {"kubernetes.io/config.mirror": "x"}},
            "spec": {"nodeName": "n", "volumes": [{"name": "a", "secret": {"secretName": "s"}}]}});
        let refs = PodRefs::parse(&serde_json::to_vec(&pod).unwrap()).unwrap();
        assert_eq!(refs.refs, [(Vertex::Pod, "m".to_owned())]);
    }
}
