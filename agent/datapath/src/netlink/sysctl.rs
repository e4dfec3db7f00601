//! Kernel switches of one interface or namespace. `/proc/sys/net` shows the namespace of the reader.

use std::io;

/// Writes `/proc/sys/net/<path>`.
pub fn set(path: &str, value: &str) -> io::Result<()> {
    std::fs::write(format!("/proc/sys/net/{path}"), value)
}

/// Reads `/proc/sys/net/<path>`.
pub fn get(path: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/sys/net/{path}"))?.trim().to_owned())
}

/// Turns IPv6 off on an interface that carries none, so that it sends no solicitations. A kernel without
/// IPv6 is as good.
pub fn no_ipv6(interface: &str) {
    let _ = set(&format!("ipv6/conf/{interface}/disable_ipv6"), "1");
}
