//! Snapshots: a RocksDB checkpoint (hard links to immutable files) in a directory of its own.
//!
//! ```text
//! snapshots/<index>/meta    position in the log and members
//! snapshots/<index>/db/     the checkpoint
//! snapshots/new/            one being made; removed at start
//! ```
//! One is kept. Writes go on while one is made.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::RaftSnapshotBuilder;
use openraft::alias::{SnapshotMetaOf, SnapshotOf};
use openraft::storage::Snapshot;
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, Options, WriteBatch};

use super::types::Types;
use crate::codec;
use crate::disk::{APPLIED, Disk, EVENTS, MEMBERS, META, OBJECTS, floor_prefix, io_error, sync_dir};

const NEW: &str = "new";
/// Bytes copied per batch while a snapshot is installed.
const COPY_BYTES: usize = 1 << 20;

/// The contents of a snapshot: the directory that holds the checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Checkpointed {
    pub dir: PathBuf,
}

pub(crate) struct Builder {
    disk: Arc<Disk>,
    snapshots: PathBuf,
}

impl Builder {
    pub fn new(disk: Arc<Disk>, snapshots: PathBuf) -> Builder {
        Builder { disk, snapshots }
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Checkpointed;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Checkpointed>> {
        let (disk, snapshots) = (self.disk.clone(), self.snapshots.clone());
        let build = move || build(&disk, &snapshots);
        tokio::task::spawn_blocking(build).await.map_err(|e| io::Error::other(e.to_string()))?
    }
}

fn build(disk: &Disk, snapshots: &Path) -> io::Result<SnapshotOf<Types, Checkpointed>> {
    let new = snapshots.join(NEW);
    remove(&new)?;
    fs::create_dir_all(&new)?;
    let db = new.join("db");
    Checkpoint::new(&disk.db).and_then(|c| c.create_checkpoint(&db)).map_err(io_error)?;
    // Writes went on: the checkpoint itself says how far it is.
    let meta = meta_of(&db)?;
    let bytes = encode_meta(&meta);
    let mut file = fs::File::create(new.join("meta"))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    sync_dir(&new)?;
    let dir = adopt(snapshots, &new, &meta)?;
    Ok(Snapshot { meta, snapshot: Checkpointed { dir } })
}

/// Makes `new` the current snapshot and removes the others.
fn adopt(snapshots: &Path, new: &Path, meta: &SnapshotMetaOf<Types>) -> io::Result<PathBuf> {
    let dir = snapshots.join(index_of(meta).to_string());
    if new != dir {
        remove(&dir)?;
        fs::rename(new, &dir)?;
    }
    sync_dir(snapshots)?;
    for (_, other) in list(snapshots)? {
        if other != dir {
            remove(&other)?;
        }
    }
    Ok(dir)
}

fn index_of(meta: &SnapshotMetaOf<Types>) -> u64 {
    meta.last_log_id.map_or(0, |id| id.index)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The complete snapshots, by index.
fn list(snapshots: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(snapshots) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        if let Some(index) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push((index, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The newest complete snapshot.
pub(crate) fn current(snapshots: &Path) -> io::Result<Option<SnapshotOf<Types, Checkpointed>>> {
    let Some((_, dir)) = list(snapshots)?.pop() else { return Ok(None) };
    let meta = decode_meta(&fs::read(dir.join("meta"))?)?;
    Ok(Some(Snapshot { meta, snapshot: Checkpointed { dir } }))
}

/// Removes what an interrupted build left.
pub(crate) fn clean(snapshots: &Path) -> io::Result<()> {
    remove(&snapshots.join(NEW))
}

fn encode_meta(meta: &SnapshotMetaOf<Types>) -> Vec<u8> {
    let position = codec::encode_log_id(meta.last_log_id.as_ref());
    let mut out = vec![position.len() as u8];
    out.extend_from_slice(&position);
    out.extend_from_slice(&codec::encode_members(&meta.last_membership));
    out
}

fn decode_meta(bytes: &[u8]) -> io::Result<SnapshotMetaOf<Types>> {
    let mut r = codec::Reader(bytes);
    let len = r.u8()?;
    let last_log_id = codec::decode_log_id(r.bytes(len.into())?)?;
    Ok(SnapshotMetaOf::<Types> { last_log_id, last_membership: codec::decode_members(r.0)? })
}

fn open_checkpoint(db: &Path) -> io::Result<DB> {
    DB::open_cf_for_read_only(&Options::default(), db, [META, OBJECTS, EVENTS], false).map_err(io_error)
}

fn meta_of(db: &Path) -> io::Result<SnapshotMetaOf<Types>> {
    let db = open_checkpoint(db)?;
    let meta = db.cf_handle(META).ok_or_else(no_family)?;
    let get = |name: &str| db.get_cf(&meta, name).map_err(io_error);
    let last_log_id = get(APPLIED)?.map_or(Ok(None), |b| codec::decode_applied(&b).map(|(id, _)| id))?;
    let last_membership =
        get(MEMBERS)?.map_or_else(|| Ok(Default::default()), |b| codec::decode_members(&b))?;
    Ok(SnapshotMetaOf::<Types> { last_log_id, last_membership })
}

fn no_family() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the checkpoint lacks a column family")
}

/// Replaces the state by the snapshot's. A crash half-way leaves a state without a position, which openraft
/// answers at the next start by installing the current snapshot again.
pub(crate) fn install(
    disk: &Disk,
    snapshots: &Path,
    meta: &SnapshotMetaOf<Types>,
    data: &Checkpointed,
) -> io::Result<()> {
    fs::create_dir_all(snapshots)?;
    let dir = adopt(snapshots, &data.dir, meta)?;
    let source = open_checkpoint(&dir.join("db"))?;
    clear(disk)?;
    for family in [OBJECTS, EVENTS] {
        copy(&source, disk, family, |_| true, true)?;
    }
    // Last, because the position says that all the rest is there.
    let state = |key: &[u8]| {
        key == APPLIED.as_bytes() || key == MEMBERS.as_bytes() || key.starts_with(floor_prefix().as_bytes())
    };
    copy(&source, disk, META, state, false)?;
    disk.sync()
}

fn clear(disk: &Disk) -> io::Result<()> {
    let mut batch = WriteBatch::default();
    let meta = disk.cf(META)?;
    batch.delete_cf(&meta, APPLIED);
    batch.delete_cf(&meta, MEMBERS);
    let (from, mut to) = (floor_prefix().as_bytes(), floor_prefix().as_bytes().to_vec());
    to.push(0xff);
    batch.delete_range_cf(&meta, from, to.as_slice());
    for family in [OBJECTS, EVENTS] {
        // Keys are UTF-8, so none starts with this byte.
        batch.delete_range_cf(&disk.cf(family)?, &[][..], &[0xff][..]);
    }
    disk.write(batch)?;
    disk.sync()
}

fn copy(
    source: &DB,
    disk: &Disk,
    family: &'static str,
    wanted: impl Fn(&[u8]) -> bool,
    in_pieces: bool,
) -> io::Result<()> {
    let mut iter = source.raw_iterator_cf(&source.cf_handle(family).ok_or_else(no_family)?);
    let target = disk.cf(family)?;
    let mut batch = WriteBatch::default();
    iter.seek_to_first();
    while let (Some(key), Some(value)) = (iter.key(), iter.value()) {
        if wanted(key) {
            batch.put_cf(&target, key, value);
        }
        if in_pieces && batch.size_in_bytes() >= COPY_BYTES {
            disk.write(std::mem::take(&mut batch))?;
        }
        iter.next();
    }
    iter.status().map_err(io_error)?;
    disk.write(batch)
}
