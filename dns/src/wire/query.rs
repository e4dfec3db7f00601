//! Queries as they come in.

use super::name::NAME_BYTES_MAX;
use super::{Rcode, rtype};

/// The length of the fixed header.
pub const HEADER_BYTES: usize = 12;

/// What the OPT record of a query says (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The largest UDP reply that the client takes, in bytes.
    pub payload: u16,
    pub version: u8,
    /// DNSSEC OK: copied to the reply.
    pub dnssec_ok: bool,
}

/// A query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    pub id: u16,
    pub recursion_desired: bool,
    /// The name as the client wrote it, in wire form: its letters' case is given back.
    pub name: &'a [u8],
    pub rtype: u16,
    pub class: u16,
    pub edns: Option<Edns>,
}

/// What a datagram is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed<'a> {
    Query(Query<'a>),
    /// To be answered with this code and nothing but its id.
    Broken {
        id: u16,
        rcode: Rcode,
    },
    /// Not a query at all: no reply, so that two servers do not talk forever.
    Ignore,
}

impl Query<'_> {
    /// The name in lower case, for lookups. Length bytes are below 64 and letters are not, so the whole can be
    /// lowered without looking at labels.
    pub fn key<'b>(&self, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> &'b [u8] {
        let key = &mut buffer[..self.name.len()];
        key.copy_from_slice(self.name);
        key.make_ascii_lowercase();
        key
    }
}

/// Reads a query; never panics, whatever the bytes are.
pub fn parse(message: &[u8]) -> Parsed<'_> {
    let Some(header) = message.get(..HEADER_BYTES) else { return Parsed::Ignore };
    let id = be16(header, 0);
    let flags = be16(header, 2);
    if flags & 0x8000 != 0 {
        return Parsed::Ignore;
    }
    if (flags >> 11) & 15 != 0 {
        return Parsed::Broken { id, rcode: Rcode::NotImp };
    }
    let broken = Parsed::Broken { id, rcode: Rcode::FormErr };
    let [questions, answers, authorities, additionals] = [4, 6, 8, 10].map(|at| be16(header, at));
    if questions != 1 || answers != 0 {
        return broken;
    }
    let Some((name, mut at)) = read_name(message) else { return broken };
    let Some(fixed) = message.get(at..at + 4) else { return broken };
    at += 4;
    let records = usize::from(authorities) + usize::from(additionals);
    let Some(edns) = find_edns(message, at, records) else { return broken };
    Parsed::Query(Query {
        id,
        recursion_desired: flags & 0x0100 != 0,
        name,
        rtype: be16(fixed, 0),
        class: be16(fixed, 2),
        edns,
    })
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The question's name and where it ends. Compression makes no sense there and is refused.
fn read_name(message: &[u8]) -> Option<(&[u8], usize)> {
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        if length > 63 {
            return None;
        }
        at += 1 + length;
        if at - HEADER_BYTES > NAME_BYTES_MAX {
            return None;
        }
        if length == 0 {
            return Some((message.get(HEADER_BYTES..at)?, at));
        }
    }
}

/// `None` when the message is broken, `Some(None)` when it has no OPT record.
fn find_edns(message: &[u8], mut at: usize, records: usize) -> Option<Option<Edns>> {
    // A query carries an OPT and at most a signature; more is refused rather than walked.
    if records > 4 {
        return None;
    }
    let mut found = None;
    for _ in 0..records {
        let name_end = skip_name(message, at)?;
        let fixed = message.get(name_end..name_end + 10)?;
        if be16(fixed, 0) == rtype::OPT {
            let is_root = message.get(at) == Some(&0);
            if found.is_some() || !is_root {
                return None;
            }
            found =
                Some(Edns { payload: be16(fixed, 2), version: fixed[5], dnssec_ok: fixed[6] & 0x80 != 0 });
        }
        at = name_end + 10 + usize::from(be16(fixed, 8));
        if at > message.len() {
            return None;
        }
    }
    Some(found)
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length if length < 64 => at += 1 + length,
            pointer if pointer >= 192 => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A query for `a.b` of type A.
    fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        bytes.extend(counts.iter().flat_map(|c| c.to_be_bytes()));
        bytes.extend(rest);
        bytes
    }

    const QUESTION: &[u8] = b"\x01A\x01b\0\0\x01\0\x01";
    const OPT: &[u8] = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0";

    #[test]
    fn a_plain_query() {
        let bytes = message(0x0100, [1, 0, 0, 0], QUESTION);
        let Parsed::Query(query) = parse(&bytes) else { panic!() };
        assert_eq!((query.id, query.rtype, query.class, query.recursion_desired), (0x1234, 1, 1, true));
        assert_eq!(query.name, b"\x01A\x01b\0", "the client's case is kept");
        assert_eq!(query.key(&mut [0; 255]), b"\x01a\x01b\0");
        assert_eq!(query.edns, None);
    }

    #[test]
    fn edns_is_found() {
        let bytes = message(0, [1, 0, 0, 1], &[QUESTION, OPT].concat());
        let Parsed::Query(query) = parse(&bytes) else { panic!() };
        assert_eq!(query.edns, Some(Edns { payload: 1232, version: 0, dnssec_ok: true }));
    }

    #[test]
    fn what_is_not_a_good_query() {
        let check =
            |bytes: Vec<u8>, expected: Parsed<'static>| assert_eq!(parse(&bytes), expected, "{bytes:x?}");
        let broken = |rcode| Parsed::Broken { id: 0x1234, rcode };
        check(vec![0; 11], Parsed::Ignore);
        check(message(0x8000, [1, 0, 0, 0], QUESTION), Parsed::Ignore);
        check(message(0x2800, [1, 0, 0, 0], QUESTION), broken(Rcode::NotImp));
        check(message(0, [0, 0, 0, 0], b""), broken(Rcode::FormErr));
        check(message(0, [2, 0, 0, 0], &[QUESTION, QUESTION].concat()), broken(Rcode::FormErr));
        check(message(0, [1, 0, 0, 0], b"\x01a"), broken(Rcode::FormErr));
        check(message(0, [1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01"), broken(Rcode::FormErr));
        check(message(0, [1, 0, 0, 0], b"\x41aaaa"), broken(Rcode::FormErr));
        check(message(0, [1, 0, 0, 2], &[QUESTION, OPT, OPT].concat()), broken(Rcode::FormErr));
        check(message(0, [1, 0, 0, 1], &[QUESTION, &OPT[..8]].concat()), broken(Rcode::FormErr));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse(&bytes);
        }

        #[test]
        fn any_tail_is_parsed_without_panic(counts in any::<[u8; 4]>(), tail in proptest::collection::vec(any::<u8>(), 0..80)) {
            let bytes = message(0, counts.map(u16::from), &tail);
            parse(&bytes);
            let bytes = message(0, [1, 0, 0, u16::from(counts[3] % 6)], &[QUESTION, &tail].concat());
            parse(&bytes);
        }
    }
}
