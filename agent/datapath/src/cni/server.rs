//! The listener: one request per connection, bounded in size, time and number.

use keelson_proto::cni::{Error, MESSAGE_MAX, Reply, Request, code};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// A request and where its reply goes.
#[derive(Debug)]
pub struct Incoming {
    /// What the plugin asks.
    pub request: Request,
    /// Dropped without a reply, it becomes an error to the plugin.
    pub reply: oneshot::Sender<Reply>,
}

/// Connections served at once; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 256;
/// A plugin that has connected writes its request at once.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Binds the socket, replacing one that a dead agent left, and serves it for ever.
pub fn serve(path: &Path, requests: mpsc::Sender<Incoming>) -> io::Result<impl Future<Output = ()> + use<>> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Whoever may speak here may rewire pods: root alone.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(accept(listener, requests))
}

async fn accept(listener: UnixListener, requests: mpsc::Sender<Incoming>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let requests = requests.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, requests).await {
                        tracing::debug!(%error, "CNI connection");
                    }
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a CNI connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, requests: mpsc::Sender<Incoming>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut limited = (&mut stream).take(MESSAGE_MAX + 1);
    tokio::time::timeout(READ_TIMEOUT, limited.read_to_end(&mut bytes)).await??;
    let reply = decide(&bytes, requests).await;
    let text = serde_json::to_vec(&reply).map_err(io::Error::other)?;
    stream.write_all(&text).await?;
    stream.shutdown().await
}

async fn decide(bytes: &[u8], requests: mpsc::Sender<Incoming>) -> Reply {
    if bytes.len() as u64 > MESSAGE_MAX {
        return Reply::Error(Error::new(code::DECODING_FAILURE, "the request is too large"));
    }
    let request = match serde_json::from_slice(bytes) {
        Ok(request) => request,
        Err(error) => return Reply::Error(Error::new(code::DECODING_FAILURE, error.to_string())),
    };
    let (sender, receiver) = oneshot::channel();
    let stopping = || Reply::Error(Error::new(code::TRY_AGAIN, "the agent is stopping"));
    if requests.send(Incoming { request, reply: sender }).await.is_err() {
        return stopping();
    }
    receiver.await.unwrap_or_else(|_| stopping())
}
