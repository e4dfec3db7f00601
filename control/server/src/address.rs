//! Under which address this machine is reached.

use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The address that the machine uses towards its default gateway, else the first of any interface, else
/// `127.0.0.1`. Sends nothing.
pub(crate) fn own_address() -> IpAddr {
    towards_gateway().or_else(of_an_interface).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn towards_gateway() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Connecting a UDP socket only looks up the route; the address is one of documentation (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(usable)
}

fn of_an_interface() -> Option<IpAddr> {
    let addresses = getifaddrs().ok()?;
    addresses.filter_map(|interface| Some(IpAddr::V4(interface.address?.as_sockaddr_in()?.ip()))).find(usable)
}

fn usable(address: &IpAddr) -> bool {
    !address.is_loopback() && !address.is_unspecified()
}

/// The machine's name; empty when it has none that fits a certificate.
pub(crate) fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.chars().all(fits) { name.to_ascii_lowercase() } else { String::new() }
}
