//! Tables -> the chains of iptables, as text. Pure.
//!
//! Whoever asks is told apart first: pods and processes of this node (inside), and everybody else (outside). A
//! service port is one chain, however many addresses lead to it; what is outside and not kept on this node is
//! masqueraded, so that the answer comes back this way.

use super::ruleset::{Ruleset, Table};
use crate::tables::{Prefix, ServicePort, Tables};
use keelson_ebpf_abi::{Backend, Peer, PeerKey, ServiceKey};

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
    ("nat", "KEELSON-INSIDE"),
    ("nat", "KEELSON-OUTSIDE"),
    ("nat", "KEELSON-NODEPORTS"),
    ("nat", "KEELSON-NODEPORTS-OUT"),
    ("nat", "KEELSON-POST"),
    ("filter", "KEELSON-REJECT"),
    ("filter", "KEELSON-REJECT-IN"),
    ("filter", "KEELSON-REJECT-OUT"),
    ("filter", "KEELSON-FORWARD"),
];

/// Names of the chains of services begin with this.
pub const SERVICE_CHAIN: &str = "KEELSON-S-";

/// The packet mark that asks for masquerading.
const MASQUERADE_MARK: &str = "0x4b000000/0xff000000";

const LOOPBACK: &str = "127.0.0.0/8";

/// The chain of a service port. A name has room for 28 letters, which no Service's name fits into.
fn chain(port: &ServicePort, protocol: u8) -> String {
    let of = format!("{}\0{protocol}\0{}", port.name, port.is_local());
    format!("{SERVICE_CHAIN}{:016x}", rapidhash::v3::rapidhash_v3(of.as_bytes()))
}

/// The list of clients that stay with a backend of a service port, wherever they have come in.
fn clients(port: &ServicePort, protocol: u8, backend: &Backend) -> String {
    let of = format!("{}\0{protocol}\0{}:{}", port.name, backend.address, backend.port.get());
    format!("KEELSON-{:016x}", rapidhash::v3::rapidhash_v3(of.as_bytes()))
}

fn protocol(number: u8) -> Option<&'static str> {
    match number {
        6 => Some("tcp"),
        17 => Some("udp"),
        132 => Some("sctp"),
        _ => None,
    }
}

/// The whole rule set of a node.
pub fn render(tables: &Tables) -> Ruleset {
    let mut rules = Ruleset::default();
    for (table, chain) in CHAINS {
        rules.table(table).chain(chain);
    }
    let nat = rules.table("nat");
    by_origin(nat, "KEELSON-SERVICES", ["KEELSON-INSIDE", "KEELSON-OUTSIDE"], tables);
    for (key, port) in &tables.services {
        if let Some(name) = protocol(key.protocol).filter(|_| is_served(key, port)) {
            frontend(nat, key, port, name);
            backends(nat, tables, key, port, name);
        }
    }
    nat.rule("KEELSON-INSIDE", format_args!("{TO_NODE} -j KEELSON-NODEPORTS"));
    nat.rule("KEELSON-OUTSIDE", format_args!("{TO_NODE} -j KEELSON-NODEPORTS-OUT"));
    postrouting(nat, tables);
    filter(rules.table("filter"), tables);
    rules
}

/// All chains of ours, empty: what the jumps need before there are tables, and what is left of us at the end.
pub fn empty() -> Ruleset {
    let mut rules = Ruleset::default();
    for (table, chain) in CHAINS {
        rules.table(table).chain(chain);
    }
    rules
}

/// A NodePort is open at every address of the node but the loopback ones, which lead to no pod.
const TO_NODE: &str = "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL";

/// Sends what comes from a pod or a process of this node to the first of two chains and all else to the second.
fn by_origin(table: &mut Table, from: &str, [inside, outside]: [&str; 2], tables: &Tables) {
    if !tables.config.node_local.is_unspecified() {
        table.rule(from, format_args!("-d {}/32 -j RETURN", tables.config.node_local));
    }
    table.rule(from, format_args!("-i kp+ -g {inside}"));
    table.rule(from, format_args!("-i keelson-vxlan -g {inside}"));
    table.rule(from, format_args!("-m addrtype --src-type LOCAL -g {inside}"));
    table.rule(from, format_args!("-g {outside}"));
}

/// The rule that leads to a service port's chain.
fn frontend(table: &mut Table, key: &ServiceKey, port: &ServicePort, protocol: &str) {
    let (parent, to) = match (key.address.is_unspecified(), key.scope) {
        (true, ServiceKey::INSIDE) => ("KEELSON-NODEPORTS", String::new()),
        (true, _) => ("KEELSON-NODEPORTS-OUT", String::new()),
        (false, ServiceKey::INSIDE) => ("KEELSON-INSIDE", format!("-d {}/32 ", key.address)),
        (false, _) => ("KEELSON-OUTSIDE", format!("-d {}/32 ", key.address)),
    };
    let (at, comment, chain) = (key.port.get(), &port.name, chain(port, key.protocol));
    table.rule(
        parent,
        format_args!(
            "{to}-p {protocol} -m {protocol} --dport {at} -m comment --comment \"{comment}\" -j {chain}"
        ),
    );
}

fn is_ipv4(key: &ServiceKey) -> bool {
    key.address.is_v4() || key.address.is_unspecified()
}

fn is_served(key: &ServiceKey, port: &ServicePort) -> bool {
    is_ipv4(key) && port.backends.iter().any(|backend| backend.address.is_v4())
}

/// The chain of a service port, once for all its addresses.
fn backends(table: &mut Table, tables: &Tables, key: &ServiceKey, port: &ServicePort, protocol: &str) {
    let chain = chain(port, key.protocol);
    if !table.is_new(&chain) {
        return;
    }
    if !port.is_local() {
        // Whoever is no pod is answered by this node: the network between the nodes knows no pods.
        for cluster in clusters(tables) {
            table.rule(&chain, format_args!("! -s {cluster} -j MARK --set-xmark {MASQUERADE_MARK}"));
        }
    }
    let served: Vec<_> = port.backends.iter().filter(|backend| backend.address.is_v4()).collect();
    let target =
        |backend: &Backend| format!("-j DNAT --to-destination {}:{}", backend.address, backend.port.get());
    if port.affinity_seconds != 0 {
        for backend in &served {
            let (list, to) = (clients(port, key.protocol, backend), target(backend));
            let within = format!("--rcheck --seconds {} --reap", port.affinity_seconds);
            // A client that comes back begins its time anew.
            table.rule(
                &chain,
                format_args!(
                    "-p {protocol} -m recent --name {list} {within} -m recent --name {list} --set {to}"
                ),
            );
        }
    }
    for (index, backend) in served.iter().enumerate() {
        let choice = match served.len() - index {
            1 => String::new(),
            left => format!(" -m statistic --mode random --probability {:.10}", 1.0 / left as f64),
        };
        let noted = match port.affinity_seconds {
            0 => String::new(),
            _ => format!(" -m recent --name {} --set", clients(port, key.protocol, backend)),
        };
        table.rule(&chain, format_args!("-p {protocol}{choice}{noted} {}", target(backend)));
    }
}

fn clusters(tables: &Tables) -> impl Iterator<Item = Prefix> + '_ {
    let cluster = |(key, peer): (&PeerKey, &Peer)| {
        let wanted = peer.kind == Peer::UNASSIGNED && key.address.is_v4();
        wanted.then_some(Prefix { address: key.address, bits: key.prefix_bits })
    };
    tables.peers.iter().filter_map(cluster)
}

fn postrouting(table: &mut Table, tables: &Tables) {
    // Not MASQUERADE: the kernel would pick the address of any interface.
    let snat = format!("-j SNAT --to-source {} --random-fully", tables.config.node);
    let mut post = |rule: std::fmt::Arguments<'_>| table.rule("KEELSON-POST", rule);
    if let Some(range) = tables.range {
        // Through the tunnel the node is the first address of its range: answers come back the same way.
        let own = format!("-j SNAT --to-source {} --random-fully", range.address);
        post(format_args!("-o keelson-vxlan -m mark --mark {MASQUERADE_MARK} {own}"));
    }
    post(format_args!("-m mark --mark {MASQUERADE_MARK} {snat}"));
    // A process that asks a host port by a loopback address; no pod could answer that.
    post(format_args!("-s {LOOPBACK} -o kp+ {snat}"));
    for address in tables.endpoints.keys().filter(|address| address.is_v4()) {
        // A pod that reaches itself through a service must see another sender.
        post(format_args!("-s {address}/32 -d {address}/32 {snat}"));
    }
    for cluster in clusters(tables) {
        post(format_args!("-s {cluster} ! -d {cluster} -m addrtype ! --dst-type LOCAL {snat}"));
    }
}

fn filter(table: &mut Table, tables: &Tables) {
    // Pods' interfaces let loopback addresses in, for host ports; nothing but their answers comes that way.
    table.rule(
        "KEELSON-REJECT",
        format_args!("-i kp+ -d {LOOPBACK} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP"),
    );
    by_origin(table, "KEELSON-REJECT", ["KEELSON-REJECT-IN", "KEELSON-REJECT-OUT"], tables);
    for (key, port) in tables.services.iter().filter(|(key, port)| is_ipv4(key) && port.backends.is_empty()) {
        refusal(table, key, port);
    }
    // The node's own policy for forwarding is not meant for pods, nor for who asks a NodePort.
    for accepted in ["-m conntrack --ctstate DNAT", "-i kp+", "-o kp+"] {
        table.rule("KEELSON-FORWARD", format_args!("{accepted} -j ACCEPT"));
    }
}

/// A service port without a backend: refused where nothing answers anywhere, dropped where another node would.
fn refusal(table: &mut Table, key: &ServiceKey, port: &ServicePort) {
    let Some(protocol) = protocol(key.protocol) else { return };
    let chain = if key.scope == ServiceKey::INSIDE { "KEELSON-REJECT-IN" } else { "KEELSON-REJECT-OUT" };
    let to = if key.address.is_unspecified() { TO_NODE.to_owned() } else { format!("-d {}/32", key.address) };
    let (at, comment) = (key.port.get(), &port.name);
    let target = if port.is_elsewhere() { "DROP" } else { "REJECT" };
    table.rule(
        chain,
        format_args!(
            "{to} -p {protocol} -m {protocol} --dport {at} -m comment --comment \"{comment}\" -j {target}"
        ),
    );
}
