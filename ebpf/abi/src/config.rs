//! The node's own facts: the one entry of the CONFIG map.

use crate::{Address, Be16};

/// What every program needs to know about this node.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The node's address, by which it masquerades and answers NodePorts.
    pub node: Address,
    /// The cluster DNS address: served by this node itself, never translated. Unspecified when unused.
    pub node_local: Address,
    /// The pods' gateway, also the source that a pod sees when it reaches itself through a service.
    pub gateway: Address,
    /// Cookie of the node's own network namespace: only its processes reach this node's loopback addresses.
    pub netns_cookie: u64,
    /// Interface that leads out of the node.
    pub outer_ifindex: u32,
    /// The VXLAN device, in external mode.
    pub vxlan_ifindex: u32,
    /// VXLAN network identifier.
    pub vni: u32,
    /// Advanced with every policy change, after all else that the change writes; flows of another epoch are
    /// judged again.
    pub policy_epoch: u32,
    /// First port used for masquerading; no local socket is given one from here on.
    pub nat_first: u16,
    /// Number of ports used for masquerading.
    pub nat_count: u16,
    /// First port of the NodePort range.
    pub node_port_first: u16,
    /// Last port of the NodePort range.
    pub node_port_last: u16,
    /// [`Config::TRACE`], [`Config::CHECK_TUNNEL`].
    pub flags: u32,
    /// [`crate::LAYOUT`] of the agent that wrote this.
    pub layout: u32,
    /// Source MAC of frames handed to a pod: its gateway's.
    pub gateway_mac: [u8; 6],
    /// Padding, always zero.
    pub reserved: Be16,
}

impl Config {
    /// Record each verdict in the TRACE map.
    pub const TRACE: u32 = 1;
    /// Refuse tunnelled packets whose outer source is not the node that owns the inner source.
    pub const CHECK_TUNNEL: u32 = 2;
}
