//! Columns of nodes. An index stays a node's as long as the node exists or pods are on it.

use crate::bits::Bits;
use crate::pod::{HostPort, PodInfo};
use crate::reason::Hints;
use crate::resources::Amounts;
use keelson_client::views::{Node, Taint};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Properties of nodes by index; all vectors have the same length.
#[derive(Default)]
pub(crate) struct Nodes {
    by_name: HashMap<String, usize>,
    free: Vec<usize>,
    /// Nodes that exist; others are only named by pods.
    real: Bits,
    /// Nodes with pods that have terms of affinity or anti-affinity.
    pub(crate) with_terms: Bits,
    pub(crate) name: Vec<String>,
    pub(crate) labels: Vec<BTreeMap<String, String>>,
    pub(crate) taints: Vec<Vec<Taint>>,
    pub(crate) unschedulable: Vec<bool>,
    pub(crate) cpu_total: Vec<i64>,
    pub(crate) cpu_used: Vec<i64>,
    pub(crate) cpu_assumed: Vec<i64>,
    pub(crate) memory_total: Vec<i64>,
    pub(crate) memory_used: Vec<i64>,
    pub(crate) memory_assumed: Vec<i64>,
    pub(crate) storage_total: Vec<i64>,
    pub(crate) storage_used: Vec<i64>,
    pub(crate) pods_total: Vec<i64>,
    pub(crate) pods_used: Vec<i64>,
    pub(crate) extended_total: Vec<BTreeMap<String, i64>>,
    pub(crate) extended_used: Vec<BTreeMap<String, i64>>,
    pub(crate) ports: Vec<HashMap<HostPort, u32>>,
    /// Sizes in bytes of images by name.
    pub(crate) images: Vec<HashMap<String, i64>>,
    /// Pods with terms, by uid.
    pub(crate) terms: Vec<BTreeMap<String, Arc<PodInfo>>>,
}

impl Nodes {
    pub(crate) fn real(&self) -> &Bits {
        &self.real
    }

    pub(crate) fn is_real(&self, index: usize) -> bool {
        self.real.contains(index)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The index of a name, made when it is new.
    pub(super) fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.find(name) {
            return index;
        }
        let index = self.free.pop().unwrap_or(self.name.len());
        if index == self.name.len() {
            self.grow();
        }
        self.name[index] = name.to_owned();
        self.by_name.insert(name.to_owned(), index);
        index
    }

    fn grow(&mut self) {
        self.name.push(String::new());
        self.labels.push(BTreeMap::new());
        self.taints.push(Vec::new());
        self.unschedulable.push(false);
        for column in [
            &mut self.cpu_total,
            &mut self.cpu_used,
            &mut self.cpu_assumed,
            &mut self.memory_total,
            &mut self.memory_used,
            &mut self.memory_assumed,
            &mut self.storage_total,
            &mut self.storage_used,
            &mut self.pods_total,
            &mut self.pods_used,
        ] {
            column.push(0);
        }
        self.extended_total.push(BTreeMap::new());
        self.extended_used.push(BTreeMap::new());
        self.ports.push(HashMap::new());
        self.images.push(HashMap::new());
        self.terms.push(BTreeMap::new());
    }

    pub(super) fn set(&mut self, node: &Node) -> Option<Hints> {
        let index = self.index(&node.metadata.name);
        self.real.insert(index);
        let mut hints = None;
        let mut note = |hint: Hints| hints = Some(hints.map_or(hint, |h: Hints| h.and(hint)));
        if self.labels[index] != node.metadata.labels {
            self.labels[index].clone_from(&node.metadata.labels);
            note(Hints::NODE);
        }
        if self.taints[index] != node.spec.taints || self.unschedulable[index] != node.spec.unschedulable {
            self.taints[index].clone_from(&node.spec.taints);
            self.unschedulable[index] = node.spec.unschedulable;
            note(Hints::NODE);
        }
        let total = Amounts::of(&node.status.allocatable);
        let old = (self.cpu_total[index], self.memory_total[index], self.storage_total[index]);
        let changed = old != (total.cpu, total.memory, total.storage)
            || self.pods_total[index] != total.pods
            || self.extended_total[index] != total.extended;
        if changed {
            self.cpu_total[index] = total.cpu;
            self.memory_total[index] = total.memory;
            self.storage_total[index] = total.storage;
            self.pods_total[index] = total.pods;
            self.extended_total[index] = total.extended;
            note(Hints::CAPACITY);
        }
        self.images[index] = node
            .status
            .images
            .iter()
            .flat_map(|image| image.names.iter().map(|name| (name.clone(), image.size_bytes)))
            .collect();
        hints
    }

    pub(super) fn unset(&mut self, name: &str) {
        let Some(index) = self.find(name) else { return };
        self.real.remove(index);
        self.labels[index].clear();
        self.taints[index].clear();
        self.images[index].clear();
        self.drop_if_unused(index);
    }

    pub(super) fn drop_if_unused(&mut self, index: usize) {
        if self.is_real(index) || self.pods_used[index] != 0 {
            return;
        }
        let name = std::mem::take(&mut self.name[index]);
        if self.by_name.remove(&name).is_some() {
            self.free.push(index);
        }
    }

    pub(super) fn add_pod(&mut self, index: usize, pod: &Arc<PodInfo>) {
        self.count(index, pod, 1);
        for port in &pod.ports {
            *self.ports[index].entry(port.clone()).or_default() += 1;
        }
        if pod.has_terms() {
            self.terms[index].insert(pod.meta.uid.clone(), pod.clone());
            self.with_terms.insert(index);
        }
    }

    pub(super) fn remove_pod(&mut self, index: usize, pod: &PodInfo) {
        self.count(index, pod, -1);
        for port in &pod.ports {
            if let Some(uses) = self.ports[index].get_mut(port) {
                *uses -= 1;
                if *uses == 0 {
                    self.ports[index].remove(port);
                }
            }
        }
        if self.terms[index].remove(&pod.meta.uid).is_some() && self.terms[index].is_empty() {
            self.with_terms.remove(index);
        }
    }

    fn count(&mut self, index: usize, pod: &PodInfo, sign: i64) {
        let requests = &pod.requests;
        self.cpu_used[index] += sign * requests.cpu;
        self.memory_used[index] += sign * requests.memory;
        self.storage_used[index] += sign * requests.storage;
        self.pods_used[index] += sign;
        self.cpu_assumed[index] += sign * pod.assumed.0;
        self.memory_assumed[index] += sign * pod.assumed.1;
        for (name, amount) in &requests.extended {
            let used = self.extended_used[index].entry(name.clone()).or_default();
            *used += sign * amount;
            if *used == 0 {
                self.extended_used[index].remove(name);
            }
        }
    }
}
