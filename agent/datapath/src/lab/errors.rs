//! What comes back when a packet does not get through, and what is too large for one: through services, NodePorts and
//! masquerade, on the real kernel.

use super::scenarios::{CLIENT, Cluster};
use super::{Namespace, probe};
use crate::engine::Mode;

/// Pods a and b on the first node, c on the second; near leads to b and far to c, at ports where nobody listens.
fn closed_ports(mode: Mode) {
    let cluster = Cluster::new(2, mode);
    let (a, b, c) = (cluster.pod(0, "a"), cluster.pod(0, "b"), cluster.pod(1, "c"));
    cluster.set_services(&[
        ("near", "10.96.1.1", 30_080, &[&format!("{}:81", b.ip)]),
        ("far", "10.96.1.2", 30_081, &[&format!("{}:81", c.ip)]),
        ("host", "10.96.1.3", 30_083, &["192.168.7.1:81"]),
        ("empty", "10.96.1.4", 30_084, &[]),
    ]);
    let refused = Err("ConnectionRefused".to_owned());
    let cases: &[(&Namespace, &str)] = &[
        (&a.namespace, "10.96.1.1:80"),
        (&a.namespace, "10.96.1.2:80"),
        (&a.namespace, "10.96.1.3:80"),
        (&a.namespace, "10.96.1.4:80"),
        (&b.namespace, "10.96.1.1:80"),
        (&a.namespace, "192.168.7.1:30080"),
        (&a.namespace, &format!("{CLIENT}:81")),
        (&cluster.client, "192.168.7.1:30080"),
        (&cluster.client, "192.168.7.1:30081"),
        (&cluster.client, "192.168.7.1:30083"),
        (&cluster.client, "192.168.7.1:30084"),
    ];
    for (from, to) in cases {
        assert_eq!(probe::tcp(from, to), refused, "TCP from {} to {to}", from.name);
        assert_eq!(probe::udp_connected(from, to), refused, "UDP from {} to {to}", from.name);
    }
}

#[test]
fn closed_ports_ebpf() {
    closed_ports(Mode::Ebpf);
}

#[test]
fn closed_ports_iptables() {
    closed_ports(Mode::Iptables);
}

/// Where the interface computes no checksums the kernel does, for answers too that were made of a packet whose sender
/// had left that to hardware; and it checks what arrives.
#[test]
fn refusals_have_right_checksums() {
    let cluster = Cluster::new(1, Mode::Ebpf);
    let a = cluster.pod(0, "a");
    cluster.set_services(&[("empty", "10.96.1.1", 30_080, &[])]);
    let refused = Err("ConnectionRefused".to_owned());
    for (client, node) in [("on", "off"), ("off", "on"), ("off", "off")] {
        for (namespace, tx) in [(&cluster.client, client), (&a.namespace, client), (cluster.host(0), node)] {
            probe::set_tx_checksums(namespace, "eth0", tx == "on");
        }
        for (from, to) in [(&cluster.client, "192.168.7.1:30080"), (&a.namespace, "10.96.1.1:80")] {
            assert_eq!(probe::tcp(from, to), refused, "TCP to {to}, client {client}, node {node}");
            assert_eq!(probe::udp_connected(from, to), refused, "UDP to {to}, client {client}, node {node}");
        }
    }
}

/// A link behind the client that takes smaller packets: senders learn that by ICMP errors.
fn narrow_link(mode: Mode) {
    const FAR: &str = "203.0.113.9";
    let cluster = Cluster::new(2, mode);
    let (a, b) = (cluster.pod(0, "a"), cluster.pod(1, "b"));
    let (router, far) = (&cluster.client, Namespace::new("far"));
    router.ip(&format!("link add narrow mtu 1280 type veth peer name eth0 mtu 1280 netns {}", far.name));
    router.ip("addr add 203.0.113.1/24 dev narrow");
    router.ip("link set narrow up");
    far.ip(&format!("addr add {FAR}/24 dev eth0"));
    far.ip("link set eth0 up");
    // It asks for segments that are too large for its own link, so that the router has to refuse them.
    far.ip("route add default via 203.0.113.1 advmss 1460");
    router.command(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    for namespace in [&far, &a.namespace, &b.namespace] {
        probe::serve_bulk(namespace, 6060);
    }
    let (at_a, at_b) = (format!("{}:6060", a.ip), format!("{}:6060", b.ip));
    cluster.set_services(&[
        ("near", "10.96.1.1", 30_080, &[&at_a]),
        ("away", "10.96.1.2", 30_081, &[&at_b]),
        ("outside", "10.96.1.3", 30_082, &[&format!("{FAR}:6060")]),
    ]);
    assert!(probe::bulk(&a.namespace, &format!("{FAR}:6060")), "a masqueraded flow");
    assert!(probe::bulk(&a.namespace, "10.96.1.3:80"), "through a service");
    assert!(probe::bulk(&far, "192.168.7.1:30080"), "the answers of a NodePort");
    assert!(probe::bulk(&far, "192.168.7.1:30081"), "the answers of a NodePort through the tunnel");
}

#[test]
fn narrow_link_ebpf() {
    narrow_link(Mode::Ebpf);
}

#[test]
fn narrow_link_iptables() {
    narrow_link(Mode::Iptables);
}

/// Datagrams of several fragments, each way.
fn large_datagrams(mode: Mode) {
    let cluster = Cluster::new(2, mode);
    let (a, b, c) = (cluster.pod(0, "a"), cluster.pod(0, "b"), cluster.pod(1, "c"));
    for namespace in [&b.namespace, &c.namespace, &cluster.client, cluster.host(0)] {
        probe::serve_echo(namespace, 7171);
    }
    let (at_b, at_c) = (format!("{}:7171", b.ip), format!("{}:7171", c.ip));
    cluster.set_services(&[
        ("near", "10.96.1.1", 30_080, &[&at_b]),
        ("far", "10.96.1.2", 30_081, &[&at_c]),
        ("host", "10.96.1.3", 30_083, &["192.168.7.1:7171"]),
    ]);
    let outside = format!("{CLIENT}:7171");
    let cases: &[(&Namespace, &str)] = &[
        (&a.namespace, &at_b),
        (&a.namespace, &at_c),
        (&a.namespace, "10.96.1.1:80"),
        (&b.namespace, "10.96.1.1:80"),
        (&a.namespace, "10.96.1.2:80"),
        (&a.namespace, "10.96.1.3:80"),
        (&a.namespace, "192.168.7.1:7171"),
        (&a.namespace, &outside),
        (&cluster.client, "192.168.7.1:30080"),
        (&cluster.client, "192.168.7.1:30081"),
        (&cluster.client, "192.168.7.1:30083"),
        (cluster.host(0), &at_c),
    ];
    for (from, to) in cases {
        for len in [1_400, 1_600, 8_000] {
            assert_eq!(probe::echo(from, to, len), Ok(()), "{len} bytes from {} to {to}", from.name);
        }
    }
}

#[test]
fn large_datagrams_ebpf() {
    large_datagrams(Mode::Ebpf);
}

#[test]
fn large_datagrams_iptables() {
    large_datagrams(Mode::Iptables);
}
