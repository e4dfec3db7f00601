//! Work in another network namespace, always on a thread of its own: a thread that has called setns is
//! never given back to the runtime.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

/// Why work in a namespace did not happen.
#[derive(Debug, thiserror::Error)]
pub enum NamespaceError {
    /// The path is no namespace, or is gone.
    #[error("network namespace {path}: {source}")]
    Enter {
        /// As the runtime gave it.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The thread could not be started, or it panicked.
    #[error("thread for a network namespace: {0}")]
    Thread(String),
}

/// Runs an async function in a namespace and returns what it returns.
pub async fn in_namespace<T, F, Fut>(path: &Path, work: F) -> Result<T, NamespaceError>
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T>,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let owned = path.to_owned();
    let body = move || {
        // The receiver is gone when the caller was cancelled; nothing is left to tell.
        let _ = sender.send(enter(&owned).and_then(|()| run(work)));
    };
    std::thread::Builder::new()
        .name("netns".to_owned())
        .spawn(body)
        .map_err(|error| NamespaceError::Thread(error.to_string()))?;
    receiver.await.map_err(|_| NamespaceError::Thread("it panicked".to_owned()))?
}

fn enter(path: &Path) -> Result<(), NamespaceError> {
    let wrap = |source: io::Error| NamespaceError::Enter { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(wrap)?;
    nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).map_err(|errno| wrap(errno.into()))
}

fn run<T, F, Fut>(work: F) -> Result<T, NamespaceError>
where
    F: FnOnce() -> Fut,
    Fut: Future<Output = T>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NamespaceError::Thread(error.to_string()))?;
    Ok(runtime.block_on(work()))
}
