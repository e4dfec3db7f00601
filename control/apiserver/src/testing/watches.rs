//! Watches: where they begin, what they show, how they end.

use super::Server;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/t/configmaps";

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begin() {
    let server = Server::start().await;
    let first = server.config_map("a", json!({})).await;
    let second = server.config_map("b", json!({})).await;
    let mut from_start = server.watch(&format!("{MAPS}?watch=1")).await;
    let mut from_first = server.watch(&format!("{MAPS}?watch=1&resourceVersion={}", version(&first))).await;
    let mut from_now = server.watch(&format!("{MAPS}?watch=1&resourceVersion={}", version(&second))).await;
    server.merge(&format!("{MAPS}/a"), &json!({"data": {"k": "2"}})).await.expect(200);
    server.delete(&format!("{MAPS}/b")).await.expect(200);
    for want in ["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"] {
        assert_eq!(from_start.brief().await, want);
    }
    for want in ["ADDED b", "MODIFIED a", "DELETED b"] {
        assert_eq!(from_first.brief().await, want);
    }
    assert_eq!(from_now.brief().await, "MODIFIED a");
    let deleted = from_now.next().await.expect("an event");
    assert_eq!(deleted["object"]["kind"], "ConfigMap");
    let shown: u64 = version(&deleted["object"]).parse().expect("a number");
    assert_eq!(shown, server.store.revision(), "a deletion has a version of its own");
    assert!(from_now.is_quiet().await);
    server.get(&format!("{MAPS}?watch=1&resourceVersion=999999")).await.expect(504);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selections_are_entered_and_left() {
    let server = Server::start().await;
    let mut labelled = server.watch(&format!("{MAPS}?watch=1&labelSelector=on%3Dyes")).await;
    let mut named = server.watch(&format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Da")).await;
    server.config_map("a", json!({"on": "no"})).await;
    server.config_map("ab", json!({})).await;
    let path = format!("{MAPS}/a");
    for on in ["yes", "yes", "no", "yes"] {
        let patch = json!({"metadata": {"labels": {"on": on}}, "data": {"k": crate::clock::uid()}});
        server.merge(&path, &patch).await.expect(200);
    }
    server.delete(&path).await.expect(200);
    for want in ["ADDED a", "MODIFIED a"] {
        assert_eq!(labelled.brief().await, want);
    }
    let left = labelled.next().await.expect("an event");
    assert_eq!(
        (&left["type"], &left["object"]["metadata"]["labels"]["on"]),
        (&json!("DELETED"), &json!("yes"))
    );
    for want in ["ADDED a", "DELETED a"] {
        assert_eq!(labelled.brief().await, want);
    }
    for want in ["ADDED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"] {
        assert_eq!(named.brief().await, want);
    }
    assert!(labelled.is_quiet().await && named.is_quiet().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_of_a_node() {
    let server = Server::start().await;
    let pods = "/api/v1/namespaces/t/pods";
    let mut watch = server.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn").await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    server.post(pods, &pod).await.expect(201);
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    server.post(&format!("{pods}/p/binding"), &binding).await.expect(201);
    assert_eq!(watch.brief().await, "ADDED p");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn initial_events_end_with_a_bookmark() {
    let server = Server::start().await;
    server.config_map("a", json!({})).await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = server.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.brief().await, "ADDED a");
    let bookmark = watch.next().await.expect("a bookmark");
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(version(&bookmark["object"]), server.store.revision().to_string());
    server.config_map("b", json!({})).await;
    assert_eq!(watch.brief().await, "ADDED b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms() {
    let server = Server::start().await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut tables = server.watch_as(&format!("{MAPS}?watch=1"), table).await;
    let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let mut partials = server.watch_as(&format!("{MAPS}?watch=1"), partial).await;
    server.config_map("a", json!({})).await;
    server.config_map("b", json!({})).await;
    let first = tables.next().await.expect("an event");
    assert_eq!(first["object"]["rows"][0]["cells"][0], "a");
    assert!(first["object"]["columnDefinitions"].is_array());
    let second = tables.next().await.expect("an event");
    assert!(second["object"]["columnDefinitions"].is_null(), "said once");
    let event = partials.next().await.expect("an event");
    assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
    assert!(event["object"]["data"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end() {
    let server = Server::start().await;
    let mut short = server.watch(&format!("{MAPS}?watch=1&timeoutSeconds=1")).await;
    assert_eq!(short.next().await, None);
    let mut open = server.watch(&format!("{MAPS}?watch=1")).await;
    assert!(open.is_quiet().await);
    server.api.shutdown();
    assert_eq!(open.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_is_gone_is_told_in_the_stream() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = keelson_store::Options::new(directory.path().join("store"));
    options.history_events_per_kind = 16;
    options.history_revisions = 16;
    let server = Server::on(crate::ApiConfig::default(), options, directory).await;
    let first = server.config_map("a", json!({})).await;
    let path = format!("{MAPS}?watch=1&timeoutSeconds=1&resourceVersion={}", version(&first));
    for round in 0..600 {
        server.merge(&format!("{MAPS}/a"), &json!({"data": {"k": round.to_string()}})).await.expect(200);
        if round % 50 == 49 {
            let mut watch = server.watch(&path).await;
            assert_eq!(watch.code, 200);
            let event = watch.next().await.expect("an event");
            if event["type"] == "ERROR" {
                assert_eq!(
                    (&event["object"]["code"], &event["object"]["reason"]),
                    (&json!(410), &json!("Expired"))
                );
                assert_eq!(watch.next().await, None, "the stream ends");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    panic!("history was never dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_on_after_a_restart_without_a_list() {
    let server = Server::start().await;
    let seen = server.config_map("a", json!({})).await;
    server.merge(&format!("{MAPS}/a"), &json!({"data": {"k": "2"}})).await.expect(200);
    server.delete(&format!("{MAPS}/a")).await.expect(200);
    let server = server.restart().await;
    let mut watch = server.watch(&format!("{MAPS}?watch=1&resourceVersion={}", version(&seen))).await;
    server.config_map("b", json!({})).await;
    for want in ["MODIFIED a", "DELETED a", "ADDED b"] {
        assert_eq!(watch.brief().await, want);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_see_every_event_once_and_in_order() {
    let server = std::sync::Arc::new(Server::start().await);
    // So many that they are woken for several events at a time.
    let readers: Vec<_> = (0..120)
        .map(|i| {
            let server = std::sync::Arc::clone(&server);
            tokio::spawn(async move {
                let query = if i % 2 == 0 { "" } else { "&labelSelector=on%3Dyes" };
                let mut watch = server.watch(&format!("{MAPS}?watch=1{query}")).await;
                assert_eq!(watch.code, 200);
                for n in 0..100 {
                    assert_eq!(watch.brief().await, format!("ADDED m{n:03}"));
                }
            })
        })
        .collect();
    for n in 0..100 {
        server.config_map(&format!("m{n:03}"), json!({"on": "yes"})).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
