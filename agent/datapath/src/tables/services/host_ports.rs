//! A pod of this node -> the host ports that lead to it.

use super::{Compiled, OwnNode, Rank, ServicePort, protocol};
use crate::tables::{LocalPod, Problem};
use keelson_client::views::{ContainerPort, Pod};
use keelson_ebpf_abi::{Address, Backend, Be16, Service as Entry, ServiceKey};
use std::net::IpAddr;
use std::sync::Arc;

/// Compiles a pod's host ports; one that has ended has none.
pub fn host_ports(local: &LocalPod, node: &OwnNode) -> Compiled {
    let mut compiled = Compiled::default();
    if local.pod.is_terminal() || local.pod.spec.host_network {
        return compiled;
    }
    for port in wanted(&local.pod) {
        match (protocol(&port.protocol), addresses(&port.host_ip, node)) {
            (Some(number), Some(addresses)) => add(local, port, number, &addresses, &mut compiled),
            (None, _) => compiled
                .problems
                .push(problem(&local.pod, format!("hostPort {}: unknown protocol", port.host_port))),
            (_, None) => compiled
                .problems
                .push(problem(&local.pod, format!("hostIP {:?} is not an address", port.host_ip))),
        }
    }
    compiled
}

/// Whether a pod asks for any.
pub fn has_host_ports(pod: &Pod) -> bool {
    wanted(pod).next().is_some()
}

fn add(local: &LocalPod, port: &ContainerPort, protocol: u8, addresses: &[Address], compiled: &mut Compiled) {
    let meta = &local.pod.metadata;
    let backend =
        Backend { address: local.address, port: Be16::new(port.container_port), ..Backend::default() };
    let content = Arc::new(ServicePort {
        name: format!("pod {}/{}:{}", meta.namespace, meta.name, port.host_port),
        backends: vec![backend],
        flags: Entry::LOCAL,
        ..ServicePort::default()
    });
    for address in addresses {
        let loopback = address.to_ip().is_loopback();
        // Nothing that comes from outside is for a loopback address, whatever its header says.
        let scopes = [ServiceKey::INSIDE, ServiceKey::OUTSIDE].into_iter();
        for scope in scopes.filter(|scope| !loopback || *scope == ServiceKey::INSIDE) {
            let key = ServiceKey { address: *address, port: Be16::new(port.host_port), protocol, scope };
            compiled.entries.push((key, Rank::HostPort, content.clone()));
        }
    }
}

/// The ports of containers that run beside each other.
fn wanted(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let sidecars = pod.spec.init_containers.iter().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let containers = pod.spec.containers.iter().chain(sidecars);
    containers.flat_map(|container| &container.ports).filter(|port| port.host_port != 0)
}

/// Where a host port is reached: where the pod says, else at the node's address and from the node itself.
fn addresses(host_ip: &str, node: &OwnNode) -> Option<Vec<Address>> {
    let everywhere = || vec![node.address, Address::from(IpAddr::from([127, 0, 0, 1]))];
    if host_ip.is_empty() {
        return Some(everywhere());
    }
    let ip: IpAddr = host_ip.parse().ok()?;
    Some(if ip.is_unspecified() { everywhere() } else { vec![Address::from(ip)] })
}

fn problem(pod: &Pod, message: String) -> Problem {
    Problem { object: format!("Pod {}/{}", pod.metadata.namespace, pod.metadata.name), message }
}
