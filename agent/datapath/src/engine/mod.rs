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
use crate::tables::{Facts, Problem, Tables, Views, own_range};
use keelson_ebpf_abi::{Address, Endpoint};
use std::collections::BTreeMap;
use std::io;
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
    facts: Facts,
    mtu: u32,
    netlink: Netlink,
    backend: Backend,
    attachments: Attachments,
    endpoints: BTreeMap<Address, Endpoint>,
    ipam: Option<Ipam>,
    views: Views,
    problems: Vec<Problem>,
    /// Why writing the tables failed last time; they are tried again with every change and tick.
    failed: Option<String>,
    started: Instant,
}

impl Engine {
    /// Takes new views and brings the backend there.
    pub async fn set_views(&mut self, views: Views) -> Result<(), EngineError> {
        self.views = views;
        self.learn_range();
        self.apply().await
    }

    /// Brings the backend to the tables as they are now.
    pub async fn apply(&mut self) -> Result<(), EngineError> {
        let (tables, problems) = Tables::build(&self.facts, &self.views, &self.endpoints);
        self.problems = problems;
        let written = match &mut self.backend {
            Backend::Ebpf(ebpf) => {
                let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
                ebpf.apply(&tables, now_ms).map_err(EngineError::from)
            }
            Backend::Iptables(iptables) => iptables.apply(&self.netlink, &tables).await.map_err(Into::into),
        };
        self.failed = written.as_ref().err().map(ToString::to_string);
        written
    }

    /// Whether the last attempt to write the tables failed.
    pub fn is_behind(&self) -> bool {
        self.failed.is_some()
    }

    /// The data plane's sweep, where the backend has one; it runs beside the task.
    pub fn sweeper(&self) -> Option<crate::backend::ebpf::Sweeper> {
        match &self.backend {
            Backend::Ebpf(ebpf) => Some(ebpf.sweeper()),
            Backend::Iptables(_) => None,
        }
    }

    /// Takes the node's pod range from its view; the first one stays, as a range never changes.
    fn learn_range(&mut self) {
        if self.ipam.is_some() {
            return;
        }
        let range = own_range(&self.facts, &self.views.nodes);
        if let Some(range) = range {
            let taken = self.attachments.all().values().map(|attachment| attachment.address());
            self.ipam = Some(Ipam::new(range, taken));
        }
    }
}
