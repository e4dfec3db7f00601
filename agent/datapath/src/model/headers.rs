//! Frames read and written by the model: bytes in, bytes out, checksums computed from scratch.

use keelson_ebpf_abi::{Address, Be16, Tuple};

pub(super) const ETHERNET: usize = 14;
pub(super) const ICMP: u8 = 1;
pub(super) const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The fragment with the transport header.
    First,
    /// A fragment without.
    Later,
}

/// What an IPv4 packet says in its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Addresses and ports; ports are zero where there are none.
    pub tuple: Tuple,
    /// TCP flags, or the ICMP type.
    pub control: u8,
    /// Which part of its datagram it is.
    pub part: Part,
    /// The number that the fragments of a datagram share.
    pub identification: u16,
    /// Offset of the transport header.
    pub transport: usize,
}

impl Headers {
    /// Whether ports can be rewritten.
    pub fn has_ports(&self) -> bool {
        match self.tuple.protocol {
            TCP | UDP => true,
            ICMP => matches!(self.control, 0 | 8),
            _ => false,
        }
    }

    /// Whether the packet opens a flow that can be given another source port.
    pub fn opens_with_port(&self) -> bool {
        match self.tuple.protocol {
            TCP | UDP => true,
            ICMP => self.control == 8,
            _ => false,
        }
    }

    /// Whether this opens a TCP connection.
    pub fn is_syn(&self) -> bool {
        self.tuple.protocol == TCP && self.control & 0x12 == 0x02
    }

    /// Whether this ends a TCP connection.
    pub fn is_closing(&self) -> bool {
        self.tuple.protocol == TCP && self.control & 0x05 != 0
    }
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

pub(super) fn address(bytes: &[u8], at: usize) -> Option<Address> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Address::from(std::net::IpAddr::from(bytes)))
}

/// Reads a frame; `None` when it does not hold what it announces.
pub fn read(frame: &[u8]) -> Option<Headers> {
    let first = *frame.get(ETHERNET)?;
    let words = usize::from(first & 0x0f);
    if first >> 4 != 4 || words < 5 || frame.len() < ETHERNET + words * 4 {
        return None;
    }
    let fragment = word(frame, ETHERNET + 6)?;
    let protocol = *frame.get(ETHERNET + 9)?;
    let mut headers = Headers {
        tuple: Tuple {
            source: address(frame, ETHERNET + 12)?,
            destination: address(frame, ETHERNET + 16)?,
            protocol,
            family: 4,
            ..Tuple::default()
        },
        control: 0,
        part: match (fragment & 0x1fff, fragment & 0x2000) {
            (0, 0) => Part::Whole,
            (0, _) => Part::First,
            _ => Part::Later,
        },
        identification: word(frame, ETHERNET + 4)?,
        transport: ETHERNET + words * 4,
    };
    if headers.part != Part::Later {
        read_transport(frame, &mut headers)?;
    }
    Some(headers)
}

fn read_transport(frame: &[u8], headers: &mut Headers) -> Option<()> {
    let at = headers.transport;
    let needed = match headers.tuple.protocol {
        TCP => 20,
        UDP | SCTP | ICMP => 8,
        _ => return Some(()),
    };
    frame.get(at..at + needed)?;
    let tuple = &mut headers.tuple;
    if tuple.protocol == ICMP {
        headers.control = frame[at];
        let identifier = Be16::new(word(frame, at + 4)?);
        match headers.control {
            8 => tuple.source_port = identifier,
            0 => tuple.destination_port = identifier,
            _ => {}
        }
        return Some(());
    }
    tuple.source_port = Be16::new(word(frame, at)?);
    tuple.destination_port = Be16::new(word(frame, at + 2)?);
    if tuple.protocol == TCP {
        headers.control = frame[at + 13];
    }
    Some(())
}

/// The frame with another tuple and right checksums.
pub fn rewrite(frame: &[u8], tuple: &Tuple) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let Some(headers) = read(&frame) else { return frame };
    if headers.tuple == *tuple {
        return frame;
    }
    frame[ETHERNET + 12..ETHERNET + 16].copy_from_slice(&tuple.source.bytes()[12..]);
    frame[ETHERNET + 16..ETHERNET + 20].copy_from_slice(&tuple.destination.bytes()[12..]);
    let at = headers.transport;
    if headers.part == Part::Later {
        fill_checksums(&mut frame, &headers);
        return frame;
    }
    let mut put = |at: usize, port: Be16| frame[at..at + 2].copy_from_slice(&port.get().to_be_bytes());
    match (tuple.protocol, headers.control) {
        (TCP | UDP, _) => {
            put(at, tuple.source_port);
            put(at + 2, tuple.destination_port);
        }
        (ICMP, 8) => put(at + 4, tuple.source_port),
        (ICMP, 0) => put(at + 4, tuple.destination_port),
        _ => {}
    }
    fill_checksums(&mut frame, &headers);
    frame
}

/// Computes the checksums of a frame; a UDP checksum that is absent stays absent.
pub fn fill_checksums(frame: &mut [u8], headers: &Headers) {
    let at = headers.transport;
    frame[ETHERNET + 10..ETHERNET + 12].fill(0);
    let sum = fold(add(0, &frame[ETHERNET..at]));
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&(!sum).to_be_bytes());
    let Some(field) = checksum_field(frame, headers) else { return };
    frame[field..field + 2].fill(0);
    let sum = !fold(transport_sum(frame, headers));
    // In UDP zero says that there is none.
    let sum = if headers.tuple.protocol == UDP && sum == 0 { 0xffff } else { sum };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The frame with its checksums checked and then blanked, so that the two forms of zero compare equal.
pub fn normalised(frame: &[u8]) -> Result<Vec<u8>, &'static str> {
    if let Some(headers) = readable(frame) {
        if fold(add(0, &frame[ETHERNET..headers.transport])) != 0xffff {
            return Err("the IPv4 checksum is wrong");
        }
        let has_checksum = checksum_field(frame, &headers).is_some();
        if has_checksum && fold(transport_sum(frame, &headers)) != 0xffff {
            return Err("the transport checksum is wrong");
        }
    }
    Ok(blanked(frame))
}

/// The frame without its checksums.
pub fn blanked(frame: &[u8]) -> Vec<u8> {
    let mut blanked = frame.to_vec();
    if let Some(headers) = readable(frame) {
        blanked[ETHERNET + 10..ETHERNET + 12].fill(0);
        // That of a first fragment covers bytes that are not here.
        if let Some(field) = any_checksum_field(frame, &headers) {
            blanked[field..field + 2].fill(0);
        }
    }
    blanked
}

fn readable(frame: &[u8]) -> Option<Headers> {
    if word(frame, 12) == Some(0x0800) { read(frame) } else { None }
}

/// Where the transport checksum lies, if the packet has one that can be checked.
fn checksum_field(frame: &[u8], headers: &Headers) -> Option<usize> {
    if headers.part == Part::Whole { any_checksum_field(frame, headers) } else { None }
}

fn any_checksum_field(frame: &[u8], headers: &Headers) -> Option<usize> {
    if headers.part == Part::Later {
        return None;
    }
    let field = headers.transport
        + match headers.tuple.protocol {
            TCP => 16,
            UDP => 6,
            ICMP => 2,
            _ => return None,
        };
    let value = word(frame, field)?;
    if headers.tuple.protocol == UDP && value == 0 { None } else { Some(field) }
}

fn transport_sum(frame: &[u8], headers: &Headers) -> u32 {
    let payload = &frame[headers.transport..];
    let sum = add(0, payload);
    if headers.tuple.protocol == ICMP {
        return sum;
    }
    let sum = add(sum, &frame[ETHERNET + 12..ETHERNET + 20]);
    sum + u32::from(headers.tuple.protocol) + payload.len() as u32
}

pub(super) fn add(mut sum: u32, bytes: &[u8]) -> u32 {
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    sum
}

pub(super) fn fold(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
