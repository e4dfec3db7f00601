//! The end of Events: one that nothing was written to for a while is removed (kube-apiserver's `--event-ttl`). Both
//! groups that Events are served in are one kind in the store.
//!
//! The store's watch tells of every write, and each Event's last one is kept in the order of revisions, which is that
//! of time: what is due stands in front, and nothing is searched. A removal names the revision that it means, so that
//! an Event that is written meanwhile stays, and of several servers on one history one removes it.
//!
//! Nothing of this is stored. After a start, what a document says of times stands for its last write; a write that
//! said nothing of them counts no more, and no Event stays longer than its time from the start.

use crate::clock;
use crate::server::Core;
use futures::future::try_join_all;
use keelson_api::time;
use keelson_store::{Event, EventKind, Expect, HistoryError, Snapshot, Store, Write, WriteError};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Removals that are under way at once; the store takes them as one entry of its log.
const BATCH: usize = 128;
/// After a removal that the store refused.
const RETRY: Duration = Duration::from_secs(5);

/// Milliseconds since the task began; negative before that.
type Millis = i64;

/// The last write of an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Last {
    key: Arc<str>,
    revision: u64,
    at: Millis,
}

/// The last write of every Event, by revision.
#[derive(Default)]
struct Ages {
    by_revision: BTreeMap<u64, (Arc<str>, Millis)>,
}

impl Ages {
    /// Of what was there before; `now` is Unix time in seconds.
    fn load(snapshot: &Snapshot, now: i64) -> Self {
        let mut ages = Self::default();
        for (key, stored) in snapshot.range("", None) {
            let ago = now.saturating_sub(told_time(&stored.bytes).unwrap_or(now)).max(0);
            ages.by_revision.insert(stored.revision, (key.into(), ago.saturating_mul(-1000)));
        }
        ages.settle();
        ages
    }

    /// A write is not older than the one before it, whatever its document says.
    fn settle(&mut self) {
        let mut latest = Millis::MIN;
        for (_, at) in self.by_revision.values_mut() {
            latest = latest.max(*at);
            *at = latest;
        }
    }

    fn note(&mut self, event: &Event, now: Millis) {
        if let Some(previous) = &event.previous {
            self.by_revision.remove(&previous.revision);
        }
        if event.kind != EventKind::Delete {
            self.by_revision.insert(event.revision, (Arc::clone(&event.key), now));
        }
    }

    /// Takes out what was last written `ttl` ago or earlier, oldest first, a batch at most.
    fn take_due(&mut self, now: Millis, ttl: Duration) -> Vec<Last> {
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(first) = self.by_revision.first_entry()
            && first.get().1.saturating_add(millis(ttl)) <= now
        {
            let (revision, (key, at)) = first.remove_entry();
            due.push(Last { key, revision, at });
        }
        due
    }

    fn put_back(&mut self, taken: Vec<Last>) {
        self.by_revision.extend(taken.into_iter().map(|last| (last.revision, (last.key, last.at))));
    }

    /// Until the next one is due; `None` when there is none.
    fn wait(&self, now: Millis, ttl: Duration) -> Option<Duration> {
        let (_, (_, at)) = self.by_revision.first_key_value()?;
        let wait = at.saturating_add(millis(ttl)).saturating_sub(now);
        Some(Duration::from_millis(u64::try_from(wait).unwrap_or(0)))
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

/// The latest time in an Event's document that somebody wrote at, in Unix seconds.
fn told_time(document: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        metadata: Metadata,
        event_time: Option<String>,
        last_timestamp: Option<String>,
        series: Option<Series>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        creation_timestamp: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Series {
        last_observed_time: Option<String>,
    }
    let told: Told = serde_json::from_slice(document).ok()?;
    let observed = told.series.and_then(|series| series.last_observed_time);
    [told.metadata.creation_timestamp, told.event_time, told.last_timestamp, observed]
        .into_iter()
        .flatten()
        .filter_map(|text| time::parse(&text).ok())
        .max()
}

/// Runs until shutdown begins.
pub async fn run(core: Arc<Core>) {
    let Some(kind) = core.catalog.core("events").map(|served| Arc::clone(&served.store_kind)) else { return };
    let follow = async {
        loop {
            match follow(&core.store, &kind, core.config.event_ttl).await {
                Ok(()) | Err(HistoryError::Closed) => return,
                Err(error) => tracing::warn!(%error, "events are read anew to see which are old"),
            }
        }
    };
    core.shutdown.run_until_cancelled(follow).await;
}

/// Removes what is due until the store is closed, or the history has gone on without us.
async fn follow(store: &Store, kind: &Arc<str>, ttl: Duration) -> Result<(), HistoryError> {
    let begin = Instant::now();
    let now = || millis(begin.elapsed());
    let snapshot = store.snapshot(kind);
    let mut watcher = store.watch(kind, "", snapshot.revision())?;
    // Many documents may have to be looked at: not on a thread that serves.
    let load = move || Ages::load(&snapshot, clock::unix_seconds());
    let Ok(mut ages) = tokio::task::spawn_blocking(load).await else { return Ok(()) };
    loop {
        while let Some(event) = watcher.next_until(u64::MAX).await? {
            ages.note(&event, now());
        }
        let due = ages.take_due(now(), ttl);
        if !due.is_empty() {
            if let Err(error) = remove(store, kind, &due).await {
                tracing::warn!(%error, events = due.len(), "old events were not removed");
                ages.put_back(due);
                tokio::time::sleep(RETRY).await;
            }
            continue;
        }
        let next = ages.wait(now(), ttl).unwrap_or(ttl);
        tokio::select! {
            event = watcher.next() => ages.note(&*event?, now()),
            () = tokio::time::sleep(next) => {}
        }
    }
}

async fn remove(store: &Store, kind: &Arc<str>, due: &[Last]) -> Result<(), WriteError> {
    // What was written or removed meanwhile is a conflict, and no concern of ours.
    let removals = due.iter().map(|last| {
        let (kind, key, expect) = (Arc::clone(kind), last.key.to_string(), Expect::Revision(last.revision));
        store.write(Write::Delete { kind, key, expect, last: None })
    });
    try_join_all(removals).await.map(|_| ())
}

#[cfg(test)]
#[path = "expiry_tests.rs"]
mod tests;
