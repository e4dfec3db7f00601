//! One connection: HTTP/2 or HTTP/1.1 with upgrades, its limits, and its orderly end.

use super::cork;
use crate::server::{ConnectionService, TlsService};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// Streams that a client may have open on one connection; informers of a busy client are hundreds of watches.
const STREAMS: u32 = 2000;
/// Flow-control windows, in bytes: a request body of the largest size needs few round trips.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes that hyper buffers of one reply before the handler is asked for more.
const SEND_BUFFER: usize = 256 * 1024;
/// Bytes of all headers of a request.
const HEADERS: u32 = 64 * 1024;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a client may take to send the headers of an HTTP/1 request, or to send another one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take to end a connection that the server's end has ended.
const LINGER: Duration = Duration::from_secs(2);

/// The settings of all connections.
pub fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADERS as usize)
        .keep_alive(true)
        // Pipelined frames of a watch go out in one write.
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Runs a connection to its end. `stop` begins an orderly end, `cut` ends it at once; `cut` comes after `stop`.
pub async fn run(
    stream: TlsStream<TcpStream>,
    http: auto::Builder<TokioExecutor>,
    service: TlsService,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let session = stream.get_ref().1;
    let connection = ConnectionService::new(service.clone(), session.peer_certificates());
    if session.alpn_protocol() == Some(b"h2") {
        let (corked, cork) = cork::cork(stream);
        // Whoever promised HTTP/2 is held to it: an HTTP/1 connection that is upgraded would leave its cork behind.
        cork.run(drive(corked, http.http2_only(), connection, &service, stop, cut.clone())).await;
        if service.is_stopping() {
            tokio::select! {
                () = cork.linger(LINGER) => {}
                () = cut.cancelled() => {}
            }
        }
    } else {
        // HTTP/1.1 writes a reply in one piece, and gives the stream away when it is upgraded.
        drive(stream, http, connection, &service, stop, cut).await;
    }
}

async fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    http: auto::Builder<TokioExecutor>,
    connection: ConnectionService,
    service: &TlsService,
    stop: CancellationToken,
    cut: CancellationToken,
) {
    let mut connection = pin!(http.serve_connection_with_upgrades(TokioIo::new(stream), connection));
    let mut stop = pin!(stop.cancelled());
    let mut registered = false;
    let ended = poll_fn(|context| {
        // Errors of a connection are the client's: resets, bad frames. Nothing is left to answer.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        // To look at a token takes a lock, and this is done at every turn. Once is enough to be woken by it, as the
        // waker of a task stays the same; afterwards a flag tells that it was the token.
        let stops = if registered { service.is_stopping() } else { stop.as_mut().poll(context).is_ready() };
        registered = true;
        if stops { Poll::Ready(false) } else { Poll::Pending }
    })
    .await;
    if ended {
        return;
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = cut.cancelled() => {}
    }
}
