//! Addresses and node ports of services: an index of what is in use, made from the store at start and kept by
//! creates, updates and deletes. It is no second truth: `repair` compares it with the services from time to time.

mod hold;
mod pool;
pub mod repair;

pub use hold::Hold;
use pool::Pool;

use keelson_api::field::FieldErrors;
use keelson_api::kinds::KindDef;
use keelson_api::kinds::service::{self, NodePortNeed};
use keelson_api::meta;
use keelson_api::status::Status;
use keelson_store::Store;
use parking_lot::Mutex;
use serde_json::Value;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// What is in use.
pub(crate) struct State {
    pub ips: Pool,
    pub ports: Pool,
}

/// The allocator of one server; a clone is another handle.
#[derive(Clone)]
pub struct Allocations {
    state: Arc<Mutex<State>>,
    node_ports: RangeInclusive<u16>,
}

/// Whether objects of this kind hold addresses.
fn is_service(def: &KindDef) -> bool {
    def.group.is_empty() && def.plural == "services"
}

/// What a service has, as numbers of the pools.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Holdings {
    pub ips: Vec<u32>,
    pub ports: Vec<u32>,
}

impl Holdings {
    /// Of a stored service.
    pub fn of(object: &Value) -> Self {
        let ips = service::cluster_ips(object).iter().filter_map(|ip| parse_ip(ip)).collect();
        let mut ports: Vec<u32> = service::node_port_needs(object)
            .iter()
            .filter_map(|need| u32::try_from(need.wanted?).ok())
            .collect();
        if service::needs_health_check_node_port(&object["spec"]) {
            ports.extend(health_check_port(object));
        }
        ports.sort_unstable();
        ports.dedup();
        Self { ips, ports }
    }
}

fn parse_ip(text: &str) -> Option<u32> {
    text.parse::<Ipv4Addr>().ok().map(u32::from)
}

fn health_check_port(object: &Value) -> Option<u32> {
    object["spec"]["healthCheckNodePort"].as_u64().and_then(|p| u32::try_from(p).ok()).filter(|p| *p != 0)
}

/// Who holds what a service holds.
pub(crate) fn owner_of(object: &Value) -> Arc<str> {
    format!("{}/{}", meta::namespace(object), meta::name(object)).into()
}

impl Allocations {
    /// `network` is the address and prefix length of the ClusterIPs.
    pub fn new((address, length): (Ipv4Addr, u8), node_ports: RangeInclusive<u16>) -> Self {
        let size = 1u64 << (32 - u32::from(length.min(32)));
        let base = u32::from(address) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        // The network's own address and its broadcast address are nobody's.
        let last = base + u32::try_from(size.saturating_sub(2)).unwrap_or(u32::MAX);
        let ips = Pool::new(base + 1, last, (size / 16).clamp(16, 256));
        let (first, end) = (u32::from(*node_ports.start()), u32::from(*node_ports.end()));
        let ports = Pool::new(first, end, (u64::from(end - first + 1) / 32).clamp(16, 128));
        Self { state: Arc::new(Mutex::new(State { ips, ports })), node_ports }
    }

    /// Takes in what the stored services hold.
    pub fn load(&self, store: &Store) {
        let snapshot = store.snapshot("services");
        let mut state = self.state.lock();
        for (_, stored) in snapshot.range("", None) {
            if let Ok(object) = serde_json::from_slice::<Value>(&stored.bytes) {
                let (owner, holdings) = (owner_of(&object), Holdings::of(&object));
                holdings.ips.iter().for_each(|ip| state.ips.adopt(*ip, &owner));
                holdings.ports.iter().for_each(|port| state.ports.adopt(*port, &owner));
            }
        }
    }

    /// Gives a new service what it needs. What it is given is held until the hold is committed or dropped.
    pub fn create(&self, def: &KindDef, object: &mut Value, dry_run: bool) -> Result<Hold, Status> {
        if is_service(def) {
            self.allocate(def, object, &Holdings::default(), dry_run)
        } else {
            Ok(Hold::none())
        }
    }

    /// Gives an updated service what it lacks; what it no longer has is freed when the hold is committed.
    pub fn update(
        &self,
        def: &KindDef,
        object: &mut Value,
        old: &Value,
        dry_run: bool,
    ) -> Result<Hold, Status> {
        if is_service(def) {
            self.allocate(def, object, &Holdings::of(old), dry_run)
        } else {
            Ok(Hold::none())
        }
    }

    /// Frees what a deleted service held.
    pub fn release(&self, def: &KindDef, object: &Value) {
        if is_service(def) {
            let (owner, holdings) = (owner_of(object), Holdings::of(object));
            let mut state = self.state.lock();
            holdings.ips.iter().for_each(|ip| state.ips.free(*ip, &owner));
            holdings.ports.iter().for_each(|port| state.ports.free(*port, &owner));
        }
    }

    fn allocate(
        &self,
        def: &KindDef,
        object: &mut Value,
        had: &Holdings,
        dry_run: bool,
    ) -> Result<Hold, Status> {
        let name = meta::name(object).to_owned();
        let refuse = |errors: &FieldErrors| Status::invalid(def.group, def.kind, &name, errors);
        let errors = service::complete_families(object, "IPv4");
        if !errors.is_empty() {
            return Err(refuse(&errors));
        }
        let mut hold = Hold::new(Arc::clone(&self.state), owner_of(object), dry_run);
        let mut state = self.state.lock();
        let result = self
            .take_ips(&mut state, &mut hold, object, had)
            .and_then(|()| self.take_ports(&mut state, &mut hold, object, had));
        drop(state);
        match result {
            Ok(()) => {
                hold.frees(had, &Holdings::of(object));
                Ok(hold)
            }
            Err(Failure::Field(error)) => Err(refuse(&vec![*error])),
            Err(Failure::Full(why)) => Err(Status::internal(why)),
        }
    }

    fn take_ips(
        &self,
        state: &mut State,
        hold: &mut Hold,
        object: &mut Value,
        had: &Holdings,
    ) -> Result<(), Failure> {
        if service::needs_cluster_ip(object) {
            let owner = hold.owner();
            let ip = state
                .ips
                .any(crate::clock::random(), &owner)
                .ok_or(Failure::Full("failed to allocate a serviceIP: range is full"))?;
            hold.took_ip(ip);
            service::set_cluster_ip(object, &Ipv4Addr::from(ip).to_string());
            return Ok(());
        }
        for text in service::cluster_ips(object) {
            let out_of_range = || Failure::field(service::cluster_ip_out_of_range(object, &text));
            let ip = parse_ip(&text).ok_or_else(out_of_range)?;
            if had.ips.contains(&ip) {
                continue;
            }
            if !state.ips.contains(ip) {
                return Err(out_of_range());
            }
            if !state.ips.take(ip, &hold.owner()) {
                return Err(Failure::field(service::cluster_ip_taken(object, &text)));
            }
            hold.took_ip(ip);
        }
        Ok(())
    }

    fn take_ports(
        &self,
        state: &mut State,
        hold: &mut Hold,
        object: &mut Value,
        had: &Holdings,
    ) -> Result<(), Failure> {
        let mut given: Vec<(NodePortNeed, u32)> = Vec::new();
        let needs = service::node_port_needs(object);
        for need in needs.iter().filter(|need| need.wanted.is_some()) {
            let wanted = need.wanted.unwrap_or_default();
            let number = u16::try_from(wanted).ok().filter(|port| self.node_ports.contains(port));
            let Some(number) = number.map(u32::from) else {
                return Err(Failure::field(service::node_port_out_of_range(need.index, wanted)));
            };
            let own = had.ports.contains(&number) || given.iter().any(|(_, port)| *port == number);
            if !own {
                if !state.ports.take(number, &hold.owner()) {
                    return Err(Failure::field(service::node_port_taken(need.index, wanted)));
                }
                hold.took_port(number);
            }
            given.push((need.clone(), number));
        }
        for need in needs.into_iter().filter(|need| need.wanted.is_none()) {
            let number = match shared(&given, &need) {
                Some(number) => number,
                None => any_port(state, hold)?,
            };
            service::set_node_port(object, need.index, u16::try_from(number).unwrap_or_default());
            given.push((need, number));
        }
        self.take_health_check_port(state, hold, object, had)
    }

    fn take_health_check_port(
        &self,
        state: &mut State,
        hold: &mut Hold,
        object: &mut Value,
        had: &Holdings,
    ) -> Result<(), Failure> {
        if !service::needs_health_check_node_port(&object["spec"]) {
            return Ok(());
        }
        match health_check_port(object) {
            Some(port) if had.ports.contains(&port) => {}
            Some(port) => {
                if !state.ports.take(port, &hold.owner()) {
                    let path = keelson_api::field::Path::new("spec").child("healthCheckNodePort");
                    let why = format!(
                        "failed to allocate requested HealthCheck NodePort {port}: provided port is already allocated"
                    );
                    return Err(Failure::field(keelson_api::field::FieldError::invalid(&path, port, why)));
                }
                hold.took_port(port);
            }
            None => {
                let port = any_port(state, hold)?;
                object["spec"]["healthCheckNodePort"] = port.into();
            }
        }
        Ok(())
    }

    pub(crate) fn state(&self) -> &Mutex<State> {
        &self.state
    }
}

/// Why a service cannot have what it needs.
enum Failure {
    Field(Box<keelson_api::field::FieldError>),
    Full(&'static str),
}

impl Failure {
    fn field(error: keelson_api::field::FieldError) -> Self {
        Failure::Field(Box::new(error))
    }
}

/// The node port of the same service port in another protocol, where that is free for this one.
fn shared(given: &[(NodePortNeed, u32)], need: &NodePortNeed) -> Option<u32> {
    given
        .iter()
        .filter(|(other, _)| other.port == need.port && other.protocol != need.protocol)
        .map(|(_, number)| *number)
        .find(|number| !given.iter().any(|(other, taken)| taken == number && other.protocol == need.protocol))
}

fn any_port(state: &mut State, hold: &mut Hold) -> Result<u32, Failure> {
    let owner = hold.owner();
    let port = state
        .ports
        .any(crate::clock::random(), &owner)
        .ok_or(Failure::Full("failed to allocate a nodePort: range is full"))?;
    hold.took_port(port);
    Ok(port)
}

#[cfg(test)]
mod tests;
