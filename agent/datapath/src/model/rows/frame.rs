//! Frames from words.

use crate::model::headers::{fill_checksums, read};
use crate::tables::tests::address;
use keelson_ebpf_abi::Address;

/// A frame under construction.
#[derive(Clone, Debug)]
pub struct Frame {
    pub protocol: u8,
    pub source: (Address, u16),
    pub destination: (Address, u16),
    /// TCP flags or ICMP type.
    pub control: u8,
    /// Flags and offset of the fragment.
    pub fragment: u16,
    /// Words of IPv4 options.
    pub options: u8,
    /// UDP without a checksum.
    pub no_checksum: bool,
    /// The datagram's number.
    pub identification: u16,
    /// Of TCP: sequence and acknowledgement number, window.
    pub numbers: (u32, u32, u16),
    /// Of an ICMP error its code, and the packet that it is about as far as it is quoted.
    pub quote: Option<(u8, Vec<u8>)>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(protocol: u8, source: (Address, u16), destination: (Address, u16)) -> Self {
        let payload = b"keelson".to_vec();
        Self {
            protocol,
            source,
            destination,
            control: 0,
            fragment: 0,
            options: 0,
            no_checksum: false,
            identification: 0x1234,
            numbers: (1, 2, 1024),
            quote: None,
            payload,
        }
    }

    /// An answer that a node makes itself: not to be cut, without a number or words of an application.
    fn made_here(mut self) -> Self {
        (self.fragment, self.identification, self.numbers) = (0x4000, 0, (0, 0, 0));
        self.payload.clear();
        self
    }

    /// An ICMP error about a packet: its header and eight bytes.
    pub fn about(mut self, kind: u8, code: u8, packet: &[u8]) -> Self {
        let header = 14 + usize::from(packet[14] & 0x0f) * 4;
        let end = packet.len().min(header + 8);
        self.control = kind;
        self.quote = Some((code, packet[14..end].to_vec()));
        self
    }

    /// Reads `tcp 10.0.0.1:1000 > 10.0.0.2:80 SA`, `udp ...`, `ping 10.0.0.1 > 10.0.0.2 7`, `pong ...`,
    /// `icmp 10.0.0.1 > 10.0.0.2 3` (a type), `sctp ...`, `gre 10.0.0.1 > 10.0.0.2`; then `frag 0x2000`,
    /// `options`, `no-checksum`. `reset` is what answers a segment, with `seq 1` and `ack 2`; `error 10.0.0.1 >
    /// 10.0.0.2 3 4 about udp ...` an ICMP error by type and code, `refused` the same as this node makes it.
    pub fn parse(text: &str, nat: Option<u16>) -> Self {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap();
        let source = end(words.next().unwrap(), nat);
        assert_eq!(words.next(), Some(">"), "{text}");
        let destination = end(words.next().unwrap(), nat);
        let (protocol, control) = match kind {
            "tcp" => (6, 0x10),
            "udp" => (17, 0),
            "ping" => (1, 8),
            "pong" => (1, 0),
            "icmp" => (1, 3),
            "sctp" => (132, 0),
            "gre" => (47, 0),
            "reset" => (6, 0),
            "error" | "refused" => (1, 3),
            other => panic!("unknown packet {other}"),
        };
        let mut frame = Self::new(protocol, source, destination);
        frame.control = control;
        if matches!(kind, "reset" | "refused") {
            frame = frame.made_here();
        }
        if matches!(kind, "error" | "refused") {
            let (numbers, packet) = text.split_once(" about ").unwrap();
            let numbers: Vec<u8> = numbers.split(' ').skip(4).map(|number| number.parse().unwrap()).collect();
            let mut packet = Self::parse(packet, nat).bytes();
            if kind == "error" {
                // What is quoted is translated but for the transport's checksum.
                blank_transport(&mut packet);
            }
            return frame.about(numbers[0], numbers[1], &packet);
        }
        while let Some(word) = words.next() {
            match word {
                "frag" => {
                    let value = words.next().unwrap().trim_start_matches("0x");
                    frame.fragment = u16::from_str_radix(value, 16).unwrap();
                }
                "seq" => frame.numbers.0 = words.next().unwrap().parse().unwrap(),
                "ack" => frame.numbers.1 = words.next().unwrap().parse().unwrap(),
                "options" => frame.options = 3,
                "no-checksum" => frame.no_checksum = true,
                flags if protocol == 6 => frame.control = flags.chars().map(flag).sum(),
                identifier if protocol == 1 => {
                    let number =
                        if identifier == "NAT" { nat.unwrap_or(0) } else { identifier.parse().unwrap() };
                    if control == 8 { frame.source.1 = number } else { frame.destination.1 = number }
                }
                other => panic!("unknown word {other} in {text}"),
            }
        }
        frame
    }

    /// The frame's bytes, with right checksums.
    pub fn bytes(&self) -> Vec<u8> {
        let transport = self.transport();
        let mut bytes = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00];
        let total = 20 + usize::from(self.options) * 4 + transport.len();
        bytes.extend([0x45 + self.options, 0]);
        bytes.extend((total as u16).to_be_bytes());
        bytes.extend(self.identification.to_be_bytes());
        bytes.extend(self.fragment.to_be_bytes());
        bytes.extend([64, self.protocol, 0, 0]);
        bytes.extend(&self.source.0.bytes()[12..]);
        bytes.extend(&self.destination.0.bytes()[12..]);
        // Options that say nothing.
        bytes.extend(std::iter::repeat_n(1, usize::from(self.options) * 4));
        bytes.extend(transport);
        if let Some(headers) = read(&bytes) {
            let unset = self.no_checksum && self.protocol == 17;
            if self.protocol == 17 && !unset {
                // Any value: absent checksums are not filled in.
                bytes[headers.transport + 6] = 1;
            }
            fill_checksums(&mut bytes, &headers);
        }
        bytes
    }

    fn transport(&self) -> Vec<u8> {
        let (from, to) = (self.source.1.to_be_bytes(), self.destination.1.to_be_bytes());
        let mut bytes = match self.protocol {
            6 => {
                let (sequence, acknowledgement, window) = self.numbers;
                let numbers = [sequence.to_be_bytes(), acknowledgement.to_be_bytes()].concat();
                let window = window.to_be_bytes();
                [&from[..], &to, &numbers, &[0x50, self.control], &window, &[0, 0, 0, 0]].concat()
            }
            17 => {
                let len = (8 + self.payload.len() as u16).to_be_bytes();
                [&from[..], &to, &len, &[0, 0]].concat()
            }
            1 if let Some((code, quote)) = &self.quote => {
                let mut bytes = vec![self.control, *code, 0, 0, 0, 0, 0, 0];
                bytes.extend(quote);
                return bytes;
            }
            1 => {
                let identifier = if self.control == 8 { from } else { to };
                [&[self.control, 0, 0, 0][..], &identifier, &[0, 1]].concat()
            }
            132 => [&from[..], &to, &[0; 8]].concat(),
            _ => vec![0; 8],
        };
        bytes.extend(&self.payload);
        bytes
    }
}

fn blank_transport(packet: &mut [u8]) {
    let blanked = crate::model::blanked(packet);
    // But the header's own is kept.
    packet[34..].copy_from_slice(&blanked[34..]);
}

fn end(text: &str, nat: Option<u16>) -> (Address, u16) {
    match text.split_once(':') {
        None => (address(text), 0),
        Some((ip, "NAT")) => (address(ip), nat.unwrap_or(0)),
        Some((ip, port)) => (address(ip), port.parse().unwrap()),
    }
}

fn flag(letter: char) -> u8 {
    match letter {
        'F' => 0x01,
        'S' => 0x02,
        'R' => 0x04,
        'A' => 0x10,
        other => panic!("unknown flag {other}"),
    }
}
