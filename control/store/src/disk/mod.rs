//! RocksDB: which column families there are, how big its buffers may grow, and what its errors mean.
//!
//! | family | key | value |
//! |---|---|---|
//! | `log` | index, big-endian | log entry |
//! | `meta` | name | vote, purged, committed, applied, members, floors |
//! | `objects` | kind 0 key 0 !revision | operation, place of the revision, document |
//! | `events` | kind 0 revision | operation, previous revision, key |
//!
//! The newest version of a key comes first, so `objects` is both the current state and the history; a document is
//! written once. Never decides when anything is synced: `raft::writer` does.

mod load;
pub(crate) mod records;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, LogLevel,
    Options, WriteBatch, WriteBufferManager, WriteOptions,
};

use crate::error::OpenError;

pub(crate) use load::{APPLIED, Loaded, MEMBERS, floor_name, floor_prefix};

pub(crate) const LOG: &str = "log";
pub(crate) const META: &str = "meta";
pub(crate) const OBJECTS: &str = "objects";
pub(crate) const EVENTS: &str = "events";
/// RocksDB wants its default family to exist; it stays empty.
const DEFAULT: &str = "default";

/// All memtables together, in bytes. Flushing starts at about nine tenths.
const MEMTABLES: usize = 20 << 20;
const BLOCK_CACHE: usize = 8 << 20;
/// Write-ahead log kept before the families that hold it back are flushed.
const WAL: u64 = 64 << 20;

/// The open database.
pub(crate) struct Disk {
    pub db: DB,
    dir: PathBuf,
}

impl Disk {
    /// Opens the database in `dir`; makes it only when `create` is set, so that a store whose files went missing
    /// is an error and not an empty store.
    pub fn open(dir: &Path, create: bool) -> Result<Disk, OpenError> {
        let cache = Cache::new_lru_cache(BLOCK_CACHE);
        let mut options = database_options(create);
        // Without a table factory of its own each set of options makes a block cache of 32 MiB and its table.
        options.set_block_based_table_factory(&table_options(&cache));
        let families =
            [(DEFAULT, 64 << 10), (META, 512 << 10), (EVENTS, 2 << 20), (LOG, 8 << 20), (OBJECTS, 8 << 20)]
                .map(|(name, memtable)| {
                    ColumnFamilyDescriptor::new(name, family_options(name, memtable, &cache))
                });
        let db = DB::open_cf_descriptors(&options, dir, families)
            .map_err(|e| open_error(dir, &e.into_string()))?;
        Ok(Disk { db, dir: dir.to_owned() })
    }

    /// The column family of that name.
    pub fn cf(&self, name: &'static str) -> io::Result<Arc<BoundColumnFamily<'_>>> {
        self.db.cf_handle(name).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("{}: no column family {name}", self.dir.display()),
            )
        })
    }

    /// Hands a batch to the write-ahead log without syncing it.
    pub fn write(&self, batch: WriteBatch) -> io::Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(batch, &options).map_err(io_error)
    }

    /// Makes everything written so far durable.
    pub fn sync(&self) -> io::Result<()> {
        self.db.flush_wal(true).map_err(io_error)
    }

    pub fn meta(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.db.get_cf(&self.cf(META)?, name).map_err(io_error)
    }
}

fn database_options(create: bool) -> Options {
    let mut o = Options::default();
    o.create_if_missing(create);
    o.create_missing_column_families(create);
    o.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager(MEMTABLES, false));
    o.set_max_total_wal_size(WAL);
    o.set_max_background_jobs(2);
    o.set_max_open_files(256);
    o.set_keep_log_file_num(2);
    o.set_max_log_file_size(1 << 20);
    o.set_log_level(LogLevel::Warn);
    o.set_stats_dump_period_sec(0);
    o.set_stats_persist_period_sec(0);
    o.set_bytes_per_sync(1 << 20);
    o
}

fn family_options(name: &str, memtable: usize, cache: &Cache) -> Options {
    let mut o = Options::default();
    o.set_write_buffer_size(memtable);
    o.set_max_write_buffer_number(2);
    o.set_arena_block_size((memtable / 16).clamp(4 << 10, 256 << 10));
    o.set_target_file_size_base(16 << 20);
    o.set_block_based_table_factory(&table_options(cache));
    // Log entries live for minutes: compressing them costs more than it saves.
    let compression = if name == LOG { DBCompressionType::None } else { DBCompressionType::Lz4 };
    o.set_compression_type(compression);
    o
}

fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut o = BlockBasedOptions::default();
    o.set_block_cache(cache);
    o.set_cache_index_and_filter_blocks(true);
    o.set_pin_l0_filter_and_index_blocks_in_cache(true);
    o
}

/// What a RocksDB error is to the operating system's ears.
pub(crate) fn io_error(e: rocksdb::Error) -> io::Error {
    let text = e.into_string();
    let kind = if text.contains("No space left") {
        io::ErrorKind::StorageFull
    } else if text.starts_with("Corruption") {
        io::ErrorKind::InvalidData
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, text)
}

/// An error while opening, with the file that it is about.
pub(crate) fn open_error(dir: &Path, text: &str) -> OpenError {
    let path = file_in(text).unwrap_or_else(|| dir.to_owned());
    if text.contains("While lock file") || text.contains("lock hold by current process") {
        return OpenError::InUse { path };
    }
    let damaged = text.starts_with("Corruption")
        || text.contains("No such file")
        || text.contains("does not exist")
        || text.contains("Column family not found");
    if damaged {
        OpenError::Damaged { path, detail: text.to_owned() }
    } else {
        OpenError::Io { path, source: io::Error::other(text.to_owned()) }
    }
}

/// The first absolute path of an existing or missing file that a RocksDB message names.
fn file_in(text: &str) -> Option<PathBuf> {
    text.split([' ', ',', ';', '\''])
        .map(|word| word.trim_end_matches([':', '.']))
        .find(|word| word.len() > 1 && word.starts_with('/'))
        .map(PathBuf::from)
}

/// Makes the directory's entries durable, as after a rename in it.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
