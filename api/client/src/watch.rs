//! A watch's stream of frames, one JSON line each.

use crate::decode::decode;
use crate::error::{Error, Result};
use crate::transport::{ResponseBody, TransportError};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use keelson_api::status::Status;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::marker::PhantomData;

/// The longest frame that is accepted, in bytes: far above the largest object the API stores.
const FRAME_MAX: usize = 16 << 20;

/// One frame of a watch.
#[derive(Clone, Debug, PartialEq)]
pub enum WatchEvent<T> {
    Added(T),
    Modified(T),
    /// The object's last state.
    Deleted(T),
    /// Every event up to this revision has been sent.
    Bookmark {
        resource_version: String,
    },
}

/// Frames as they come; `None` when the server ended the watch.
pub struct WatchStream<T> {
    what: &'static str,
    body: ResponseBody,
    /// A partial line.
    rest: BytesMut,
    /// Whole lines not handed out yet: the chunk they came in, shared and not copied.
    chunk: Bytes,
    ended: bool,
    _marker: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> WatchStream<T> {
    pub(crate) fn new(what: &'static str, body: ResponseBody) -> Self {
        Self { what, body, rest: BytesMut::new(), chunk: Bytes::new(), ended: false, _marker: PhantomData }
    }

    /// The next frame. An error frame of the server is `Error::Api`; an object that the view cannot read is
    /// `Error::Decode`, after which the stream goes on.
    pub async fn next(&mut self) -> Option<Result<WatchEvent<T>>> {
        loop {
            match self.line() {
                Some(Ok(line)) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Some(Ok(line)) => return Some(parse(self.what, &line)),
                Some(Err(e)) => {
                    self.ended = true;
                    return Some(Err(e));
                }
                None if self.ended => return None,
                None => {}
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Err(e)) => {
                    self.ended = true;
                    return Some(Err(Error::Transport(TransportError(e))));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.chunk = data;
                    }
                }
            }
        }
    }

    /// Takes one whole line out of what has arrived.
    fn line(&mut self) -> Option<Result<Bytes>> {
        let Some(end) = self.chunk.iter().position(|b| *b == b'\n') else {
            self.rest.extend_from_slice(&self.chunk);
            self.chunk.clear();
            if self.rest.len() > FRAME_MAX {
                let cause = format!("a watch frame of {} is longer than {FRAME_MAX} bytes", self.what);
                return Some(Err(Error::Transport(TransportError::new(cause))));
            }
            return None;
        };
        let line = self.chunk.split_to(end);
        self.chunk.advance(1);
        if self.rest.is_empty() {
            return Some(Ok(line));
        }
        self.rest.extend_from_slice(&line);
        Some(Ok(self.rest.split().freeze()))
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BookmarkObject {
    metadata: BookmarkMeta,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
}

fn parse<T: DeserializeOwned>(what: &str, line: &[u8]) -> Result<WatchEvent<T>> {
    let frame: Frame<'_> = serde_json::from_slice(line)
        .map_err(|source| Error::Decode { what: format!("a watch frame of {what}"), source })?;
    let object = frame.object.get().as_bytes();
    match frame.r#type {
        "ADDED" => decode(what, object).map(WatchEvent::Added),
        "MODIFIED" => decode(what, object).map(WatchEvent::Modified),
        "DELETED" => decode(what, object).map(WatchEvent::Deleted),
        "BOOKMARK" => {
            let bookmark: BookmarkObject = decode(what, object)?;
            Ok(WatchEvent::Bookmark { resource_version: bookmark.metadata.resource_version })
        }
        _ => {
            let status: Status = decode(what, object)?;
            Err(Error::Api(Box::new(status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BoxError;
    use http_body_util::StreamBody;
    use hyper::body::Frame as BodyFrame;
    use serde_json::{Value, json};

    fn stream(chunks: &[&str]) -> WatchStream<Value> {
        let chunks = chunks.iter().map(|c| Ok::<_, BoxError>(BodyFrame::data(Bytes::from(c.to_string()))));
        let body = StreamBody::new(futures::stream::iter(chunks.collect::<Vec<_>>()));
        WatchStream::new("things", ResponseBody::new(body))
    }

    async fn read(chunks: &[&str]) -> Vec<String> {
        let mut stream = stream(chunks);
        let mut all = Vec::new();
        while let Some(event) = stream.next().await {
            all.push(match event {
                Ok(event) => format!("{event:?}"),
                Err(e) => format!("error {e}"),
            });
        }
        all
    }

    #[tokio::test]
    async fn frames_over_any_chunking() {
        let text = concat!(
            r#"{"type":"ADDED","object":{"a":1}}"#,
            "\n\n",
            r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}"#,
            "\n"
        );
        let whole = read(&[text]).await;
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0], format!("{:?}", WatchEvent::Added(json!({"a": 1}))));
        for cut in 1..text.len() {
            assert_eq!(read(&[&text[..cut], &text[cut..]]).await, whole, "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn an_error_frame_is_the_servers_refusal() {
        let frame = r#"{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old"}}"#;
        let mut stream = stream(&[frame, "\n"]);
        let error = stream.next().await.unwrap().unwrap_err();
        assert!(error.is_gone());
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn garbage_is_an_error_and_the_stream_goes_on() {
        let all = read(&["nonsense\n", "{\"type\":\"DELETED\",\"object\":{}}\n"]).await;
        assert!(all[0].starts_with("error a watch frame of things"));
        assert_eq!(all.len(), 2);
    }
}
