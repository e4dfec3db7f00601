//! Numbers of protocols and of the kernel's ABI, and sizes of maps.

/// Sizes of headers, without options.
pub const ETHERNET_LEN: u32 = 14;
pub const IPV4_LEN: u32 = 20;
pub const TCP_LEN: u32 = 20;
pub const ICMP_LEN: u32 = 8;
/// EtherTypes as the context shows them: network order in the low 16 bits.
pub const ETHERTYPE_IPV4: u32 = 0x0800_u16.to_be() as u32;
pub const ETHERTYPE_IPV6: u32 = 0x86dd_u16.to_be() as u32;
pub const ETHERTYPE_ARP: u32 = 0x0806_u16.to_be() as u32;

/// IANA protocol numbers.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const SCTP: u8 = 132;

/// ICMP types that carry an identifier.
pub const ECHO_REPLY: u8 = 0;
pub const ECHO_REQUEST: u8 = 8;
/// ICMP types that carry the head of a packet that met an error.
pub const UNREACHABLE: u8 = 3;
pub const TIME_EXCEEDED: u8 = 11;
pub const PARAMETER_PROBLEM: u8 = 12;
/// Code of [`UNREACHABLE`]: nobody listens at the port.
pub const PORT_UNREACHABLE: u8 = 3;

/// TCP flags.
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const ACK: u8 = 0x10;

/// Offsets within an IPv4 header.
pub const IPV4_CHECKSUM: u32 = 10;
pub const IPV4_SOURCE: u32 = 12;
pub const IPV4_DESTINATION: u32 = 16;
/// More fragments, and the fragment's offset: either makes a fragment.
pub const IPV4_FRAGMENT: u16 = 0x3fff_u16.to_be();
/// The fragment's offset alone: not zero means that no ports follow.
pub const IPV4_FRAGMENT_OFFSET: u16 = 0x1fff_u16.to_be();

/// Return values of tc programs. UNSPEC hands on to the next program, which PASS would not.
pub const ACT_UNSPEC: i32 = -1;
pub const ACT_SHOT: i32 = 2;

/// include/uapi/linux/if_packet.h: the frame is for this host, or for another one and only overheard.
pub const PACKET_HOST: u32 = 0;
pub const PACKET_OTHER_HOST: u32 = 3;

/// Flags of bpf_l4_csum_replace: the field is part of the pseudo header; a UDP checksum of 0 stays 0.
pub const CSUM_PSEUDO_HEADER: u64 = 0x10;
pub const CSUM_KEEP_UDP_ZERO: u64 = 0x20;

/// Flag of bpf_skb_set_tunnel_key: no checksum in the outer UDP header, the inner ones suffice.
pub const TUNNEL_ZERO_CHECKSUM: u64 = 0x02;

/// Flags of bpf_map_update_elem.
pub const MAP_ANY: u64 = 0;
pub const MAP_NO_EXIST: u64 = 1;

pub const EEXIST: i32 = -17;
pub const ECONNREFUSED: i32 = -111;
pub const EHOSTUNREACH: i32 = -113;

pub const SECOND_NS: u64 = 1_000_000_000;

/// ICMP errors that this node sends by itself: one per interval, and as many at once as fit into the burst. The
/// kernel's own limit is as large (net.ipv4.icmp_msgs_per_sec).
pub const ERROR_INTERVAL_NS: u64 = SECOND_NS / 1_000;
pub const ERROR_BURST_NS: u64 = 50 * ERROR_INTERVAL_NS;

/// Ports tried before a new flow that needs one is refused.
pub const NAT_TRIES: u32 = 8;

/// Sizes; user space may override them before loading.
pub const SERVICES_MAX: usize = 131_072;
pub const BACKENDS_MAX: usize = 262_144;
pub const FLOWS_MAX: usize = 262_144;
pub const PEERS_MAX: usize = 32_768;
pub const ENDPOINTS_MAX: usize = 4_096;
pub const SOCKETS_MAX: usize = 32_768;
pub const AFFINITY_MAX: usize = 65_536;
pub const MEMBERS_MAX: usize = 262_144;
pub const FRAGMENTS_MAX: usize = 8_192;
/// At least as many as there are hooks and reasons.
pub const HOOK_COUNTS_MAX: usize = 16;
pub const DROP_COUNTS_MAX: usize = 32;
/// BPF_F_NO_PREALLOC: written by user space only, so memory follows the content.
pub const NO_PREALLOC: usize = 1;
