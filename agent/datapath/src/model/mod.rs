//! The reference: what a packet must meet, said once and plainly.
//!
//! It judges by the same tables that the backends are written from, with its own parser, its own route and
//! its own checksums, so that it shares no mistake with the programs. It is not fast and keeps no time:
//! flows in it do not expire.

mod headers;
#[cfg(test)]
pub(crate) mod rows;

pub use headers::{Headers, blanked, normalised, read, rewrite};

use crate::tables::{ServicePort, Tables};
use keelson_ebpf_abi::{Address, Be16, Endpoint, Hook, Peer, Reason, ServiceKey, Tuple};
use std::collections::BTreeMap;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// On to the next program and the host's stack.
    Pass,
    /// Refused.
    Drop(Reason),
    /// Into the pod behind this interface.
    Pod(u32),
    /// Into the tunnel to this node.
    Tunnel(Address),
    /// Out of the node.
    Outer,
}

/// What becomes of a packet; its bytes mean nothing when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where it goes.
    pub verdict: Verdict,
    /// As it leaves.
    pub packet: Vec<u8>,
}

/// A packet at a hook.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Which hook.
    pub hook: Hook,
    /// The interface it is seen on.
    pub ifindex: u32,
    /// The frame.
    pub packet: &'a [u8],
}

/// The choices that the programs are free to make. The model checks that they are within their freedom.
pub trait Chance {
    /// One of the backends.
    fn backend(&mut self, of: &[keelson_ebpf_abi::Backend]) -> usize;
    /// A port to masquerade with.
    fn port(&mut self) -> u16;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    translated: Tuple,
    reply: bool,
    closing: bool,
}

/// The model of one node.
#[derive(Clone, Debug)]
pub struct Model {
    tables: Tables,
    flows: BTreeMap<Tuple, Flow>,
}

#[derive(Clone, Copy, PartialEq)]
enum Route {
    Pod(Endpoint),
    Host,
    Tunnel(Address),
    Outer,
}

/// The way of a packet: its tuple as it leaves, and where to.
type Way = Result<(Verdict, Option<Tuple>), Reason>;

impl Model {
    /// A node without flows.
    pub fn new(tables: Tables) -> Self {
        Self { tables, flows: BTreeMap::new() }
    }

    /// Entries of flows, two per flow.
    pub fn flow_entries(&self) -> usize {
        self.flows.len()
    }

    /// Judges a packet and remembers its flow.
    pub fn judge(&mut self, arrival: Arrival<'_>, chance: &mut dyn Chance) -> Outcome {
        let packet = arrival.packet;
        match self.way(arrival, chance) {
            Err(reason) => Outcome { verdict: Verdict::Drop(reason), packet: packet.to_vec() },
            Ok((verdict, tuple)) => {
                let mut leaving = tuple.map_or_else(|| packet.to_vec(), |tuple| rewrite(packet, &tuple));
                if let Verdict::Pod(ifindex) = verdict {
                    self.address_frame(&mut leaving, ifindex);
                }
                Outcome { verdict, packet: leaving }
            }
        }
    }

    fn address_frame(&self, frame: &mut [u8], ifindex: u32) {
        let mut endpoints = self.tables.endpoints.values();
        if let Some(endpoint) = endpoints.find(|endpoint| endpoint.ifindex == ifindex) {
            frame[..6].copy_from_slice(&endpoint.mac);
            frame[6..12].copy_from_slice(&self.tables.config.gateway_mac);
        }
    }

    fn way(&mut self, arrival: Arrival<'_>, chance: &mut dyn Chance) -> Way {
        let ethertype = u16::from_be_bytes([arrival.packet[12], arrival.packet[13]]);
        match (arrival.hook, ethertype) {
            (_, 0x0800) => {}
            (Hook::FromPod, 0x0806) => return Ok((Verdict::Pass, None)),
            (Hook::FromPod, 0x86dd) => return Err(Reason::Ipv6),
            (Hook::FromPod | Hook::FromVxlan | Hook::ToVxlan, _) => return Err(Reason::Protocol),
            _ => return Ok((Verdict::Pass, None)),
        }
        match (arrival.hook, read(arrival.packet)) {
            (Hook::FromPod, Some(headers)) => self.pod_sends(arrival.ifindex, &headers, chance),
            (Hook::FromVxlan, Some(headers)) => self.tunnel_delivers(&headers, chance),
            (Hook::FromOuter, Some(headers)) => self.outside_sends(&headers, chance),
            (Hook::ToOuter, Some(headers)) => Ok(self.host_sends(&headers)),
            (Hook::ToVxlan, Some(headers)) => self.host_sends_to_pods(&headers),
            (Hook::FromOuter | Hook::ToOuter, None) => Ok((Verdict::Pass, None)),
            _ => Err(Reason::Malformed),
        }
    }

    fn pod_sends(&mut self, ifindex: u32, headers: &Headers, chance: &mut dyn Chance) -> Way {
        let tuple = headers.tuple;
        match self.tables.endpoints.get(&tuple.source) {
            Some(sender) if sender.ifindex == ifindex => {}
            _ => return Err(Reason::Spoofed),
        }
        if tuple.destination == self.tables.config.node_local {
            return Ok((Verdict::Pass, None));
        }
        if headers.fragment {
            return self.untracked(&tuple);
        }
        if let Some(translated) = self.known(headers) {
            return self.send(headers, translated);
        }
        let mut translated = tuple;
        let service = self.service(&tuple);
        if let Some(service) = &service {
            turn(headers, &mut translated, service, chance)?;
            if [tuple.source, self.tables.config.node].contains(&translated.destination) {
                translated.source = self.tables.config.gateway;
            }
        }
        match self.route(&translated.source, &translated.destination)? {
            Route::Host if service.is_none() => return Ok((Verdict::Pass, None)),
            Route::Outer => self.masquerade(headers, &mut translated, chance)?,
            _ => self.claim(headers, &mut translated, chance)?,
        }
        self.send(headers, translated)
    }

    fn tunnel_delivers(&mut self, headers: &Headers, chance: &mut dyn Chance) -> Way {
        let tuple = headers.tuple;
        if !headers.fragment
            && let Some(translated) = self.known(headers)
        {
            return self.send(headers, translated);
        }
        match self.route(&tuple.source, &tuple.destination)? {
            Route::Pod(_) if headers.fragment => self.untracked(&tuple),
            Route::Pod(_) => {
                let mut translated = tuple;
                self.claim(headers, &mut translated, chance)?;
                self.send(headers, translated)
            }
            Route::Host => Ok((Verdict::Pass, None)),
            Route::Tunnel(_) | Route::Outer => Err(Reason::NoPod),
        }
    }

    fn outside_sends(&mut self, headers: &Headers, chance: &mut dyn Chance) -> Way {
        let tuple = headers.tuple;
        if tuple.destination != self.tables.config.node || headers.fragment {
            return Ok((Verdict::Pass, None));
        }
        if let Some(translated) = self.known(headers) {
            return self.send(headers, translated);
        }
        let outside = ServiceKey::OUTSIDE;
        let Some(service) = self.node_port(tuple.destination_port, tuple.protocol, outside) else {
            return Ok((Verdict::Pass, None));
        };
        let mut translated = tuple;
        turn(headers, &mut translated, &service, chance)?;
        match self.route(&self.tables.config.node, &translated.destination)? {
            Route::Tunnel(_) | Route::Outer => self.masquerade(headers, &mut translated, chance)?,
            Route::Pod(_) | Route::Host => self.claim(headers, &mut translated, chance)?,
        }
        self.send(headers, translated)
    }

    /// What the host's stack sends out: only the answer of a flow that was translated is changed.
    fn host_sends(&mut self, headers: &Headers) -> (Verdict, Option<Tuple>) {
        let own = headers.tuple.source == self.tables.config.node;
        let answers = self.flows.get(&headers.tuple).is_some_and(|flow| flow.reply);
        let translated = if own && answers && !headers.fragment { self.known(headers) } else { None };
        (Verdict::Pass, translated)
    }

    /// What the host's stack sends towards the tunnel: to pods elsewhere, or the answer to a pod that asked
    /// from its gateway's address.
    fn host_sends_to_pods(&mut self, headers: &Headers) -> Way {
        if headers.tuple.destination == self.tables.config.gateway {
            let translated = self.known(headers).ok_or(Reason::NoPod)?;
            return self.send(headers, translated);
        }
        match self.tables.peer(headers.tuple.destination) {
            Some(peer) if peer.kind == Peer::PODS || peer.kind == Peer::NODE => Ok((Verdict::Pass, None)),
            _ => Err(Reason::NoPod),
        }
    }

    fn untracked(&self, tuple: &Tuple) -> Way {
        match self.route(&tuple.source, &tuple.destination) {
            Ok(Route::Outer) | Err(Reason::NoService) => Err(Reason::Fragment),
            Ok(route) => Ok((verdict(route), None)),
            Err(reason) => Err(reason),
        }
    }

    fn send(&self, headers: &Headers, translated: Tuple) -> Way {
        let route = self.route(&translated.source, &translated.destination)?;
        let from = headers.tuple;
        let ports_differ = (from.source_port, from.destination_port)
            != (translated.source_port, translated.destination_port);
        if ports_differ && !headers.has_ports() {
            return Err(Reason::Protocol);
        }
        Ok((verdict(route), Some(translated)))
    }

    /// The translation of a flow that exists. A SYN does not belong to a flow that is closing.
    fn known(&mut self, headers: &Headers) -> Option<Tuple> {
        let flow = *self.flows.get(&headers.tuple)?;
        if flow.closing && headers.is_syn() {
            return None;
        }
        if headers.is_closing() {
            for key in [headers.tuple, flow.translated.reversed()] {
                if let Some(flow) = self.flows.get_mut(&key) {
                    flow.closing = true;
                }
            }
        }
        Some(flow.translated)
    }

    fn masquerade(
        &mut self,
        headers: &Headers,
        translated: &mut Tuple,
        chance: &mut dyn Chance,
    ) -> Result<(), Reason> {
        if !headers.opens_with_port() {
            return Err(Reason::Protocol);
        }
        translated.source = self.tables.config.node;
        translated.source_port = Be16::new(chance.port());
        if !self.may_use(translated.source_port) {
            return Err(Reason::NoNatPort);
        }
        self.claim(headers, translated, chance)
    }

    /// Opens a flow. Where another flow has the answer's tuple, another source port is taken.
    fn claim(
        &mut self,
        headers: &Headers,
        translated: &mut Tuple,
        chance: &mut dyn Chance,
    ) -> Result<(), Reason> {
        let tuple = headers.tuple;
        let taken = |model: &Self, translated: &Tuple| {
            let other = model.flows.get(&translated.reversed());
            other.is_some_and(|flow| flow.translated != tuple.reversed())
        };
        if taken(self, translated) {
            if !headers.opens_with_port() {
                return Err(Reason::NoNatPort);
            }
            translated.source_port = Be16::new(chance.port());
            if !self.may_use(translated.source_port) || taken(self, translated) {
                return Err(Reason::NoNatPort);
            }
        }
        let flow = |translated, reply| Flow { translated, reply, closing: false };
        self.flows.insert(translated.reversed(), flow(tuple.reversed(), true));
        self.flows.insert(tuple, flow(*translated, false));
        Ok(())
    }

    /// Whether a port may be used for masquerading.
    fn may_use(&self, port: Be16) -> bool {
        let config = &self.tables.config;
        port.get().wrapping_sub(config.nat_first) < config.nat_count
    }

    fn route(&self, source: &Address, destination: &Address) -> Result<Route, Reason> {
        let config = &self.tables.config;
        if let Some(endpoint) = self.tables.endpoints.get(destination) {
            return Ok(Route::Pod(*endpoint));
        }
        if *destination == config.node || *destination == config.node_local {
            return Ok(Route::Host);
        }
        match self.tables.peer(*destination) {
            None => Ok(Route::Outer),
            Some(peer) if peer.kind == Peer::NODE && *source == config.node => Ok(Route::Outer),
            Some(peer) if peer.kind == Peer::NODE || peer.kind == Peer::PODS => {
                Ok(Route::Tunnel(peer.tunnel))
            }
            Some(peer) if peer.kind == Peer::SERVICES => Err(Reason::NoService),
            Some(_) => Err(Reason::NoPod),
        }
    }

    fn service(&self, tuple: &Tuple) -> Option<ServicePort> {
        let scope = ServiceKey::INSIDE;
        let at = |address, port| ServiceKey { address, port, protocol: tuple.protocol, scope };
        if let Some(port) = self.tables.services.get(&at(tuple.destination, tuple.destination_port)) {
            return Some((**port).clone());
        }
        let node = self.tables.peer(tuple.destination).is_some_and(|peer| peer.kind == Peer::NODE);
        if node { self.node_port(tuple.destination_port, tuple.protocol, scope) } else { None }
    }

    fn node_port(&self, port: Be16, protocol: u8, scope: u8) -> Option<ServicePort> {
        let config = &self.tables.config;
        if !(config.node_port_first..=config.node_port_last).contains(&port.get()) {
            return None;
        }
        let key = ServiceKey { address: Address::UNSPECIFIED, port, protocol, scope };
        self.tables.services.get(&key).map(|port| (**port).clone())
    }
}

fn turn(
    headers: &Headers,
    translated: &mut Tuple,
    service: &ServicePort,
    chance: &mut dyn Chance,
) -> Result<(), Reason> {
    if service.backends.is_empty() {
        return Err(Reason::NoBackend);
    }
    let backend = service.backends[chance.backend(&service.backends)];
    translated.destination = backend.address;
    translated.destination_port = backend.port;
    let turned = backend.port != headers.tuple.destination_port;
    if turned && !headers.opens_with_port() { Err(Reason::Protocol) } else { Ok(()) }
}

fn verdict(route: Route) -> Verdict {
    match route {
        Route::Pod(endpoint) => Verdict::Pod(endpoint.ifindex),
        Route::Host => Verdict::Pass,
        Route::Tunnel(node) => Verdict::Tunnel(node),
        Route::Outer => Verdict::Outer,
    }
}
