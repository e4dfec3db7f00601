//! openraft's own conformance suite for logs and state machines.

use std::io;
use std::sync::Arc;

use openraft::StorageError;
use openraft::errors::ErrorSource as _;
use openraft::testing::log::{StoreBuilder, Suite};

use crate::disk::Disk;
use crate::options::WalSync;
use crate::raft::log::LogStore;
use crate::raft::machine::Machine;
use crate::raft::types::Types;
use crate::raft::writer::Fault;
use crate::view::View;

struct Fresh;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Fresh {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<Types>> {
        let build = || -> io::Result<_> {
            let dir = tempfile::tempdir()?;
            let disk = Disk::open(&dir.path().join("db"), true).map_err(io::Error::other)?;
            let disk = Arc::new(disk);
            let fault = Arc::new(Fault::default());
            let view = Arc::new(View::new(16, 1 << 20));
            let machine = Machine::open(disk.clone(), view, fault.clone(), dir.path().join("snapshots"))?;
            let log = LogStore::open(disk, Arc::new(WalSync), fault)?;
            Ok((dir, log, machine))
        };
        build().map_err(|e| StorageError::read(openraft::impls::BoxedErrorSource::from_error(&e)))
    }
}

#[test]
fn log_and_machine_conform() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Suite::test_all(Fresh)).unwrap();
}
