//! openraft's state machine: applies entries, one database batch for what is ready, then shows the result.
//!
//! The batch is not synced: what a crash takes, the log brings back. Nothing is shown or answered before the
//! database has the batch.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftEntry;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, StoredMembership};
use rocksdb::WriteBatch;

use super::checkpoint::{self, Builder, Checkpointed};
use super::types::{LogEntry, Reply, Types};
use super::writer::Fault;
use crate::codec;
use crate::core::{Changed, Core};
use crate::disk::{APPLIED, Disk, EVENTS, Loaded, MEMBERS, META, OBJECTS, records};
use crate::view::View;

/// Documents applied before the batch is written although more entries are ready, in bytes.
const BATCH_BYTES: usize = 4 << 20;

pub(crate) struct Machine {
    disk: Arc<Disk>,
    view: Arc<View>,
    fault: Arc<Fault>,
    snapshots: PathBuf,
    core: Core,
    applied: Option<LogIdOf<Types>>,
    members: StoredMembershipOf<Types>,
}

/// What has been applied and not yet written.
#[derive(Default)]
struct Ready {
    bytes: usize,
    members_changed: bool,
    answers: Vec<(ApplyResponder<Types>, Reply)>,
}

impl Machine {
    /// The state as the disk has it; shows it, except where the view already shows a later one (after the
    /// database was reopened; the log will bring the rest).
    pub fn open(
        disk: Arc<Disk>,
        view: Arc<View>,
        fault: Arc<Fault>,
        snapshots: PathBuf,
    ) -> io::Result<Machine> {
        let loaded = disk.load()?;
        let (applied, members) = (loaded.applied, loaded.members.clone());
        let core = show(loaded, &view, false);
        Ok(Machine { disk, view, fault, snapshots, core, applied, members })
    }

    fn step(&mut self, entry: LogEntry, responder: Option<ApplyResponder<Types>>, ready: &mut Ready) {
        self.applied = Some(entry.log_id);
        let reply = match &entry.payload {
            EntryPayload::Blank => Reply::default(),
            EntryPayload::Membership(members) => {
                self.members = StoredMembership::new(Some(entry.log_id), members.clone());
                ready.members_changed = true;
                Reply::default()
            }
            EntryPayload::Normal(batch) => {
                ready.bytes += batch.0.iter().map(crate::object::Write::cost).sum::<usize>();
                Reply(batch.0.iter().map(|write| self.core.apply(write)).collect())
            }
        };
        if let Some(responder) = responder {
            ready.answers.push((responder, reply));
        }
    }

    fn commit(&mut self, ready: &mut Ready) -> io::Result<()> {
        let changed = self.core.take_changes();
        self.write(&changed, ready.members_changed).map_err(|e| self.fault.note(e))?;
        let mut shown = Vec::with_capacity(changed.len());
        for Changed { kind, tree, changes } in changed {
            let last = changes.last().map_or(0, |c| c.event.revision);
            let events: Vec<_> = changes.into_iter().map(|c| c.event).collect();
            let kind = self.view.kind(&kind);
            kind.publish(&tree, last, &events);
            shown.push(kind);
        }
        self.view.advance(self.core.revision);
        // Whoever is woken finds what woke them in every kind.
        shown.iter().for_each(|kind| kind.announce());
        for (responder, reply) in std::mem::take(ready).answers {
            responder.send(reply);
        }
        Ok(())
    }

    fn write(&self, changed: &[Changed], members_changed: bool) -> io::Result<()> {
        let (objects, events) = (self.disk.cf(OBJECTS)?, self.disk.cf(EVENTS)?);
        let mut batch = WriteBatch::default();
        for Changed { kind, changes, .. } in changed {
            for change in changes {
                let event = &change.event;
                let document = records::object_value(change.op, change.version_at, &event.value.bytes);
                batch.put_cf(&objects, records::object_key(kind, &event.key, event.revision), document);
                let record = records::event_value(change.op, change.previous, &event.key);
                batch.put_cf(&events, records::event_key(kind, event.revision), record);
            }
        }
        let meta = self.disk.cf(META)?;
        batch.put_cf(&meta, APPLIED, codec::encode_applied(self.applied.as_ref(), self.core.revision));
        if members_changed {
            batch.put_cf(&meta, MEMBERS, codec::encode_members(&self.members));
        }
        self.disk.write(batch)
    }
}

/// Shows a loaded state. `replaced`: the state did not grow out of the one shown, so all of it is shown anew.
fn show(loaded: Loaded, view: &View, replaced: bool) -> Core {
    let mut trees = Vec::with_capacity(loaded.kinds.len());
    for (name, kind) in loaded.kinds {
        let shown = view.kind(&name);
        let current = shown.current().last;
        let tree = if !replaced && current == kind.last {
            // The same objects: keep one copy of them.
            shown.oldest.fetch_max(kind.oldest, std::sync::atomic::Ordering::AcqRel);
            shown.current().tree.clone()
        } else {
            if replaced || current < kind.last {
                shown.replace(kind.tree.clone(), kind.last, kind.oldest);
            }
            kind.tree
        };
        trees.push((name, tree));
    }
    view.advance(loaded.revision);
    Core::new(loaded.revision, trees)
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Checkpointed;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        Ok((self.applied, self.members.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        // After a failed write memory and disk disagree; the store is about to be opened afresh.
        if let Some((kind, text)) = self.fault.get() {
            return Err(io::Error::new(kind, text));
        }
        let mut ready = Ready::default();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            debug_assert!(self.applied.is_none_or(|applied| applied.index < entry.index()));
            self.step(entry, responder, &mut ready);
            if ready.bytes >= BATCH_BYTES {
                self.commit(&mut ready)?;
            }
        }
        self.commit(&mut ready)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder::new(self.disk.clone(), self.snapshots.clone())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, data: Checkpointed) -> io::Result<()> {
        let installed = checkpoint::install(&self.disk, &self.snapshots, meta, &data);
        installed.map_err(|e| self.fault.note(e))?;
        let loaded = self.disk.load()?;
        (self.applied, self.members) = (loaded.applied, loaded.members.clone());
        self.core = show(loaded, &self.view, true);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Checkpointed>>> {
        checkpoint::current(&self.snapshots)
    }
}
