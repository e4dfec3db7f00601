//! Pods that wait for a node: ready ones by priority, failed ones by back-off, hopeless ones until something
//! changes that may help them. Time is an input.

use crate::pod::PodInfo;
use crate::reason::Hints;
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The first pause after a failure, doubled up to the longest.
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A pod that nothing woke is tried again after this time.
const FORGOTTEN: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    /// `error` when a call failed: then the whole pause is kept, so that the server is not hammered.
    Backoff {
        due: Duration,
        error: bool,
    },
    /// Until a change that `hints` names.
    Waiting,
    /// A choice was made; its binding is under way.
    InFlight,
    Gated,
}

struct Entry {
    pod: Arc<PodInfo>,
    place: Place,
    attempts: u32,
    /// The order of arrival among pods of one priority.
    arrival: u64,
    failed_at: Duration,
    hints: Hints,
}

type ActiveKey = (Reverse<i32>, u64, String);

#[derive(Default)]
pub(crate) struct Queue {
    entries: HashMap<String, Entry>,
    active: BTreeSet<ActiveKey>,
    backoff: BTreeSet<(Duration, String)>,
    arrivals: u64,
}

impl Queue {
    /// A pod came or its spec changed. A change may help it, so it is tried again when its pause is over.
    pub(crate) fn add(&mut self, pod: Arc<PodInfo>, now: Duration) {
        let uid = pod.meta.uid.clone();
        let (attempts, failed_at, arrival) = match self.take(&uid) {
            Some(old) if old.place == Place::InFlight => {
                self.entries.insert(uid, Entry { pod, ..old });
                return;
            }
            Some(old) => (old.attempts, old.failed_at, old.arrival),
            None => {
                self.arrivals += 1;
                (0, now, self.arrivals)
            }
        };
        let place = if pod.gated { Place::Gated } else { Place::Waiting };
        self.entries
            .insert(uid.clone(), Entry { pod, place, attempts, arrival, failed_at, hints: Hints::ALL });
        if place == Place::Waiting {
            self.promote(&uid, now);
        }
    }

    /// The pod needs no node any more.
    pub(crate) fn remove(&mut self, uid: &str) {
        self.take(uid);
    }

    fn take(&mut self, uid: &str) -> Option<Entry> {
        let entry = self.entries.remove(uid)?;
        self.unplace(&entry);
        Some(entry)
    }

    fn unplace(&mut self, entry: &Entry) {
        match entry.place {
            Place::Active => {
                self.active.remove(&active_key(entry));
            }
            Place::Backoff { due, .. } => {
                self.backoff.remove(&(due, entry.pod.meta.uid.clone()));
            }
            Place::Waiting | Place::InFlight | Place::Gated => {}
        }
    }

    fn place(&mut self, uid: &str, place: Place) {
        let Some(mut entry) = self.take(uid) else { return };
        entry.place = place;
        match place {
            Place::Active => {
                self.active.insert(active_key(&entry));
            }
            Place::Backoff { due, .. } => {
                self.backoff.insert((due, uid.to_owned()));
            }
            Place::Waiting | Place::InFlight | Place::Gated => {}
        }
        self.entries.insert(uid.to_owned(), entry);
    }

    /// To the ready pods, or into back-off while its pause is not over.
    fn promote(&mut self, uid: &str, now: Duration) {
        let Some(entry) = self.entries.get(uid) else { return };
        let due = entry.failed_at + pause(entry.attempts);
        let place = if entry.attempts == 0 || due <= now {
            Place::Active
        } else {
            Place::Backoff { due, error: false }
        };
        self.place(uid, place);
    }

    /// The next pod to choose a node for. When none is ready, one in back-off need not wait, unless it was an
    /// error that put it there.
    pub(crate) fn pop(&mut self) -> Option<Arc<PodInfo>> {
        let ready = self.active.first().map(|(_, _, uid)| uid.clone());
        let uid = ready.or_else(|| {
            let early = |(_, uid): &&(Duration, String)| {
                self.entries.get(uid).is_some_and(|e| matches!(e.place, Place::Backoff { error: false, .. }))
            };
            self.backoff.iter().find(early).map(|(_, uid)| uid.clone())
        })?;
        self.place(&uid, Place::InFlight);
        let entry = self.entries.get_mut(&uid)?;
        entry.attempts += 1;
        Some(entry.pod.clone())
    }

    /// No node takes the pod: it waits for a change that `hints` names.
    pub(crate) fn no_node(&mut self, uid: &str, hints: Hints, now: Duration) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.failed_at = now;
            entry.hints = hints;
            self.place(uid, Place::Waiting);
        }
    }

    /// The binding failed: it is tried again after a pause.
    pub(crate) fn failed(&mut self, uid: &str, now: Duration) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.failed_at = now;
            let due = now + pause(entry.attempts);
            self.place(uid, Place::Backoff { due, error: true });
        }
    }

    /// The cluster changed: pods that it may help are tried again.
    pub(crate) fn wake(&mut self, change: Hints, now: Duration) {
        let helped = |entry: &&Entry| entry.place == Place::Waiting && entry.hints.meets(change);
        let uids: Vec<String> =
            self.entries.values().filter(helped).map(|e| e.pod.meta.uid.clone()).collect();
        uids.iter().for_each(|uid| self.promote(uid, now));
    }

    /// Moves what is due; called before `pop`.
    pub(crate) fn tick(&mut self, now: Duration) {
        while let Some((due, uid)) = self.backoff.first() {
            if *due > now {
                break;
            }
            let uid = uid.clone();
            self.place(&uid, Place::Active);
        }
    }

    /// Tries again what nothing woke for a long time; called now and then.
    pub(crate) fn sweep(&mut self, now: Duration) {
        let stale = |entry: &&Entry| entry.place == Place::Waiting && entry.failed_at + FORGOTTEN <= now;
        let uids: Vec<String> = self.entries.values().filter(stale).map(|e| e.pod.meta.uid.clone()).collect();
        uids.iter().for_each(|uid| self.promote(uid, now));
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.backoff.first().map(|(due, _)| *due)
    }

    pub(crate) fn uids(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }
}

fn active_key(entry: &Entry) -> ActiveKey {
    (Reverse(entry.pod.priority), entry.arrival, entry.pod.meta.uid.clone())
}

fn pause(attempts: u32) -> Duration {
    BACKOFF_FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests;
