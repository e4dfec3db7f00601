//! What `keelson datapath status` shows.

use super::{Backend, Engine};
use serde::Serialize;
use std::collections::BTreeMap;

/// The state of one node's data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `ebpf` or `iptables`.
    pub backend: &'static str,
    /// Why it is not eBPF, if it is not.
    pub reason: String,
    /// The node's pod range, once it has one.
    pub pod_range: Option<String>,
    /// Attached sandboxes.
    pub pods: usize,
    /// Service ports in the tables.
    pub services: usize,
    /// Packets and calls by hook.
    pub hooks: BTreeMap<&'static str, u64>,
    /// Refusals by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Instructions that the verifier walked, by program.
    pub verified: BTreeMap<&'static str, u32>,
    /// Objects that cannot be served, and why.
    pub problems: Vec<String>,
    /// Why the tables are not in the kernel, if they are not.
    pub behind: Option<String>,
}

impl Engine {
    /// The state now. Counters that cannot be read are left out.
    pub fn status(&self) -> Status {
        let mut status = Status {
            pod_range: self.ipam.as_ref().map(|ipam| ipam.range().to_string()),
            pods: self.attachments.all().len(),
            problems: self
                .compiler
                .problems()
                .iter()
                .map(|p| format!("{}: {}", p.object, p.message))
                .collect(),
            behind: self.failed.clone(),
            ..Status::default()
        };
        match &self.backend {
            Backend::Ebpf(ebpf) => {
                status.backend = "ebpf";
                status.services = ebpf.service_count();
                status.hooks = ebpf.hook_counts().unwrap_or_default();
                status.drops = ebpf.drop_counts().unwrap_or_default();
                status.verified = ebpf.verified_instructions();
            }
            Backend::Iptables(iptables) => {
                status.backend = "iptables";
                status.reason = iptables.reason().to_owned();
                status.services = iptables.service_count();
            }
        }
        status
    }
}
