//! What the machine says of itself: its name, its address, the interface towards other nodes.

use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "this machine has no default route to tell its address by; set nodeIP in the agent's configuration"
    )]
    NoAddress,
    #[error("no interface has the address {0}; set nodeIP or outerInterface in the agent's configuration")]
    NoInterface(IpAddr),
    #[error(
        "the host name {0:?} cannot be a node's name (lower-case letters, digits, '-' and '.'); set nodeName"
    )]
    Name(String),
}

/// The node's name: the given one or the host's, which must be a DNS-1123 subdomain.
pub fn node_name(given: Option<&str>) -> Result<String, HostError> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => nix::unistd::gethostname().unwrap_or_default().to_string_lossy().to_lowercase(),
    };
    let fits = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            let inner = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
        });
    if fits { Ok(name) } else { Err(HostError::Name(name)) }
}

/// The address that this machine would speak to others with.
pub fn default_address() -> Result<IpAddr, HostError> {
    // Connecting a UDP socket sends nothing: it only asks the routing table. The address is one of TEST-NET-1.
    let ask = || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    };
    ask().map(|address| address.ip()).map_err(|_| HostError::NoAddress)
}

/// The interface that has `address`.
pub fn interface_of(address: IpAddr) -> Result<String, HostError> {
    let found = getifaddrs().into_iter().flatten().find(|interface| {
        let storage = interface.address.as_ref();
        let ip = storage.and_then(|s| {
            let v4 = s.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| s.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        });
        ip == Some(address)
    });
    found.map(|interface| interface.interface_name).ok_or(HostError::NoInterface(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, fits) in
            [("a", true), ("node-1.example", true), ("-a", false), ("a..b", false), ("A", false)]
        {
            assert_eq!(node_name(Some(name)).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn the_loopback_interface_has_its_address() {
        assert_eq!(interface_of(Ipv4Addr::LOCALHOST.into()).unwrap(), "lo");
        assert!(interface_of(Ipv4Addr::new(203, 0, 113, 1).into()).is_err());
    }
}
