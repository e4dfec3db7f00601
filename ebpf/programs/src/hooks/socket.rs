//! Service translation at the socket, shared by the four kinds of call and both families.

use crate::consts::*;
use crate::{affinity, lookup, maps, verdict};
use aya_ebpf::bindings::bpf_sock_addr;
use aya_ebpf::helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_set_retval};
use keelson_ebpf_abi::{Address, AffinityKey, Be16, Hook, Reason, Service, SocketKey, SocketOrigin};

/// What the kernel wants to hear.
pub const ALLOW: i32 = 1;
const REFUSE: i32 = 0;

/// The socket families, which differ in the fields that hold the address.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    V4,
    V6,
}

/// The address a call names, read from and written to its context.
pub struct Call {
    context: *mut bpf_sock_addr,
    kind: Kind,
}

impl Call {
    #[inline(always)]
    pub fn new(context: *mut bpf_sock_addr, kind: Kind) -> Self {
        Self { context, kind }
    }

    #[inline(always)]
    fn address(&self) -> Address {
        // SAFETY: the context is valid while the program runs; its fields are read word by word.
        unsafe {
            match self.kind {
                Kind::V4 => Address::from_v4_word((*self.context).user_ip4),
                Kind::V6 => Address::from_words([
                    (*self.context).user_ip6[0],
                    (*self.context).user_ip6[1],
                    (*self.context).user_ip6[2],
                    (*self.context).user_ip6[3],
                ]),
            }
        }
    }

    #[inline(always)]
    fn port(&self) -> Be16 {
        // SAFETY: as above; the port is the low half of the word, in network order.
        Be16::from_wire(unsafe { (*self.context).user_port } as u16)
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        // SAFETY: as above.
        unsafe { (*self.context).protocol as u8 }
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        // SAFETY: as above.
        unsafe { bpf_get_socket_cookie(self.context.cast()) }
    }

    /// What tells network namespaces apart.
    #[inline(always)]
    fn netns_cookie(&self) -> u64 {
        // SAFETY: as above.
        unsafe { bpf_get_netns_cookie(self.context.cast()) }
    }

    #[inline(always)]
    fn set(&self, address: &Address, port: Be16) {
        let words = address.words();
        // SAFETY: as above; these fields may be written by programs of these types.
        unsafe {
            match self.kind {
                Kind::V4 => (*self.context).user_ip4 = words[3],
                Kind::V6 => {
                    (*self.context).user_ip6[0] = words[0];
                    (*self.context).user_ip6[1] = words[1];
                    (*self.context).user_ip6[2] = words[2];
                    (*self.context).user_ip6[3] = words[3];
                }
            }
            (*self.context).user_port = u32::from(port.wire());
        }
    }

    /// Whether the socket can reach the address: an IPv4 call cannot be turned to an IPv6 backend.
    #[inline(always)]
    fn speaks(&self, address: &Address) -> bool {
        self.kind == Kind::V6 || address.is_v4()
    }
}

/// Turns a call on a service address to one of its backends; refuses when there is none.
#[inline(always)]
pub fn to_backend(hook: Hook, call: &Call) -> i32 {
    verdict::count(hook);
    let Some(config) = lookup::config() else { return ALLOW };
    let (address, port, protocol) = (call.address(), call.port(), call.protocol());
    if address == config.node_local {
        return ALLOW;
    }
    let Some(service) = lookup::service(config, &address, port, protocol) else { return ALLOW };
    let (cookie, netns) = (call.cookie(), call.netns_cookie());
    // Ports of pods at the node's loopback address are for the node itself; every pod has a loopback of its own.
    if is_loopback(&address) && netns != config.netns_cookie {
        return ALLOW;
    }
    let client = Address::from_words([netns as u32, (netns >> 32) as u32, 0, 0]);
    let kind = AffinityKey::BY_NAMESPACE;
    let Some(backend) = affinity::backend(service, &client, kind, number(protocol, cookie)) else {
        return refuse(service);
    };
    if !call.speaks(&backend.address) {
        return refuse(service);
    }
    remember(cookie, &backend.address, backend.port, &address, port, service);
    call.set(&backend.address, backend.port);
    ALLOW
}

/// Shows the service address again where a socket asks who it talks to.
#[inline(always)]
pub fn to_service(hook: Hook, call: &Call) -> i32 {
    verdict::count(hook);
    let key =
        SocketKey { cookie: call.cookie(), address: call.address(), port: call.port(), reserved: [0; 3] };
    // SAFETY: the entry is copied at once; a concurrent eviction can at worst show another service address
    // of a socket that has since been closed.
    if let Some(origin) = unsafe { maps::SOCKETS.get(key) } {
        call.set(&origin.address, origin.port);
    }
    ALLOW
}

/// Datagrams of one socket stay with one backend, connections spread.
#[inline(always)]
fn number(protocol: u8, cookie: u64) -> u32 {
    if protocol == UDP {
        (cookie.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    } else {
        lookup::any_number()
    }
}

#[inline(always)]
fn remember(
    cookie: u64,
    backend: &Address,
    port: Be16,
    address: &Address,
    service_port: Be16,
    service: &Service,
) {
    let key = SocketKey { cookie, address: *backend, port, reserved: [0; 3] };
    let origin = SocketOrigin { address: *address, port: service_port, reserved: 0, service: service.id };
    let _ = maps::SOCKETS.insert(key, origin, MAP_ANY);
}

#[inline(always)]
fn is_loopback(address: &Address) -> bool {
    address.is_v4() && u32::from_be(address.v4_word()) >> 24 == 127
}

#[inline(always)]
fn refuse(service: &Service) -> i32 {
    let elsewhere = service.flags & Service::ELSEWHERE != 0;
    let (reason, error) = match elsewhere {
        true => (Reason::NoLocalBackend, EHOSTUNREACH),
        false => (Reason::NoBackend, ECONNREFUSED),
    };
    verdict::count_refusal(reason);
    // SAFETY: a scalar argument; what the caller's connect() or sendmsg() returns.
    unsafe { bpf_set_retval(error) };
    REFUSE
}
