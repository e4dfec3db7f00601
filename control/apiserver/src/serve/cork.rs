//! Puts what an HTTP/2 connection writes in one turn into one TLS record and one system call. Left alone, every
//! frame of every stream is a record and a call of its own, and a client that watches twenty kinds over one
//! connection pays twenty for one change. Holds back nothing beyond the turn, and no more than a few records.

use parking_lot::Mutex;
use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one TLS record holds: a longer write gains nothing by waiting.
const RECORD: usize = 16 * 1024;
/// Bytes held back at most.
const HELD: usize = 4 * RECORD;

thread_local! {
    /// Where turns put what they write, one after the other: each connection with a buffer of its own would find
    /// it cold, and thousands of them are much memory.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

struct Shared<S> {
    stream: S,
    held: Vec<u8>,
    /// Bytes at the start of `held` that have been written.
    written: usize,
}

/// What the protocol writes to.
pub struct Corked<S>(Arc<Mutex<Shared<S>>>);

/// Lets go of what was written.
pub struct Cork<S>(Arc<Mutex<Shared<S>>>);

/// Both ends of a corked stream.
pub fn cork<S>(stream: S) -> (Corked<S>, Cork<S>) {
    let shared = Arc::new(Mutex::new(Shared { stream, held: Vec::new(), written: 0 }));
    (Corked(Arc::clone(&shared)), Cork(shared))
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Runs a connection over the other end: after each of its turns what it wrote goes out. Ends with it, or
    /// when nothing can be written any more.
    pub async fn run<F: Future>(&self, connection: F) {
        let mut connection = std::pin::pin!(connection);
        std::future::poll_fn(|context| {
            let ended = connection.as_mut().poll(context).is_ready();
            let failed = matches!(self.0.lock().let_go(context), Poll::Ready(Err(_)));
            if ended || failed { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn write(&mut self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length >= RECORD {
            ready!(self.drain(context))?;
            return Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        }
        if self.held.len() + length > HELD {
            ready!(self.drain(context))?;
        }
        if self.held.capacity() == 0 {
            self.held = BUFFER.take();
        }
        parts.iter().for_each(|part| self.held.extend_from_slice(part));
        Poll::Ready(Ok(length))
    }

    fn let_go(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.held.len() {
            let rest = &self.held[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        if self.held.capacity() > 0 {
            self.written = 0;
            self.held.clear();
            BUFFER.set(std::mem::take(&mut self.held));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().write(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // HTTP/2 flushes after every frame; what is held goes out when the turn ends.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = self.0.lock();
        ready!(shared.let_go(context))?;
        Pin::new(&mut shared.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A stream that counts its writes and takes at most `room` bytes in each; full every other time.
    struct Slow {
        writes: Vec<Vec<u8>>,
        room: usize,
        full: bool,
    }

    impl AsyncWrite for Slow {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.full = !self.full && self.room < usize::MAX;
            if self.full {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let taken = &bytes[..bytes.len().min(self.room)];
            self.writes.push(taken.to_vec());
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn check(room: usize, turns: &[&[usize]], want_writes: &[usize]) {
        let (mut corked, cork) = cork(Slow { writes: Vec::new(), room, full: false });
        let mut sent = Vec::new();
        for (index, length) in turns.concat().into_iter().enumerate() {
            sent.extend(vec![index as u8; length]);
        }
        let mut next = 0u8;
        cork.run(async {
            for turn in turns {
                for length in *turn {
                    corked.write_all(&vec![next; *length]).await.unwrap();
                    corked.flush().await.unwrap();
                    next += 1;
                }
                tokio::task::yield_now().await;
            }
            corked.shutdown().await.unwrap();
        })
        .await;
        let shared = cork.0.lock();
        assert_eq!(shared.stream.writes.concat(), sent, "{turns:?}");
        if room == usize::MAX {
            let writes: Vec<_> = shared.stream.writes.iter().map(Vec::len).collect();
            assert_eq!(writes, want_writes, "{turns:?}");
        }
        assert_eq!(shared.held.capacity(), 0, "nothing is kept between turns");
    }

    #[tokio::test]
    async fn a_turn_is_one_write() {
        let all = usize::MAX;
        check(all, &[&[9, 1500, 9, 1500], &[9], &[]], &[3018, 9]).await;
        // What fills a record by itself is not held, and goes after what came before it.
        check(all, &[&[9, RECORD, 20]], &[9, RECORD, 20]).await;
        // No more than a few records are held.
        check(all, &[&[RECORD - 1; 5]], &[4 * (RECORD - 1), RECORD - 1]).await;
        // A peer that takes little at a time gets everything in order.
        for room in [1, 7, 1000] {
            check(room, &[&[9, 1500, 9], &[3, RECORD], &[5]], &[]).await;
        }
    }

    #[tokio::test]
    async fn a_broken_peer_ends_the_connection() {
        let (stream, peer) = tokio::io::duplex(16);
        let (mut corked, cork) = cork(stream);
        drop(peer);
        cork.run(async {
            corked.write_all(b"anybody?").await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
    }

    #[tokio::test]
    async fn reads_go_through() {
        let (stream, mut peer) = tokio::io::duplex(16);
        let (mut corked, _cork) = cork(stream);
        peer.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        corked.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello");
    }
}
