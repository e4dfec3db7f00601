//! Permanent neighbours, so that nobody asks by ARP, and forwarding entries of the tunnel.

use super::{Netlink, NetlinkError, is_errno, refused};
use keelson_ebpf_abi::Address;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourState};

impl Netlink {
    /// Says once and for all which MAC an address has.
    pub async fn set_neighbour(
        &self,
        index: u32,
        address: Address,
        mac: [u8; 6],
    ) -> Result<(), NetlinkError> {
        let request = self
            .handle
            .neighbours()
            .add(index, address.to_ip())
            .link_layer_address(&mac)
            .state(NeighbourState::Permanent)
            .replace();
        request.execute().await.map_err(|error| refused(format!("neighbour {address}"), error))
    }

    /// Says behind which node a MAC of the tunnel lies.
    pub async fn set_forwarding(&self, index: u32, mac: [u8; 6], node: Address) -> Result<(), NetlinkError> {
        let mut request = self
            .handle
            .neighbours()
            .add(index, node.to_ip())
            .link_layer_address(&mac)
            .state(NeighbourState::Permanent)
            .flags(NeighbourFlags::Own)
            .replace();
        request.message_mut().header.family = netlink_packet_route::AddressFamily::Bridge;
        request.execute().await.map_err(|error| refused(format!("forwarding to {node}"), error))
    }

    /// Removes a neighbour; one that is gone is fine.
    pub async fn remove_neighbour(&self, index: u32, address: Address) -> Result<(), NetlinkError> {
        let mut add = self.handle.neighbours().add(index, address.to_ip());
        let message = add.message_mut().clone();
        match self.handle.neighbours().del(message).execute().await {
            Err(error) if is_errno(&error, libc::ENOENT) => Ok(()),
            result => result.map_err(|error| refused(format!("remove neighbour {address}"), error)),
        }
    }

    /// Removes a forwarding entry; one that is gone is fine.
    pub async fn remove_forwarding(
        &self,
        index: u32,
        mac: [u8; 6],
        node: Address,
    ) -> Result<(), NetlinkError> {
        let mut add = self
            .handle
            .neighbours()
            .add(index, node.to_ip())
            .link_layer_address(&mac)
            .flags(NeighbourFlags::Own);
        add.message_mut().header.family = netlink_packet_route::AddressFamily::Bridge;
        let message = add.message_mut().clone();
        match self.handle.neighbours().del(message).execute().await {
            Err(error) if is_errno(&error, libc::ENOENT) => Ok(()),
            result => result.map_err(|error| refused(format!("remove forwarding to {node}"), error)),
        }
    }
}
