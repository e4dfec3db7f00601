//! What answers where, and what becomes of who asks.

use super::*;

impl Model {
    pub(super) fn at(&self, address: Address, tuple: &Tuple, scope: u8) -> Option<(ServiceKey, ServicePort)> {
        let key = ServiceKey { address, port: tuple.destination_port, protocol: tuple.protocol, scope };
        self.tables.services.get(&key).map(|port| (key, (**port).clone()))
    }

    pub(super) fn service(&self, tuple: &Tuple) -> Option<(ServiceKey, ServicePort)> {
        let scope = ServiceKey::INSIDE;
        let of_node = || self.tables.peer(tuple.destination).is_some_and(|peer| peer.kind == Peer::NODE);
        let exact = self.at(tuple.destination, tuple, scope);
        exact.or_else(|| if of_node() { self.node_port(tuple, scope) } else { None })
    }

    pub(super) fn asked_from_outside(&self, tuple: &Tuple) -> Option<(ServiceKey, ServicePort)> {
        let scope = ServiceKey::OUTSIDE;
        let of_node = tuple.destination == self.tables.config.node;
        let exact = self.at(tuple.destination, tuple, scope);
        exact.or_else(|| if of_node { self.node_port(tuple, scope) } else { None })
    }

    pub(super) fn node_port(&self, tuple: &Tuple, scope: u8) -> Option<(ServiceKey, ServicePort)> {
        let config = &self.tables.config;
        let range = config.node_port_first..=config.node_port_last;
        if range.contains(&tuple.destination_port.get()) {
            self.at(Address::UNSPECIFIED, tuple, scope)
        } else {
            None
        }
    }

    /// The pod of this node that has the port of its address which a pod elsewhere asks for.
    pub(super) fn of_this_node(&self, tuple: &Tuple) -> Option<Backend> {
        let (_, service) = self.at(tuple.destination, tuple, ServiceKey::INSIDE)?;
        let backend = *service.backends.first()?;
        self.tables.endpoints.contains_key(&backend.address).then_some(backend)
    }

    /// The backend for a client: the one that it has, if its service keeps clients, or any.
    pub(super) fn backend(
        &mut self,
        client: Address,
        key: ServiceKey,
        service: &ServicePort,
        chance: &mut dyn Chance,
    ) -> Option<Backend> {
        if service.backends.is_empty() {
            return None;
        }
        let held = self.affinity.get(&(client, key)).filter(|held| service.backends.contains(held)).copied();
        let chosen = held.unwrap_or_else(|| service.backends[chance.backend(&service.backends)]);
        if service.flags & Service::AFFINITY != 0 {
            self.affinity.insert((client, key), chosen);
        }
        Some(chosen)
    }
}

pub(super) fn turn(headers: &Headers, translated: &mut Tuple, backend: &Backend) -> Result<(), Reason> {
    translated.destination = backend.address;
    translated.destination_port = backend.port;
    let turned = backend.port != headers.tuple.destination_port;
    if turned && !headers.opens_with_port() { Err(Reason::Protocol) } else { Ok(()) }
}

/// A service without a backend: who may find one elsewhere hears nothing.
pub(super) fn refuse(packet: &[u8], headers: &Headers, service: &ServicePort, back: Verdict) -> Way {
    if service.flags & Service::ELSEWHERE != 0 {
        return Err(Reason::NoLocalBackend);
    }
    let answer = errors::refusal(packet, headers).ok_or(Reason::NoBackend)?;
    Ok((back, Shape::Other(answer)))
}
