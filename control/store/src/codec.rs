//! The bytes of log entries and records: little-endian, length-prefixed, with a format byte in front.
//!
//! Own code instead of a serialisation crate, because these bytes outlive versions of any crate. Decoding never
//! panics: what it cannot read is an error that names the place.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use openraft::alias::{LogIdOf, StoredMembershipOf, VoteOf};
use openraft::impls::BasicNode;
use openraft::vote::leader_id_std::CommittedLeaderId;
use openraft::{EntryPayload, Membership, StoredMembership};

use crate::object::{Expect, Template, Write};
use crate::raft::types::{Batch, LeaderId, LogEntry, Types};

const FORMAT: u8 = 1;

const BLANK: u8 = 0;
const BATCH: u8 = 1;
const MEMBERSHIP: u8 = 2;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const DELETE_WITH_LAST: u8 = 3;

const ABSENT: u8 = 0;
const REVISION: u8 = 1;
const ANY: u8 = 2;

/// Bytes that do not decode.
fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed record: {what}"))
}

/// Reads values off the front of a slice.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, n: usize) -> io::Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n).ok_or_else(|| malformed("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    pub fn u8(&mut self) -> io::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn sized(&mut self) -> io::Result<&'a [u8]> {
        let n = self.u32()?;
        self.bytes(n as usize)
    }

    fn text(&mut self) -> io::Result<&'a str> {
        std::str::from_utf8(self.sized()?).map_err(|_| malformed("text is not UTF-8"))
    }

    fn end(&self) -> io::Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(malformed("bytes are left over")) }
    }
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

/// A log entry without its index, which is its key.
pub(crate) fn encode_entry(entry: &LogEntry) -> Vec<u8> {
    let size = match &entry.payload {
        EntryPayload::Normal(batch) => batch.0.iter().map(Write::cost).sum::<usize>() + 64,
        _ => 256,
    };
    let mut out = Vec::with_capacity(size);
    out.push(FORMAT);
    put_u64(&mut out, entry.log_id.leader_id.term);
    match &entry.payload {
        EntryPayload::Blank => out.push(BLANK),
        EntryPayload::Normal(batch) => {
            out.push(BATCH);
            out.extend_from_slice(&(batch.0.len() as u32).to_le_bytes());
            batch.0.iter().for_each(|write| put_write(&mut out, write));
        }
        EntryPayload::Membership(membership) => {
            out.push(MEMBERSHIP);
            put_membership(&mut out, membership);
        }
    }
    out
}

/// The entry at `index`.
pub(crate) fn decode_entry(index: u64, bytes: &[u8]) -> io::Result<LogEntry> {
    let mut r = Reader(bytes);
    check_format(&mut r)?;
    let log_id = log_id(r.u64()?, index);
    let payload = match r.u8()? {
        BLANK => EntryPayload::Blank,
        BATCH => {
            let count = r.u32()?;
            // The count is not trusted for an allocation.
            let mut writes = Vec::with_capacity(count.min(1024) as usize);
            for _ in 0..count {
                writes.push(take_write(&mut r)?);
            }
            EntryPayload::Normal(Batch(writes.into()))
        }
        MEMBERSHIP => EntryPayload::Membership(take_membership(&mut r)?),
        _ => return Err(malformed("unknown sort of log entry")),
    };
    r.end()?;
    Ok(LogEntry { log_id, payload })
}

fn check_format(r: &mut Reader<'_>) -> io::Result<()> {
    match r.u8()? {
        FORMAT => Ok(()),
        other => Err(malformed(&format!("format {other}, this version reads {FORMAT}"))),
    }
}

fn put_write(out: &mut Vec<u8>, write: &Write) {
    let (op, expect, template) = match write {
        Write::Put { expect, value, .. } => (PUT, expect, Some(value)),
        Write::Delete { expect, last: None, .. } => (DELETE, expect, None),
        Write::Delete { expect, last, .. } => (DELETE_WITH_LAST, expect, last.as_ref()),
    };
    out.push(op);
    match expect {
        Expect::Absent => out.push(ABSENT),
        Expect::Any => out.push(ANY),
        Expect::Revision(revision) => {
            out.push(REVISION);
            put_u64(out, *revision);
        }
    }
    put_sized(out, write.kind().as_bytes());
    put_sized(out, write.key().as_bytes());
    if let Some(template) = template {
        out.extend_from_slice(&(template.version_at as u32).to_le_bytes());
        put_sized(out, &template.json);
    }
}

fn take_write(r: &mut Reader<'_>) -> io::Result<Write> {
    let op = r.u8()?;
    let expect = match r.u8()? {
        ABSENT => Expect::Absent,
        REVISION => Expect::Revision(r.u64()?),
        ANY => Expect::Any,
        _ => return Err(malformed("unknown condition")),
    };
    let kind: Arc<str> = r.text()?.into();
    let key = r.text()?.to_owned();
    let mut template = || -> io::Result<Template> {
        let version_at = r.u32()? as usize;
        Ok(Template { version_at, json: r.sized()?.to_vec() })
    };
    Ok(match op {
        PUT => Write::Put { kind, key, expect, value: template()? },
        DELETE => Write::Delete { kind, key, expect, last: None },
        DELETE_WITH_LAST => Write::Delete { kind, key, expect, last: Some(template()?) },
        _ => return Err(malformed("unknown sort of write")),
    })
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership<u64, BasicNode>) {
    let configs = membership.get_joint_config();
    out.extend_from_slice(&(configs.len() as u32).to_le_bytes());
    for config in configs {
        out.extend_from_slice(&(config.len() as u32).to_le_bytes());
        config.iter().for_each(|id| put_u64(out, *id));
    }
    let nodes: Vec<_> = membership.nodes().collect();
    out.extend_from_slice(&(nodes.len() as u32).to_le_bytes());
    for (id, node) in nodes {
        put_u64(out, *id);
        put_sized(out, node.addr.as_bytes());
    }
}

fn take_membership(r: &mut Reader<'_>) -> io::Result<Membership<u64, BasicNode>> {
    let mut configs = Vec::new();
    for _ in 0..r.u32()? {
        let mut config = BTreeSet::new();
        for _ in 0..r.u32()? {
            config.insert(r.u64()?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..r.u32()? {
        nodes.insert(r.u64()?, BasicNode { addr: r.text()?.to_owned() });
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|e| malformed(&e.to_string()))
}

/// The id of the entry at `index`, proposed in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogIdOf<Types> {
    LogIdOf::<Types>::new(CommittedLeaderId::new(term), index)
}

fn put_log_id(out: &mut Vec<u8>, id: Option<&LogIdOf<Types>>) {
    out.push(u8::from(id.is_some()));
    if let Some(id) = id {
        put_u64(out, id.leader_id.term);
        put_u64(out, id.index);
    }
}

fn take_log_id(r: &mut Reader<'_>) -> io::Result<Option<LogIdOf<Types>>> {
    match r.u8()? {
        0 => Ok(None),
        1 => Ok(Some(log_id(r.u64()?, r.u64()?))),
        _ => Err(malformed("log id")),
    }
}

/// A position in the log: what was purged, what is committed.
pub(crate) fn encode_log_id(id: Option<&LogIdOf<Types>>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_log_id(&mut out, id);
    out
}

pub(crate) fn decode_log_id(bytes: &[u8]) -> io::Result<Option<LogIdOf<Types>>> {
    let mut r = Reader(bytes);
    check_format(&mut r)?;
    let id = take_log_id(&mut r)?;
    r.end()?;
    Ok(id)
}

/// The vote: for whom, in which term, and whether a quorum granted it.
pub(crate) fn encode_vote(vote: &VoteOf<Types>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_u64(&mut out, vote.leader_id.term);
    put_u64(&mut out, vote.leader_id.voted_for);
    out.push(u8::from(vote.committed));
    out
}

pub(crate) fn decode_vote(bytes: &[u8]) -> io::Result<VoteOf<Types>> {
    let mut r = Reader(bytes);
    check_format(&mut r)?;
    let leader_id = LeaderId { term: r.u64()?, voted_for: r.u64()? };
    let committed = r.u8()? == 1;
    r.end()?;
    Ok(VoteOf::<Types> { leader_id, committed })
}

/// How far the state machine is: the last applied entry and the revision it led to.
pub(crate) fn encode_applied(id: Option<&LogIdOf<Types>>, revision: u64) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_log_id(&mut out, id);
    put_u64(&mut out, revision);
    out
}

pub(crate) fn decode_applied(bytes: &[u8]) -> io::Result<(Option<LogIdOf<Types>>, u64)> {
    let mut r = Reader(bytes);
    check_format(&mut r)?;
    let applied = (take_log_id(&mut r)?, r.u64()?);
    r.end()?;
    Ok(applied)
}

/// The members, with the entry that made them so.
pub(crate) fn encode_members(members: &StoredMembershipOf<Types>) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_log_id(&mut out, members.log_id().as_ref());
    put_membership(&mut out, members.membership());
    out
}

pub(crate) fn decode_members(bytes: &[u8]) -> io::Result<StoredMembershipOf<Types>> {
    let mut r = Reader(bytes);
    check_format(&mut r)?;
    let id = take_log_id(&mut r)?;
    let members = StoredMembership::new(id, take_membership(&mut r)?);
    r.end()?;
    Ok(members)
}

#[cfg(test)]
mod tests;
