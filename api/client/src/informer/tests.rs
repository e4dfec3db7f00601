//! Informers against a scripted transport: what is asked of the server, and what readers see.

use super::*;
use crate::views::Pod;
use crate::{BoxError, ResponseBody, Transport, TransportError};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// Answers requests in order and notes them. Models: status codes, list pages, watch frames, a watch that
/// stays open until its sender is dropped.
struct Script {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<String>>,
}

enum Answer {
    Json(u16, Value),
    Frames(mpsc::Receiver<String>),
    Broken,
}

impl Transport for Script {
    fn call(
        &self,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'static, Result<http::Response<ResponseBody>, TransportError>> {
        self.asked.lock().push(request.uri().to_string());
        let answer = self.answers.lock().pop_front();
        Box::pin(async move {
            match answer {
                None => std::future::pending().await,
                Some(Answer::Broken) => Err(TransportError::new("refused")),
                Some(Answer::Json(status, body)) => {
                    let body = Full::new(Bytes::from(body.to_string()));
                    let body = ResponseBody::new(http_body_util::BodyExt::map_err(body, |e| match e {}));
                    Ok(http::Response::builder().status(status).body(body).unwrap())
                }
                Some(Answer::Frames(frames)) => {
                    let frames = futures::stream::unfold(frames, |mut frames| async move {
                        let line = frames.recv().await?;
                        Some((Ok::<_, BoxError>(Frame::data(Bytes::from(line + "\n"))), frames))
                    });
                    Ok(http::Response::new(ResponseBody::new(StreamBody::new(frames))))
                }
            }
        })
    }
}

fn pod(name: &str, version: u64) -> Value {
    json!({"metadata": {"namespace": "ns", "name": name, "uid": name, "resourceVersion": version.to_string()}})
}

fn list(version: u64, token: &str, items: Vec<Value>) -> Answer {
    Answer::Json(
        200,
        json!({"metadata": {"resourceVersion": version.to_string(), "continue": token}, "items": items}),
    )
}

fn frame(kind: &str, object: Value) -> String {
    json!({"type": kind, "object": object}).to_string()
}

fn start(answers: Vec<Answer>) -> (Arc<Script>, Informer<Pod>) {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), asked: Mutex::default() });
    let client = Client::new(script.clone(), "test");
    let options = Options { seed: 1, ..Options::default() };
    let informer = Informer::spawn_with(client, Resource::PODS, Scope::default(), options);
    (script, informer)
}

fn names(informer: &Informer<Pod>) -> Vec<String> {
    informer.store().list().iter().map(|p| p.metadata.name.clone()).collect()
}

#[tokio::test]
async fn lists_pages_then_follows_and_resumes_where_it_was() {
    let (frames, watch) = mpsc::channel(8);
    let (frames2, watch2) = mpsc::channel(8);
    let (script, informer) = start(vec![
        list(10, "next", vec![pod("a", 3)]),
        list(10, "", vec![pod("b", 4)]),
        Answer::Frames(watch),
        Answer::Broken,
        Answer::Frames(watch2),
    ]);
    let mut feed = informer.subscribe();
    informer.synced().await;
    assert_eq!(names(&informer), ["a", "b"]);
    assert!(matches!(feed.recv().await, Some(Change::Resync)));

    frames.send(frame("MODIFIED", pod("a", 11))).await.unwrap();
    frames.send(frame("DELETED", pod("b", 12))).await.unwrap();
    frames.send(frame("BOOKMARK", pod("", 20))).await.unwrap();
    informer.reached(20).await;
    assert!(matches!(feed.recv().await, Some(Change::Applied { old: Some(_), .. })));
    assert!(
        matches!(feed.recv().await, Some(Change::Deleted(last)) if last.metadata.resource_version == "12")
    );
    assert!(informer.health().connected);

    drop(frames);
    frames2.send(frame("ADDED", pod("c", 21))).await.unwrap();
    informer.reached(21).await;
    assert_eq!(names(&informer), ["a", "c"]);
    let asked = script.asked.lock().clone();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked[1].contains("continue=next"), "{asked:?}");
    assert!(asked[2].contains("resourceVersion=10"));
    assert!(asked[3].contains("resourceVersion=20") && asked[4].contains("resourceVersion=20"));
}

#[tokio::test]
async fn a_lost_history_is_listed_again_as_differences() {
    let (frames, watch) = mpsc::channel(8);
    let (_frames2, watch2) = mpsc::channel(8);
    let (_, informer) = start(vec![
        Answer::Json(503, json!({})),
        list(10, "", vec![pod("a", 3), pod("b", 4)]),
        Answer::Frames(watch),
        list(30, "", vec![pod("b", 4), pod("c", 29)]),
        Answer::Frames(watch2),
    ]);
    informer.synced().await;
    let mut feed = informer.subscribe();
    assert!(matches!(feed.recv().await, Some(Change::Resync)));
    let expired = json!({"code": 410, "reason": "Expired", "message": "too old resource version"});
    frames.send(frame("ERROR", expired)).await.unwrap();
    informer.reached(30).await;
    assert!(matches!(feed.recv().await, Some(Change::Deleted(a)) if a.metadata.name == "a"));
    assert!(
        matches!(feed.recv().await, Some(Change::Applied { old: None, new }) if new.metadata.name == "c")
    );
    assert!(feed.try_recv().is_none());
}

#[tokio::test]
async fn the_task_ends_with_its_last_handle() {
    let (frames, watch) = mpsc::channel::<String>(8);
    let (_, informer) = start(vec![list(1, "", vec![]), Answer::Frames(watch)]);
    informer.synced().await;
    let mut feed = informer.subscribe();
    drop(informer.clone());
    assert!(matches!(feed.recv().await, Some(Change::Resync)));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert!(!frames.is_closed());
    drop(informer);
    assert!(feed.recv().await.is_none());
    frames.closed().await;
}
