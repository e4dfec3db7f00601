//! The repair pass of service addresses.

use super::Server;
use crate::services::repair;
use serde_json::json;

const SERVICES: &str = "/api/v1/namespaces/t/services";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaks_are_freed_and_duplicates_told() {
    let server = Server::start().await;
    let core = server.api.core();
    let ports = json!([{"port": 80}]);
    let asked = json!({"metadata": {"name": "a"}, "spec": {"clusterIP": "10.96.7.1", "ports": ports}});
    server.post(SERVICES, &asked).await.expect(201);
    // Written past the API server, as a restored backup may hold it: `b` has the address of `a`, and `a` goes.
    let stored = server.store.get("services", "t/a").expect("stored");
    let text = String::from_utf8_lossy(&stored.bytes).replace("\"name\":\"a\"", "\"name\":\"b\"");
    let version_at = text.find("\"resourceVersion\":\"").expect("a version") + "\"resourceVersion\":\"".len();
    let digits = stored.revision.to_string().len();
    let mut json = text.into_bytes();
    json.drain(version_at..version_at + digits);
    let write = keelson_store::Write::Put {
        kind: "services".into(),
        key: "t/b".to_owned(),
        expect: keelson_store::Expect::Absent,
        value: keelson_store::Template { json, version_at },
    };
    server.store.write(write).await.unwrap();
    let (freed, duplicates) = repair::round(core);
    assert_eq!((freed, duplicates.len()), (0, 1));
    assert!(duplicates[0].message.contains("10.96.7.1 was assigned to multiple services: t/a and t/b"));
    repair::report(core, &duplicates[0]).await.unwrap();
    let events = server.get("/api/v1/namespaces/t/events").await.expect(200);
    assert_eq!(events["items"][0]["reason"], "ClusterIPAlreadyAllocated");
    for name in ["t/a", "t/b"] {
        let write = keelson_store::Write::Delete {
            kind: "services".into(),
            key: name.to_owned(),
            expect: keelson_store::Expect::Any,
            last: None,
        };
        server.store.write(write).await.unwrap();
    }
    server.post(SERVICES, &asked).await.expect(422);
    assert_eq!(repair::round(core).0, 0, "not at once: a request may be under way");
    assert_eq!(repair::round(core).0, 1);
    server.post(SERVICES, &asked).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_knows_what_is_taken() {
    let server = Server::start().await;
    let asked = json!({"metadata": {"name": "a"}, "spec": {"type": "NodePort", "clusterIP": "10.96.7.1", "ports": [{"port": 80, "nodePort": 30080}]}});
    server.post(SERVICES, &asked).await.expect(201);
    let auth = std::sync::Arc::clone(&server.api.core().auth);
    let again = crate::ApiServer::new(crate::ApiConfig::default(), server.store.clone(), auth);
    let restarted = Server { api: again, ..server };
    let other =
        json!({"metadata": {"name": "b"}, "spec": {"clusterIP": "10.96.7.1", "ports": [{"port": 80}]}});
    restarted.post(SERVICES, &other).await.expect(422);
    let other = json!({"metadata": {"name": "b"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}});
    restarted.post(SERVICES, &other).await.expect(422);
    restarted.delete(&format!("{SERVICES}/a")).await.expect(200);
    restarted.post(SERVICES, &other).await.expect(201);
}
