//! Events that end.

use super::Server;
use crate::{ApiConfig, clock};
use keelson_store::{Expect, Write};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const EVENTS: &str = "/api/v1/namespaces/t/events";
const NEW_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/t/events";

fn event(name: &str) -> Value {
    json!({"metadata": {"name": name}, "reason": "R", "message": "m", "type": "Normal", "count": 1,
        "involvedObject": {"kind": "Pod", "namespace": "t", "name": "p"}})
}

async fn names(server: &Server) -> Vec<String> {
    let list = server.get(EVENTS).await.expect(200);
    let items = list["items"].as_array().expect("items").iter();
    items.map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

fn start(server: &Server) {
    let api = server.api.clone();
    tokio::spawn(async move { api.run_expiry().await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_end_after_their_time_and_live_on_by_a_write() {
    let ttl = Duration::from_millis(1500);
    let server = Server::with_config(ApiConfig { event_ttl: ttl, ..ApiConfig::default() }).await;
    start(&server);
    let mut old = server.watch(&format!("{EVENTS}?watch=1")).await;
    let mut new = server.watch(&format!("{NEW_EVENTS}?watch=1")).await;
    let begin = Instant::now();
    for name in ["a", "b"] {
        server.post(EVENTS, &event(name)).await.expect(201);
    }
    tokio::time::sleep(ttl / 2).await;
    let written = Instant::now();
    server.merge(&format!("{EVENTS}/b"), &json!({"count": 2})).await.expect(200);
    for watch in [&mut old, &mut new] {
        for want in ["ADDED a", "ADDED b", "MODIFIED b", "DELETED a"] {
            assert_eq!(watch.brief().await, want);
        }
    }
    assert!(begin.elapsed() >= ttl, "gone after {:?}", begin.elapsed());
    let last = new.next().await.expect("an event");
    assert!(written.elapsed() >= ttl, "gone {:?} after its last write", written.elapsed());
    assert_eq!((&last["type"], &last["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("b")));
    assert_eq!(last["object"]["kind"], "Event");
    assert_eq!(last["object"]["apiVersion"], "events.k8s.io/v1");
    assert_eq!(names(&server).await, [""; 0]);
    // Nothing else has an end.
    server.config_map("c", json!({})).await;
    tokio::time::sleep(ttl * 2).await;
    server.get("/api/v1/namespaces/t/configmaps/c").await.expect(200);
}

/// What a server finds when it starts: documents of the times that they tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_before_a_start_end_too() {
    let server = Server::start().await;
    let served = server.api.core().catalog.core("events").expect("served").clone();
    let ago = |minutes: i64| keelson_api::time::seconds(clock::unix_seconds() - minutes * 60);
    for (name, created, last) in [("old", 61, 61), ("renewed", 300, 59), ("young", 59, 59)] {
        let mut object = event(name);
        object["metadata"] = json!({"name": name, "namespace": "t", "creationTimestamp": ago(created)});
        object["lastTimestamp"] = ago(last).into();
        let value = served.template(&object);
        let key = format!("t/{name}");
        server
            .store
            .write(Write::Put { kind: "events".into(), key, expect: Expect::Absent, value })
            .await
            .unwrap();
    }
    // Nobody has said that the first server is to remove anything, as if it had been down for an hour.
    assert_eq!(names(&server).await, ["old", "renewed", "young"]);
    let server = server.restart().await;
    // Before anything is removed: what is gone by then is not told.
    let mut watch = server.watch(&format!("{EVENTS}?watch=1")).await;
    start(&server);
    while watch.brief().await != "DELETED old" {}
    assert!(watch.is_quiet().await);
    assert_eq!(names(&server).await, ["renewed", "young"]);
}
