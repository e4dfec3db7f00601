//! Lists: chunks from one snapshot, versions, forms.

use super::Server;
use crate::ApiConfig;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const MAPS: &str = "/api/v1/namespaces/t/configmaps";

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items");
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

async fn ten(server: &Server) {
    for i in 0..10 {
        server.config_map(&format!("m{i}"), json!({"even": (i % 2 == 0).to_string()})).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_show_one_state() {
    let server = Server::start().await;
    ten(&server).await;
    let first = server.get(&format!("{MAPS}?limit=4")).await.expect(200);
    assert_eq!(names(&first), ["m0", "m1", "m2", "m3"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 6);
    server.delete(&format!("{MAPS}/m5")).await.expect(200);
    server.config_map("m55", json!({})).await;
    let token = first["metadata"]["continue"].as_str().expect("a token");
    let second = server.get(&format!("{MAPS}?limit=4&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["m4", "m5", "m6", "m7"], "as when the list began");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().expect("a token");
    let last = server.get(&format!("{MAPS}?limit=4&continue={token}")).await.expect(200);
    assert_eq!(names(&last), ["m8", "m9"]);
    assert_eq!(last["metadata"]["continue"], Value::Null);
    let all = server.get("/api/v1/configmaps?limit=3").await.expect(200);
    let token = all["metadata"]["continue"].as_str().expect("a token");
    let rest = server.get(&format!("/api/v1/configmaps?continue={token}")).await.expect(200);
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selected_chunks() {
    let server = Server::start().await;
    ten(&server).await;
    let first = server.get(&format!("{MAPS}?labelSelector=even%3Dtrue&limit=2")).await.expect(200);
    assert_eq!(names(&first), ["m0", "m2"]);
    assert_eq!(first["metadata"]["remainingItemCount"], Value::Null, "unknown with a selector");
    let token = first["metadata"]["continue"].as_str().expect("a token");
    let rest = server.get(&format!("{MAPS}?labelSelector=even%3Dtrue&continue={token}")).await.expect(200);
    assert_eq!(names(&rest), ["m4", "m6", "m8"]);
    let one = server.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dm3")).await.expect(200);
    assert_eq!(names(&one), ["m3"]);
    let others = server
        .get(&format!("{MAPS}?fieldSelector=metadata.name!%3Dm3&labelSelector=even%3Dfalse"))
        .await
        .expect(200);
    assert_eq!(names(&others), ["m1", "m5", "m7", "m9"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions() {
    let server = Server::start().await;
    let first = server.config_map("a", json!({})).await;
    server.config_map("b", json!({})).await;
    let version = first["metadata"]["resourceVersion"].as_str().expect("a version");
    let check = async |query: &str, want: &[&str]| {
        let list = server.get(&format!("{MAPS}?{query}")).await.expect(200);
        assert_eq!(names(&list), want, "{query}");
    };
    check(&format!("resourceVersion={version}&resourceVersionMatch=Exact"), &["a"]).await;
    check(&format!("resourceVersion={version}&resourceVersionMatch=NotOlderThan"), &["a", "b"]).await;
    check(&format!("resourceVersion={version}"), &["a", "b"]).await;
    check("resourceVersion=0", &["a", "b"]).await;
    let future = server.get(&format!("{MAPS}?resourceVersion=999999")).await.expect(504);
    assert_eq!(future["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    assert_eq!(future["details"]["retryAfterSeconds"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_comes_with_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = keelson_store::Options::new(directory.path().join("store"));
    options.history_events_per_kind = 16;
    options.history_revisions = 16;
    let server = Server::on(crate::ApiConfig::default(), options, directory).await;
    ten(&server).await;
    let first = server.get(&format!("{MAPS}?limit=4")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().expect("a token").to_owned();
    for round in 0..40 {
        for i in 0..10 {
            let path = format!("{MAPS}/m{i}");
            server.merge(&path, &json!({"data": {"round": format!("{round}-{i}")}})).await.expect(200);
        }
    }
    // History is dropped in the background.
    let mut gone = server.get(&format!("{MAPS}?limit=4&continue={token}")).await;
    for _ in 0..50 {
        if gone.code == 410 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        server
            .merge(&format!("{MAPS}/m0"), &json!({"data": {"more": crate::clock::uid()}}))
            .await
            .expect(200);
        gone = server.get(&format!("{MAPS}?limit=4&continue={token}")).await;
    }
    let gone = gone.expect(410);
    assert_eq!(gone["reason"], "Expired");
    let token = gone["metadata"]["continue"].as_str().expect("a token to go on with");
    let rest = server.get(&format!("{MAPS}?continue={token}")).await.expect(200);
    assert_eq!(names(&rest), ["m4", "m5", "m6", "m7", "m8", "m9"]);
    let old = first["metadata"]["resourceVersion"].as_str().expect("a version");
    for query in ["resourceVersionMatch=Exact", "limit=1"] {
        let gone = server.get(&format!("{MAPS}?resourceVersion={old}&{query}")).await.expect(410);
        assert_eq!(gone["message"], "The resourceVersion for the provided list is too old.", "{query}");
    }
}

/// Chunks end by age as well, as soon as their state has been overtaken for long enough; nothing else does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_token_comes_with_another() {
    let ttl = Duration::from_secs(1);
    let server = Server::with_config(ApiConfig { continue_ttl: ttl, ..ApiConfig::default() }).await;
    let api = server.api.clone();
    tokio::spawn(async move { api.run_horizon().await });
    ten(&server).await;
    let first = server.get(&format!("{MAPS}?limit=4")).await.expect(200);
    let version = |list: &Value| list["metadata"]["resourceVersion"].as_str().expect("a version").to_owned();
    let token = |list: &Value| list["metadata"]["continue"].as_str().expect("a token").to_owned();
    let next = format!("{MAPS}?limit=4&continue={}", token(&first));
    tokio::time::sleep(ttl * 2).await;
    server.get(&next).await.expect(200);

    let overtaken = Instant::now();
    server.delete(&format!("{MAPS}/m9")).await.expect(200);
    let second = server.get(&next).await.expect(200);
    assert_eq!((names(&second).len(), version(&second)), (4, version(&first)), "young");
    let gone = loop {
        let answer = server.get(&next).await;
        if answer.code != 200 {
            break answer.expect(410);
        }
        assert!(overtaken.elapsed() < ttl * 20, "it never ends");
        tokio::time::sleep(ttl / 20).await;
    };
    assert!(overtaken.elapsed() >= ttl, "gone after {:?}", overtaken.elapsed());
    assert_eq!((&gone["reason"], &gone["kind"]), (&json!("Expired"), &json!("Status")));
    let words = "The provided continue parameter is too old to display a consistent list result.";
    assert!(gone["message"].as_str().is_some_and(|message| message.starts_with(words)), "{gone}");

    // The rest as it is by now, in pages of one state.
    let second = server.get(&format!("{MAPS}?limit=4&continue={}", token(&gone))).await.expect(200);
    assert_eq!(names(&second), ["m4", "m5", "m6", "m7"]);
    assert_eq!(second["metadata"]["remainingItemCount"], 1);
    assert_ne!(version(&second), version(&first));
    server.config_map("m99", json!({})).await;
    let last = server.get(&format!("{MAPS}?limit=4&continue={}", token(&second))).await.expect(200);
    assert_eq!((names(&last), version(&last)), (vec!["m8".to_owned()], version(&second)));

    // The state itself is kept.
    let exact = format!("{MAPS}?resourceVersion={}&resourceVersionMatch=Exact", version(&first));
    assert_eq!(names(&server.get(&exact).await.expect(200)).len(), 10);
    let mut watch = server.watch(&format!("{MAPS}?watch=1&resourceVersion={}", version(&first))).await;
    assert_eq!((watch.brief().await, watch.brief().await), ("DELETED m9".into(), "ADDED m99".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms() {
    let server = Server::start().await;
    server.config_map("a", json!({"x": "y"})).await;
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let list = server.get_as(MAPS, table).await.expect(200);
    assert_eq!(list["kind"], "Table");
    assert_eq!(list["rows"][0]["cells"][0], "a");
    assert_eq!(list["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(list["columnDefinitions"][0]["name"], "Name");
    let one = server.get_as(&format!("{MAPS}/a?includeObject=Object"), table).await.expect(200);
    assert_eq!(one["rows"][0]["object"]["data"]["k"], "v");
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let list = server.get_as(MAPS, partial).await.expect(200);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"][0]["metadata"]["labels"]["x"], "y");
    assert_eq!(list["items"][0]["data"], Value::Null);
    let yaml = server.get_as(&format!("{MAPS}/a"), "application/yaml").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    assert!(yaml.text().contains("kind: ConfigMap"), "{}", yaml.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_read_is_indented() {
    let server = Server::start().await;
    ten(&server).await;
    let get = async |path: &str, agent: &str| {
        let request = http::Request::builder().uri(path).header("user-agent", agent);
        let request = request.header("accept-encoding", "gzip").body(axum::body::Body::empty());
        server.send(request.unwrap()).await
    };
    for (path, start) in [
        (
            format!("{MAPS}/m0"),
            "{\n  \"kind\": \"ConfigMap\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {\n    \"",
        ),
        (MAPS.to_owned(), "{\n  \"kind\": \"ConfigMapList\","),
        (format!("{MAPS}?limit=1"), "{\n  \"kind\": \"ConfigMapList\","),
        (format!("{MAPS}/none"), "{\n  \"apiVersion\": \"v1\",\n  \"code\": 404,"),
        ("/version".to_owned(), "{\n  \"buildDate\": "),
        ("/apis".to_owned(), "{\n  \""),
    ] {
        let (plain, read) = (get(&path, "kubectl/v1.36").await, get(&path, "curl/8.0").await);
        assert_eq!((plain.code, plain.json()), (read.code, read.json()), "{path}");
        assert!(!plain.bytes.contains(&b'\n') || plain.headers.contains_key("content-encoding"), "{path}");
        assert!(read.text().starts_with(start), "{path}: {}", read.text());
        let length = read.headers.get("content-length").map(|value| value.to_str().expect("text").parse());
        assert!(length.is_none_or(|length| length == Ok(read.bytes.len())), "{path}");
    }
    let asked = get(&format!("{MAPS}/m0?pretty=true"), "kubectl/v1.36").await;
    assert!(asked.text().contains("\n  \"data\": {\n    \"k\": \"v\"\n  }\n}"), "{}", asked.text());
    // A watch is lines, one for each event.
    let request = http::Request::builder().uri(format!("{MAPS}?watch=1&timeoutSeconds=1&pretty=1"));
    let watch = server.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(watch.text().lines().count(), 10, "{}", watch.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn big_lists_are_streamed_and_compressed() {
    let server = Server::start().await;
    for i in 0..50 {
        let body = json!({"metadata": {"name": format!("big{i:02}")}, "data": {"k": "x".repeat(8192)}});
        server.post(MAPS, &body).await.expect(201);
    }
    let plain = server.get(MAPS).await;
    assert_eq!(names(&plain.json()).len(), 50);
    assert!(plain.headers.get("content-encoding").is_none());
    let request = http::Request::builder().uri(MAPS).header("accept-encoding", "gzip");
    let zipped = server.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert!(zipped.bytes.len() < plain.bytes.len() / 10);
    let mut out = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&zipped.bytes[..]), &mut out).unwrap();
    assert_eq!(out, plain.bytes);
    // For eyes it is not compressed, whatever they say that they can read.
    let request = http::Request::builder().uri(format!("{MAPS}?pretty=1")).header("accept-encoding", "gzip");
    let read = server.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert!(read.text().starts_with("{\n  \"kind\""), "{:?}", read.headers);
    assert_eq!(read.json(), plain.json());
}
