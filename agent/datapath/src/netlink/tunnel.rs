//! The VXLAN device.

use super::{Interface, Netlink, NetlinkError, refused, sysctl, v4};
use keelson_ebpf_abi::Address;
use rtnetlink::LinkVxlan;

/// Its name in the node's namespace.
pub const TUNNEL_NAME: &str = "keelson-vxlan";

/// Bytes that VXLAN over IPv4 adds to a frame.
pub const TUNNEL_OVERHEAD: u32 = 50;

/// How packets find the node at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelMode {
    /// By the key that eBPF sets per packet: no forwarding database, no neighbours.
    External,
    /// By forwarding entries and neighbours in the kernel, for the iptables backend.
    Forwarding {
        /// VXLAN network identifier.
        vni: u32,
    },
}

impl TunnelMode {
    /// The MAC of a node's device. It differs by node, because VXLAN drops frames whose source is the
    /// receiver's own MAC as an echo; and by mode, which tells our devices apart.
    pub fn mac(self, node: Address) -> [u8; 6] {
        let bytes = node.bytes();
        let mode = match self {
            Self::External => 0x6b,
            Self::Forwarding { .. } => 0x6c,
        };
        [0x02, mode, bytes[12], bytes[13], bytes[14], bytes[15]]
    }
}

impl Netlink {
    /// Finds or makes the tunnel device. One of another mode is replaced.
    pub async fn ensure_tunnel(
        &self,
        mode: TunnelMode,
        node: Address,
        port: u16,
        mtu: u32,
    ) -> Result<Interface, NetlinkError> {
        let wanted_mac = mode.mac(node);
        match self.interface(TUNNEL_NAME).await {
            Ok(found) if found.mac == wanted_mac && found.mtu == mtu => return Ok(found),
            Ok(_) => self.remove_interface(TUNNEL_NAME).await?,
            Err(NetlinkError::NoInterface(_)) => {}
            Err(error) => return Err(error),
        }
        let builder = match mode {
            // Nobody is asked for MACs: receivers take the frame whatever it says.
            TunnelMode::External => {
                rtnetlink::LinkMessageBuilder::<LinkVxlan>::new(TUNNEL_NAME).collect_metadata(true).arp(false)
            }
            TunnelMode::Forwarding { vni } => LinkVxlan::new(TUNNEL_NAME, vni).local(v4(node)?),
        };
        let message = builder.port(port).learning(false).mtu(mtu).address(wanted_mac.to_vec()).build();
        let request = self.handle.link().add(message);
        request.execute().await.map_err(|error| refused(format!("create {TUNNEL_NAME}"), error))?;
        sysctl::no_ipv6(TUNNEL_NAME);
        let interface = self.interface(TUNNEL_NAME).await?;
        self.set_up(TUNNEL_NAME, interface.index).await?;
        Ok(interface)
    }
}
