//! A pod's veth pair: a /32 inside, no address outside, a host route between.

use super::route::Route;
use super::{Interface, Netlink, NetlinkError, in_namespace, is_errno, refused, sysctl};
use crate::tables::{GATEWAY, GATEWAY_MAC, Prefix};
use keelson_ebpf_abi::Address;
use netlink_packet_route::link::{InfoData, InfoVeth};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// What a pod's network shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLink {
    /// Name of the host side.
    pub host_name: String,
    /// Name of the pod's side.
    pub pod_name: String,
    /// The pod's network namespace.
    pub namespace: PathBuf,
    /// The pod's address.
    pub address: Address,
    /// This node's address, with which it speaks to the pod.
    pub node: Address,
    /// MAC of the pod's side.
    pub mac: [u8; 6],
    /// MTU of both sides, bytes.
    pub mtu: u32,
}

/// The host side's name for an attachment: at most 15 characters, the same for the same attachment.
pub fn host_interface(container_id: &str, ifname: &str) -> String {
    // A fixed version of the hash: an agent must find the interfaces of the one before it.
    let name = format!("{container_id}\0{ifname}");
    let hash = rapidhash::v3::rapidhash_v3(name.as_bytes());
    format!("kp{:013x}", hash >> 12)
}

impl Netlink {
    /// Makes the pair and configures both ends; the host side is returned. A leftover of an earlier attempt
    /// is replaced.
    pub async fn add_pod(&self, link: &PodLink) -> Result<Interface, NetlinkError> {
        self.remove_interface(&link.host_name).await?;
        self.create_pair(link).await?;
        let inside = link.clone();
        in_namespace(&link.namespace, move || async move { Self::open()?.configure_inside(&inside).await })
            .await??;
        self.configure_outside(link).await
    }

    /// Whether both ends are as [`Self::add_pod`] left them.
    pub async fn check_pod(&self, link: &PodLink) -> Result<(), NetlinkError> {
        self.interface(&link.host_name).await?;
        let inside = link.clone();
        in_namespace(&link.namespace, move || async move {
            let netlink = Self::open()?;
            let interface = netlink.interface_with(inside.address).await?;
            if interface.name == inside.pod_name {
                Ok(())
            } else {
                Err(NetlinkError::NoInterface(inside.pod_name))
            }
        })
        .await?
    }

    async fn create_pair(&self, link: &PodLink) -> Result<(), NetlinkError> {
        let open = |source| super::NamespaceError::Enter { path: link.namespace.clone(), source };
        let namespace = std::fs::File::open(&link.namespace).map_err(open)?;
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(link.pod_name.clone())
            .address(link.mac.to_vec())
            .mtu(link.mtu)
            .setns_by_fd(namespace.as_raw_fd())
            .build();
        let pair = LinkVeth::new(&link.host_name, &link.pod_name)
            .address(GATEWAY_MAC.to_vec())
            .mtu(link.mtu)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        match self.handle.link().add(pair).execute().await {
            Err(error) if is_errno(&error, libc::EEXIST) => {
                let action = format!("create {} (the sandbox has an interface of this name)", link.pod_name);
                Err(refused(action, error))
            }
            result => result.map_err(|error| refused(format!("create {}", link.host_name), error)),
        }
    }

    async fn configure_inside(&self, link: &PodLink) -> Result<(), NetlinkError> {
        sysctl::no_ipv6(&link.pod_name);
        let loopback = self.interface("lo").await?;
        self.set_up(&loopback.name, loopback.index).await?;
        let interface = self.interface(&link.pod_name).await?;
        self.add_address(interface.index, link.address, 32).await?;
        self.set_up(&link.pod_name, interface.index).await?;
        let gateway = Address::from_bytes(GATEWAY);
        self.set_neighbour(interface.index, gateway, GATEWAY_MAC).await?;
        self.set_route(interface.index, &Route::direct(Prefix::host(gateway), None)).await?;
        let everywhere = Prefix { address: Address::from_v4_word(0), bits: Address::MAPPED_BITS };
        let route = Route { to: everywhere, via: Some(gateway), onlink: true, source: None };
        self.set_route(interface.index, &route).await
    }

    async fn configure_outside(&self, link: &PodLink) -> Result<Interface, NetlinkError> {
        sysctl::no_ipv6(&link.host_name);
        // A pod that reaches this host by a service does so from its gateway's address.
        let _ = sysctl::set(&format!("ipv4/conf/{}/rp_filter", link.host_name), "0");
        let interface = self.interface(&link.host_name).await?;
        self.set_up(&link.host_name, interface.index).await?;
        self.set_neighbour(interface.index, link.address, link.mac).await?;
        let route = Route::direct(Prefix::host(link.address), Some(link.node));
        self.set_route(interface.index, &route).await?;
        Ok(interface)
    }

    /// Brings an interface up.
    pub async fn set_up(&self, name: &str, index: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(index).up().build();
        let request = self.handle.link().set(message);
        request.execute().await.map_err(|error| refused(format!("bring {name} up"), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_fit_and_differ() {
        let one = host_interface("0123456789abcdef", "eth0");
        assert_eq!(one.len(), 15);
        assert_eq!(one, host_interface("0123456789abcdef", "eth0"));
        assert_ne!(one, host_interface("0123456789abcdef", "eth1"));
        assert_ne!(host_interface("ab", "c"), host_interface("a", "bc"));
    }
}
