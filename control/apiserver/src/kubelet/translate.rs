//! An exec or attach over a WebSocket with an end of input: towards the kubelet it goes on as SPDY, as runtimes speak
//! nothing else that has one. This is where kube-apiserver does it too (KEP-4006).

use super::channel::{self, Channel};
use super::client::{KubeletClient, Node, refusal};
use super::session::{Came, Inward, Outward, Streams};
use super::spdy;
use super::write;
use crate::metrics::LongRunning;
use crate::respond;
use crate::server::Core;
use crate::websocket::{self, Opening, Sink, Source};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{Method, Request, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use keelson_api::status::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::protocol::Message;

/// The protocol between a kubelet and its callers that tells how a command ended.
const V4: &str = "v4.channel.k8s.io";
/// How long a runtime may take to take the streams.
const TAKE: Duration = Duration::from_secs(30);
/// Bytes read at once.
const READ: usize = 32 * 1024;
/// Pings of the runtime that wait for their echo; one that finds no place has no echo.
const PINGS: usize = 4;

type Connection = TokioIo<Upgraded>;

/// A command's streams, and where the kubelet has them.
pub struct Remote {
    pub client: Arc<KubeletClient>,
    pub node: Node,
    /// The kubelet's path, with the query.
    pub path: String,
    pub streams: Streams,
}

impl Remote {
    /// Carries the streams until the command or the client ends.
    pub async fn run(self, opening: Opening, running: LongRunning, core: Arc<Core>) {
        let Some((mut sink, mut source)) = opening.open().await else { return };
        let carried = tokio::select! {
            carried = self.carry(&mut sink, &mut source) => carried,
            () = core.shutdown.cancelled() => return,
        };
        drop(running);
        match carried {
            Ok(Ended::Client) => return,
            Ok(Ended::Command) => {}
            Err(status) => {
                let message = channel::write(Channel::Error, &respond::status_bytes(&status));
                if sink.send(Message::Binary(message)).await.is_err() {
                    return;
                }
            }
        }
        websocket::close(sink, source).await;
    }

    /// The error is for the client to hear.
    async fn carry(&self, sink: &mut Sink, source: &mut Source) -> Result<Ended, Status> {
        if sink.send(Message::Binary(self.streams.greeting())).await.is_err() {
            return Ok(Ended::Client);
        }
        let (reader, mut writer) = tokio::io::split(self.connect().await?);
        let inward = Inward::new(self.streams);
        let mut opening = BytesMut::new();
        inward.open(&mut opening);
        write(&mut writer, &opening).await.map_err(lost)?;
        let (ready, taken) = oneshot::channel();
        let (pings, echoes) = mpsc::channel(PINGS);
        // Neither way waits for the other: a command that does not read its input is still heard.
        tokio::select! {
            ended = out(reader, Outward::new(self.streams), sink, ready, pings) => ended,
            ended = into(source, inward, writer, taken, echoes) => ended,
        }
    }

    async fn connect(&self) -> Result<Connection, Status> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "SPDY/3.1")
            .header(super::exec::PROTOCOLS, V4)
            .header(CONTENT_LENGTH, 0)
            .body(Body::empty())
            .map_err(Status::internal)?;
        let url = self.node.url(&self.path);
        let response = self.client.send(&self.node, request).await;
        let response = response.map_err(|error| super::unreachable(&url, &error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let words = refusal(response).await;
            return Err(Status::internal(format!("unable to upgrade connection: {words}")));
        }
        Ok(TokioIo::new(hyper::upgrade::on(response).await.map_err(Status::internal)?))
    }
}

/// Who has ended a session.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Client,
    Command,
}

fn lost(error: impl std::fmt::Display) -> Status {
    Status::internal(format!("the connection to the container's runtime was lost: {error}"))
}

/// From the runtime to the client.
async fn out(
    mut reader: ReadHalf<Connection>,
    mut outward: Outward,
    sink: &mut Sink,
    ready: oneshot::Sender<()>,
    pings: mpsc::Sender<u32>,
) -> Result<Ended, Status> {
    let mut ready = Some(ready);
    let mut received = BytesMut::with_capacity(READ);
    while !outward.is_over() {
        received.reserve(READ);
        match reader.read_buf(&mut received).await {
            Ok(1..) => {}
            Ok(0) => break,
            Err(error) => {
                tracing::debug!(%error, "the connection to a runtime was cut");
                break;
            }
        }
        while let Some(frame) = spdy::decode(&mut received).map_err(lost)? {
            match outward.take(frame) {
                Came::Message(message) => {
                    if sink.send(Message::Binary(message)).await.is_err() {
                        return Ok(Ended::Client);
                    }
                }
                Came::Ready => {
                    // Without a listener the other way has ended, and this one with it.
                    let _ = ready.take().map(|ready| ready.send(()));
                }
                Came::Ping(id) => {
                    let _ = pings.try_send(id);
                }
                Came::Nothing => {}
            }
        }
    }
    if outward.is_told() { Ok(Ended::Command) } else { Err(lost("it did not tell how the command ended")) }
}

/// From the client to the runtime.
async fn into(
    source: &mut Source,
    mut inward: Inward,
    mut writer: WriteHalf<Connection>,
    taken: oneshot::Receiver<()>,
    mut echoes: mpsc::Receiver<u32>,
) -> Result<Ended, Status> {
    match tokio::time::timeout(TAKE, taken).await {
        Ok(Ok(())) => {}
        // The other way has ended and says why.
        Ok(Err(_)) => return std::future::pending().await,
        Err(_) => return Err(lost(format!("it did not take the streams within {} s", TAKE.as_secs()))),
    }
    let mut frames = BytesMut::new();
    loop {
        tokio::select! {
            Some(id) = echoes.recv() => spdy::ping(&mut frames, id),
            message = source.next() => {
                let Some(message) = message.and_then(Result::ok).and_then(data) else { return Ok(Ended::Client) };
                inward.take(message, &mut frames).map_err(|error| Status::bad_request(error.to_string()))?;
            }
        }
        if write(&mut writer, &frames).await.is_err() {
            // The command may have ended without reading all; how is the other way's to tell.
            return std::future::pending().await;
        }
        frames.clear();
    }
}

/// The bytes of a message; `None` at the end.
fn data(message: Message) -> Option<Bytes> {
    match message {
        Message::Close(_) => None,
        Message::Binary(bytes) => Some(bytes),
        Message::Text(text) => Some(text.into()),
        // Pings are answered below, and say nothing to the command.
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Some(Bytes::new()),
    }
}
