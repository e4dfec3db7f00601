//! The fallback: the same tables as iptables rules, routes and forwarding entries.
//!
//! Rules are written as one `iptables-restore` text, which the kernel takes whole or not at all; chains that
//! are not ours are never touched beyond one jump. Routes, neighbours and forwarding entries lead to other
//! nodes' pods, as the kernel's own VXLAN wants them.

mod kernel;
mod rules;
mod ruleset;

pub use rules::render;
pub use ruleset::Ruleset;

use crate::netlink::{Netlink, NetlinkError, Route, TUNNEL_NAME, TunnelMode, sysctl};
use crate::tables::Tables;
use keelson_ebpf_abi::{Address, Peer, PeerKey};
use std::collections::BTreeMap;
use std::io;

/// Why the rules are not in the kernel.
#[derive(Debug, thiserror::Error)]
pub enum IptablesError {
    /// A command could not be run.
    #[error("running {command}: {source}")]
    Run {
        /// The command.
        command: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A command failed.
    #[error("{command}: {message}")]
    Command {
        /// The command.
        command: &'static str,
        /// What it said.
        message: String,
    },
    /// Routes and forwarding entries.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// The fallback backend.
#[derive(Debug)]
pub struct Iptables {
    reason: String,
    /// What is in the kernel.
    written: Ruleset,
    services: usize,
    /// Other nodes' pod ranges with the nodes, as they are routed.
    routed: BTreeMap<PeerKey, Address>,
}

impl Iptables {
    /// Makes the chains and lets the kernel forward. A kernel or host without iptables fails here.
    pub async fn open(reason: &str) -> Result<Self, IptablesError> {
        let forward = sysctl::set("ipv4/ip_forward", "1");
        forward.map_err(|source| IptablesError::Run { command: "sysctl net.ipv4.ip_forward", source })?;
        let left = Ruleset::unknown("nat", kernel::service_chains().await?);
        // Rules of an earlier agent stay until the first tables are there: flows go on meanwhile.
        if kernel::add_jumps().await.is_err() {
            kernel::restore(&Ruleset::default().restore(&rules::empty())).await?;
            kernel::add_jumps().await?;
        }
        Ok(Self { reason: reason.to_owned(), written: left, services: 0, routed: BTreeMap::new() })
    }

    /// Why this backend was chosen.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Service ports in the rules.
    pub fn service_count(&self) -> usize {
        self.services
    }

    /// Brings rules and routes to the tables.
    pub async fn apply(&mut self, netlink: &Netlink, tables: &Tables) -> Result<(), IptablesError> {
        self.route(netlink, tables).await?;
        let wanted = render(tables);
        let text = self.written.restore(&wanted);
        if !text.is_empty() {
            if let Err(error) = kernel::restore(&text).await {
                // One table may have been taken and another not.
                self.written = self.written.forgotten();
                return Err(error);
            }
            self.written = wanted;
        }
        self.services = tables.services.len();
        Ok(())
    }

    async fn route(&mut self, netlink: &Netlink, tables: &Tables) -> Result<(), IptablesError> {
        let pods = tables.peers.iter().filter(|(_, peer)| peer.kind == Peer::PODS);
        let wanted: BTreeMap<PeerKey, Address> = pods.map(|(key, peer)| (*key, peer.tunnel)).collect();
        if wanted == self.routed {
            return Ok(());
        }
        let index = netlink.interface(TUNNEL_NAME).await?.index;
        let mode = TunnelMode::Forwarding { vni: tables.config.vni };
        let Some(range) = tables.range else { return Ok(()) };
        netlink.add_address(index, range.address, 32).await?;
        for (key, node) in wanted.iter().filter(|(key, node)| self.routed.get(key) != Some(node)) {
            let mac = mode.mac(*node);
            netlink.set_forwarding(index, mac, *node).await?;
            // The far device answers by the first address of its range, which no pod has.
            netlink.set_neighbour(index, key.address, mac).await?;
            netlink.set_route(index, &by_node(key, range.address)).await?;
        }
        for (key, node) in self.routed.iter().filter(|(key, _)| !wanted.contains_key(key)) {
            netlink.remove_route(index, &by_node(key, range.address)).await?;
            netlink.remove_neighbour(index, key.address).await?;
            if !wanted.values().any(|other| other == node) {
                netlink.remove_forwarding(index, mode.mac(*node), *node).await?;
            }
        }
        self.routed = wanted;
        Ok(())
    }
}

/// Lets the answers of host ports that were asked by a loopback address come in through a pod's interface; the rules
/// keep all else of that kind out. The interface may have gone meanwhile.
pub fn let_loopback_in(interface: &str) {
    let _ = sysctl::set(&format!("ipv4/conf/{interface}/route_localnet"), "1");
}

/// Takes all rules of ours out of the kernel.
pub async fn remove_all() -> Result<(), IptablesError> {
    kernel::remove(&kernel::service_chains().await?).await
}

fn by_node(key: &PeerKey, source: Address) -> Route {
    let to = crate::tables::Prefix { address: key.address, bits: key.prefix_bits };
    Route { to, via: Some(key.address), onlink: true, source: Some(source) }
}

#[cfg(test)]
mod tests;
