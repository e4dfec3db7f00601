//! Brings one pod's status to the API: one write at a time, always the newest, only what changed.

use crate::pod::patch::{merged, status_patch};
use serde_json::Value;

/// How long a status that nobody waits for is held back, so that several changes become one write.
const PATIENCE_MS: u64 = 250;
const RETRY_MS: u64 = 1000;

/// What is to be sent now.
#[derive(Debug, PartialEq)]
pub(super) enum Send {
    /// A patch, and the status that the API holds after it.
    Status {
        patch: Value,
        after: Value,
    },
    Delete,
}

/// Pure: the loop sends what `next` returns and reports back.
pub(super) struct Writer {
    uid: String,
    /// What the API holds.
    reported: Value,
    wanted: Option<Value>,
    /// Monotonic ms.
    send_at: u64,
    busy: bool,
    delete: bool,
    /// Of the object after our last write: what is newer was written by someone else.
    revision: u64,
}

impl Writer {
    pub(super) fn new(uid: &str, reported: Value) -> Self {
        Self {
            uid: uid.to_owned(),
            reported,
            wanted: None,
            send_at: 0,
            busy: false,
            delete: false,
            revision: 0,
        }
    }

    pub(super) fn reported(&self) -> &Value {
        self.wanted.as_ref().unwrap_or(&self.reported)
    }

    /// A new status; it replaces one that waits.
    pub(super) fn want(&mut self, status: Value, now: u64) {
        if *self.reported() == status {
            return;
        }
        let send_at = if urgent(&self.reported, &status) { now } else { now + PATIENCE_MS };
        self.send_at = if self.wanted.is_some() { self.send_at.min(send_at) } else { send_at };
        self.wanted = Some(status);
    }

    /// The object is to be deleted once the last status is written.
    pub(super) fn delete(&mut self) {
        self.delete = true;
        self.send_at = 0;
    }

    /// What is due, and it is under way from now.
    pub(super) fn next(&mut self, now: u64) -> Option<Send> {
        if self.busy || now < self.send_at {
            return None;
        }
        if let Some(wanted) = self.wanted.take() {
            let after = merged(&self.reported, &wanted);
            if let Some(patch) = status_patch(&self.uid, &self.reported, &wanted) {
                self.busy = true;
                return Some(Send::Status { patch, after });
            }
            self.reported = after;
        }
        if self.delete {
            self.busy = true;
            return Some(Send::Delete);
        }
        None
    }

    /// When `next` may have something.
    pub(super) fn wake(&self) -> Option<u64> {
        (!self.busy && (self.wanted.is_some() || self.delete)).then_some(self.send_at)
    }

    pub(super) fn written(&mut self, after: Value, revision: u64) {
        self.busy = false;
        self.reported = after;
        self.revision = self.revision.max(revision);
    }

    /// The API's version of the status at `revision`. One that is newer than our last write replaces what we
    /// think it holds: the kubelet's own fields are then written again where they differ.
    pub(super) fn heard(&mut self, status: &Value, revision: u64) {
        if self.busy || revision <= self.revision {
            return;
        }
        self.revision = revision;
        let wanted = self.wanted.take().unwrap_or_else(|| self.reported.clone());
        self.reported = status.clone();
        self.wanted = Some(wanted);
    }

    /// The write failed and is worth repeating with the status as it is by then.
    pub(super) fn failed(&mut self, now: u64, current: Option<Value>) {
        self.busy = false;
        self.send_at = now + RETRY_MS;
        if self.wanted.is_none() {
            self.wanted = current;
        }
    }

    /// The object is gone, or does not take this status: nothing is left to write.
    pub(super) fn gone(&mut self) {
        self.busy = false;
        self.wanted = None;
    }
}

/// Whether someone waits for the change: everything but the steps of a pod that is still being made.
fn urgent(before: &Value, after: &Value) -> bool {
    let text = |status: &Value, path: &str| status.pointer(path).cloned();
    let ready = |status: &Value| {
        let conditions = status.get("conditions").and_then(Value::as_array);
        conditions.and_then(|list| list.iter().find(|c| c.get("type").is_some_and(|t| t == "Ready")).cloned())
    };
    if text(before, "/phase") != text(after, "/phase") && before.get("phase").is_some_and(|p| p != "Pending")
    {
        return true;
    }
    if after.get("phase").is_some_and(|p| p != "Pending") {
        return true;
    }
    ready(before).and_then(|c| c.get("status").cloned()).is_some_and(|s| s == "True")
        || after.to_string().contains("\"terminated\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pending_steps_are_gathered_and_readiness_is_not() {
        let mut writer = Writer::new("u", json!({"phase": "Pending"}));
        writer.want(json!({"phase": "Pending", "a": 1}), 1000);
        assert_eq!(writer.next(1000), None);
        assert_eq!(writer.wake(), Some(1250));
        writer.want(json!({"phase": "Running", "a": 2}), 1100);
        let expect = json!({"metadata": {"uid": "u"}, "status": {"phase": "Running", "a": 2}});
        let Some(Send::Status { patch, after }) = writer.next(1100) else { panic!() };
        assert_eq!(patch, expect);
        writer.want(json!({"phase": "Running", "a": 3}), 1101);
        assert_eq!(writer.next(1101), None, "one write at a time");
        writer.written(after, 1);
        assert!(matches!(writer.next(1102), Some(Send::Status { .. })));
    }

    #[test]
    fn what_others_write_over_ours_is_put_right() {
        let mut writer = Writer::new("u", json!({}));
        writer.want(json!({"phase": "Running"}), 0);
        assert!(writer.next(0).is_some());
        writer.written(json!({"phase": "Running"}), 7);
        writer.heard(&json!({}), 6);
        writer.heard(&json!({"phase": "Running"}), 7);
        assert_eq!(writer.next(1), None, "our own write comes back");
        writer.heard(&json!({"phase": "Failed", "conditions": [{"type": "Other"}]}), 8);
        let Some(Send::Status { patch, .. }) = writer.next(1) else { panic!() };
        assert_eq!(patch["status"], json!({"phase": "Running"}));
    }

    #[test]
    fn deletion_comes_last_and_failures_are_repeated() {
        let mut writer = Writer::new("u", json!({}));
        writer.want(json!({"phase": "Failed"}), 0);
        writer.delete();
        assert!(matches!(writer.next(0), Some(Send::Status { .. })));
        writer.failed(0, Some(json!({"phase": "Failed"})));
        assert_eq!(writer.next(999), None);
        assert!(matches!(writer.next(1000), Some(Send::Status { .. })));
        writer.written(json!({"phase": "Failed"}), 1);
        assert_eq!(writer.next(1000), Some(Send::Delete));
    }
}
