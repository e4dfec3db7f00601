//! NodePorts: the host ports that a pod asks for are free.

use crate::cluster::Nodes;
use crate::pod::PodInfo;
use crate::reason::Reason;

pub(crate) fn filter(pod: &PodInfo, nodes: &Nodes, node: usize) -> Result<(), Reason> {
    let used = &nodes.ports[node];
    for (ip, protocol, port) in &pod.ports {
        // All addresses collide with each single one.
        let clash = used.keys().any(|(used_ip, used_protocol, used_port)| {
            used_port == port
                && used_protocol == protocol
                && (ip == used_ip || ip.is_empty() || used_ip.is_empty())
        });
        if clash {
            return Err(Reason::Ports);
        }
    }
    Ok(())
}
