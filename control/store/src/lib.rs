//! One ordered history of objects: openraft on RocksDB.
