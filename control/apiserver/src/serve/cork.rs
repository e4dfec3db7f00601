//! Puts what the streams of an HTTP/2 connection write for one event into one system call. Left alone, every frame
//! of every stream is a call of its own, and a client that watches twenty kinds over one connection pays twenty
//! for one change.
//!
//! What is written is encrypted at once, from where it stands, and waits as TLS records. The connection then lets
//! those run that were woken with it, most likely other streams of its own, before everything goes out: one turn of
//! the scheduler later, and no more than TLS holds anyway.

use parking_lot::Mutex;
use std::future::Future;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

/// A stream that can take what is to be written without sending it; `poll_flush` sends it.
pub trait Hold: AsyncRead + AsyncWrite + Unpin {
    /// Takes as much as there is room for; 0 means that it is to be flushed first.
    fn hold(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize>;
    fn holds(&self) -> bool;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Hold for TlsStream<S> {
    fn hold(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.get_mut().1.writer().write_vectored(parts)
    }

    fn holds(&self) -> bool {
        self.get_ref().1.wants_write()
    }
}

/// What the protocol writes to.
pub struct Corked<S>(Arc<Mutex<S>>);

/// Lets go of what was written.
pub struct Cork<S>(Arc<Mutex<S>>);

/// Both ends of a corked stream.
pub fn cork<S: Hold>(stream: S) -> (Corked<S>, Cork<S>) {
    let shared = Arc::new(Mutex::new(stream));
    (Corked(Arc::clone(&shared)), Cork(shared))
}

impl<S: Hold> Cork<S> {
    /// Runs a connection over the other end. Ends with it, or when nothing can be written any more.
    pub async fn run<F: Future>(&self, connection: F) {
        let mut connection = std::pin::pin!(connection);
        let mut waited = false;
        std::future::poll_fn(|context| {
            let ended = connection.as_mut().poll(context).is_ready();
            let mut stream = self.0.lock();
            // A task that wakes itself while it runs goes behind all that are to run.
            waited = !ended && !waited && stream.holds();
            if waited {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let failed = matches!(Pin::new(&mut *stream).poll_flush(context), Poll::Ready(Err(_)));
            if ended || failed { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl<S: Hold> Cork<S> {
    /// Reads what the peer still says and drops it, until the peer ends too or `limit` is over: a socket that is closed
    /// with something unread resets the connection, and what has not reached the peer by then is lost (RFC 9112,
    /// section 9.6).
    pub async fn linger(&self, limit: Duration) {
        let mut scratch = [0; 4096];
        let end = std::future::poll_fn(|context| {
            let mut stream = self.0.lock();
            loop {
                let mut buffer = ReadBuf::new(&mut scratch);
                let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        });
        // Whoever does not end in time has had its time.
        let _ = tokio::time::timeout(limit, end).await;
    }
}

impl<S: Hold> AsyncRead for Corked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.lock()).poll_read(context, buffer)
    }
}

impl<S: Hold> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.0.lock();
        if parts.iter().all(|part| part.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        loop {
            match stream.hold(parts)? {
                0 => ready!(Pin::new(&mut *stream).poll_flush(context))?,
                count => return Poll::Ready(Ok(count)),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // HTTP/2 flushes after every frame; what is held goes out when the turn ends.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.0.lock();
        ready!(Pin::new(&mut *stream).poll_flush(context))?;
        Pin::new(&mut *stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[path = "cork_tests.rs"]
mod tests;
