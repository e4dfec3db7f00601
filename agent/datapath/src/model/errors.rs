//! ICMP errors and resets: what they quote, and what a refused packet is answered with.

use super::headers::{ETHERNET, Headers, ICMP, Part, TCP, add, address, fill_checksums, fold, read, word};
use keelson_ebpf_abi::{Be16, Tuple};

/// Whether this reports an error that another packet has met: unreachable, time exceeded, parameter problem.
pub fn is_error(headers: &Headers) -> bool {
    headers.tuple.protocol == ICMP && headers.part != Part::Later && matches!(headers.control, 3 | 11 | 12)
}

/// Where in an error the packet begins that it is about.
fn quote_at(headers: &Headers) -> usize {
    headers.transport + 8
}

/// The packet that an error is about, if the quote says which flow it belonged to.
pub fn quoted(frame: &[u8], headers: &Headers) -> Option<Tuple> {
    let at = quote_at(headers);
    let first = *frame.get(at)?;
    let transport = at + usize::from(first & 0x0f) * 4;
    let is_later = word(frame, at + 6)? & 0x1fff != 0;
    frame.get(at..at + 20)?;
    if first >> 4 != 4 || first & 0x0f < 5 || is_later {
        return None;
    }
    let head = frame.get(transport..transport + 8)?;
    let port = |at: usize| Be16::new(u16::from_be_bytes([head[at], head[at + 1]]));
    let protocol = frame[at + 9];
    let (source_port, destination_port) = match (protocol, head[0]) {
        (6 | 17 | 132, _) => (port(0), port(2)),
        (ICMP, 8) => (port(4), Be16::ZERO),
        (ICMP, 0) => (Be16::ZERO, port(4)),
        _ => return None,
    };
    let (source, destination) = (address(frame, at + 12)?, address(frame, at + 16)?);
    Some(Tuple { source, destination, source_port, destination_port, protocol, family: 4, reserved: 0 })
}

/// The error with another packet quoted and right checksums.
pub fn requote(frame: &[u8], headers: &Headers, to: &Tuple) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let at = quote_at(headers);
    let transport = at + usize::from(frame[at] & 0x0f) * 4;
    let addresses = [&to.source.bytes()[12..], &to.destination.bytes()[12..]].concat();
    // RFC 1624: the checksum follows what changes, so a wrong one stays wrong.
    let without: Vec<u8> = frame[at + 10..at + 20].iter().map(|byte| !byte).collect();
    let sum = !fold(add(add(0, &without), &addresses));
    frame[at + 10..at + 12].copy_from_slice(&sum.to_be_bytes());
    frame[at + 12..at + 20].copy_from_slice(&addresses);
    let mut put = |at: usize, port: Be16| frame[at..at + 2].copy_from_slice(&port.get().to_be_bytes());
    match (to.protocol, frame_kind(to)) {
        (ICMP, Kind::Request) => put(transport + 4, to.source_port),
        (ICMP, Kind::Reply) => put(transport + 4, to.destination_port),
        _ => {
            put(transport, to.source_port);
            put(transport + 2, to.destination_port);
        }
    }
    fill_checksums(&mut frame, headers);
    frame
}

enum Kind {
    Request,
    Reply,
}

/// Of an echo only the identifier's side has a number.
fn frame_kind(tuple: &Tuple) -> Kind {
    if tuple.destination_port == Be16::ZERO { Kind::Request } else { Kind::Reply }
}

/// What a packet is answered with that nothing answers; `None` for what must not be answered.
pub fn refusal(frame: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    if headers.transport != ETHERNET + 20 {
        return None;
    }
    let payload = match headers.tuple.protocol {
        TCP => reset(frame, headers)?,
        // RFC 792: the header and eight bytes of what met the error.
        _ => [&[3, 3, 0, 0, 0, 0, 0, 0], frame.get(ETHERNET..ETHERNET + 28)?].concat(),
    };
    let protocol = if headers.tuple.protocol == TCP { TCP } else { ICMP };
    let mut answer = frame[..ETHERNET].to_vec();
    answer.extend([0x45, 0]);
    answer.extend((20 + payload.len() as u16).to_be_bytes());
    answer.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    answer.extend(&headers.tuple.destination.bytes()[12..]);
    answer.extend(&headers.tuple.source.bytes()[12..]);
    answer.extend(payload);
    let written = read(&answer)?;
    fill_checksums(&mut answer, &written);
    Some(answer)
}

/// RFC 9293, 3.10.7.1.
fn reset(frame: &[u8], headers: &Headers) -> Option<Vec<u8>> {
    let flags = headers.control;
    if flags & 0x04 != 0 {
        return None;
    }
    let number = |at: usize| {
        let at = headers.transport + at;
        frame.get(at..at + 4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let (sequence, acknowledgement, answer) = if flags & 0x10 != 0 {
        (number(8)?, 0, 0x04)
    } else {
        let header_len = 20 + u32::from(frame[headers.transport + 12] >> 4) * 4;
        let data = u32::from(word(frame, ETHERNET + 2)?).wrapping_sub(header_len);
        let marks = u32::from(flags & 0x02 != 0) + u32::from(flags & 0x01 != 0);
        (0, number(4)?.wrapping_add(data).wrapping_add(marks), 0x14)
    };
    let mut tcp = Vec::new();
    tcp.extend(headers.tuple.destination_port.get().to_be_bytes());
    tcp.extend(headers.tuple.source_port.get().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledgement.to_be_bytes());
    tcp.extend([0x50, answer, 0, 0, 0, 0, 0, 0]);
    Some(tcp)
}
