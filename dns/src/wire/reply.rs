//! Replies as they go out: written front to back into one buffer.

use super::query::{HEADER_BYTES, Query};
use super::{CLASS_IN, Rcode, rtype};

/// What we tell clients of our own largest UDP message (DNS flag day 2020).
const PAYLOAD: u16 = 1232;
/// The size of an OPT record without options.
const OPT_BYTES: usize = 11;
/// A pointer to the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, HEADER_BYTES as u8];

/// Where a record belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// The name that owns a record.
#[derive(Clone, Copy)]
pub enum Owner<'a> {
    /// The name that was asked for.
    Question,
    /// A name in wire form.
    Wire(&'a [u8]),
}

/// A reply under construction. Records that do not fit set the truncation bit and are left out.
pub struct Reply<'a> {
    buffer: &'a mut Vec<u8>,
    counts: [u16; 3],
    /// In bytes, with room for the OPT record taken off.
    limit: usize,
    truncated: bool,
}

impl<'a> Reply<'a> {
    /// Starts a reply to `query` of at most `limit` bytes in `buffer`, which is cleared. Answers from the zone are
    /// authoritative.
    pub fn start(query: &Query<'_>, rcode: Rcode, limit: usize, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend(query.id.to_be_bytes());
        let recursion = if query.recursion_desired { 0x0100 } else { 0 };
        // Response, authoritative, recursion available.
        let flags: u16 = 0x8000 | 0x0400 | recursion | 0x0080 | (rcode as u16 & 15);
        buffer.extend(flags.to_be_bytes());
        buffer.extend([0, 1, 0, 0, 0, 0, 0, 0]);
        buffer.extend(query.name);
        buffer.extend(query.rtype.to_be_bytes());
        buffer.extend(query.class.to_be_bytes());
        let reserved = if query.edns.is_some() { OPT_BYTES } else { 0 };
        Self { buffer, counts: [0; 3], limit: limit.saturating_sub(reserved), truncated: false }
    }

    /// Adds a record; sections must be filled in order. False when it does not fit.
    pub fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        ttl: u32,
        rdata: &[&[u8]],
    ) -> bool {
        if self.truncated {
            return false;
        }
        let owner = match owner {
            Owner::Question => &QUESTION_NAME[..],
            Owner::Wire(wire) => wire,
        };
        let length: usize = rdata.iter().map(|part| part.len()).sum();
        let size = owner.len() + 10 + length;
        let Ok(length) = u16::try_from(length) else { return false };
        if self.buffer.len() + size > self.limit {
            // What is only an addition may be missing without a sign (RFC 2181 section 9).
            self.truncated = section != Section::Additional;
            return false;
        }
        self.buffer.extend(owner);
        self.buffer.extend(rtype.to_be_bytes());
        self.buffer.extend(CLASS_IN.to_be_bytes());
        self.buffer.extend(ttl.to_be_bytes());
        self.buffer.extend(length.to_be_bytes());
        rdata.iter().for_each(|part| self.buffer.extend(*part));
        self.counts[section as usize] += 1;
        true
    }

    /// Ends the reply: the OPT record when the query had one, and the counts.
    pub fn finish(mut self, query: &Query<'_>, rcode: Rcode) {
        if let Some(edns) = query.edns {
            let extended = ((rcode as u16) >> 4) as u8;
            let flags = if edns.dnssec_ok { 0x80 } else { 0 };
            let [high, low] = PAYLOAD.to_be_bytes();
            self.buffer.extend([0, 0, rtype::OPT as u8, high, low, extended, 0, flags, 0, 0, 0]);
            self.counts[Section::Additional as usize] += 1;
        }
        for (index, count) in self.counts.iter().enumerate() {
            self.buffer[6 + 2 * index..8 + 2 * index].copy_from_slice(&count.to_be_bytes());
        }
        if self.truncated {
            self.buffer[2] |= 0x02;
        }
    }
}

/// A reply to a message that has no readable question.
pub fn error(id: u16, rcode: Rcode, buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend(id.to_be_bytes());
    buffer.extend((0x8000 | (rcode as u16 & 15)).to_be_bytes());
    buffer.extend([0; 8]);
}

/// The largest UDP reply to a query, in bytes: what its OPT record allows, at least 512 and at most our own limit.
pub fn udp_limit(query: &Query<'_>) -> usize {
    query.edns.map_or(512, |edns| usize::from(edns.payload.clamp(512, PAYLOAD)))
}
