//! Tables -> one iptables-restore text. Pure.
//!
//! Every chain of ours begins with KEELSON and is declared, so the restore flushes it; those of services that
//! are gone are declared and deleted. The few jumps from built-in chains are not part of the text: a restore
//! cannot add a rule exactly once.

use crate::tables::{Prefix, ServicePort, Tables};
use keelson_ebpf_abi::{Peer, PeerKey, ServiceKey};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Jumps from built-in chains: table, chain, target. Those of one chain stand in this order.
pub const JUMPS: &[(&str, &str, &str)] = &[
    ("nat", "PREROUTING", "KEELSON-SERVICES"),
    ("nat", "OUTPUT", "KEELSON-SERVICES"),
    ("nat", "POSTROUTING", "KEELSON-POST"),
    ("filter", "INPUT", "KEELSON-REJECT"),
    ("filter", "OUTPUT", "KEELSON-REJECT"),
    ("filter", "FORWARD", "KEELSON-REJECT"),
    ("filter", "FORWARD", "KEELSON-FORWARD"),
];

/// The chains that are always there: table and name.
pub const CHAINS: &[(&str, &str)] = &[
    ("nat", "KEELSON-SERVICES"),
    ("nat", "KEELSON-NODEPORTS"),
    ("nat", "KEELSON-POST"),
    ("filter", "KEELSON-REJECT"),
    ("filter", "KEELSON-FORWARD"),
];

/// Names of the chains of services begin with this.
pub const SERVICE_CHAIN: &str = "KEELSON-S-";

/// The packet mark that asks for masquerading.
const MASQUERADE_MARK: &str = "0x4b000000/0xff000000";

/// The chain of a service port. Port and protocol are unique at an address, so the name is.
fn chain(key: &ServiceKey) -> String {
    let at = key.address.bytes()[12..].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("{SERVICE_CHAIN}{at}-{}-{}", key.port.get(), key.protocol)
}

fn protocol(number: u8) -> Option<&'static str> {
    match number {
        6 => Some("tcp"),
        17 => Some("udp"),
        132 => Some("sctp"),
        _ => None,
    }
}

/// The whole rule set of a node, and the chains of services in it. `stale` are chains of an earlier text.
pub fn render(tables: &Tables, stale: &BTreeSet<String>) -> (String, BTreeSet<String>) {
    let mut text = String::new();
    let chains = nat(&mut text, tables, stale);
    filter(&mut text, tables);
    (text, chains)
}

/// All chains of ours, empty: what the jumps need before there are tables, and the first half of leaving.
pub fn empty(stale: &BTreeSet<String>) -> String {
    let mut text = String::new();
    for table in ["nat", "filter"] {
        line(&mut text, format_args!("*{table}"));
        for (_, name) in CHAINS.iter().filter(|(of, _)| *of == table) {
            line(&mut text, format_args!(":{name} - [0:0]"));
        }
        if table == "nat" {
            drop_chains(&mut text, stale.iter());
        }
        text.push_str("COMMIT\n");
    }
    text
}

fn drop_chains<'a>(text: &mut String, names: impl Iterator<Item = &'a String> + Clone) {
    for name in names.clone() {
        line(text, format_args!(":{name} - [0:0]"));
    }
    for name in names {
        line(text, format_args!("-X {name}"));
    }
}

fn nat(text: &mut String, tables: &Tables, stale: &BTreeSet<String>) -> BTreeSet<String> {
    text.push_str("*nat\n");
    for (_, name) in CHAINS.iter().filter(|(table, _)| *table == "nat") {
        line(text, format_args!(":{name} - [0:0]"));
    }
    let served = tables.services.iter().filter(|(key, port)| is_served(key, port));
    let served: Vec<_> =
        served.filter_map(|(key, port)| Some((key, port, protocol(key.protocol)?))).collect();
    let chains: BTreeSet<String> = served.iter().map(|(key, ..)| chain(key)).collect();
    for name in &chains {
        line(text, format_args!(":{name} - [0:0]"));
    }
    if !tables.config.node_local.is_unspecified() {
        line(text, format_args!("-A KEELSON-SERVICES -d {}/32 -j RETURN", tables.config.node_local));
    }
    for (key, port, protocol) in served {
        let (parent, to) = frontend(key);
        let (at, name, comment) = (key.port.get(), chain(key), &port.name);
        line(
            text,
            format_args!(
                "-A {parent}{to} -p {protocol} -m {protocol} --dport {at} \
                 -m comment --comment \"{comment}\" -j {name}"
            ),
        );
        backends(text, key, port, protocol);
    }
    text.push_str("-A KEELSON-SERVICES -m addrtype --dst-type LOCAL -j KEELSON-NODEPORTS\n");
    postrouting(text, tables);
    drop_chains(text, stale.difference(&chains));
    text.push_str("COMMIT\n");
    chains
}

/// The chain that a service's rule stands in, and what it matches beside the port.
fn frontend(key: &ServiceKey) -> (&'static str, String) {
    if key.address.is_unspecified() {
        ("KEELSON-NODEPORTS", String::new())
    } else {
        ("KEELSON-SERVICES", format!(" -d {}/32", key.address))
    }
}

fn is_ipv4(key: &ServiceKey) -> bool {
    key.address.is_v4() || key.address.is_unspecified()
}

fn is_served(key: &ServiceKey, port: &ServicePort) -> bool {
    is_ipv4(key) && port.backends.iter().any(|backend| backend.address.is_v4())
}

fn backends(text: &mut String, key: &ServiceKey, port: &ServicePort, protocol: &str) {
    let service = chain(key);
    if key.address.is_unspecified() {
        // Whoever asks a node must be answered by it.
        line(text, format_args!("-A {service} -j MARK --set-xmark {MASQUERADE_MARK}"));
    }
    let served: Vec<_> = port.backends.iter().filter(|backend| backend.address.is_v4()).collect();
    for (index, backend) in served.iter().enumerate() {
        let (address, at) = (backend.address, backend.port.get());
        let choice = match served.len() - index {
            1 => String::new(),
            left => format!(" -m statistic --mode random --probability {:.10}", 1.0 / left as f64),
        };
        line(
            text,
            format_args!("-A {service} -p {protocol}{choice} -j DNAT --to-destination {address}:{at}"),
        );
    }
}

fn postrouting(text: &mut String, tables: &Tables) {
    // Not MASQUERADE: the kernel would pick the address of any interface.
    let snat = format!("-j SNAT --to-source {} --random-fully", tables.config.node);
    if let Some(range) = tables.range {
        // Through the tunnel the node is the first address of its range: answers come back the same way.
        let own = format!("-j SNAT --to-source {} --random-fully", range.address);
        line(text, format_args!("-A KEELSON-POST -o keelson-vxlan -m mark --mark {MASQUERADE_MARK} {own}"));
    }
    line(text, format_args!("-A KEELSON-POST -m mark --mark {MASQUERADE_MARK} {snat}"));
    for address in tables.endpoints.keys().filter(|address| address.is_v4()) {
        // A pod that reaches itself through a service must see another sender.
        line(text, format_args!("-A KEELSON-POST -s {address}/32 -d {address}/32 {snat}"));
    }
    let cluster = |(key, peer): (&PeerKey, &Peer)| {
        let wanted = peer.kind == Peer::UNASSIGNED && key.address.is_v4();
        wanted.then_some(Prefix { address: key.address, bits: key.prefix_bits })
    };
    for cluster in tables.peers.iter().filter_map(cluster) {
        line(
            text,
            format_args!("-A KEELSON-POST -s {cluster} ! -d {cluster} -m addrtype ! --dst-type LOCAL {snat}"),
        );
    }
}

fn filter(text: &mut String, tables: &Tables) {
    text.push_str("*filter\n");
    for (_, name) in CHAINS.iter().filter(|(table, _)| *table == "filter") {
        line(text, format_args!(":{name} - [0:0]"));
    }
    for (key, port) in tables.services.iter().filter(|(key, port)| is_ipv4(key) && port.backends.is_empty()) {
        let Some(protocol) = protocol(key.protocol) else { continue };
        let to = if key.address.is_unspecified() {
            " -m addrtype --dst-type LOCAL".to_owned()
        } else if key.address == tables.config.node_local {
            continue;
        } else {
            format!(" -d {}/32", key.address)
        };
        let (at, comment) = (key.port.get(), &port.name);
        line(
            text,
            format_args!(
                "-A KEELSON-REJECT{to} -p {protocol} -m {protocol} --dport {at} \
                 -m comment --comment \"{comment}\" -j REJECT"
            ),
        );
    }
    // The node's own policy for forwarding is not meant for pods, nor for who asks a NodePort.
    text.push_str("-A KEELSON-FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n");
    text.push_str("-A KEELSON-FORWARD -i kp+ -j ACCEPT\n-A KEELSON-FORWARD -o kp+ -j ACCEPT\n");
    text.push_str("COMMIT\n");
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
    text.push('\n');
}
