//! The executor: holds the backend, the interfaces and the attachments of one node, and carries out what the
//! task has decided. It waits for the kernel only, never for another of our tasks.

mod pods;
mod setup;
mod status;

pub use pods::Added;
pub use setup::{Mode, OpenError, Settings};
pub use status::Status;

use crate::attachment::Attachments;
use crate::backend::ebpf::{Ebpf, WriteError};
use crate::backend::iptables::{Iptables, IptablesError};
use crate::ipam::{Exhausted, Ipam};
use crate::netlink::{Netlink, NetlinkError};
use crate::tables::{Compiler, Facts, HealthCheck, LocalPod, ServiceView, Touched, Views};
use keelson_client::views::{Key, Node, Pod};
use keelson_ebpf_abi::{Address, Endpoint};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// Either backend.
#[derive(Debug)]
pub enum Backend {
    /// Programs in the kernel.
    Ebpf(Box<Ebpf>),
    /// iptables, routes and forwarding entries.
    Iptables(Box<Iptables>),
}

/// Why something could not be carried out. What is temporary says so.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Interfaces, addresses, routes.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Programs.
    #[error(transparent)]
    Attach(#[from] crate::backend::ebpf::AttachError),
    /// Maps.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Rules and routes.
    #[error(transparent)]
    Iptables(#[from] IptablesError),
    /// Addresses.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The state folder.
    #[error("state folder: {0}")]
    State(#[from] io::Error),
    /// The node has no pod range yet; temporary.
    #[error("node {0} has no pod range yet")]
    NoRange(String),
    /// ADD came twice with different namespaces.
    #[error("container {0} has a network already")]
    Exists(String),
    /// CHECK found something else than ADD left.
    #[error("container {0} has no network of ours")]
    Unknown(String),
}

/// One node's data plane.
#[derive(Debug)]
pub struct Engine {
    compiler: Compiler,
    mtu: u32,
    netlink: Netlink,
    backend: Backend,
    attachments: Attachments,
    /// Where this node's pods are; the compiler adds their policy sets.
    endpoints: BTreeMap<Address, Endpoint>,
    ipam: Option<Ipam>,
    /// This node's pods, as the API has them.
    pods: Vec<Arc<Pod>>,
    /// Whether the tables hold the cluster's objects: before that, writing them would remove what an earlier agent
    /// wrote and this one merely does not know yet.
    has_views: bool,
    /// What the backend does not hold yet, beside what it was given last.
    pending: Touched,
    /// Whether the backend holds what it was given last; if not, it is given everything.
    is_written: bool,
    /// Why writing the tables failed last time; they are tried again with every change and tick.
    failed: Option<String>,
    started: Instant,
}

impl Engine {
    /// Takes new views and brings the backend there. The node's pods are what [`Self::set_pods`] says.
    pub async fn set_views(&mut self, mut views: Views) -> Result<(), EngineError> {
        views.pods = self.local_pods();
        self.compiler.set_views(&views);
        self.has_views = true;
        self.learn_range();
        self.apply().await
    }

    /// Takes Services that have changed and brings the backend there.
    pub async fn set_services(&mut self, services: Vec<ServiceView>) -> Result<(), EngineError> {
        services.into_iter().for_each(|service| self.compiler.set_service(service));
        if self.compiler.is_touched() || self.is_behind() { self.apply().await } else { Ok(()) }
    }

    /// Whether the tables hold the cluster's objects.
    pub fn has_views(&self) -> bool {
        self.has_views
    }

    /// Takes the Nodes, which the next write brings to the backend. True when every Service has to be taken anew.
    pub fn set_nodes(&mut self, nodes: &[Arc<Node>]) -> bool {
        let is_other = self.compiler.set_nodes(nodes);
        self.learn_range();
        is_other
    }

    /// Takes this node's pods. When it returns without an error, the host ports of those that have a network are in
    /// force and those of others are not.
    pub async fn set_pods(&mut self, pods: Vec<Arc<Pod>>) -> Result<(), EngineError> {
        self.pods = pods;
        self.apply_pods().await
    }

    async fn apply_pods(&mut self) -> Result<(), EngineError> {
        let pods = self.local_pods();
        self.compiler.set_pods(&pods);
        if self.compiler.is_touched() { self.apply().await } else { Ok(()) }
    }

    /// Brings the backend to the tables as they are now.
    pub async fn apply(&mut self) -> Result<(), EngineError> {
        if !self.has_views {
            return Ok(());
        }
        self.compiler.set_endpoints(&self.endpoints);
        self.pending.extend(self.compiler.take_touched());
        let tables = self.compiler.tables();
        let written = match &mut self.backend {
            Backend::Ebpf(ebpf) => {
                let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let written = match self.is_written {
                    true => ebpf.apply_touched(tables, &self.pending, now_ms),
                    false => ebpf.apply(tables, now_ms),
                };
                written.map_err(EngineError::from)
            }
            Backend::Iptables(iptables) => iptables.apply(&self.netlink, tables).await.map_err(Into::into),
        };
        self.failed = written.as_ref().err().map(ToString::to_string);
        self.is_written = written.is_ok();
        self.pending = Touched::default();
        written
    }

    /// Whether the last attempt to write the tables failed.
    pub fn is_behind(&self) -> bool {
        self.failed.is_some()
    }

    /// What load balancers ask this node for, by port.
    pub fn health_checks(&self) -> &BTreeMap<u16, HealthCheck> {
        &self.compiler.tables().health
    }

    /// The data plane's sweep, where the backend has one; it runs beside the task.
    pub fn sweeper(&self) -> Option<crate::backend::ebpf::Sweeper> {
        match &self.backend {
            Backend::Ebpf(ebpf) => Some(ebpf.sweeper()),
            Backend::Iptables(_) => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn ebpf(&self) -> Option<&Ebpf> {
        match &self.backend {
            Backend::Ebpf(ebpf) => Some(ebpf),
            Backend::Iptables(_) => None,
        }
    }

    fn facts(&self) -> &Facts {
        self.compiler.facts()
    }

    /// The pods with host ports that have a network.
    fn local_pods(&self) -> Vec<LocalPod> {
        let with_ports = self.pods.iter().filter(|pod| crate::tables::has_host_ports(pod));
        let by_name: HashMap<Key, &Arc<Pod>> = with_ports.map(|pod| (pod.metadata.key(), pod)).collect();
        let attachments = self.attachments.all().values();
        let local = attachments.filter_map(|attachment| {
            let pod = *by_name.get(&Key::new(&attachment.pod_namespace, &attachment.pod_name))?;
            // A sandbox may belong to a pod of the same name that is gone.
            let same = attachment.pod_uid.is_empty() || attachment.pod_uid == pod.metadata.uid;
            same.then(|| LocalPod { pod: pod.clone(), address: attachment.address() })
        });
        local.collect()
    }

    /// Takes the node's pod range from its view; the first one stays, as a range never changes.
    fn learn_range(&mut self) {
        if self.ipam.is_some() {
            return;
        }
        if let Some(range) = self.compiler.tables().range {
            let taken = self.attachments.all().values().map(|attachment| attachment.address());
            self.ipam = Some(Ipam::new(range, taken));
        }
    }
}
