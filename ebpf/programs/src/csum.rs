//! Tuple -> packet bytes. The only place that writes headers; every change carries its checksums along.

use crate::consts::*;
use crate::parse::Packet;
use crate::state::Hop;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Be16, Reason, Tuple};

/// Makes the packet carry `to` instead of what was parsed.
///
/// All four fields are written when any differs: a checksum update by equal values changes nothing, and one
/// straight line is cheaper to verify than every combination of four branches.
#[inline(always)]
pub fn rewrite(ctx: &TcContext, packet: &Packet, to: &Tuple) -> Result<(), Reason> {
    let from = &packet.tuple;
    let ports_differ = from.source_port != to.source_port || from.destination_port != to.destination_port;
    if !ports_differ && from.source == to.source && from.destination == to.destination {
        return Ok(());
    }
    address(ctx, packet, IPV4_SOURCE, from.source.v4_word(), to.source.v4_word())?;
    address(ctx, packet, IPV4_DESTINATION, from.destination.v4_word(), to.destination.v4_word())?;
    // The ports of a later fragment stand in the first.
    if !ports_differ || packet.is_later() {
        return Ok(());
    }
    ports(ctx, packet, to)
}

/// Makes the packet that an ICMP error quotes what `to` says.
///
/// Within the quoted IPv4 header the checksum makes up for the addresses, so the sum of the whole message changes by
/// the ports alone. The transport's own checksum in the quote is left as it is: nobody has enough of that packet to
/// check it.
#[inline(always)]
pub fn rewrite_quoted(
    ctx: &TcContext,
    packet: &Packet,
    l4: u32,
    from: &Tuple,
    to: &Tuple,
) -> Result<(), Reason> {
    let l3 = packet.l4 + ICMP_LEN;
    let checksum_at = packet.l4 + 2;
    ipv4_address(ctx, l3, IPV4_SOURCE, from.source.v4_word(), to.source.v4_word())?;
    ipv4_address(ctx, l3, IPV4_DESTINATION, from.destination.v4_word(), to.destination.v4_word())?;
    if from.protocol == ICMP {
        // Of the two only the one that is the identifier is not zero.
        let identifier =
            |tuple: &Tuple| Be16::from_wire(tuple.source_port.wire() | tuple.destination_port.wire());
        return port(ctx, l4 + 4, checksum_at, 2, identifier(from), identifier(to));
    }
    pair(ctx, l4, checksum_at, 2, from, to)
}

/// Addresses the frame to a pod, from its gateway.
#[inline(always)]
pub fn set_macs(ctx: &TcContext, hop: &Hop, gateway_mac: [u8; 6]) -> Result<(), Reason> {
    let (to, from) = (hop.mac, gateway_mac);
    let macs: [u8; 12] =
        [to[0], to[1], to[2], to[3], to[4], to[5], from[0], from[1], from[2], from[3], from[4], from[5]];
    ctx.store(0, &macs, 0).map_err(|_| Reason::Rewrite)
}

#[inline(always)]
fn address(ctx: &TcContext, packet: &Packet, at: u32, from: u32, to: u32) -> Result<(), Reason> {
    // ICMP covers no pseudo header, and SCTP's CRC32c covers no address.
    let (checksum_at, flags) = match packet.tuple.protocol {
        // The sum of the whole datagram stands in its first fragment.
        _ if packet.is_later() => (0, 0),
        TCP => (16, CSUM_PSEUDO_HEADER | 4),
        UDP => (6, CSUM_PSEUDO_HEADER | CSUM_KEEP_UDP_ZERO | 4),
        _ => (0, 0),
    };
    if flags != 0 {
        let checksum_at = (packet.l4 + checksum_at) as usize;
        ctx.l4_csum_replace(checksum_at, u64::from(from), u64::from(to), flags)
            .map_err(|_| Reason::Rewrite)?;
    }
    ipv4_address(ctx, ETHERNET_LEN, at, from, to)
}

/// Changes an address of the IPv4 header at `l3`.
#[inline(always)]
fn ipv4_address(ctx: &TcContext, l3: u32, at: u32, from: u32, to: u32) -> Result<(), Reason> {
    let header_checksum = (l3 + IPV4_CHECKSUM) as usize;
    ctx.l3_csum_replace(header_checksum, u64::from(from), u64::from(to), 4).map_err(|_| Reason::Rewrite)?;
    ctx.store((l3 + at) as usize, &to, 0).map_err(|_| Reason::Rewrite)
}

#[inline(always)]
fn ports(ctx: &TcContext, packet: &Packet, to: &Tuple) -> Result<(), Reason> {
    let from = &packet.tuple;
    let l4 = packet.l4;
    match from.protocol {
        TCP => pair(ctx, l4, l4 + 16, 2, from, to),
        UDP => pair(ctx, l4, l4 + 6, CSUM_KEEP_UDP_ZERO | 2, from, to),
        // One field for both directions: the identifier.
        ICMP if packet.control == ECHO_REQUEST => {
            port(ctx, l4 + 4, l4 + 2, 2, from.source_port, to.source_port)
        }
        ICMP if packet.control == ECHO_REPLY => {
            port(ctx, l4 + 4, l4 + 2, 2, from.destination_port, to.destination_port)
        }
        _ => Err(Reason::Protocol),
    }
}

#[inline(always)]
fn pair(
    ctx: &TcContext,
    l4: u32,
    checksum_at: u32,
    flags: u64,
    from: &Tuple,
    to: &Tuple,
) -> Result<(), Reason> {
    port(ctx, l4, checksum_at, flags, from.source_port, to.source_port)?;
    port(ctx, l4 + 2, checksum_at, flags, from.destination_port, to.destination_port)
}

#[inline(always)]
fn port(ctx: &TcContext, at: u32, checksum_at: u32, flags: u64, from: Be16, to: Be16) -> Result<(), Reason> {
    let (from, to) = (from.wire(), to.wire());
    ctx.l4_csum_replace(checksum_at as usize, u64::from(from), u64::from(to), flags)
        .map_err(|_| Reason::Rewrite)?;
    ctx.store(at as usize, &to, 0).map_err(|_| Reason::Rewrite)
}
