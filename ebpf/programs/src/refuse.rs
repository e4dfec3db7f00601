//! The answer where nothing answers: the packet itself, turned round.
//!
//! A TCP segment becomes the RST of RFC 9293, 3.10.7.1, everything else the port unreachable of RFC 792 with the IPv4
//! header and eight bytes of what met it. Both come from the address that was asked.

use crate::consts::*;
use crate::route::Route;
use crate::state::State;
use crate::verdict::{self, Verdict};
use crate::{conntrack, csum, lookup, maps};
use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::bpf_skb_change_tail;
use aya_ebpf::programs::TcContext;
use core::mem;
use keelson_ebpf_abi::{Config, Reason, Service};

/// Where the transport header of a packet without IPv4 options lies.
const L4: u32 = ETHERNET_LEN + IPV4_LEN;
const DONT_FRAGMENT: u16 = 0x4000_u16.to_be();
const TTL: u8 = 64;

/// The IPv4 header of an answer.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4 {
    version_and_service: u16,
    total_len: u16,
    identification: u16,
    fragment: u16,
    ttl_and_protocol: u16,
    checksum: u16,
    source: u32,
    destination: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Tcp {
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32,
    offset_and_flags: u16,
    window: u16,
    checksum: u16,
    urgent: u16,
}

/// The head of an ICMP error, and the head of the packet that met it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Error {
    kind: u8,
    code: u8,
    checksum: u16,
    unused: u32,
    quote: [u32; QUOTE_WORDS],
}

/// An IPv4 header without options and eight bytes.
const QUOTE_WORDS: usize = 7;

/// Refuses a packet that asks for a service without a backend. Whoever may find one elsewhere hears nothing.
#[inline(always)]
pub fn service(
    ctx: &TcContext,
    config: &Config,
    state: &mut State,
    service: &Service,
    back: Route,
) -> Result<Verdict, Reason> {
    if service.flags & Service::ELSEWHERE != 0 {
        return Err(Reason::NoLocalBackend);
    }
    let (config, state): (*const Config, *mut State) = (config, state);
    verdict::decode(refuse(ctx.skb.skb, config, state, back as u32))
}

/// See [`service`]; a function of its own for the verifier.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn refuse(skb: *mut __sk_buff, config: *const Config, state: *mut State, back: u32) -> i32 {
    // SAFETY: the callers' own, see `service`.
    let (Some(config), Some(state)) = (unsafe { config.as_ref() }, unsafe { state.as_mut() }) else {
        return verdict::encode(Err(Reason::NotReady));
    };
    let ctx = TcContext::new(skb);
    verdict::encode(answer(&ctx, config, state, Route::from_number(back)))
}

#[inline(always)]
fn answer(ctx: &TcContext, config: &Config, state: &mut State, back: Route) -> Result<Verdict, Reason> {
    // Options would have to be understood before they are sent back.
    if state.packet.l4 != L4 {
        return Err(Reason::NoBackend);
    }
    if state.packet.tuple.protocol == TCP {
        reset(ctx, state)?
    } else {
        unreachable(ctx, state)?
    }
    verdict::count_refusal(Reason::NoBackend);
    if back != Route::Pod {
        return Ok(Verdict::Outer);
    }
    let pod = lookup::endpoint(&state.packet.tuple.source).ok_or(Reason::Spoofed)?;
    state.hop.ifindex = pod.ifindex;
    state.hop.mac = pod.mac;
    csum::set_macs(ctx, &state.hop, config.gateway_mac)?;
    verdict::for_host(ctx);
    Ok(Verdict::Pod)
}

#[inline(always)]
fn reset(ctx: &TcContext, state: &State) -> Result<(), Reason> {
    let asked: Tcp = ctx.load(L4 as usize).map_err(|_| Reason::Malformed)?;
    let total_len: u16 = ctx.load(ETHERNET_LEN as usize + 2).map_err(|_| Reason::Malformed)?;
    let flags = state.packet.control;
    if flags & RST != 0 {
        return Err(Reason::NoBackend);
    }
    let (sequence, acknowledgement, answer_flags) = if flags & ACK != 0 {
        (asked.acknowledgement, 0, RST)
    } else {
        let header = IPV4_LEN + u32::from(asked.offset_and_flags.to_le() as u8 >> 4) * 4;
        let payload = u32::from(u16::from_be(total_len)).wrapping_sub(header);
        let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        let next = u32::from_be(asked.sequence).wrapping_add(payload).wrapping_add(marks);
        (0, next.to_be(), RST | ACK)
    };
    let mut tcp = Tcp {
        source_port: asked.destination_port,
        destination_port: asked.source_port,
        sequence,
        acknowledgement,
        offset_and_flags: u16::from_ne_bytes([5 << 4, answer_flags]),
        window: 0,
        checksum: 0,
        urgent: 0,
    };
    let ip = header(state, TCP, TCP_LEN);
    let pseudo = words(ip.source)
        + words(ip.destination)
        + u32::from(u16::from(TCP).to_be())
        + u32::from((TCP_LEN as u16).to_be());
    let content = u32::from(tcp.source_port)
        + u32::from(tcp.destination_port)
        + words(sequence)
        + words(acknowledgement)
        + u32::from(tcp.offset_and_flags);
    let pseudo = fold(pseudo);
    tcp.checksum = pseudo;
    resize(ctx, L4 + TCP_LEN)?;
    ctx.store(ETHERNET_LEN as usize, &ip, 0).map_err(|_| Reason::Rewrite)?;
    ctx.store(L4 as usize, &tcp, 0).map_err(|_| Reason::Rewrite)?;
    // Where hardware is to complete the checksum (CHECKSUM_PARTIAL) the field holds the sum of the pseudo header, and
    // this changes nothing: it is no change of that. Else it puts the whole checksum there.
    let from = u64::from(!pseudo);
    let to = u64::from(fold(u32::from(pseudo) + content));
    ctx.l4_csum_replace((L4 + 16) as usize, from, to, 4).map_err(|_| Reason::Rewrite)
}

/// A checksum that hardware is to complete does no harm here: UDP's lies over a field that is zero, and completing a
/// sum that is right already leaves zero there.
#[inline(always)]
fn unreachable(ctx: &TcContext, state: &State) -> Result<(), Reason> {
    if !may_send() {
        return Err(Reason::NoBackend);
    }
    let quote: [u32; QUOTE_WORDS] = ctx.load(ETHERNET_LEN as usize).map_err(|_| Reason::Malformed)?;
    let mut error = Error { kind: UNREACHABLE, code: PORT_UNREACHABLE, checksum: 0, unused: 0, quote };
    let mut sum = u32::from(u16::from_ne_bytes([UNREACHABLE, PORT_UNREACHABLE]));
    for word in quote {
        sum += words(word);
    }
    error.checksum = !fold(sum);
    let len = mem::size_of::<Error>() as u32;
    let ip = header(state, ICMP, len);
    resize(ctx, L4 + len)?;
    ctx.store(ETHERNET_LEN as usize, &ip, 0).map_err(|_| Reason::Rewrite)?;
    ctx.store(L4 as usize, &error, 0).map_err(|_| Reason::Rewrite)
}

/// One bucket for all CPUs. Two that ask at once may both be let through: the limit need not be exact.
#[inline(always)]
fn may_send() -> bool {
    let Some(next) = maps::ERRORS.get_ptr_mut(0) else { return false };
    let now = conntrack::now();
    // SAFETY: a number in a map, see above.
    let due = unsafe { *next };
    if due > now.wrapping_add(ERROR_BURST_NS) {
        return false;
    }
    let from = if due > now { due } else { now };
    // SAFETY: as above.
    unsafe { *next = from.wrapping_add(ERROR_INTERVAL_NS) };
    true
}

#[inline(always)]
fn resize(ctx: &TcContext, len: u32) -> Result<(), Reason> {
    // SAFETY: scalar arguments; the helper also forgets how the segments of a larger packet were to be cut.
    let result = unsafe { bpf_skb_change_tail(ctx.skb.skb, len, 0) };
    if result == 0 { Ok(()) } else { Err(Reason::Rewrite) }
}

/// The header of an answer from who was asked. It is not to be cut, so it needs no number (RFC 6864).
#[inline(always)]
fn header(state: &State, protocol: u8, payload: u32) -> Ipv4 {
    let mut ip = Ipv4 {
        version_and_service: u16::from_ne_bytes([0x45, 0]),
        total_len: ((IPV4_LEN + payload) as u16).to_be(),
        identification: 0,
        fragment: DONT_FRAGMENT,
        ttl_and_protocol: u16::from_ne_bytes([TTL, protocol]),
        checksum: 0,
        source: state.packet.tuple.destination.v4_word(),
        destination: state.packet.tuple.source.v4_word(),
    };
    let sum = u32::from(ip.version_and_service)
        + u32::from(ip.total_len)
        + u32::from(ip.fragment)
        + u32::from(ip.ttl_and_protocol)
        + words(ip.source)
        + words(ip.destination);
    ip.checksum = !fold(sum);
    ip
}

/// The sum of the two halves of a word.
#[inline(always)]
fn words(word: u32) -> u32 {
    (word & 0xffff) + (word >> 16)
}

/// A sum of up to 2^16 halves in one, RFC 1071.
#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = words(sum);
    words(sum) as u16
}
