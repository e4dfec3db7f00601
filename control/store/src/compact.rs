//! Dropping history that is older than what is promised.
//!
//! Walks the events: each one names the version it replaced, which nobody can ask for any more; a deletion takes
//! its own last state along. Objects that live keep their newest version, however old. In small pieces beside the
//! writes, so nothing pauses.

use std::io;
use std::sync::atomic::Ordering;

use rocksdb::{ReadOptions, WriteBatch};

use crate::disk::records::{self, Op};
use crate::disk::{Disk, EVENTS, META, OBJECTS, floor_name, io_error};
use crate::view::{Kind, View};

/// Events dropped per batch.
const PIECE: u64 = 1000;

/// Drops every event up to and including `upto`; gives their number.
pub(crate) fn compact(disk: &Disk, view: &View, upto: u64) -> io::Result<u64> {
    let mut dropped = 0;
    for kind in view.kinds() {
        loop {
            let piece = compact_piece(disk, &kind, upto)?;
            dropped += piece;
            if piece < PIECE {
                break;
            }
        }
    }
    Ok(dropped)
}

fn compact_piece(disk: &Disk, kind: &Kind, upto: u64) -> io::Result<u64> {
    let (objects, events) = (disk.cf(OBJECTS)?, disk.cf(EVENTS)?);
    let mut options = ReadOptions::default();
    options.fill_cache(false);
    options.set_iterate_upper_bound(records::event_key(&kind.name, upto.saturating_add(1)));
    let mut iter = disk.db.raw_iterator_cf_opt(&events, options);
    // Not from the very beginning: what was dropped before has left markers to step over.
    iter.seek(records::event_key(&kind.name, kind.oldest()));
    let mut batch = WriteBatch::default();
    let (mut count, mut floor) = (0, 0);
    while count < PIECE
        && let (Some(key), Some(value)) = (iter.key(), iter.value())
    {
        let revision = records::event_revision(key)?;
        let (op, previous, name) = records::parse_event_value(value)?;
        if previous > 0 {
            batch.delete_cf(&objects, records::object_key(&kind.name, name, previous));
        }
        if op == Op::Deleted {
            batch.delete_cf(&objects, records::object_key(&kind.name, name, revision));
        }
        batch.delete_cf(&events, key);
        (count, floor) = (count + 1, revision);
        iter.next();
    }
    iter.status().map_err(io_error)?;
    if count > 0 {
        // Readers are told first: whoever looks at the disk after this knows that it is incomplete.
        kind.oldest.fetch_max(floor, Ordering::AcqRel);
        batch.put_cf(&disk.cf(META)?, floor_name(&kind.name), floor.to_le_bytes());
        disk.write(batch)?;
    }
    Ok(count)
}
