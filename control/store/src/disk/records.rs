//! Keys and values of the `objects` and `events` families.
//!
//! Kinds and keys hold no NUL byte (`Write::check`), so a NUL ends them and the byte order is the order of the
//! strings. Revisions count down inside a key: the newest version comes first.

use std::io;

use crate::codec::Reader;

/// What a version of an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Created,
    Updated,
    Deleted,
}

impl Op {
    fn byte(self) -> u8 {
        match self {
            Op::Created => 1,
            Op::Updated => 2,
            Op::Deleted => 3,
        }
    }

    fn from(byte: u8) -> io::Result<Op> {
        match byte {
            1 => Ok(Op::Created),
            2 => Ok(Op::Updated),
            3 => Ok(Op::Deleted),
            other => Err(invalid(format!("unknown operation {other}"))),
        }
    }
}

fn invalid(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, detail)
}

/// `kind 0 key 0`: in front of all versions of one object.
pub(crate) fn object_prefix(kind: &str, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(kind.len() + key.len() + 10);
    out.extend_from_slice(kind.as_bytes());
    out.push(0);
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    out
}

pub(crate) fn object_key(kind: &str, key: &str, revision: u64) -> Vec<u8> {
    let mut out = object_prefix(kind, key);
    out.extend_from_slice(&(!revision).to_be_bytes());
    out
}

/// `kind 0`: in front of everything of one kind, in both families.
pub(crate) fn kind_prefix(kind: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(kind.len() + 9);
    out.extend_from_slice(kind.as_bytes());
    out.push(0);
    out
}

/// The first key after everything of one kind.
pub(crate) fn kind_end(kind: &str) -> Vec<u8> {
    let mut out = kind.as_bytes().to_vec();
    out.push(1);
    out
}

/// Splits a key of `objects`.
pub(crate) fn parse_object_key(bytes: &[u8]) -> io::Result<(&str, &str, u64)> {
    let damaged = || invalid(format!("object key {:?}", String::from_utf8_lossy(bytes)));
    let (head, revision) = bytes.split_last_chunk::<8>().ok_or_else(damaged)?;
    let head = std::str::from_utf8(head).map_err(|_| damaged())?;
    let (kind, key) = head.strip_suffix('\0').and_then(|h| h.split_once('\0')).ok_or_else(damaged)?;
    Ok((kind, key, !u64::from_be_bytes(*revision)))
}

pub(crate) fn object_value(op: Op, version_at: u32, document: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(document.len() + 5);
    out.push(op.byte());
    out.extend_from_slice(&version_at.to_le_bytes());
    out.extend_from_slice(document);
    out
}

/// Operation, place of the revision, document.
pub(crate) fn parse_object_value(bytes: &[u8]) -> io::Result<(Op, u32, &[u8])> {
    let mut r = Reader(bytes);
    Ok((Op::from(r.u8()?)?, r.u32()?, r.0))
}

pub(crate) fn event_key(kind: &str, revision: u64) -> Vec<u8> {
    let mut out = kind_prefix(kind);
    out.extend_from_slice(&revision.to_be_bytes());
    out
}

/// The revision in a key of `events`.
pub(crate) fn event_revision(bytes: &[u8]) -> io::Result<u64> {
    let tail = bytes.last_chunk::<8>().ok_or_else(|| invalid("event key".into()))?;
    Ok(u64::from_be_bytes(*tail))
}

pub(crate) fn event_value(op: Op, previous: u64, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 9);
    out.push(op.byte());
    out.extend_from_slice(&previous.to_le_bytes());
    out.extend_from_slice(key.as_bytes());
    out
}

/// Operation, revision of the version before (0: none), key.
pub(crate) fn parse_event_value(bytes: &[u8]) -> io::Result<(Op, u64, &str)> {
    let mut r = Reader(bytes);
    let (op, previous) = (Op::from(r.u8()?)?, r.u64()?);
    let key = std::str::from_utf8(r.0).map_err(|_| invalid("event's key is not UTF-8".into()))?;
    Ok((op, previous, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_kind_then_name_then_newest_first() {
        let ordered = [
            object_key("pods", "a", 9),
            object_key("pods", "a", 2),
            object_key("pods", "a/b", u64::MAX),
            object_key("pods", "a/b", 1),
            object_key("pods", "a/c", 5),
            object_key("pods.x", "a", 1),
        ];
        assert!(ordered.is_sorted());
        assert!(ordered[..5].iter().all(|k| *k > kind_prefix("pods") && *k < kind_end("pods")));
        assert!(ordered[5] > kind_end("pods"));
        assert!(event_key("pods", 255) < event_key("pods", 256));
    }

    #[test]
    fn records_come_back_and_damaged_ones_are_refused() {
        let key = object_key("deployments.apps", "ns/name", 42);
        assert_eq!(parse_object_key(&key).unwrap(), ("deployments.apps", "ns/name", 42));
        let value = object_value(Op::Updated, 7, b"{}");
        assert_eq!(parse_object_value(&value).unwrap(), (Op::Updated, 7, &b"{}"[..]));
        let event = event_value(Op::Deleted, 3, "ns/name");
        assert_eq!(parse_event_value(&event).unwrap(), (Op::Deleted, 3, "ns/name"));
        assert_eq!(event_revision(&event_key("pods", 77)).unwrap(), 77);
        assert!(parse_object_key(b"short").is_err() && parse_object_key(b"no separators here").is_err());
        assert!(parse_object_value(&[9, 0, 0, 0, 0]).is_err() && parse_object_value(&[1]).is_err());
        assert!(parse_event_value(&[0; 12]).is_err() && event_revision(b"pods").is_err());
    }
}
