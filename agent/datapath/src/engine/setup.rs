//! From settings to a node whose data plane stands: interfaces found and made, backend chosen, what an
//! earlier agent left taken over.

use super::{Backend, Engine, EngineError};
use crate::attachment::Attachments;
use crate::backend::ebpf::{self, AttachError, Ebpf, Sizes};
use crate::backend::iptables::{self, Iptables};
use crate::netlink::{Netlink, NetlinkError, Route, TUNNEL_NAME, TUNNEL_OVERHEAD, TunnelMode, sysctl};
use crate::tables::{Compiler, Facts, GATEWAY, Prefix, Touched};
use keelson_ebpf_abi::{Address, Config, Endpoint};
use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Instant;

/// Which backend to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// eBPF where the kernel takes it, else iptables.
    Auto,
    /// eBPF or nothing.
    Ebpf,
    /// iptables, whatever the kernel could do.
    Iptables,
}

/// What the node's data plane needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name in the API.
    pub node_name: String,
    /// The node's address.
    pub node: Address,
    /// Interface that leads out; the one with the node's address when none is named.
    pub outer_interface: Option<String>,
    /// Folder for attachments.
    pub state_dir: PathBuf,
    /// Pin folder on a bpffs; without one nothing outlives the process.
    pub pins: Option<PathBuf>,
    /// Folder of the cgroup v2 tree whose sockets are served.
    pub cgroup_root: Option<PathBuf>,
    /// All pods' addresses.
    pub cluster: Prefix,
    /// All services' addresses.
    pub services: Prefix,
    /// The cluster DNS address, served by the node itself.
    pub dns: Option<Address>,
    /// UDP port of the tunnel.
    pub vxlan_port: u16,
    /// Which backend.
    pub mode: Mode,
    /// Sizes of the maps.
    pub sizes: Sizes,
    /// Use clsact although the kernel may have tcx.
    pub clsact: bool,
}

/// VXLAN network identifier of a cluster's tunnels.
const VNI: u32 = 1;
/// Kubernetes' default range.
const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;
/// First port for masquerading where nothing else is configured: the kernel gives sockets ports below.
const NAT_FIRST: u16 = 61_000;
/// With fewer ports than this masquerading would fail under ordinary load.
const NAT_PORTS_MIN: u16 = 1_024;

/// Why a node's data plane does not stand.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Interfaces.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// eBPF was asked for and the kernel refuses it.
    #[error("the eBPF backend cannot be used: {0}")]
    Ebpf(#[from] AttachError),
    /// Everything else.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The state folder.
    #[error("state folder {path}: {source}")]
    State {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Local sockets are given nearly all ports.
    #[error(
        "local sockets use ports up to {0} (net.ipv4.ip_local_port_range): \
         too few are left above them for masquerading"
    )]
    NoNatPorts(u16),
}

impl Engine {
    /// Sets up the node and takes over what is there.
    pub async fn open(settings: &Settings) -> Result<Self, OpenError> {
        let netlink = Netlink::open()?;
        let outer = match &settings.outer_interface {
            Some(name) => netlink.interface(name).await?,
            None => netlink.interface_with(settings.node).await?,
        };
        let nat_ports = nat_ports(&sysctl::get("ipv4/ip_local_port_range").unwrap_or_default())?;
        let mtu = outer.mtu.saturating_sub(TUNNEL_OVERHEAD).max(576);
        let mut facts = Facts {
            node_name: settings.node_name.clone(),
            node: settings.node,
            outer_ifindex: outer.index,
            vxlan_ifindex: 0,
            vni: VNI,
            cluster: settings.cluster,
            services: settings.services,
            dns: settings.dns,
            node_ports: NODE_PORTS,
            nat_ports,
            flags: Config::CHECK_TUNNEL,
        };
        let mut backend = choose(settings).await?;
        leave_other(settings, &backend, &outer.name).await?;
        let mode = match backend {
            Backend::Ebpf(_) => TunnelMode::External,
            Backend::Iptables(_) => TunnelMode::Forwarding { vni: VNI },
        };
        if let Some(dns) = settings.dns {
            let loopback = netlink.interface("lo").await?;
            netlink.set_up("lo", loopback.index).await?;
            netlink.add_address(loopback.index, dns, if dns.is_v4() { 32 } else { 128 }).await?;
        }
        let tunnel = netlink.ensure_tunnel(mode, settings.node, settings.vxlan_port, mtu).await?;
        facts.vxlan_ifindex = tunnel.index;
        let mut compiler = Compiler::new(facts);
        if let Backend::Ebpf(ebpf) = &mut backend {
            compiler.resume_epoch(ebpf.policy_epoch().map_err(EngineError::from)?);
            ebpf.set_config(&compiler.tables().config).map_err(EngineError::from)?;
            ebpf.attach_node((&outer.name, outer.index), (TUNNEL_NAME, tunnel.index))?;
            // What the host sends to pods elsewhere; each node's range leads by the programs.
            let route = Route::direct(settings.cluster, Some(settings.node));
            netlink.set_route(tunnel.index, &route).await?;
            // What the host answers to a pod that reached it by a service.
            let gateway = Prefix::host(Address::from_bytes(GATEWAY));
            netlink.set_route(tunnel.index, &Route::direct(gateway, Some(settings.node))).await?;
        }
        let folder = settings.state_dir.join("attachments");
        let (attachments, unreadable) =
            Attachments::open(&folder).map_err(|source| OpenError::State { path: folder, source })?;
        for path in unreadable {
            tracing::warn!(path = %path.display(), "not an attachment; left alone");
        }
        let mut engine = Self {
            compiler,
            mtu,
            netlink,
            backend,
            attachments,
            endpoints: BTreeMap::new(),
            ipam: None,
            pods: Vec::new(),
            has_views: false,
            pending: Touched::default(),
            is_written: false,
            failed: None,
            started: Instant::now(),
        };
        engine.adopt().await?;
        Ok(engine)
    }

    /// Takes over the pods of an earlier agent; what has no interface any more is forgotten.
    async fn adopt(&mut self) -> Result<(), EngineError> {
        let known: Vec<_> = self.attachments.all().values().cloned().collect();
        for attachment in known {
            match self.netlink.interface(&attachment.host_interface).await {
                Ok(interface) => {
                    let endpoint =
                        Endpoint { ifindex: interface.index, mac: attachment.mac, ..Endpoint::default() };
                    self.endpoints.insert(attachment.address(), endpoint);
                    match &mut self.backend {
                        Backend::Ebpf(ebpf) => ebpf.attach_pod(&interface.name)?,
                        Backend::Iptables(_) => {
                            ebpf::detach_clsact(&interface.name);
                            iptables::let_loopback_in(&interface.name);
                        }
                    }
                }
                Err(NetlinkError::NoInterface(_)) => {
                    self.attachments.remove(&attachment.key)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let names: std::collections::BTreeSet<_> =
            self.netlink.interface_names().await?.into_iter().collect();
        if let Backend::Ebpf(ebpf) = &self.backend {
            ebpf.prune(|interface| names.contains(interface))?;
        }
        Ok(())
    }
}

/// Chooses the backend by trying.
async fn choose(settings: &Settings) -> Result<Backend, OpenError> {
    if settings.mode == Mode::Iptables {
        return fall_back("asked for").await;
    }
    let setup = ebpf::Setup {
        pins: settings.pins.clone(),
        cgroup_root: settings.cgroup_root.clone(),
        sizes: settings.sizes,
        clsact: settings.clsact,
    };
    match Ebpf::open(&setup) {
        Ok(ebpf) => Ok(Backend::Ebpf(Box::new(ebpf))),
        Err(error) if settings.mode == Mode::Auto => {
            tracing::warn!(%error, "eBPF cannot be used; falling back to iptables");
            fall_back(&error.to_string()).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes out what an agent with the other backend has left. Which one it was is written down, because asking
/// the kernel for iptables rules would have it load the tables.
async fn leave_other(settings: &Settings, backend: &Backend, outer: &str) -> Result<(), OpenError> {
    let path = settings.state_dir.join("backend");
    let state = |source| OpenError::State { path: path.clone(), source };
    let (now, other) = match backend {
        Backend::Ebpf(_) => ("ebpf", "iptables"),
        Backend::Iptables(_) => ("iptables", "ebpf"),
    };
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if before == other {
        tracing::info!(from = other, to = now, "the backend changes");
        if now == "iptables" {
            ebpf::detach_clsact(outer);
        }
        match (backend, &settings.pins) {
            (Backend::Ebpf(_), _) => iptables::remove_all().await.map_err(EngineError::from)?,
            (Backend::Iptables(_), Some(pins)) => ebpf::remove_pins(pins, false).map_err(state)?,
            (Backend::Iptables(_), None) => {}
        }
    }
    if let (Backend::Ebpf(_), Some(pins)) = (backend, &settings.pins) {
        ebpf::remove_pins(pins, true).map_err(state)?;
    }
    std::fs::create_dir_all(&settings.state_dir).and_then(|()| std::fs::write(&path, now)).map_err(state)
}

async fn fall_back(reason: &str) -> Result<Backend, OpenError> {
    let iptables = Iptables::open(reason).await.map_err(EngineError::from)?;
    Ok(Backend::Iptables(Box::new(iptables)))
}

/// The ports above those that local sockets are given.
fn nat_ports(local_range: &str) -> Result<RangeInclusive<u16>, OpenError> {
    let last: u16 =
        local_range.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(60_999);
    let first = NAT_FIRST.max(last.saturating_add(1));
    if u16::MAX - first < NAT_PORTS_MIN { Err(OpenError::NoNatPorts(last)) } else { Ok(first..=u16::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masquerading_stays_clear_of_local_sockets() {
        assert_eq!(nat_ports("32768\t60999").unwrap(), 61_000..=65_535);
        assert_eq!(nat_ports("32768\t63000").unwrap(), 63_001..=65_535);
        assert_eq!(nat_ports("").unwrap(), 61_000..=65_535);
        assert!(nat_ports("1024\t65535").is_err());
    }
}
