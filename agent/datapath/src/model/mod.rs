//! The reference: what a packet must meet, said once and plainly.
//!
//! It judges by the same tables that the backends are written from, with its own parser, its own route and
//! its own checksums, so that it shares no mistake with the programs. It is not fast and keeps no time:
//! flows in it do not expire.

mod errors;
mod flows;
mod headers;
mod policy;
#[cfg(test)]
pub(crate) mod rows;
mod services;

pub use headers::{Headers, Part, blanked, normalised, read, rewrite};

use crate::tables::{ServicePort, Tables};
use keelson_ebpf_abi::{Address, Backend, Be16, Endpoint, Hook, Peer, Reason, Service, ServiceKey, Tuple};
use services::{refuse, turn};
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
    /// Whether the policy was asked about its flow.
    pub asked: bool,
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
    opener: Opener,
    closing: bool,
    mark: Mark,
}

/// Who has sent a flow's first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    /// A pod of this node.
    Pod,
    /// A pod or process of another node.
    Tunnel,
    Outside,
}

/// What a flow says of its last judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The policy set of the pod that sent the first packet; 0 when it is not a pod of this node.
    pub set: u32,
    /// The policy's epoch.
    pub epoch: u32,
}

/// What the fragments of one datagram have in common.
type Datagram = (Address, Address, u8, u16);

/// The model of one node.
#[derive(Clone, Debug)]
pub struct Model {
    tables: Tables,
    flows: BTreeMap<Tuple, Flow>,
    /// The ports of datagrams whose first fragment has gone through.
    datagrams: BTreeMap<Datagram, (Be16, Be16)>,
    /// The backends that clients have.
    affinity: BTreeMap<(Address, ServiceKey), Backend>,
    /// Whether the policy was asked about the packet that is being judged.
    asked: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Route {
    Pod(Endpoint),
    Host,
    Tunnel(Address),
    Outer,
}

/// How a packet leaves.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Same,
    /// With these addresses and ports.
    As(Tuple),
    /// Something else in its place.
    Other(Vec<u8>),
}

/// The way of a packet: where to, and as what.
type Way = Result<(Verdict, Shape), Reason>;

impl Model {
    /// A node without flows.
    pub fn new(tables: Tables) -> Self {
        let (flows, datagrams, affinity) = Default::default();
        Self { tables, flows, datagrams, affinity, asked: false }
    }

    /// Other tables; the flows stay.
    pub fn set_tables(&mut self, tables: Tables) {
        self.tables = tables;
    }

    /// The mark of each entry of a flow.
    pub fn marks(&self) -> BTreeMap<Tuple, Mark> {
        self.flows.iter().map(|(tuple, flow)| (*tuple, flow.mark)).collect()
    }

    /// Entries of flows, two per flow.
    pub fn flow_entries(&self) -> usize {
        self.flows.len()
    }

    /// Judges a packet and remembers its flow.
    pub fn judge(&mut self, arrival: Arrival<'_>, chance: &mut dyn Chance) -> Outcome {
        let packet = arrival.packet;
        self.asked = false;
        match self.way(arrival, chance) {
            Err(reason) => {
                Outcome { verdict: Verdict::Drop(reason), packet: packet.to_vec(), asked: self.asked }
            }
            Ok((verdict, shape)) => {
                let mut leaving = match shape {
                    Shape::Same => packet.to_vec(),
                    Shape::As(tuple) => rewrite(packet, &tuple),
                    Shape::Other(packet) => packet,
                };
                if let Verdict::Pod(ifindex) = verdict {
                    self.address_frame(&mut leaving, ifindex);
                }
                Outcome { verdict, packet: leaving, asked: self.asked }
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
            (Hook::FromPod, 0x0806) => return Ok((Verdict::Pass, Shape::Same)),
            (Hook::FromPod, 0x86dd) => return Err(Reason::Ipv6),
            (Hook::FromPod | Hook::FromVxlan | Hook::ToVxlan, _) => return Err(Reason::Protocol),
            _ => return Ok((Verdict::Pass, Shape::Same)),
        }
        match (arrival.hook, read(arrival.packet)) {
            (Hook::FromPod, Some(headers)) => self.pod_sends(arrival, headers, chance),
            (Hook::FromVxlan, Some(headers)) => self.tunnel_delivers(arrival.packet, headers, chance),
            (Hook::FromOuter, Some(headers)) => self.outside_sends(arrival.packet, headers, chance),
            (Hook::ToOuter, Some(headers)) => Ok(self.host_sends(arrival.packet, headers)),
            (Hook::ToVxlan, Some(headers)) => self.host_sends_to_pods(arrival.packet, headers),
            (Hook::FromOuter | Hook::ToOuter, None) => Ok((Verdict::Pass, Shape::Same)),
            _ => Err(Reason::Malformed),
        }
    }

    fn pod_sends(&mut self, arrival: Arrival<'_>, mut headers: Headers, chance: &mut dyn Chance) -> Way {
        match self.tables.endpoints.get(&headers.tuple.source) {
            Some(sender) if sender.ifindex == arrival.ifindex => {}
            _ => return Err(Reason::Spoofed),
        }
        if headers.tuple.destination == self.tables.config.node_local {
            return Ok((Verdict::Pass, Shape::Same));
        }
        if let Some(way) = self.of_a_flow(arrival.packet, &mut headers) {
            return way;
        }
        let tuple = headers.tuple;
        let mut translated = tuple;
        let service = self.service(&tuple);
        if let Some((key, service)) = &service {
            let Some(backend) = self.backend(tuple.source, *key, service, chance) else {
                return refuse(arrival.packet, &headers, service, Verdict::Pod(arrival.ifindex));
            };
            turn(&headers, &mut translated, &backend)?;
            if [tuple.source, self.tables.config.node].contains(&translated.destination) {
                translated.source = self.tables.config.gateway;
            }
        }
        match self.route(&translated.source, &translated.destination)? {
            Route::Host if service.is_none() => return Ok((Verdict::Pass, Shape::Same)),
            Route::Outer => self.masquerade(&headers, &mut translated, Opener::Pod, chance)?,
            _ => self.claim(&headers, &mut translated, Opener::Pod, chance)?,
        }
        self.send(&headers, translated)
    }

    fn tunnel_delivers(&mut self, packet: &[u8], mut headers: Headers, chance: &mut dyn Chance) -> Way {
        if let Some(way) = self.of_a_flow(packet, &mut headers) {
            return way;
        }
        let tuple = headers.tuple;
        let mut translated = tuple;
        match self.route(&tuple.source, &tuple.destination)? {
            Route::Pod(_) => {}
            Route::Host => match self.of_this_node(&tuple) {
                Some(backend) => turn(&headers, &mut translated, &backend)?,
                None => return Ok((Verdict::Pass, Shape::Same)),
            },
            Route::Tunnel(_) | Route::Outer => return Err(Reason::NoPod),
        }
        self.claim(&headers, &mut translated, Opener::Tunnel, chance)?;
        self.send(&headers, translated)
    }

    fn outside_sends(&mut self, packet: &[u8], mut headers: Headers, chance: &mut dyn Chance) -> Way {
        if !self.complete(&mut headers) {
            return Ok((Verdict::Pass, Shape::Same));
        }
        if let Some(related) = self.related(packet, &headers) {
            return related;
        }
        if let Some(way) = self.established(&headers) {
            return way;
        }
        let tuple = headers.tuple;
        let Some((key, service)) = self.asked_from_outside(&tuple) else {
            return Ok((Verdict::Pass, Shape::Same));
        };
        if headers.part == Part::Later {
            return Err(Reason::Fragment);
        }
        let Some(backend) = self.backend(tuple.source, key, &service, chance) else {
            return refuse(packet, &headers, &service, Verdict::Outer);
        };
        let mut translated = tuple;
        turn(&headers, &mut translated, &backend)?;
        match self.route(&self.tables.config.node, &translated.destination)? {
            Route::Tunnel(_) | Route::Outer => {
                self.masquerade(&headers, &mut translated, Opener::Outside, chance)?
            }
            Route::Pod(_) | Route::Host => self.claim(&headers, &mut translated, Opener::Outside, chance)?,
        }
        self.send(&headers, translated)
    }

    /// What the host's stack sends out: only the answer of a flow that was translated is changed.
    fn host_sends(&mut self, packet: &[u8], mut headers: Headers) -> (Verdict, Shape) {
        let same = (Verdict::Pass, Shape::Same);
        if headers.tuple.source != self.tables.config.node || !self.complete(&mut headers) {
            return same;
        }
        if let Some(Ok((_, shape))) = self.related(packet, &headers) {
            return (Verdict::Pass, shape);
        }
        let answers = self.flows.get(&headers.tuple).is_some_and(|flow| flow.reply);
        match if answers { self.known(&headers) } else { None } {
            Some(flow) => {
                self.remember(&headers);
                self.renew(&headers.tuple, &flow);
                (Verdict::Pass, Shape::As(flow.translated))
            }
            None => same,
        }
    }

    /// What the host's stack sends towards the tunnel: to pods elsewhere, or the answer to a pod that asked
    /// from its gateway's address.
    fn host_sends_to_pods(&mut self, packet: &[u8], mut headers: Headers) -> Way {
        if headers.tuple.destination == self.tables.config.gateway {
            if !self.complete(&mut headers) {
                return Err(Reason::Fragment);
            }
            if let Some(related) = self.related(packet, &headers) {
                return related;
            }
            return self.established(&headers).unwrap_or(Err(Reason::NoPod));
        }
        match self.tables.peer(headers.tuple.destination) {
            Some(peer) if peer.kind == Peer::PODS || peer.kind == Peer::NODE => {
                Ok((Verdict::Pass, Shape::Same))
            }
            _ => Err(Reason::NoPod),
        }
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
}

fn verdict(route: Route) -> Verdict {
    match route {
        Route::Pod(endpoint) => Verdict::Pod(endpoint.ifindex),
        Route::Host => Verdict::Pass,
        Route::Tunnel(node) => Verdict::Tunnel(node),
        Route::Outer => Verdict::Outer,
    }
}
