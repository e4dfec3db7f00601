//! Interfaces, addresses, routes and neighbours: all of the agent's netlink work.
//!
//! IPv4 addresses appear as 32 bits here and below only, where the kernel's messages want them.

mod namespace;
mod neighbour;
mod pod;
mod route;
pub mod sysctl;
mod tunnel;

pub use namespace::{NamespaceError, in_namespace};
pub use pod::{PodLink, host_interface};
pub use route::Route;
pub use tunnel::{TUNNEL_NAME, TUNNEL_OVERHEAD, TunnelMode};

use futures::TryStreamExt;
use keelson_ebpf_abi::Address;
use netlink_packet_route::link::LinkAttribute;
use rtnetlink::Handle;
use std::io;
use std::net::Ipv4Addr;
use tokio::task::AbortHandle;

/// Why the network could not be made as wanted.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused a message.
    #[error("{action}: {source}")]
    Kernel {
        /// What was tried.
        action: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// An interface is not there.
    #[error("no interface {0}")]
    NoInterface(String),
    /// A pod's namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The address is of a family that this node's network does not carry.
    #[error("{0} is not an IPv4 address")]
    Family(Address),
}

/// A netlink connection to one network namespace: that of the thread that opened it.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: Handle,
    _connection: std::sync::Arc<Connection>,
}

/// The connection's task ends with the last handle.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Its MTU, bytes.
    pub mtu: u32,
}

impl Netlink {
    /// Opens a connection in the calling thread's namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let task = tokio::spawn(connection);
        Ok(Self { handle, _connection: std::sync::Arc::new(Connection(task.abort_handle())) })
    }

    /// An interface by name.
    pub async fn interface(&self, name: &str) -> Result<Interface, NetlinkError> {
        let mut links = self.handle.link().get().match_name(name).execute();
        let message = match links.try_next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(NetlinkError::NoInterface(name.to_owned())),
            Err(error) if is_errno(&error, libc::ENODEV) => {
                return Err(NetlinkError::NoInterface(name.to_owned()));
            }
            Err(error) => return Err(refused(format!("look up {name}"), error)),
        };
        let mut interface =
            Interface { index: message.header.index, name: name.to_owned(), mac: [0; 6], mtu: 0 };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::Address(bytes) => interface.mac = bytes.try_into().unwrap_or_default(),
                LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
                _ => {}
            }
        }
        Ok(interface)
    }

    /// The interface that has an address.
    pub async fn interface_with(&self, address: Address) -> Result<Interface, NetlinkError> {
        let wanted = address.to_ip();
        let request = self.handle.address().get().set_address_filter(wanted);
        let found = request.execute().try_next().await;
        let index = match found {
            Ok(Some(message)) => message.header.index,
            Ok(None) => return Err(NetlinkError::NoInterface(format!("with address {address}"))),
            Err(error) => return Err(refused(format!("look up address {address}"), error)),
        };
        let mut links = self.handle.link().get().match_index(index).execute();
        let name = match links.try_next().await {
            Ok(Some(message)) => message.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            }),
            Ok(None) => None,
            Err(error) => return Err(refused(format!("look up interface {index}"), error)),
        };
        self.interface(&name.ok_or_else(|| NetlinkError::NoInterface(index.to_string()))?).await
    }

    /// Removes an interface; one that is gone is fine.
    pub async fn remove_interface(&self, name: &str) -> Result<(), NetlinkError> {
        let index = match self.interface(name).await {
            Ok(interface) => interface.index,
            Err(NetlinkError::NoInterface(_)) => return Ok(()),
            Err(error) => return Err(error),
        };
        match self.handle.link().del(index).execute().await {
            Err(error) if is_errno(&error, libc::ENODEV) => Ok(()),
            result => result.map_err(|error| refused(format!("remove {name}"), error)),
        }
    }

    /// Adds an address to an interface; one that is there is fine.
    pub async fn add_address(&self, index: u32, address: Address, bits: u8) -> Result<(), NetlinkError> {
        let request = self.handle.address().add(index, address.to_ip(), bits).replace();
        request.execute().await.map_err(|error| refused(format!("add address {address}"), error))
    }

    /// Every interface's name.
    pub async fn interface_names(&self) -> Result<Vec<String>, NetlinkError> {
        let links: Vec<_> = self
            .handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| refused("list interfaces".to_owned(), error))?;
        let name = |message: netlink_packet_route::link::LinkMessage| {
            message.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            })
        };
        Ok(links.into_iter().filter_map(name).collect())
    }
}

fn v4(address: Address) -> Result<Ipv4Addr, NetlinkError> {
    match address.to_ip() {
        std::net::IpAddr::V4(ip) => Ok(ip),
        std::net::IpAddr::V6(_) => Err(NetlinkError::Family(address)),
    }
}

fn refused(action: String, error: rtnetlink::Error) -> NetlinkError {
    let source = match &error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    };
    NetlinkError::Kernel { action, source }
}

fn is_errno(error: &rtnetlink::Error, errno: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -errno)
}
