//! From a message to a reply: which records answer a question, and what an empty answer says.

use crate::records::{Records, Srv};
use crate::wire::name::{NAME_BYTES_MAX, Name};
use crate::wire::query::{Parsed, Query, parse};
use crate::wire::reply::{self, Owner, Reply, Section};
use crate::wire::{CLASS_IN, Rcode, rtype};
use crate::zone::{Lookup, Zone};

/// How long answers about the cluster may be kept, in seconds: as long as a change may take to be seen.
pub const TTL: u32 = 5;
/// The version of the specification does not change while we run.
const VERSION_TTL: u32 = 28_800;

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The reply is in the buffer.
    Reply,
    /// The question is to be asked for upstream, behind these CNAMEs of ours: the last one is what to ask for.
    Forward { behind: Vec<Name> },
    /// No reply.
    Drop,
}

/// How a reply may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// Answers `message` from the zone into `buffer`. `rotation` is any number that changes from call to call: it
/// decides which address comes first.
pub fn answer(zone: &Zone, message: &[u8], via: Transport, rotation: usize, buffer: &mut Vec<u8>) -> Outcome {
    let query = match parse(message) {
        Parsed::Query(query) => query,
        Parsed::Broken { id, rcode } => {
            reply::error(id, rcode, buffer);
            return Outcome::Reply;
        }
        Parsed::Ignore => return Outcome::Drop,
    };
    let limit = match via {
        Transport::Udp => reply::udp_limit(&query),
        Transport::Tcp => usize::from(u16::MAX),
    };
    if let Some(rcode) = refusal(&query) {
        Reply::start(&query, rcode, limit, buffer).finish(&query, rcode);
        return Outcome::Reply;
    }
    let mut key = [0; NAME_BYTES_MAX];
    match zone.lookup(query.key(&mut key)) {
        Lookup::Foreign => Outcome::Forward { behind: Vec::new() },
        Lookup::Found(records) => found(zone, &query, &records, limit, rotation, buffer),
        Lookup::NxDomain => negative(zone, &query, Rcode::NxDomain, limit, buffer),
        Lookup::Unknown => fail(&query, limit, buffer),
    }
}

/// Replaces whatever is in `buffer` by a failure, for a message whose question can be read.
pub fn servfail(message: &[u8], buffer: &mut Vec<u8>) -> bool {
    let Parsed::Query(query) = parse(message) else { return false };
    Reply::start(&query, Rcode::ServFail, usize::from(u16::MAX), buffer).finish(&query, Rcode::ServFail);
    true
}

fn refusal(query: &Query<'_>) -> Option<Rcode> {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Some(Rcode::BadVers);
    }
    let transfer = [rtype::AXFR, rtype::IXFR].contains(&query.rtype);
    (transfer || query.class != CLASS_IN).then_some(Rcode::Refused)
}

fn found(
    zone: &Zone,
    query: &Query<'_>,
    records: &Records,
    limit: usize,
    rotation: usize,
    buffer: &mut Vec<u8>,
) -> Outcome {
    let asks_address = [rtype::A, rtype::AAAA].contains(&query.rtype);
    if asks_address && let Some(target) = &records.cname {
        return chase(zone, query, target, Size { limit, rotation }, buffer);
    }
    let mut reply = Reply::start(query, Rcode::NoError, limit, buffer);
    let count = write_records(zone, query, records, rotation, &mut reply);
    if count == 0 {
        return negative(zone, query, Rcode::NoError, limit, buffer);
    }
    reply.finish(query, Rcode::NoError);
    Outcome::Reply
}

/// How many CNAMEs of ours may follow each other; more is a circle.
const CHAIN_MAX: usize = 8;

/// How large a reply may be, and which address comes first in it.
#[derive(Clone, Copy)]
struct Size {
    limit: usize,
    rotation: usize,
}

/// Follows CNAMEs as long as they lead to names of ours.
fn chase(zone: &Zone, query: &Query<'_>, target: &Name, size: Size, buffer: &mut Vec<u8>) -> Outcome {
    let mut chain = vec![target.clone()];
    loop {
        let Some(last) = chain.last() else { return Outcome::Drop };
        let records = match zone.lookup(last.as_wire()) {
            Lookup::Foreign => return Outcome::Forward { behind: chain },
            Lookup::Found(records) => records,
            Lookup::NxDomain => return behind_chain(zone, query, &chain, None, size, buffer),
            Lookup::Unknown => return fail(query, size.limit, buffer),
        };
        match &records.cname {
            Some(next) if chain.len() < CHAIN_MAX => chain.push(next.clone()),
            Some(_) => return fail(query, size.limit, buffer),
            None => return behind_chain(zone, query, &chain, Some(&records), size, buffer),
        }
    }
}

/// The CNAMEs, then the addresses that the last one has; none when it does not exist.
fn behind_chain(
    zone: &Zone,
    query: &Query<'_>,
    chain: &[Name],
    end: Option<&Records>,
    size: Size,
    buffer: &mut Vec<u8>,
) -> Outcome {
    let rcode = if end.is_some() { Rcode::NoError } else { Rcode::NxDomain };
    let mut reply = Reply::start(query, rcode, size.limit, buffer);
    let mut owner = Owner::Question;
    for name in chain {
        reply.record(Section::Answer, owner, rtype::CNAME, TTL, &[name.as_wire()]);
        owner = Owner::Wire(name.as_wire());
    }
    let mut put = |rdata: &[u8]| {
        reply.record(Section::Answer, owner, query.rtype, TTL, &[rdata]);
    };
    let count = match (end, query.rtype) {
        (None, _) => 0,
        (Some(records), rtype::A) => rotated(&records.a, size.rotation, |a| put(a)),
        (Some(records), _) => rotated(&records.aaaa, size.rotation, |a| put(a)),
    };
    if count == 0 {
        reply.record(Section::Authority, Owner::Wire(zone.apex.as_wire()), rtype::SOA, TTL, &[&soa(zone)]);
    }
    reply.finish(query, rcode);
    Outcome::Reply
}

fn fail(query: &Query<'_>, limit: usize, buffer: &mut Vec<u8>) -> Outcome {
    Reply::start(query, Rcode::ServFail, limit, buffer).finish(query, Rcode::ServFail);
    Outcome::Reply
}

/// Writes the records of the wanted type and returns how many there were.
fn write_records(
    zone: &Zone,
    query: &Query<'_>,
    records: &Records,
    rotation: usize,
    reply: &mut Reply<'_>,
) -> usize {
    let mut put = |ttl, rdata: &[&[u8]]| {
        reply.record(Section::Answer, Owner::Question, query.rtype, ttl, rdata);
    };
    match query.rtype {
        rtype::A => rotated(&records.a, rotation, |a| put(TTL, &[a])),
        rtype::AAAA => rotated(&records.aaaa, rotation, |a| put(TTL, &[a])),
        rtype::PTR => rotated(&records.ptr, 0, |name| put(TTL, &[name.as_wire()])),
        rtype::CNAME => rotated(records.cname.as_slice(), 0, |name| put(TTL, &[name.as_wire()])),
        rtype::TXT => rotated(records.txt.as_slice(), 0, |text| {
            put(VERSION_TTL, &[&[text.len() as u8], text.as_bytes()]);
        }),
        rtype::SRV => write_srv(&records.srv, reply),
        rtype::SOA if records.is_apex => {
            let soa = soa(zone);
            put(TTL, &[&soa]);
            1
        }
        rtype::NS if records.is_apex => {
            let Some(server) = name_server(zone) else { return 0 };
            put(TTL, &[server.as_wire()]);
            1
        }
        _ => 0,
    }
}

fn rotated<T>(items: &[T], rotation: usize, mut each: impl FnMut(&T)) -> usize {
    let start = if items.is_empty() { 0 } else { rotation % items.len() };
    let (tail, head) = items.split_at(start);
    head.iter().chain(tail).for_each(&mut each);
    items.len()
}

/// Every target gets the same share of a weight of 100 (RFC 2782); the targets' addresses are added.
fn write_srv(all: &[Srv], reply: &mut Reply<'_>) -> usize {
    let weight = (100 / all.len().max(1)).max(1) as u16;
    for srv in all {
        let fixed = [[0, 0], weight.to_be_bytes(), srv.port.to_be_bytes()].concat();
        let rdata: &[&[u8]] = &[&fixed, srv.target.as_wire()];
        reply.record(Section::Answer, Owner::Question, rtype::SRV, TTL, rdata);
    }
    let mut added: Vec<&Name> = Vec::new();
    for srv in all {
        if added.contains(&&srv.target) {
            continue;
        }
        added.push(&srv.target);
        let owner = Owner::Wire(srv.target.as_wire());
        for a in &srv.a {
            reply.record(Section::Additional, owner, rtype::A, TTL, &[a]);
        }
        for a in &srv.aaaa {
            reply.record(Section::Additional, owner, rtype::AAAA, TTL, &[a]);
        }
    }
    all.len()
}

/// NXDOMAIN, or NODATA when `rcode` is no error: both carry the SOA, whose minimum is how long to remember it.
fn negative(zone: &Zone, query: &Query<'_>, rcode: Rcode, limit: usize, buffer: &mut Vec<u8>) -> Outcome {
    let mut reply = Reply::start(query, rcode, limit, buffer);
    reply.record(Section::Authority, Owner::Wire(zone.apex.as_wire()), rtype::SOA, TTL, &[&soa(zone)]);
    reply.finish(query, rcode);
    Outcome::Reply
}

fn name_server(zone: &Zone) -> Option<Name> {
    Name::below(&["ns", "dns"], &zone.apex)
}

/// The zone is never transferred, so its serial number means nothing and is constant.
fn soa(zone: &Zone) -> Vec<u8> {
    let mut rdata = Vec::with_capacity(96);
    for labels in [["ns", "dns"].as_slice(), ["hostmaster"].as_slice()] {
        rdata.extend(Name::below(labels, &zone.apex).unwrap_or_else(Name::root).as_wire());
    }
    let (serial, refresh, retry, expire) = (1_u32, 7200_u32, 1800_u32, 86_400_u32);
    for number in [serial, refresh, retry, expire, TTL] {
        rdata.extend(number.to_be_bytes());
    }
    rdata
}

#[cfg(test)]
mod tests;
