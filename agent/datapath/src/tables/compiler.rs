//! Tables that are kept: what changes in the API is compiled anew, all else stays as it is.

use super::services::{Catalog, OwnNode, Owner, compile, host_ports};
use super::{Facts, LocalPod, Policy, Problem, Tables, Views, own_range, peers};
use keelson_client::views::{EndpointSlice, Key, Node, Service};
use keelson_ebpf_abi::{Address, Endpoint, ServiceKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// One Service as it is now.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its name.
    pub key: Key,
    /// The Service; `None` when it is gone.
    pub service: Option<Arc<Service>>,
    /// The slices that name it.
    pub slices: Vec<Arc<EndpointSlice>>,
}

/// What a backend has to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Keys of services that were added, changed or removed.
    pub services: BTreeSet<ServiceKey>,
    /// Whether peers, pods or their policy have changed.
    pub others: bool,
}

impl Touched {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && !self.others
    }

    /// Adds what else there is to look at.
    pub fn extend(&mut self, more: Self) {
        self.services.extend(more.services);
        self.others |= more.others;
    }
}

/// The tables with all that they are made from.
#[derive(Clone, Debug)]
pub struct Compiler {
    facts: Facts,
    node: OwnNode,
    catalog: Catalog,
    pods: Vec<LocalPod>,
    /// `None` until the first views: what an earlier agent's was, this one does not know.
    policy: Option<Policy>,
    /// Where the pods of this node are.
    networks: BTreeMap<Address, Endpoint>,
    tables: Tables,
    peer_problems: Vec<Problem>,
    touched: Touched,
}

impl Compiler {
    /// Tables of a node that knows nothing of its cluster yet.
    pub fn new(facts: Facts) -> Self {
        let tables = Tables {
            config: facts.config(),
            range: None,
            services: BTreeMap::new(),
            peers: peers::build(&facts, &[], &mut Vec::new()),
            endpoints: BTreeMap::new(),
            health: BTreeMap::new(),
        };
        Self {
            node: own_node(&facts, &[]),
            facts,
            catalog: Catalog::default(),
            pods: Vec::new(),
            policy: None,
            networks: BTreeMap::new(),
            tables,
            peer_problems: Vec::new(),
            touched: Touched { others: true, ..Touched::default() },
        }
    }

    /// The tables now.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The node's own facts.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What cannot be served.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = self.peer_problems.clone();
        all.extend(self.catalog.problems());
        all
    }

    /// Whether something has changed that was not taken yet.
    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// What has changed since this was asked last.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// Takes everything anew.
    pub fn set_views(&mut self, views: &Views) {
        self.set_nodes(&views.nodes);
        let mut by_service: HashMap<Key, Vec<Arc<EndpointSlice>>> = HashMap::new();
        for slice in &views.slices {
            if let Some(service) = slice.service_name() {
                let key = Key::new(&slice.metadata.namespace, service);
                by_service.entry(key).or_default().push(slice.clone());
            }
        }
        let mut gone: BTreeSet<Key> = self.known_services();
        for service in &views.services {
            let key = service.metadata.key();
            let slices = by_service.remove(&key).unwrap_or_default();
            gone.remove(&key);
            self.put_service(ServiceView { key, service: Some(service.clone()), slices });
        }
        for key in gone {
            self.put_service(ServiceView { key, service: None, slices: Vec::new() });
        }
        self.tables.health = self.catalog.health();
        self.set_pods(&views.pods);
        self.set_policy(&views.policy);
    }

    /// Goes on from the epoch that an earlier agent has left in the maps. Its flows carry it and those before, so
    /// counting anew would come to an epoch that some of them seem to have been judged in.
    pub fn resume_epoch(&mut self, epoch: u32) {
        self.tables.config.policy_epoch = epoch;
    }

    fn known_services(&self) -> BTreeSet<Key> {
        let services = self.catalog.owners().filter_map(|owner| match owner {
            Owner::Service(key) => Some(key.clone()),
            Owner::Pod(..) => None,
        });
        services.collect()
    }

    /// Takes one Service anew.
    pub fn set_service(&mut self, view: ServiceView) {
        if self.put_service(view) {
            self.tables.health = self.catalog.health();
        }
    }

    /// Takes the Nodes anew. True when this node itself is another than before, so that every Service has to be
    /// taken anew, too.
    pub fn set_nodes(&mut self, nodes: &[Arc<Node>]) -> bool {
        self.peer_problems.clear();
        let peers = peers::build(&self.facts, nodes, &mut self.peer_problems);
        let range = own_range(&self.facts, nodes);
        if peers != self.tables.peers || range != self.tables.range {
            (self.tables.peers, self.tables.range) = (peers, range);
            self.touched.others = true;
        }
        let node = own_node(&self.facts, nodes);
        let changed = node != self.node;
        self.node = node;
        changed
    }

    /// Takes this node's pods anew.
    pub fn set_pods(&mut self, pods: &[LocalPod]) {
        let before = std::mem::replace(&mut self.pods, pods.to_vec());
        let now: BTreeSet<Owner> = pods.iter().map(LocalPod::owner).collect();
        for gone in before.iter().map(LocalPod::owner).filter(|owner| !now.contains(owner)) {
            self.put(gone, super::Compiled::default());
        }
        for pod in pods.iter().filter(|pod| !before.contains(pod)) {
            let compiled = host_ports(pod, &self.node);
            self.put(pod.owner(), compiled);
        }
    }

    /// Takes the networks of this node's pods anew; their sets are the policy's to say.
    pub fn set_endpoints(&mut self, networks: &BTreeMap<Address, Endpoint>) {
        if self.networks != *networks {
            self.networks = networks.clone();
            self.write_rows();
        }
    }

    /// The row of a pod of this node, by the policy as it is now.
    pub fn row(&self, address: Address, network: &Endpoint) -> Endpoint {
        self.policy.as_ref().map_or(*network, |policy| policy.row(address, network))
    }

    /// Takes the policy anew. Where it is another than before, or the first one, a new epoch begins: every flow is
    /// judged again.
    fn set_policy(&mut self, policy: &Policy) {
        if self.policy.as_ref() == Some(policy) {
            return;
        }
        self.policy = Some(policy.clone());
        let epoch = &mut self.tables.config.policy_epoch;
        *epoch = epoch.wrapping_add(1);
        self.touched.others = true;
        self.write_rows();
    }

    fn write_rows(&mut self) {
        let rows: BTreeMap<_, _> =
            self.networks.iter().map(|(address, network)| (*address, self.row(*address, network))).collect();
        if rows != self.tables.endpoints {
            self.tables.endpoints = rows;
            self.touched.others = true;
        }
    }

    /// True when what load balancers are told may have changed.
    fn put(&mut self, owner: Owner, compiled: super::Compiled) -> bool {
        self.catalog.put(owner, compiled, &mut self.tables.services, &mut self.touched.services)
    }

    fn put_service(&mut self, view: ServiceView) -> bool {
        let slices: Vec<&EndpointSlice> = view.slices.iter().map(Arc::as_ref).collect();
        let compiled = view.service.map(|service| compile(&service, &slices, &self.node));
        self.put(Owner::Service(view.key), compiled.unwrap_or_default())
    }
}

fn own_node(facts: &Facts, nodes: &[Arc<Node>]) -> OwnNode {
    let own = nodes.iter().find(|node| node.metadata.name == facts.node_name);
    let zone = own.and_then(|node| node.zone()).map(str::to_owned);
    OwnNode { name: facts.node_name.clone(), address: facts.node, zone }
}

impl LocalPod {
    /// The pod as what claims host ports.
    pub fn owner(&self) -> Owner {
        let meta = &self.pod.metadata;
        Owner::Pod(meta.key(), meta.uid.clone())
    }
}

#[cfg(test)]
mod tests;
