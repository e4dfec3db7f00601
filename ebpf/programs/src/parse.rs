//! Packet bytes -> tuple. The only place that reads headers.

use crate::consts::*;
use aya_ebpf::programs::TcContext;
use keelson_ebpf_abi::{Address, Be16, Flow, Reason, Tuple};

/// What the pipeline knows of a packet.
#[repr(C)]
pub struct Packet {
    pub tuple: Tuple,
    /// Offset of the transport header from the Ethernet header.
    pub l4: u32,
    /// TCP flags, or the ICMP type.
    pub control: u8,
    /// [`Packet::WHOLE`] and the following.
    pub fragment: u8,
    /// The datagram's number, which its fragments share.
    pub identification: Be16,
}

#[repr(C)]
struct Ipv4Header {
    version_and_words: u8,
    service: u8,
    total_len: u16,
    identification: u16,
    fragment: u16,
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
}

/// A TCP header without its options.
#[repr(C)]
struct TcpHeader {
    source_port: u16,
    destination_port: u16,
    sequence: u32,
    acknowledgement: u32,
    words: u8,
    flags: u8,
    window: u16,
    checksum: u16,
    urgent: u16,
}

/// A UDP header; of an SCTP header as much.
#[repr(C)]
struct Ports {
    source: u16,
    destination: u16,
    rest: u32,
}

#[repr(C)]
struct IcmpHeader {
    kind: u8,
    code: u8,
    checksum: u16,
    identifier: u16,
    sequence: u16,
}

impl Packet {
    pub const EMPTY: Self = Self {
        tuple: Tuple {
            source: Address::UNSPECIFIED,
            destination: Address::UNSPECIFIED,
            source_port: Be16::ZERO,
            destination_port: Be16::ZERO,
            protocol: 0,
            family: 4,
            reserved: 0,
        },
        l4: 0,
        control: 0,
        fragment: Self::WHOLE,
        identification: Be16::ZERO,
    };

    /// No fragment.
    pub const WHOLE: u8 = 0;
    /// The fragment with the transport header.
    pub const FIRST: u8 = 1;
    /// A fragment without: its ports stand in another packet.
    pub const LATER: u8 = 2;

    /// Whether this is a fragment that names no ports.
    #[inline(always)]
    pub fn is_later(&self) -> bool {
        self.fragment == Self::LATER
    }

    /// Whether this reports an error that another packet has met.
    #[inline(always)]
    pub fn is_error(&self) -> bool {
        let kind = self.control;
        self.tuple.protocol == ICMP
            && !self.is_later()
            && (kind == UNREACHABLE || kind == TIME_EXCEEDED || kind == PARAMETER_PROBLEM)
    }

    /// Whether the packet opens a flow that can be given another source port.
    #[inline(always)]
    pub fn has_port(&self) -> bool {
        match self.tuple.protocol {
            TCP | UDP => true,
            ICMP => self.control == ECHO_REQUEST,
            _ => false,
        }
    }

    /// Whether this opens a TCP connection.
    #[inline(always)]
    pub fn is_syn(&self) -> bool {
        self.tuple.protocol == TCP && self.control & (SYN | ACK) == SYN
    }

    /// What this packet says of the end of its TCP connection, as flags of a flow.
    #[inline(always)]
    pub fn closes(&self) -> u32 {
        match self.control & (FIN | RST) {
            0 => 0,
            _ if self.tuple.protocol != TCP => 0,
            FIN => Flow::OWN_FIN,
            _ => Flow::CLOSED,
        }
    }
}

/// The frame's EtherType as the kernel saw it, network order.
#[inline(always)]
pub fn ethertype(ctx: &TcContext) -> u32 {
    ctx.skb.protocol()
}

/// Reads the headers of an IPv4 packet into `packet`.
#[inline(always)]
pub fn ipv4(ctx: &TcContext, packet: &mut Packet) -> Result<(), Reason> {
    *packet = Packet::EMPTY;
    let header: Ipv4Header = ctx.load(ETHERNET_LEN as usize).map_err(|_| Reason::Malformed)?;
    let words = u32::from(header.version_and_words & 0x0f);
    let l4 = ETHERNET_LEN + words * 4;
    if header.version_and_words >> 4 != 4 || words < 5 || ctx.len() < l4 {
        return Err(Reason::Malformed);
    }
    packet.tuple.source = Address::from_v4_word(header.source);
    packet.tuple.destination = Address::from_v4_word(header.destination);
    packet.tuple.protocol = header.protocol;
    packet.l4 = l4;
    packet.identification = Be16::from_wire(header.identification);
    if header.fragment & IPV4_FRAGMENT_OFFSET != 0 {
        packet.fragment = Packet::LATER;
        return Ok(());
    }
    if header.fragment & IPV4_FRAGMENT != 0 {
        packet.fragment = Packet::FIRST;
    }
    transport(ctx, packet)
}

/// Reads the head of the packet that an ICMP error is about: its tuple, and where its transport header lies. `None`
/// when it does not say which flow it belonged to.
#[inline(always)]
pub fn quoted(ctx: &TcContext, packet: &Packet, tuple: &mut Tuple) -> Option<u32> {
    let at = packet.l4 + ICMP_LEN;
    let header: Ipv4Header = ctx.load(at as usize).ok()?;
    let words = u32::from(header.version_and_words & 0x0f);
    let is_head = header.fragment & IPV4_FRAGMENT_OFFSET == 0;
    if header.version_and_words >> 4 != 4 || words < 5 || !is_head {
        return None;
    }
    let l4 = at + words * 4;
    // RFC 792: at least eight bytes of it are quoted.
    let head: IcmpHeader = ctx.load(l4 as usize).ok()?;
    let first_port = u16::from_ne_bytes([head.kind, head.code]);
    let (source_port, destination_port) = match header.protocol {
        TCP | UDP | SCTP => (first_port, head.checksum),
        ICMP if head.kind == ECHO_REQUEST => (head.identifier, 0),
        ICMP if head.kind == ECHO_REPLY => (0, head.identifier),
        _ => return None,
    };
    *tuple = Tuple {
        source: Address::from_v4_word(header.source),
        destination: Address::from_v4_word(header.destination),
        source_port: Be16::from_wire(source_port),
        destination_port: Be16::from_wire(destination_port),
        protocol: header.protocol,
        family: 4,
        reserved: 0,
    };
    Some(l4)
}

#[inline(always)]
fn transport(ctx: &TcContext, packet: &mut Packet) -> Result<(), Reason> {
    let at = packet.l4 as usize;
    match packet.tuple.protocol {
        TCP => {
            let header: TcpHeader = ctx.load(at).map_err(|_| Reason::Malformed)?;
            packet.tuple.source_port = Be16::from_wire(header.source_port);
            packet.tuple.destination_port = Be16::from_wire(header.destination_port);
            packet.control = header.flags;
        }
        UDP | SCTP => {
            let ports: Ports = ctx.load(at).map_err(|_| Reason::Malformed)?;
            packet.tuple.source_port = Be16::from_wire(ports.source);
            packet.tuple.destination_port = Be16::from_wire(ports.destination);
        }
        ICMP => {
            let header: IcmpHeader = ctx.load(at).map_err(|_| Reason::Malformed)?;
            packet.control = header.kind;
            match header.kind {
                ECHO_REQUEST => packet.tuple.source_port = Be16::from_wire(header.identifier),
                ECHO_REPLY => packet.tuple.destination_port = Be16::from_wire(header.identifier),
                _ => {}
            }
        }
        _ => {}
    }
    Ok(())
}
