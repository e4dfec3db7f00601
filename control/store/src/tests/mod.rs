//! Tests of the store as a whole, on real files.

mod histogram;
mod history;
mod kill;
mod log_suite;
pub(crate) mod loop_fs;
mod model;
mod open;
mod power_loss;
mod replay;
mod snapshots;
mod trouble;

use std::path::Path;
use std::sync::Arc;

use crate::*;

pub(crate) const KIND: &str = "configmaps";

/// Options for tests: no reserve, because the machine's disk is not what is tested.
pub(crate) fn options(dir: &Path) -> Options {
    Options { reserve_bytes: 0, ..Options::new(dir) }
}

pub(crate) async fn open(dir: &Path) -> Store {
    Store::open(options(dir)).await.unwrap()
}

pub(crate) fn document(body: &str) -> Template {
    let head = r#"{"metadata":{"resourceVersion":""#;
    Template { json: format!(r#"{head}"}},"body":"{body}"}}"#).into_bytes(), version_at: head.len() }
}

/// What [`document`] becomes at a revision.
pub(crate) fn json(revision: u64, body: &str) -> String {
    format!(r#"{{"metadata":{{"resourceVersion":"{revision}"}},"body":"{body}"}}"#)
}

pub(crate) fn put(key: &str, expect: Expect, body: &str) -> Write {
    Write::Put { kind: KIND.into(), key: key.into(), expect, value: document(body) }
}

pub(crate) fn delete(key: &str, expect: Expect) -> Write {
    Write::Delete { kind: KIND.into(), key: key.into(), expect, last: None }
}

/// Writes, and gives the revision; the condition must hold.
pub(crate) async fn done(store: &Store, write: Write) -> u64 {
    match store.write(write).await.unwrap() {
        Outcome::Done(stored) => stored.revision,
        Outcome::Conflict(there) => panic!("conflict with {there:?}"),
    }
}

pub(crate) fn contents(snapshot: &Snapshot) -> Vec<(String, u64)> {
    snapshot.range("", None).map(|(key, stored)| (key.to_owned(), stored.revision)).collect()
}

/// Everything a watcher has now.
pub(crate) fn drain(watcher: &mut Watcher) -> Vec<Arc<Event>> {
    std::iter::from_fn(|| watcher.try_next().unwrap()).collect()
}
