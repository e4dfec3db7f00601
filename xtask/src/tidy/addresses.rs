//! Every address in tables, model and abi is 128 bit with its family; 32-bit addresses live where packets are parsed
//! and rewritten, and where the kernel takes nothing else.
//!
//! Reads lines, not types: an address is known by its name.

/// Where the rule holds.
const BELOW: [&str; 3] = ["agent/datapath/src/", "ebpf/abi/src/", "ebpf/programs/src/"];

/// Where packets are parsed and rewritten, and where the kernel's own structures are filled.
const EXCEPT: [&str; 9] = [
    "agent/datapath/src/backend/",
    "agent/datapath/src/netlink/",
    "agent/datapath/src/parse",
    "ebpf/programs/src/csum.rs",
    "ebpf/programs/src/hooks/",
    "ebpf/programs/src/nat.rs",
    "ebpf/programs/src/parse.rs",
    "ebpf/programs/src/refuse.rs",
    "ebpf/programs/src/route.rs",
];

/// Types that hold 32 bits of address, and conversions to them.
const TYPES: [&str; 5] = ["Ipv4Addr", "SocketAddrV4", "in_addr", "to_ipv4", "to_ipv4_mapped"];
/// What a 32-bit address is kept in where it has no type of its own.
const NARROW: [&str; 4] = ["u32", "[u8; 4]", "Be32", "__be32"];
/// Words of a name that make it an address's.
const WORDS: [&str; 9] =
    ["address", "addresses", "addr", "saddr", "daddr", "ip", "ips", "gateway", "gateways"];
/// Whole names that are an address's: as a word, each is also part of ports' names.
const NAMES: [&str; 2] = ["source", "destination"];

pub fn check(file: &str, code: &str) -> Vec<String> {
    if !BELOW.iter().any(|below| file.starts_with(below)) || EXCEPT.iter().any(|e| file.starts_with(e)) {
        return Vec::new();
    }
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default()).enumerate();
    lines
        .filter_map(|(index, line)| {
            let found = narrow_type(line).or_else(|| declaration(line)).or_else(|| cast(line))?;
            let number = index + 1;
            Some(format!("{file}:{number}: {found}: addresses are 128 bit outside of parse and rewrite"))
        })
        .collect()
}

/// A type by its name, wherever it stands: in a list of uses, too.
fn narrow_type(line: &str) -> Option<String> {
    identifiers(line).find(|word| TYPES.contains(word)).map(str::to_owned)
}

/// `address: u32`, of a field, a parameter or a variable.
fn declaration(line: &str) -> Option<String> {
    line.match_indices(": ").find_map(|(at, _)| {
        let name = last_identifier(&line[..at]);
        let kind = line[at + 2..].trim_start_matches('&').trim_start_matches("mut ");
        let narrow = NARROW.iter().find(|narrow| {
            let rest = kind.strip_prefix(**narrow);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })?;
        is_address(name).then(|| format!("{name}: {narrow}"))
    })
}

/// `address as u32` and `u32::from(address)`.
fn cast(line: &str) -> Option<String> {
    let casts = line.match_indices(" as u32").map(|(at, _)| value(&line[..at]));
    let from = line.split("u32::from(").skip(1).map(|rest| {
        let end = rest.find([',', ' ']).unwrap_or(rest.len());
        value(rest[..end].trim_end_matches([')', ';']))
    });
    casts.chain(from).find(|name| is_address(name)).map(|name| format!("{name} as u32"))
}

/// What is converted: `address` in `peer.address`, and in `peer.address.bits()`.
fn value(expression: &str) -> &str {
    let mut rest = expression.trim_end_matches([')', '(']);
    for accessor in ["bits", "to_bits", "octets", "bytes", "wire", "get"] {
        rest = rest.strip_suffix(accessor).and_then(|rest| rest.strip_suffix('.')).unwrap_or(rest);
    }
    last_identifier(rest)
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_identifier(c)).filter(|word| !word.is_empty())
}

fn last_identifier(text: &str) -> &str {
    let start = text.rfind(|c| !is_identifier(c)).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or_default()
}

/// A constant is named after addresses, as a flag or a bound, and is none.
fn is_address(name: &str) -> bool {
    NAMES.contains(&name) || name.split('_').any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn finds(file: &str, line: &str, found: bool) {
        assert_eq!(!check(file, line).is_empty(), found, "{file}: {line}");
    }

    #[test]
    fn narrow_addresses_are_found() {
        for line in [
            "use std::net::Ipv4Addr;",
            "use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};",
            "    let gateway = std::net::Ipv4Addr::new(169, 254, 1, 1);",
            "    bind(SocketAddrV4::new(ip, 53))",
            "    pub address: u32,",
            "    pub node_ip: [u8; 4],",
            "fn find(source: Be32, port: Be16) {",
            "    let backend_address: u32 = read(at);",
            "    let key = hash(peer.address.bits() as u32);",
            "    let key = tuple.source as u32;",
            "    let key = u32::from(pod_ip);",
            "    let key = u32::from(pod.address.wire()) << 1;",
            "    let key = address.to_ipv4();",
        ] {
            finds("agent/datapath/src/tables/a.rs", line, true);
            finds("ebpf/abi/src/a.rs", &format!("x();\n{line}"), true);
        }
    }

    #[test]
    fn what_is_no_narrow_address_is_left_alone() {
        for line in [
            "// an Ipv4Addr is written as [u8; 4]",
            "    pub address: Address,",
            "    pub addresses: u128,",
            "    pub source_port: u16,",
            "    pub zip: u32,",
            "pub const BY_ADDRESS: u32 = 1;",
            "    let ports = u32::from(tuple.source_port.wire()) << 16;",
            "    let sum = u32::from(ip.total_len) + length as u32;",
            "    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;",
        ] {
            finds("agent/datapath/src/tables/a.rs", line, false);
        }
        finds("agent/datapath/src/backend/ebpf/a.rs", "use std::net::Ipv4Addr;", false);
        finds("ebpf/programs/src/parse.rs", "    source: u32,", false);
        finds("ebpf/programs/src/state.rs", "    source: u32,", true);
        finds("agent/kubelet/src/a.rs", "use std::net::Ipv4Addr;", false);
    }
}
