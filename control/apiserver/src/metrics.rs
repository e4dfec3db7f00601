//! What the server counts, in Prometheus' text form. Names are those of Kubernetes' API server, as far as it has
//! the same. No label holds a name of an object or user.

use crate::request::Verb;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What requests are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub verb: &'static str,
    pub group: &'static str,
    pub version: &'static str,
    pub resource: &'static str,
    /// One of the subresources served, or empty.
    pub subresource: &'static str,
    pub code: u16,
}

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    micros: AtomicU64,
}

/// All counters of one server.
#[derive(Default)]
pub struct Metrics {
    requests: RwLock<HashMap<Key, Arc<Counters>, rapidhash::fast::RandomState>>,
    reading: AtomicI64,
    mutating: AtomicI64,
    long_running: AtomicI64,
    /// Events sent to watchers.
    pub watch_events: AtomicU64,
    /// Requests refused as too big, malformed connections and handshakes that failed.
    pub tls_failures: AtomicU64,
}

/// Counts a request as running until it is dropped.
pub struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a long-running request until its body is dropped.
pub struct LongRunning(Arc<Metrics>);

impl Drop for LongRunning {
    fn drop(&mut self) {
        self.0.long_running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub fn start(&self, mutating: bool) -> InFlight<'_> {
        let gauge = if mutating { &self.mutating } else { &self.reading };
        gauge.fetch_add(1, Ordering::Relaxed);
        InFlight(gauge)
    }

    pub fn start_long(self: &Arc<Self>) -> LongRunning {
        self.long_running.fetch_add(1, Ordering::Relaxed);
        LongRunning(Arc::clone(self))
    }

    pub fn done(&self, key: Key, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(counters) = self.requests.read().get(&key) {
            return counters.add(micros);
        }
        let counters = Arc::clone(self.requests.write().entry(key).or_default());
        counters.add(micros);
    }

    /// The whole exposition. `revision` is the store's.
    pub fn render(&self, revision: u64) -> String {
        let mut rows: Vec<_> = self
            .requests
            .read()
            .iter()
            .map(|(key, c)| (*key, c.requests.load(Ordering::Relaxed), c.micros.load(Ordering::Relaxed)))
            .collect();
        rows.sort_by_key(|(k, ..)| (k.group, k.version, k.resource, k.subresource, k.verb, k.code));
        let mut out = String::with_capacity(256 + rows.len() * 256);
        header(&mut out, "apiserver_request_total", "counter", "Requests answered.");
        for (key, requests, _) in &rows {
            line(&mut out, "apiserver_request_total", &key.labels(true), requests);
        }
        header(&mut out, "apiserver_request_duration_seconds", "summary", "Time from request to reply.");
        let durations = sum_codes(&rows);
        for (key, requests, micros) in &durations {
            let labels = key.labels(false);
            line(&mut out, "apiserver_request_duration_seconds_sum", &labels, &(*micros as f64 / 1e6));
            line(&mut out, "apiserver_request_duration_seconds_count", &labels, requests);
        }
        self.gauges(&mut out, revision);
        out
    }

    fn gauges(&self, out: &mut String, revision: u64) {
        let name = "apiserver_current_inflight_requests";
        header(out, name, "gauge", "Requests that are being worked on.");
        line(out, name, "request_kind=\"mutating\"", &self.mutating.load(Ordering::Relaxed));
        line(out, name, "request_kind=\"readOnly\"", &self.reading.load(Ordering::Relaxed));
        let name = "apiserver_longrunning_requests";
        header(out, name, "gauge", "Watches, logs and execs that are open.");
        line(out, name, "", &self.long_running.load(Ordering::Relaxed));
        let name = "apiserver_watch_events_total";
        header(out, name, "counter", "Events sent to watchers.");
        line(out, name, "", &self.watch_events.load(Ordering::Relaxed));
        let name = "apiserver_tls_handshake_errors_total";
        header(out, name, "counter", "TLS handshakes that failed.");
        line(out, name, "", &self.tls_failures.load(Ordering::Relaxed));
        let name = "keelson_store_revision";
        header(out, name, "gauge", "The last revision applied by the store.");
        line(out, name, "", &revision);
    }
}

impl Counters {
    fn add(&self, micros: u64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Key {
    fn labels(&self, code: bool) -> String {
        let mut out = String::with_capacity(128);
        if code {
            // Writing into a String cannot fail.
            let _ = write!(out, "code=\"{}\",", self.code);
        }
        let _ = write!(
            out,
            "group=\"{}\",resource=\"{}\",subresource=\"{}\",verb=\"{}\",version=\"{}\"",
            self.group, self.resource, self.subresource, self.verb, self.version
        );
        out
    }
}

/// Rows that differ in their code only, added up. The rows are sorted with the code last.
fn sum_codes(rows: &[(Key, u64, u64)]) -> Vec<(Key, u64, u64)> {
    let mut sums: Vec<(Key, u64, u64)> = Vec::new();
    for (key, requests, micros) in rows {
        let key = Key { code: 0, ..*key };
        match sums.last_mut() {
            Some(last) if last.0 == key => {
                last.1 += requests;
                last.2 += micros;
            }
            _ => sums.push((key, *requests, *micros)),
        }
    }
    sums
}

fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: &dyn std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
}

/// The verb of a request outside the resources.
pub fn method_verb(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" | "HEAD" => Verb::Get.metric(),
        "POST" => Verb::Create.metric(),
        "PUT" => Verb::Update.metric(),
        "PATCH" => Verb::Patch.metric(),
        "DELETE" => Verb::Delete.metric(),
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exposition() {
        let metrics = Arc::new(Metrics::default());
        let key = |code| Key {
            verb: "GET",
            group: "apps",
            version: "v1",
            resource: "deployments",
            subresource: "",
            code,
        };
        metrics.done(key(200), Duration::from_millis(1500));
        metrics.done(key(404), Duration::from_millis(500));
        let running = metrics.start(true);
        let long = metrics.start_long();
        let text = metrics.render(42);
        let labels = "group=\"apps\",resource=\"deployments\",subresource=\"\",verb=\"GET\",version=\"v1\"";
        for want in [
            format!("apiserver_request_total{{code=\"404\",{labels}}} 1"),
            format!("apiserver_request_duration_seconds_sum{{{labels}}} 2"),
            format!("apiserver_request_duration_seconds_count{{{labels}}} 2"),
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} 1".to_owned(),
            "apiserver_longrunning_requests 1".to_owned(),
            "keelson_store_revision 42".to_owned(),
        ] {
            assert!(text.lines().any(|line| line == want), "{want} in\n{text}");
        }
        drop((running, long));
        assert!(metrics.render(42).contains("apiserver_longrunning_requests 0"));
    }
}
